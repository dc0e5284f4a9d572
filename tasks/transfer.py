"""A source model and the target data that it is adapted to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from tasks.model import Model


@final
@dataclass(frozen=True, eq=False)
class Transfer:
    """Everything that adaptation starts from, the same for every method."""

    source: Model | None
    """Frozen, in evaluation mode; None when training from scratch."""
    images: Tensor
    """The whole target domain, [N, C, H, W], on the device if it fits, else on the host."""
    labels: Tensor
    """Class indices, [N], on the same device as the images."""
    train: Tensor
    """The positions that may be trained on."""
    validation: Tensor
    """The positions held out for validation."""
    classes: int
    """The number of target classes."""
    missing_classes: Sequence[int]
    """The classes that count as missing; the oracle trains on their images nevertheless."""
    new_head: bool
    """Whether the target has classes of its own, so that the head is a new one."""
    device: str
    seed: Callable[..., int]
    """Returns a seed for the given names."""
    held_source: Callable[[], tuple[Tensor, Tensor]] | None = None
    """Returns the images held out of source training and their labels; None: there are none."""

    @property
    def source_model(self) -> Model:
        """The source model; only the training of a source model itself has none."""
        assert self.source is not None, "this transfer has no source model"
        return self.source

    @cached_property
    def others(self) -> range:
        """The columns of the head that are no class of the target: neither seen nor missing."""
        kept = self.source is not None and not self.new_head
        return range(self.classes, self.source_model.head.out_features if kept else self.classes)

    @property
    def outputs(self) -> int:
        """The number of the head's columns: the target's classes, then those of `others`."""
        return self.classes + len(self.others)

    @cached_property
    def missing(self) -> Tensor:
        """The sorted indices of the missing classes, on the device."""
        return torch.tensor(sorted(self.missing_classes), dtype=torch.long, device=self.device)

    @cached_property
    def seen(self) -> Tensor:
        """The sorted indices of the seen classes, on the device."""
        rest = sorted(set(range(self.classes)) - set(self.missing_classes))
        return torch.tensor(rest, dtype=torch.long, device=self.device)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The images and labels at `rows`, on the device."""
        rows = rows.to(self.images.device, non_blocking=True)
        return self.images[rows].to(self.device, non_blocking=True), self.labels[rows].to(
            self.device, non_blocking=True
        )
