"""Many linear heads on the same frozen features, trained together by one matrix product per step.

A chain that trains only the head never changes the features, so they are computed once. Heads that
differ in learning rate, momentum or decay use the same batches, and their weights are stacked. A
head equals one trained by itself (`tasks/training.py`) within 1e-5: the features of an image differ
in the last bits depending on the batch in which they are computed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tasks import process
from tasks.batches import Batches
from tasks.model import Model
from tasks.schedules import rate_at
from tasks.task import Workspace
from tasks.training import Recipe
from tasks.transfer import Transfer

Measurement = dict[str, Any]
ROWS, WEIGHTS, FEATURES = "heads.json", "heads-{}.pt", "features-{}.npy"


def train_heads(
    student: Model,
    transfer: Transfer,
    recipes: Sequence[Recipe],
    members: Sequence[Mapping[str, Any]],
    *,
    features: Mapping[str, np.ndarray],
    workspace: Workspace,
    began: float,
) -> Iterator[Measurement]:
    """Trains a head for each recipe; writes each epoch's weights and losses, and the features.

    Args:
        student: the model before training; all heads start from its head.
        transfer: the labels of the images, and the positions that train.
        recipes: one for each head, equal in length and batches.
        members: the config that identifies each head, in the order of the recipes.
        features: features [N, width] by name: of the target's images as `target`, and of others.
        workspace: the stage's workspace.
        began: when the stage began, by `time.perf_counter`.
    """
    for name, values in features.items():
        np.save(workspace.output / FEATURES.format(name), values)
    inputs = torch.from_numpy(features["target"]).to(workspace.device)
    labels = transfer.labels.to(workspace.device)
    batch = Batches(transfer.labels, transfer.train, recipes[0].batch_size, transfer.seed).batch
    heads = _Heads(student.head, recipes)
    losses: list[list[float]] = []
    for epoch in range(recipes[0].epochs + 1):
        total = torch.zeros(len(recipes), device=workspace.device)
        if epoch:
            first = (epoch - 1) * recipes[0].steps_per_epoch
            for step in range(first, first + recipes[0].steps_per_epoch):
                rows = batch(step).to(inputs.device)
                total += heads.step(inputs[rows], labels[rows], step)
            losses.append((total / recipes[0].steps_per_epoch).tolist())
        torch.save(heads.state(), workspace.output / WEIGHTS.format(epoch))
        cost = process.cost(workspace.device, began)
        yield {"step": epoch * recipes[0].steps_per_epoch, "epoch": epoch, **cost}
    content = {"members": [dict(member) for member in members], "losses": losses}
    # Each head's share of the total time.
    content |= {"seconds": (time.perf_counter() - began) / len(recipes)}
    (workspace.output / ROWS).write_text(json.dumps(content), encoding="utf-8")


@final
class _Heads:
    """The stacked weights of all heads, and their optimiser: SGD with Nesterov momentum."""

    def __init__(self, head: nn.Linear, recipes: Sequence[Recipe]) -> None:
        self._count, self._recipes = len(recipes), recipes
        with torch.no_grad():
            start = torch.cat([head.weight, head.bias[:, None]], 1)  # [C, width + 1]
        self._weights = start.repeat(self._count, 1, 1)
        self._velocity = torch.zeros_like(self._weights)
        self._momentum = self._each([recipe.momentum for recipe in recipes])
        self._decay = self._each([recipe.weight_decay for recipe in recipes])

    def _each(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=self._weights.dtype, device=self._weights.device)[
            :, None, None
        ]

    @torch.no_grad()
    def step(self, inputs: Tensor, labels: Tensor, step: int) -> Tensor:
        """Takes step number `step` of every head on a batch [B, width]; returns losses [heads]."""
        count, classes, _ = self._weights.shape
        size = len(inputs)
        extended = torch.cat([inputs, inputs.new_ones(size, 1)], 1)
        logits = (extended @ self._weights.flatten(0, 1).T).view(size, count, classes)
        losses = cross_entropy(
            logits.transpose(1, 2), labels[:, None].expand(-1, count), reduction="none"
        )
        slopes = logits.softmax(2)
        slopes[torch.arange(size, device=slopes.device), :, labels] -= 1
        gradient = (slopes.flatten(1).T @ extended).view_as(self._weights) / size
        gradient += self._decay * self._weights
        self._velocity.mul_(self._momentum).add_(gradient)
        rates = self._each(
            [
                recipe.learning_rate
                * recipe.head_learning_rate_factor
                * rate_at(recipe, step / recipe.steps)
                for recipe in self._recipes
            ]
        )
        self._weights -= rates * (gradient + self._momentum * self._velocity)
        return losses.mean(0)

    def state(self) -> dict[str, Tensor]:
        return {
            "weight": self._weights[:, :, :-1].contiguous(),
            "bias": self._weights[:, :, -1].contiguous(),
        }


@final
class KeptHeads:
    """What `train_heads` wrote, for one of its heads."""

    def __init__(self, folder: Path, member: Mapping[str, Any]) -> None:
        self._folder = folder
        content = json.loads((folder / ROWS).read_text(encoding="utf-8"))
        self._place = content["members"].index(dict(member))
        self.losses = [losses[self._place] for losses in content["losses"]]
        """The mean loss of each epoch, starting with epoch 1."""
        self.seconds = float(content["seconds"])

    def load(self, head: nn.Linear, epoch: int) -> None:
        """Loads the weights after an epoch into a head."""
        path = self._folder / WEIGHTS.format(epoch)
        state = torch.load(path, map_location=head.weight.device, weights_only=True, mmap=True)
        with torch.no_grad():
            head.weight.copy_(state["weight"][self._place])
            head.bias.copy_(state["bias"][self._place])

    def features(self, name: str) -> np.ndarray | None:
        """The features [N, width] stored under this name, or None."""
        path = self._folder / FEATURES.format(name)
        return np.load(path, mmap_mode="r") if path.exists() else None


def is_here(folder: Path) -> bool:
    """Whether the folder of a training has heads that were trained together."""
    return (folder / ROWS).exists()


@final
class OnFeatures:
    """A model with stored features: for images that have them, only the head runs."""

    def __init__(self, model: Model, kept: KeptHeads, images: Mapping[str, Tensor]) -> None:
        self._model, self._kept, self._images = model, kept, images
        self._features: dict[str, Tensor] = {}

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of any images."""
        features, logits = self._model(images)
        return features, logits

    def known(self, images: Tensor, rows: np.ndarray | None) -> tuple[Tensor, Tensor] | None:
        """Features and logits of the images at `rows` (None: all), or None if not stored."""
        name = next((name for name, tensor in self._images.items() if tensor is images), None)
        if name is None:
            return None
        if name not in self._features:
            features = self._kept.features(name)
            if features is None:
                return None
            self._features[name] = torch.from_numpy(np.array(features))
        head = self._model.head
        inputs = self._features[name] if rows is None else self._features[name][rows]
        with torch.inference_mode():
            return inputs, head(inputs.to(head.weight.device)).cpu()
