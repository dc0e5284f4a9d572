"""The training loop: it knows what a method may say, and no method by name."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tasks.batches import Batches
from tasks.methods.method import Method, View
from tasks.model import Model


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How long and how fast a run trains."""

    epochs: int
    steps_per_epoch: int
    batch_size: int
    learning_rate: float
    momentum: float
    weight_decay: float
    head_learning_rate_factor: float = 1.0
    amp: bool = False

    @property
    def steps(self) -> int:
        """Gradient evaluations of the whole run."""
        return self.epochs * self.steps_per_epoch


@final
@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Images [N, C, H, W] and labels [N], on the device where they fit, and the positions that may be trained on."""

    images: Tensor
    labels: Tensor
    rows: Tensor


@final
class Run:
    """A student in training: what can be asked of it, and the steps that can be taken.

    Args:
        student: trains where `method` lets it.
        source: the model that penalties compare with, left frozen; None where `method` needs none.
        training: what it trains on.
        missing: the classes that count as missing; oracle training has images of them all the same.
        seed: gives a seed for names.
    """

    def __init__(
        self, student: Model, source: Model | None, method: Method, training: TrainingSet,
        missing: Sequence[int], recipe: Recipe, seed: Callable[..., int], device: str,
    ) -> None:
        self.student, self.source, self.method = student, source, method
        self.training = training
        self.classes: list[int] = training.labels[training.rows].unique().tolist()
        """The classes that the training set holds."""
        self.steps = recipe.steps
        self.seed = seed
        self.device = device
        self.recipe = recipe
        self.batch = Batches(training.labels, training.rows, recipe.batch_size, seed).batch
        """The positions of a batch by its number, of some classes only where asked."""
        if source is not None:
            source.requires_grad_(False).eval()
        for part in method.frozen:
            getattr(student, part).requires_grad_(False)
        self.trained = [part for part in ("backbone", "head") if part not in method.frozen]
        self.optimiser = torch.optim.SGD(
            [{"params": list(getattr(student, part).parameters()),
              "factor": recipe.head_learning_rate_factor if part == "head" else 1.0} for part in self.trained],
            lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay, foreach=True,
        )
        known = range(student.head.out_features)
        self._seen = torch.tensor([index for index in known if index not in set(missing)], device=device)
        self._missing = torch.tensor(sorted(missing), dtype=torch.long, device=device)
        self._prepared = method.prepare(source, missing) if method.prepare else None

    @property
    def statistics(self) -> list[Tensor]:
        """The batch-norm means and variances that training moves."""
        return [buffer for part in self.trained for buffer in getattr(self.student, part).buffers()
                if buffer.is_floating_point()]

    def set_rate(self, progress: float) -> None:
        """Sets the learning rates by the cosine schedule: whole at progress 0, zero at 1."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.learning_rate * group["factor"] * (1 + math.cos(math.pi * progress)) / 2

    def gradient(self, positions: Tensor) -> Tensor:
        """Leaves the gradient of a batch's loss in the parameters' `.grad`; returns the loss, still on the device."""
        positions = positions.to(self.training.images.device, non_blocking=True)
        images = self.training.images[positions].to(self.device, non_blocking=True)
        labels = self.training.labels[positions].to(self.device, non_blocking=True)
        view = View(self.student, self.source, images, labels, self._seen, self._missing)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.recipe.amp):
            loss = cross_entropy(view.logits, labels)
            if self.method.penalty is not None:
                loss = loss + self.method.penalty(view, self._prepared)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        return loss.detach()

    def advance(self, first: int, last: int) -> Tensor | None:
        """Trains from gradient evaluation `first` to `last`; returns the mean loss, None where no step was taken."""
        self.student.eval()
        for part in self.trained:
            # A frozen part stays in evaluation mode: without gradient alone its batch-norm statistics would move.
            getattr(self.student, part).train()
        return (self.method.optimise or sgd)(self, first, last)

    def finished(self) -> Model:
        """The model to be measured, in evaluation mode: the student, or what the method makes of a copy of it."""
        if self.method.finish is None:
            return self.student.eval()
        model = copy.deepcopy(self.student).eval()
        with torch.no_grad():
            self.method.finish(model, self.source)
        return model

    def state(self) -> dict[str, Any]:
        """What the run needs to go on from here; all else follows from names."""
        return {"student": self.student.state_dict(), "optimiser": self.optimiser.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from what `state` gave."""
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])


def sgd(run: Run, first: int, last: int) -> Tensor | None:
    """Stochastic gradient descent: the optimisation of a method that brings none of its own."""
    total: Tensor | None = None
    for step in range(first, last):
        run.set_rate(step / run.steps)
        loss = run.gradient(run.batch(step))
        run.optimiser.step()
        # Summed where it is: to read it would make the device wait.
        total = loss if total is None else total + loss
    return None if total is None else total / (last - first)
