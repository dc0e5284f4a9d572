"""Weights that are made of frozen ones and a few that train; torch's parametrizations hold them.

A parametrized weight keeps its name and is computed where it is read, so that penalties see the
weight that acts. `Model.merge` replaces it by its value.
"""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tasks.model import NORMS, Model

KINDS = (nn.Linear, nn.Conv2d)
"""The layers that can be adapted."""


@final
class LowRank(nn.Module):
    """W + scale B A, with A [rank, inputs] and B [outputs, rank], which starts at zero."""

    def __init__(self, weight: Tensor, rank: int, scale: float) -> None:
        super().__init__()
        inputs = weight[0].numel()
        self.scale = scale
        self.down = nn.Parameter(weight.new_zeros(rank, inputs))
        self.up = nn.Parameter(weight.new_zeros(len(weight), rank))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that acts, of the shape of `weight`."""
        return weight + (self.scale * (self.up @ self.down)).view_as(weight)


@final
class Scaled(nn.Module):
    """W with its outputs `first` to the last, or its inputs, times factors that start at one."""

    def __init__(self, weight: Tensor, first: int = 0, *, inputs: bool = False) -> None:
        super().__init__()
        self.first, self.inputs = first, inputs
        self.factor = nn.Parameter(weight.new_ones(weight.shape[int(inputs)] - first))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that acts, of the shape of `weight`."""
        ones = self.factor.new_ones(self.first)
        factor = torch.cat([ones, self.factor]) if self.first else self.factor
        shape = [1] * weight.ndim
        shape[int(self.inputs)] = -1
        return weight * factor.view(shape)


@final
class Shifted(nn.Module):
    """A bias plus a shift that starts at zero."""

    def __init__(self, bias: Tensor) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros_like(bias))

    def forward(self, bias: Tensor) -> Tensor:
        """The bias that acts, [outputs]."""
        return bias + self.shift


def adapt(layer: nn.Module, name: str, change: nn.Module) -> None:
    """Makes the layer's tensor `name` what `change` makes of it."""
    parametrize.register_parametrization(layer, name, change)


def scale_outputs(layer: nn.Linear | nn.Conv2d, first: int = 0) -> None:
    """Multiplies a layer's outputs from number `first` on by factors, bias included."""
    scaled = Scaled(layer.weight, first)
    adapt(layer, "weight", scaled)
    if isinstance(layer.bias, nn.Parameter):
        of_bias = Scaled(layer.bias, first)
        of_bias.factor = scaled.factor
        adapt(layer, "bias", of_bias)


def layers(model: Model) -> dict[str, nn.Linear | nn.Conv2d]:
    """The linear and convolution layers of the backbone by their place in it."""
    return {
        place: module
        for place, module in model.backbone.named_modules()
        if isinstance(module, KINDS)
    }


def of_attention(place: str) -> bool:
    """Whether a layer's place in the backbone is in an attention module, as timm names them."""
    return any("attn" in part or "attention" in part for part in place.split("."))


def trained(model: Model) -> list[nn.Parameter]:
    """The parameters of the backbone that adapt others."""
    return [
        parameter
        for module in model.backbone.modules()
        if isinstance(module, (LowRank, Scaled, Shifted))
        for parameter in module.parameters()
    ]


def biases(model: Model) -> list[nn.Parameter]:
    """The biases of the backbone's linear, convolution and norm layers."""
    return [
        module.bias
        for module in model.backbone.modules()
        if isinstance(module, (*KINDS, *NORMS)) and isinstance(module.bias, nn.Parameter)
    ]
