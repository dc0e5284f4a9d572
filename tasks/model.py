"""The model that every method sees: a backbone that gives features, and a linear head that gives logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn


@final
class Model(nn.Module):
    """Images [B, channels, H, W] to features [B, width] and logits [B, classes]."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of a batch."""
        features = self.backbone(as_float(images))
        return features, self.head(features)


@final
class Standardise(nn.Module):
    """Images with the mean and the spread per channel that a pretrained backbone was trained with."""

    def __init__(self, mean: Sequence[float], spread: Sequence[float]) -> None:
        super().__init__()
        # Not persistent: constants are neither saved nor averaged between models.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(spread).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(images - mean) / spread."""
        return (images - self.mean) / self.spread


def as_float(images: Tensor) -> Tensor:
    """Images as float32 in [0, 1]; uint8 is how large sets are kept."""
    return images.float() / 255 if images.dtype == torch.uint8 else images
