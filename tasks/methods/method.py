"""A method is a value: what it adds to plain fine-tuning. Methods chain, and a chain is a method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

# Named here too: what a method's file needs comes from one place.
from tasks.parameters import Choices as Choices
from tasks.parameters import Range as Range

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.model import Model, Outputs
    from tasks.training import Run
    from tasks.transfer import Transfer

BACKBONE = frozenset({"weights", "norms"})
"""The parts that a backbone is made of: its norm layers with their statistics, and all other
weights.
"""
PARTS = BACKBONE | {"head"}
NEEDS = {
    "missing": "needs missing classes, which this task does not have",
    "same_head": "needs a target with the source's classes, since it starts from the source's head",
    "source_head": "needs the source model's own classifier",
    "batch_norm": "works on batch norm, of which this backbone has none",
}
"""What a method may need, and what is said where it is not there."""


@final
@dataclass(frozen=True, slots=True)
class Stages:
    """Marks a parameter that names stages of the backbone by number: `-1` the last, `1,2` the first two."""


def stage_indices(text: str) -> tuple[int, ...]:
    """Indices into a list of stages from their numbers: `"1,-1"` gives (0, -1).

    Raises:
        ValueError: a number that cannot be one.
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
    """Marks a parameter that `learn` depends on; changing any other leaves what was learnt as it is."""


@final
@dataclass(frozen=True, slots=True)
class SeenClasses:
    """Marks a parameter that counts some of the seen classes: there cannot be more than are seen."""


@final
@dataclass(frozen=True, kw_only=True)
class Method:
    """What a method adds to plain fine-tuning; `Method()` adds nothing and is plain fine-tuning."""

    learn: Callable[[Transfer], tuple[dict[str, Tensor], dict[str, float]]] | None = None
    """Learns something once from the source model and the adaptation data: tensors, and numbers to
    be reported.

    The task makes a stage of it, shared by all trials that mean the same; without one it happens
    before training. """
    rebuild: Callable[[Model], None] | None = None
    """Changes the student's modules before anything else; the names in its state stay."""
    prepare: Callable[[Model, Transfer, Any], Any] | None = None
    """Called once before training with the student, what is adapted, and what `learn` gave;
    `penalty` is given what it returns.

    Modules in it (alone, or in a tuple) are kept in checkpoints, and their parameters train with
    the student. """
    penalty: Callable[[View, Any], Tensor] | None = None
    """The term that it adds to the cross-entropy of a batch, a scalar; in full precision."""
    frozen: frozenset[str] = frozenset()
    """Parts of the model that stay as they are, batch-norm statistics included: `weights`, `norms`,
    `head`.
    """
    optimise: Callable[[Run, int, int], Tensor | None] | None = None
    """Takes the run from one gradient evaluation to another and returns the mean loss; without it,
    SGD does.
    """
    stepped: Callable[[Run, Any], None] | None = None
    """Called after each step of the optimiser, with what `prepare` returned."""
    finish: Callable[[Model, Model, Any], None] | None = None
    """Changes a copy of the trained model before it is measured, given the source model and what
    `prepare` returned.
    """
    output: Callable[[Tensor, Tensor], Tensor] | None = None
    """The logits that are measured, from the trained model's and the source model's, [N, classes]
    each.
    """
    needs: frozenset[str] = frozenset()
    """What it cannot do without, of `NEEDS`."""
    maps: bool = False
    """Whether its penalty looks at feature maps."""
    gradient: bool = True
    """Whether it follows the gradient of the loss, so that a penalty matters."""
    decays: bool = False
    """Whether its penalty takes the place of the optimiser's weight decay, which then is none."""
    all_classes: bool = False
    """Whether it trains on target images of the missing classes as well: an upper bound."""
    adapts: bool = True
    """Whether it trains at all."""
    observes: bool = False
    """Whether `prepare` and `stepped` only look at the run, so that it trains as without the method."""
    measures: tuple[str, ...] = ()
    """Names of the numbers that `learn` reports; the column is the method's name, `/` and this name.

    A chain declares none: each member's numbers have the member's name. """

    @property
    def after_training(self) -> bool:
        """Whether it trains as plain fine-tuning does, and changes only what is measured afterwards.

        What it then needs of the run beside the weights, an observer keeps in what it prepares.
        """
        shapes_training = (
            self.learn,
            self.rebuild,
            self.penalty,
            self.optimise,
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
        """Whether a linear head on frozen features is all that trains, by plain steps."""
        parts = (self.learn, self.rebuild, self.prepare, self.penalty, self.optimise, self.stepped)
        return (
            self.frozen == BACKBONE
            and not any(part is not None for part in parts)
            and self.gradient
            and self.adapts
        )

    @property
    def measured_by(self) -> bool:
        """Whether it changes what is measured of trained weights."""
        return any(part is not None for part in (self.rebuild, self.finish, self.output))

    @property
    def untouched(self) -> bool:
        """Whether what is measured is the source model as it is: no training, and nothing else that changes it."""
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
    """A batch as a penalty sees it: outputs are computed once, only if looked at, and are given in full precision."""

    def __init__(
        self,
        student: Model,
        transfer: Transfer,
        images: Tensor,
        labels: Tensor,
        *,
        maps: bool = False,
        amp: bool = False,
    ) -> None:
        self.student = student
        self.transfer = transfer
        self.images = images
        self.labels = labels
        self._maps, self._amp = maps, amp

    @property
    def source(self) -> Model:
        """The frozen source model."""
        return self.transfer.source_model

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
        """The student's feature maps, [B, channels, height, width] for each stage of the backbone."""
        return self._student.maps

    @property
    def source_features(self) -> Tensor:
        """The frozen source model's features, [B, width], without gradient."""
        return self._source.features

    @property
    def source_logits(self) -> Tensor:
        """The frozen source model's logits over its own classes, [B, source classes], without gradient."""
        return self._source.logits

    @property
    def source_maps(self) -> Sequence[Tensor]:
        """The frozen source model's feature maps, without gradient."""
        return self._source.maps

    def run(self, model: Model, *, maps: bool = False) -> Outputs:
        """What a model makes of the batch's images, in the precision that training has, given in full precision."""
        from torch import autocast, bfloat16

        with autocast(self.images.device.type, bfloat16, enabled=self._amp):
            outputs = model.outputs(self.images, maps=maps)
        return outputs.in_full_precision() if self._amp else outputs

    @cached_property
    def _student(self) -> Outputs:
        return self.run(self.student, maps=self._maps)

    @cached_property
    def _source(self) -> Outputs:
        from torch import no_grad

        assert not self.source.training, (
            "a teacher in train mode would follow the batch's statistics"
        )
        with no_grad():
            return self.run(self.source, maps=self._maps)


def prepared(method: Method, student: Model, transfer: Transfer) -> Any:
    """What the method's `prepare` gives; what it learns is learnt here where no stage has done so."""
    if method.prepare is None:
        return None
    learnt = method.learn(transfer)[0] if method.learn is not None else None
    return method.prepare(student, transfer, learnt)


def chain(*methods: Method) -> Method:
    """The method that does what all of `methods` do: penalties add, frozen parts unite, finishers follow one another.

    `chain()` is plain fine-tuning, `chain(m)` is `m`.

    Raises:
        ValueError: they contradict each other.
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
        return tuple(prepared(method, student, transfer) for method in methods)

    def penalty(view: View, ready: Sequence[Any]) -> Tensor:
        terms = [
            method.penalty(view, own_ready)
            for method, own_ready in zip(methods, ready, strict=True)
            if method.penalty
        ]
        return sum(terms[1:], start=terms[0])

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
        penalty=penalty if any_has("penalty") else None,
        frozen=frozenset().union(*(method.frozen for method in methods)),
        optimise=next((method.optimise for method in methods if method.optimise is not None), None),
        stepped=stepped if any_has("stepped") else None,
        finish=finish if any_has("finish") else None,
        output=output if any_has("output") else None,
        needs=frozenset().union(*(method.needs for method in methods)),
        maps=any(method.maps for method in methods),
        gradient=all(method.gradient for method in methods),
        decays=any(method.decays for method in methods),
        all_classes=any(method.all_classes for method in methods),
        adapts=all(method.adapts for method in methods),
    )


def contradictions(methods: dict[str, Method]) -> list[str]:
    """Why methods cannot be one chain, each reason with the remedy; empty where they can."""
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
    optimising = [name for name, method in methods.items() if method.optimise]
    if len(optimising) > 1:
        reasons.append(f"{' and '.join(optimising)} both replace the optimisation; keep one")
    blind = [name for name, method in methods.items() if not method.gradient]
    penalised = [name for name, method in methods.items() if method.penalty]
    if blind and penalised:
        reasons.append(
            f"'{blind[0]}' follows no gradient, so {', '.join(penalised)} would change nothing; "
            "leave one out"
        )
    return reasons
