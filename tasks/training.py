"""The training loop; it follows what a method declares and knows no method by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tasks import optimisers
from tasks.augmentation import NONE
from tasks.backbones import layers
from tasks.batches import Batches
from tasks.methods.method import BACKBONE, PARTS, Method, View, prepared
from tasks.mixing import Shown
from tasks.model import Model
from tasks.precision import BFLOAT16, FLOAT16
from tasks.prefetch import feed_of
from tasks.recipe import BALANCED, SHUFFLED
from tasks.schedules import COSINE, rate_at
from tasks.transfer import Transfer


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and how fast a run trains, and on what; `tasks/recipe.py` describes the settings."""

    epochs: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    head_learning_rate_factor: float = 1.0
    schedule: str = COSINE
    warmup_steps: int = 0
    milestones: tuple[int, ...] = ()
    milestone_factor: float = 0.1
    optimizer: str = optimisers.DEFAULT
    nesterov: bool = True
    layer_decay: float = 1.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    dropout: float = 0.0
    freeze_bn: bool = False
    sampling: str = SHUFFLED
    drop_last: bool = True
    augmentation: str = NONE
    measure_every: int = 1
    mixup: float = 0.0
    cutmix: float = 0.0
    amp: bool = False
    amp_dtype: str = BFLOAT16
    compile: bool = False

    @property
    def steps(self) -> int:
        """The number of gradient evaluations in the whole run."""
        return self.epochs * self.steps_per_epoch


@final
class Run:
    """A student in training.

    Args:
        student: the model; the parts that `method` does not freeze train.
        transfer: the source model that penalties compare with, and the data.
        method: what is added to plain fine-tuning.
        recipe: how long and how fast.
    """

    def __init__(self, student: Model, transfer: Transfer, method: Method, recipe: Recipe) -> None:
        self.student, self.transfer, self.method, self.recipe = student, transfer, method, recipe
        self.seed, self.device = transfer.seed, transfer.device
        self.steps = recipe.steps
        self.progress = 0.0
        """The fraction of the run that is done, in [0, 1]."""
        self.classes: list[int] = (
            transfer.labels[transfer.train.to(transfer.labels.device)].unique().tolist()
        )
        """The classes in the training set."""
        batch = Batches(
            transfer.labels,
            transfer.train,
            recipe.batch_size,
            transfer.seed,
            drop_last=recipe.drop_last,
            balanced=recipe.sampling == BALANCED,
        ).batch
        self._feed = feed_of(batch, transfer, self.steps)
        self.batch = batch if self._feed is None else self._feed.batch
        """Returns the positions in a batch by its number, optionally of some classes only."""
        if transfer.source is not None:
            transfer.source.requires_grad_(False).eval()
        if method.rebuild is not None:
            method.rebuild(student)
        if recipe.dropout:
            student.dropout = nn.Dropout(recipe.dropout)
        self._shown = Shown(recipe, transfer)
        self.freeze(method.frozen)
        self.prepared = prepared(method, student, transfer)
        self._kept = nn.ModuleList(modules(self.prepared))
        self.optimiser = optimisers.make(
            recipe.optimizer,
            self._groups() or [{"params": [torch.zeros(())], "factor": 0.0}],
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=0.0 if method.decays else recipe.weight_decay,
        )
        self._compiled = _compiled(student) if recipe.compile else None
        halved = recipe.amp and recipe.amp_dtype == FLOAT16
        self._scaler = torch.amp.GradScaler(torch.device(self.device).type) if halved else None

    def _groups(self) -> list[dict[str, Any]]:
        """The parameters that train, each group with the factor of its learning rate."""
        frozen = self.method.frozen | ({"norms"} if self.recipe.freeze_bn else set())
        backbone = [
            parameter
            for part in sorted(BACKBONE - frozen, reverse=True)
            for parameter in self.student.parameters_of(part)
            if self.method.trains is None or parameter.requires_grad
        ]
        by_factor = {1.0: backbone}
        if self.recipe.layer_decay != 1:
            by_layer = layers(self.student.backbone)
            deepest = 1 + max(by_layer.values(), default=-1)
            by_factor = {}
            for parameter in backbone:
                factor = self.recipe.layer_decay ** (deepest - by_layer[parameter])
                by_factor.setdefault(factor, []).append(parameter)
        groups = [
            *((factor, group) for factor, group in by_factor.items()),
            (
                self.recipe.head_learning_rate_factor,
                [] if "head" in frozen else self.student.parameters_of("head"),
            ),
            (1.0, [parameter for parameter in self._kept.parameters() if parameter.requires_grad]),
        ]
        return [{"params": group, "factor": factor} for factor, group in groups if group]

    @property
    def trainable_parameters(self) -> int:
        """The number of scalar parameters that the optimiser updates."""
        if not self.method.gradient:
            return 0
        return sum(
            parameter.numel()
            for group in self.optimiser.param_groups
            for parameter in group["params"]
            if group["factor"]
        )

    def freeze(self, parts: Collection[str]) -> None:
        """Freezes `parts` and lets the others train.

        Frozen parts are in evaluation mode: without gradients only, their batch-norm statistics
        would still move.
        """
        parts = {*parts, *(("norms",) if self.recipe.freeze_bn else ())}
        self.trained = [part for part in PARTS if part not in parts]
        for part in PARTS:
            for parameter in self.student.parameters_of(part):
                parameter.requires_grad_(part in self.trained)
        if self.method.trains is not None:
            chosen = {id(parameter) for parameter in self.method.trains(self.student)}
            for parameter in self.student.backbone.parameters():
                parameter.requires_grad_(parameter.requires_grad and id(parameter) in chosen)
        self._set_modes()

    def _set_modes(self) -> None:
        student = self.student.eval()
        student.head.train("head" in self.trained)
        student.dropout.train()
        student.backbone.train("weights" in self.trained)
        for norm in student.norms():
            norm.train("norms" in self.trained)

    @property
    def statistics(self) -> list[Tensor]:
        """The batch-norm means and variances that training updates."""
        return [
            buffer
            for norm in self.student.norms()
            if "norms" in self.trained
            for buffer in norm.buffers(recurse=False)
            if buffer.is_floating_point()
        ]

    def set_rate(self, progress: float) -> None:
        """Sets the learning rates for `progress` in [0, 1]; the cosine falls to zero at 1."""
        self.progress = progress
        share = rate_at(self.recipe, progress)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * group["factor"] * share

    def view(self, positions: Tensor) -> View:
        """The batch at `positions`, as a penalty sees it: augmented, if the recipe says so."""
        images, labels = (self._feed or self.transfer).take(positions)
        shown, targets = self._shown.mixed(self._shown.augmented(images), labels)
        return View(
            self.student,
            self.transfer,
            shown,
            targets,
            maps=self.method.maps,
            convolutions=self.method.convolutions,
            amp=self.recipe.amp,
            amp_dtype=self.recipe.amp_dtype,
            compiled=self._compiled,
            again=(lambda: self._shown.augmented(images)) if self._shown.augments else None,
        )

    def gradient(self, positions: Tensor) -> Tensor:
        """Sets `.grad` to the gradient of a batch's loss; returns the loss, still on the device."""
        view = self.view(positions)
        logits = view.logits
        if self.method.adjust is not None:
            logits = self.method.adjust(logits, self.prepared)
        loss = cross_entropy(logits, view.targets, label_smoothing=self.recipe.label_smoothing)
        if self.method.penalty is not None:
            loss = loss + self.method.penalty(view, self.prepared)
        self.optimiser.zero_grad(set_to_none=True)
        if self._scaler is None:
            loss.backward()
        else:
            self._scaler.scale(loss).backward()
            self._scaler.unscale_(self.optimiser)
        return loss.detach()

    def settled(self) -> bool:
        """Whether the gradients in `.grad` may be used; to be asked where no `step` follows.

        Those of a scaled loss may have overflowed; the scale is then lowered, as by `step`.
        """
        if self._scaler is None:
            return True
        self._scaler.update()
        gradients = [
            weight.grad
            for group in self.optimiser.param_groups
            for weight in group["params"]
            if weight.grad is not None
        ]
        return all(bool(gradient.isfinite().all()) for gradient in gradients)

    def step(self, *, scaled: bool = True) -> None:
        """Updates the parameters by the gradients in `.grad`, clipped if the recipe says so.

        `scaled`: whether they are those of `gradient`, so that ones that overflowed are left out.
        """
        if self.recipe.clip_norm:
            nn.utils.clip_grad_norm_(
                (weight for group in self.optimiser.param_groups for weight in group["params"]),
                self.recipe.clip_norm,
            )
        if self._scaler is None or not scaled:
            self.optimiser.step()
        else:
            self._scaler.step(self.optimiser)
            self._scaler.update()
        if self.method.stepped is not None:
            with torch.no_grad():
                self.method.stepped(self, self.prepared)

    def advance(self, first: int, last: int) -> Tensor | None:
        """Trains from evaluation `first` to `last`; returns the mean loss, None without a step."""
        self._set_modes()
        self._shown.restart(first)
        try:
            return (self.method.optimise or sgd)(self, first, last)
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                "a batch of one image gave a batch norm one value per channel, which has no "
                "variance: give a batch_size of at least 2, and two training images"
            ) from error

    def finished(self) -> Model | Combined:
        """The model to measure, in evaluation mode: the student, or what the method makes of it.

        Weights that are made of others are merged.
        """
        model = self.student.eval()
        if self.method.finish is not None:
            model = copy.deepcopy(model)
            model.merge()
            with torch.no_grad():
                self.method.finish(model, self.transfer.source_model, self.prepared)
        if self.method.output is None:
            return model
        return Combined(model, self.transfer.source_model, self.method.output)

    def state(self) -> dict[str, Any]:
        """The state that the run resumes from; everything else follows from named seeds."""
        state = {
            "student": self.student.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "prepared": self._kept.state_dict(),
        }
        return state if self._scaler is None else {**state, "scaler": self._scaler.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Resumes from what `state` returned."""
        self.student.load_state_dict(state["student"])
        self._kept.load_state_dict(state["prepared"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])


@final
class Combined:
    """A trained model whose logits combine its own with the source model's."""

    def __init__(
        self, model: Model, source: Model, output: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        self._model, self._source, self._output = model, source, output

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The trained model's features, and the combined logits."""
        features, logits = self._model(images)
        return features, self._output(logits, self._source(images)[1])


def _compiled(student: Model) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The student's forward pass, compiled anew for each size of a batch.

    What torch compiles for several sizes depends on which came first, so that a run that goes on
    would compute otherwise; and after a number of sizes it would silently compile no more.
    """
    from torch._dynamo import config

    config.fail_on_recompile_limit_hit = True
    made: Callable[[Tensor], tuple[Tensor, Tensor]] = torch.compile(student, dynamic=False)
    return made


def modules(value: Any) -> list[nn.Module]:
    """The modules in the value that `prepare` returned."""
    if isinstance(value, nn.Module):
        return [value]
    return (
        [module for item in value for module in modules(item)] if isinstance(value, tuple) else []
    )


def sgd(run: Run, first: int, last: int) -> Tensor | None:
    """Stochastic gradient descent, for methods without their own optimisation."""
    total: Tensor | None = None
    for step in range(first, last):
        run.set_rate(step / run.steps)
        loss = run.gradient(run.batch(step))
        run.step()
        # Summed on the device: reading the loss would synchronise.
        total = loss if total is None else total + loss
    return None if total is None else total / (last - first)
