"""A method is a value: what it adds to plain fine-tuning; a chain of methods is a method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

# Re-exported, so that a method's file can import everything from here.
from tasks.parameters import Choices as Choices
from tasks.parameters import Later as Later
from tasks.parameters import NewHead as NewHead
from tasks.parameters import Range as Range

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Model, Outputs
    from tasks.training import Run
    from tasks.transfer import Transfer

BACKBONE = frozenset({"weights", "norms"})
"""The parts of a backbone: its norm layers with their statistics, and all other weights."""
PARTS = BACKBONE | {"head"}
NEEDS = {
    "missing": "needs missing classes, which this task does not have",
    "same_head": "needs a target with the source's classes, since it starts from the source's head",
    "source_head": "needs the source model's own classifier",
    "batch_norm": "works on batch norm, of which this backbone has none",
    "norms": "works on norm layers, of which this backbone has none",
    "attention": "works on attention layers, of which this backbone has none",
    "convolutions": "works on a convolution before a norm at the end of each stage, which this "
    "backbone does not have",
    "blocks": "adds to the blocks of timm's vision transformer, which this backbone is not",
}
"""What a method may need -> the message if it is not available."""
OF_BACKBONE = ("batch_norm", "norms", "attention", "blocks", "convolutions")
"""The needs that are traits of the backbone."""


@final
@dataclass(frozen=True, slots=True)
class Stages:
    """Marks a parameter that names backbone stages: `-1` is the last, `1,2` are the first two."""


def stage_indices(text: str) -> tuple[int, ...]:
    """List indices from stage numbers: `"1,-1"` gives (0, -1).

    Raises:
        ValueError: a part of the text is not a stage number.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.removeprefix("-").isdecimal() and int(part) for part in parts):
        raise ValueError(
            f"got {text!r}; name stages by number, the first 1 and the last -1, with commas "
            "between them"
        )
    return tuple(int(part) - (int(part) > 0) for part in parts)


@final
@dataclass(frozen=True, slots=True)
class Learnt:
    """Marks a parameter that `learn` depends on; it does not depend on any other."""


@final
@dataclass(frozen=True, slots=True)
class SeenClasses:
    """Marks a parameter that counts seen classes, and so is limited by their number."""


@final
@dataclass(frozen=True, kw_only=True)
class Method:
    """What a method adds to plain fine-tuning; `Method()` adds nothing and is plain fine-tuning."""

    learn: Callable[[Transfer], tuple[dict[str, Tensor], dict[str, float]]] | None = None
    """Learns from the source model and the adaptation data; returns tensors, and numbers to report.

    The task runs it as a stage shared by all trials with the same learning parameters; without a
    stage it runs before training. """
    rebuild: Callable[[Model], None] | None = None
    """Changes the student's modules before anything else, but not the names in its state.

    Weights may be made of others by torch's parametrizations (`tasks/adapters.py`), which are
    merged before anything is measured. """
    prepare: Callable[[Model, Transfer, Any], Any] | None = None
    """Called once before training with the student, the transfer, and the tensors from `learn`.

    `penalty` gets what it returns. Modules in that (alone, or in a tuple) are saved in checkpoints,
    and their parameters train with the student. """
    adjust: Callable[[Tensor, Any], Tensor] | None = None
    """Changes the logits [B, classes] of which the cross-entropy of a batch is taken.

    It gets what `prepare` returned. Penalties and measurements see the logits unchanged. """
    penalty: Callable[[View, Any], Tensor] | None = None
    """The term added to the cross-entropy of a batch: a scalar, in full precision."""
    trains: Callable[[Model], list[nn.Parameter]] | None = None
    """The parameters of the backbone that train; default: all in the parts that are not frozen."""
    frozen: frozenset[str] = frozenset()
    """Parts of the model that do not change, batch-norm statistics included: of `PARTS`."""
    optimise: Callable[[Run, int, int], Tensor | None] | None = None
    """Trains from one gradient evaluation to another and returns the mean loss; default: SGD."""
    stepped: Callable[[Run, Any], None] | None = None
    """Called after each optimiser step with the run and what `prepare` returned."""
    finish: Callable[[Model, Model, Any], None] | None = None
    """Changes a copy of the trained model, given the source model and what `prepare` returned."""
    output: Callable[[Tensor, Tensor], Tensor] | None = None
    """Computes the measured logits from the trained and the source model's, [N, classes] each."""
    needs: frozenset[str] = frozenset()
    """What it needs, of `NEEDS`."""
    maps: bool = False
    """Whether its penalty uses feature maps."""
    convolutions: bool = False
    """Whether its penalty uses what the last convolutions of stages give."""
    gradient: bool = True
    """Whether it follows the gradient of the loss, so that a penalty has an effect."""
    decays: bool = False
    """Whether its penalty replaces the optimiser's weight decay, which is then 0."""
    all_classes: bool = False
    """Whether it also trains on target images of missing classes, as an upper bound does."""
    adapts: bool = True
    """Whether it trains at all."""
    reads_labels: bool = False
    """Whether it works with the labels of a batch's images, which then cannot be mixed."""
    scaled: bool = False
    """Whether its `optimise` bears a scaled loss (float16), whose gradients may overflow.

    So where each gradient is followed by `Run.step`, or used only if `Run.settled` says so.
    """
    inserts: bool = False
    """Whether `rebuild` adds layers of which the source has no counterpart: they stay unmerged."""
    pairs_weights: bool = False
    """Whether it compares or averages the student's weights with the source's, name by name."""
    observes: bool = False
    """Whether `prepare` and `stepped` only observe the run, without changing the training."""
    measures: tuple[str, ...] = ()
    """Names of the numbers that `learn` reports, in the columns `METHOD/NAME`.

    A chain declares none: the numbers of its members are named after the members. """

    @property
    def after_training(self) -> bool:
        """Whether it trains like plain fine-tuning and changes only the model that is measured.

        If it needs more from the run than the weights, it observes, and keeps that in what
        `prepare` returned.
        """
        shapes_training = (
            self.learn,
            self.rebuild,
            self.adjust,
            self.penalty,
            self.optimise,
            self.trains,
            *(() if self.observes else (self.prepare, self.stepped)),
        )
        return not (
            any(part is not None for part in shapes_training)
            or self.frozen
            or self.decays
            or self.all_classes
            or not self.gradient
            or not self.adapts
        ) and (self.observes or self.finish is not None or self.output is not None)

    @property
    def trains_head_alone(self) -> bool:
        """Whether it trains only a linear head on frozen features, by plain SGD."""
        parts = (
            self.learn,
            self.rebuild,
            self.prepare,
            self.adjust,
            self.penalty,
            self.optimise,
            self.stepped,
        )
        return (
            self.frozen == BACKBONE
            and not any(part is not None for part in parts)
            and self.gradient
            and self.adapts
        )

    @property
    def measured_by(self) -> bool:
        """Whether it changes what is measured for given trained weights."""
        return any(part is not None for part in (self.rebuild, self.finish, self.output))

    @property
    def untouched(self) -> bool:
        """Whether it measures the source model unchanged, without training or any other change."""
        changes = (
            self.rebuild,
            self.prepare,
            self.stepped,
            self.finish,
            self.output,
        )
        return not self.adapts and not any(changes)


@final
class View:
    """A batch as a penalty sees it; outputs are computed on first use, once, in full precision."""

    def __init__(
        self,
        student: Model,
        transfer: Transfer,
        images: Tensor,
        labels: Tensor,
        *,
        maps: bool = False,
        convolutions: bool = False,
        amp: bool = False,
        amp_dtype: str = "bfloat16",
        compiled: Callable[[Tensor], tuple[Tensor, Tensor]] | None = None,
        again: Callable[[], Tensor] | None = None,
    ) -> None:
        self._again, self._amp_dtype, self._compiled = again, amp_dtype, compiled
        self.student = student
        self.transfer = transfer
        self.images = images
        self.targets = labels
        """What the cross-entropy is taken to: labels [B], or where they are mixed [B, classes]."""
        self._maps, self._amp = maps, amp
        self._convolutions = convolutions

    @property
    def source(self) -> Model:
        """The frozen source model."""
        return self.transfer.source_model

    @property
    def labels(self) -> Tensor:
        """The labels [B].

        Raises:
            ValueError: they are mixed, so that an image has parts of two.
        """
        if self.targets.ndim == 1:
            return self.targets
        raise ValueError(
            "this method looks at the labels of a batch, but `mixup` or `cutmix` mixes them; leave "
            "those out, and let the method declare reads_labels=True, for `plan` to say so"
        )

    @property
    def seen(self) -> Tensor:
        """The indices of the seen classes."""
        return self.transfer.seen

    @property
    def missing(self) -> Tensor:
        """The indices of the missing classes."""
        return self.transfer.missing

    @property
    def features(self) -> Tensor:
        """The student's features, [B, width]."""
        return self._student.features

    @property
    def logits(self) -> Tensor:
        """The student's logits over all classes, [B, classes]."""
        return self._student.logits

    @property
    def maps(self) -> Sequence[Tensor]:
        """The student's feature maps, [B, channels, height, width] per stage of the backbone."""
        return self._student.maps

    @property
    def convolutions(self) -> Sequence[Tensor]:
        """What the student's last convolution of each stage gives, [B, channels, height, width]."""
        return self._student.convolutions

    @property
    def source_convolutions(self) -> Sequence[Tensor]:
        """What the frozen source model's last convolution of each stage gives."""
        return self._source.convolutions

    @property
    def source_features(self) -> Tensor:
        """The frozen source model's features, [B, width], without gradient."""
        return self._source.features

    @property
    def source_logits(self) -> Tensor:
        """The frozen source model's logits, [B, source classes], without gradient."""
        return self._source.logits

    @property
    def source_maps(self) -> Sequence[Tensor]:
        """The frozen source model's feature maps, without gradient."""
        return self._source.maps

    @cached_property
    def other_images(self) -> Tensor:
        """The same images under another draw of the augmentation; without one, `images`."""
        return self.images if self._again is None else self._again()

    def run(
        self, model: Model, *, maps: bool = False, convolutions: bool = False, other: bool = False
    ) -> Outputs:
        """A model's outputs for the batch, computed in training precision, returned in float32.

        With `other`, for `other_images`.
        """
        images = self.other_images if other else self.images
        with self._precision():
            outputs = model.outputs(images, maps=maps, convolutions=convolutions)
        return outputs.in_full_precision() if self._amp else outputs

    def _precision(self) -> AbstractContextManager[Any]:
        import torch

        half = getattr(torch, self._amp_dtype)
        return torch.autocast(self.images.device.type, half, enabled=self._amp)

    @cached_property
    def _student(self) -> Outputs:
        if self._compiled is None or self._maps or self._convolutions:
            return self.run(self.student, maps=self._maps, convolutions=self._convolutions)
        from tasks.model import Outputs

        with self._precision():
            outputs = Outputs(*self._compiled(self.images))
        return outputs.in_full_precision() if self._amp else outputs

    @cached_property
    def _source(self) -> Outputs:
        from torch import no_grad

        assert not self.source.training, (
            "a teacher in train mode would follow the batch's statistics"
        )
        with no_grad():
            return self.run(self.source, maps=self._maps, convolutions=self._convolutions)


def prepared(method: Method, student: Model, transfer: Transfer) -> Any:
    """What the method's `prepare` returns; runs `learn` first if no stage has done so."""
    if method.prepare is None:
        return None
    learnt = method.learn(transfer)[0] if method.learn is not None else None
    return method.prepare(student, transfer, learnt)


def chain(*methods: Method) -> Method:
    """The method that combines `methods`: penalties add up, and finishers run one after another.

    Frozen parts unite. `chain()` is plain fine-tuning, `chain(m)` is `m`.

    Raises:
        ValueError: the methods contradict each other.
    """
    wrong = contradictions(
        {f"method {position}": method for position, method in enumerate(methods, 1)}
    )
    if wrong:
        raise ValueError("; ".join(wrong))
    if len(methods) == 1:
        return methods[0]

    def rebuild(student: Model) -> None:
        for method in methods:
            if method.rebuild is not None:
                method.rebuild(student)

    def prepare(student: Model, transfer: Transfer, _: Any) -> tuple[Any, ...]:
        # What is put into the student is drawn before others copy it.
        order = sorted(range(len(methods)), key=lambda place: methods[place].rebuild is None)
        ready = {place: prepared(methods[place], student, transfer) for place in order}
        return tuple(ready[place] for place in range(len(methods)))

    def penalty(view: View, ready: Sequence[Any]) -> Tensor:
        terms = [
            method.penalty(view, own_ready)
            for method, own_ready in zip(methods, ready, strict=True)
            if method.penalty
        ]
        return sum(terms[1:], start=terms[0])

    def trains(student: Model) -> list[nn.Parameter]:
        chosen = [method.trains(student) for method in methods if method.trains is not None]
        by_id = {id(parameter): parameter for parameters in chosen for parameter in parameters}
        return list(by_id.values())

    def adjust(logits: Tensor, ready: Sequence[Any]) -> Tensor:
        for method, own_ready in zip(methods, ready, strict=True):
            if method.adjust is not None:
                logits = method.adjust(logits, own_ready)
        return logits

    def stepped(run: Run, ready: Sequence[Any]) -> None:
        for method, own_ready in zip(methods, ready, strict=True):
            if method.stepped is not None:
                method.stepped(run, own_ready)

    def finish(student: Model, source: Model, ready: Sequence[Any]) -> None:
        for method, own_ready in zip(methods, ready, strict=True):
            if method.finish is not None:
                method.finish(student, source, own_ready)

    def output(logits: Tensor, source_logits: Tensor) -> Tensor:
        for method in methods:
            if method.output is not None:
                logits = method.output(logits, source_logits)
        return logits

    def any_has(name: str) -> bool:
        return any(getattr(method, name) is not None for method in methods)

    return Method(
        rebuild=rebuild if any_has("rebuild") else None,
        prepare=prepare if methods else None,
        adjust=adjust if any_has("adjust") else None,
        trains=trains if any_has("trains") else None,
        penalty=penalty if any_has("penalty") else None,
        frozen=frozenset().union(*(method.frozen for method in methods)),
        optimise=next((method.optimise for method in methods if method.optimise is not None), None),
        stepped=stepped if any_has("stepped") else None,
        finish=finish if any_has("finish") else None,
        output=output if any_has("output") else None,
        needs=frozenset().union(*(method.needs for method in methods)),
        maps=any(method.maps for method in methods),
        convolutions=any(method.convolutions for method in methods),
        gradient=all(method.gradient for method in methods),
        decays=any(method.decays for method in methods),
        all_classes=any(method.all_classes for method in methods),
        adapts=all(method.adapts for method in methods),
        reads_labels=any(method.reads_labels for method in methods),
        inserts=any(method.inserts for method in methods),
        pairs_weights=any(method.pairs_weights for method in methods),
    )


def contradictions(methods: dict[str, Method]) -> list[str]:
    """Why methods cannot form a chain, each reason with its remedy; empty if they can."""
    reasons = []
    idle = [name for name, method in methods.items() if not method.adapts]
    if idle and len(methods) > 1:
        others = ", ".join(name for name in methods if name not in idle) or idle[-1]
        reasons.append(
            f"'{idle[0]}' does not train, so {others} would change nothing; give '{idle[0]}' alone"
        )
    freezing = [name for name, method in methods.items() if method.frozen]
    if frozenset().union(*(method.frozen for method in methods.values())) >= PARTS:
        reasons.append(
            f"{' and '.join(freezing)} together freeze the whole model, so nothing is left to "
            "train; keep one"
        )
    choosing = [name for name, method in methods.items() if method.trains is not None]
    holding = [name for name in freezing if "weights" in methods[name].frozen]
    if choosing and holding:
        reasons.append(
            f"'{holding[0]}' freezes what '{choosing[0]}' trains, so that it would change nothing; "
            "keep one"
        )
    inserting = [name for name, method in methods.items() if method.inserts]
    pairing = [name for name, method in methods.items() if method.pairs_weights]
    if inserting and pairing:
        reasons.append(
            f"'{pairing[0]}' pairs the student's weights with the source's, which has no "
            f"counterpart of what '{inserting[0]}' adds; leave one out, or take a method whose "
            "change is merged, such as lora"
        )
    optimising = [name for name, method in methods.items() if method.optimise]
    if len(optimising) > 1:
        reasons.append(f"{' and '.join(optimising)} both replace the optimisation; keep one")
    blind = [name for name, method in methods.items() if not method.gradient]
    penalised = [name for name, method in methods.items() if method.penalty or method.adjust]
    if blind and penalised:
        reasons.append(
            f"'{blind[0]}' follows no gradient, so {', '.join(penalised)} would change nothing; "
            "leave one out"
        )
    return reasons
