"""What is transferred: a source model, and the target data that it is adapted to."""

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
    """Everything that adaptation starts from; the same for every method."""

    source: Model | None
    """Frozen, in evaluation mode; None where there is none (training from scratch)."""
    images: Tensor
    """The whole target domain, [N, C, H, W], on the device where it fits, else on the host."""
    labels: Tensor
    """Class indices, [N], where the images are."""
    train: Tensor
    """The positions that may be trained on."""
    validation: Tensor
    """The positions held out of them."""
    classes: int
    """Classes of the target."""
    missing_classes: Sequence[int]
    """Those that count as missing; oracle training has images of them all the same."""
    new_head: bool
    """Whether the target's classes are not the source's, so that the head starts anew."""
    device: str
    seed: Callable[..., int]
    """Gives a seed for names."""

    @property
    def source_model(self) -> Model:
        """The source model of a transfer that has one: of all but the training of a source model itself."""
        assert self.source is not None, "this transfer has no source model"
        return self.source

    @cached_property
    def missing(self) -> Tensor:
        """The sorted indices of the missing classes, on the device."""
        return torch.tensor(sorted(self.missing_classes), dtype=torch.long, device=self.device)

    @cached_property
    def seen(self) -> Tensor:
        """The sorted indices of all other classes, on the device."""
        rest = sorted(set(range(self.classes)) - set(self.missing_classes))
        return torch.tensor(rest, dtype=torch.long, device=self.device)

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The images and labels at `rows`, on the device."""
        rows = rows.to(self.images.device, non_blocking=True)
        return self.images[rows].to(self.device, non_blocking=True), self.labels[rows].to(
            self.device, non_blocking=True
        )
