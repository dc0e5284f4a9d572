"""The model that every method works on: a backbone for features and a linear head for logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

Tap = Callable[[nn.Module, Tensor], tuple[Tensor, list[Tensor]]]
"""Returns a backbone's features and the feature maps of its stages in one forward pass."""
Stages = Callable[[nn.Module], list[tuple[nn.Module, int]]]
"""Returns the modules whose outputs are the feature maps, each with its channel dimension."""
NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.modules.instancenorm._InstanceNorm,
)


@final
@dataclass(frozen=True, slots=True)
class Outputs:
    """A batch's features [B, width], logits [B, classes] and maps [B, channels, h, w]."""

    features: Tensor
    logits: Tensor
    maps: Sequence[Tensor] = ()

    def in_full_precision(self) -> Outputs:
        """The same outputs in float32."""
        return Outputs(
            self.features.float(), self.logits.float(), [maps.float() for maps in self.maps]
        )


@final
class Model(nn.Module):
    """Maps images [B, channels, H, W] to features [B, width] and logits [B, classes]."""

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Linear,
        tap: Tap | None = None,
        stages: Stages | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.dropout: nn.Module = nn.Identity()
        """What the head's input goes through; has no parameters."""
        self._tap = tap
        self._stages = stages

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of a batch."""
        features = self.backbone(as_float(images))
        return features, self.head(self.dropout(features))

    def outputs(self, images: Tensor, *, maps: bool = False) -> Outputs:
        """Features and logits of a batch, and with `maps` the feature maps of the stages."""
        if not maps:
            return Outputs(*self(images))
        assert self._tap is not None, "this backbone gives no feature maps"
        features, stages = self._tap(self.backbone, as_float(images))
        return Outputs(features, self.head(self.dropout(features)), stages)

    @contextmanager
    def changed(self, stage: int, change: Callable[[Tensor, int], Tensor | None]) -> Iterator[None]:
        """A context in which `change(output, channel dimension)` replaces a stage's output.

        The output has the backbone's own layout: [B, channels, h, w], [B, h, w, channels] or [B,
        tokens, channels]. If `change` returns None, the output stays as it is.
        """
        assert self._stages is not None, "this backbone gives no feature maps"
        module, channels = self._stages(self.backbone)[stage]
        handle = module.register_forward_hook(
            lambda _, __, output: change(output, channels if output.ndim == 4 else output.ndim - 1)
        )
        try:
            yield
        finally:
            handle.remove()

    def with_head(self, head: nn.Linear) -> Model:
        """A model with the same backbone and another head."""
        return Model(self.backbone, head, self._tap, self._stages)

    @property
    def width(self) -> int:
        """The number of features."""
        return int(self.head.in_features)

    def norms(self) -> list[nn.Module]:
        """The backbone's norm layers."""
        return [module for module in self.backbone.modules() if isinstance(module, NORMS)]

    def parameters_of(self, part: str) -> list[nn.Parameter]:
        """The parameters of a part: `head`, or of the backbone `norms` or `weights`.

        `norms` are those of norm layers, `weights` all others of the backbone.
        """
        if part == "head":
            return list(self.head.parameters())
        norms = [parameter for norm in self.norms() for parameter in norm.parameters(recurse=False)]
        if part == "norms":
            return norms
        held = {id(parameter) for parameter in norms}
        return [parameter for parameter in self.backbone.parameters() if id(parameter) not in held]


@final
class Fitted(nn.Module):
    """Prepares images for a pretrained backbone: size, channels, mean and standard deviation."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Sequence[float], spread: Sequence[float], size: int = 0) -> None:
        super().__init__()
        self.size = size
        # Not persistent: constants should be neither saved nor averaged between models.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(spread).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(images - mean) / spread; a grey channel is repeated; resized if a size is set."""
        if self.size and images.shape[-1] != self.size:
            images = interpolate(
                images,
                (self.size, self.size),
                mode="bilinear",
                antialias=images.shape[-1] > self.size,
            )
        return (images - self.mean) / self.spread


def as_float(images: Tensor) -> Tensor:
    """Images as float32 in [0, 1]; large sets are stored as uint8."""
    return images.float() / 255 if images.dtype == torch.uint8 else images
