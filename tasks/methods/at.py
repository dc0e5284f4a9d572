"""Attention transfer (Zagoruyko and Komodakis, ICLR 2017, arXiv:1612.03928)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, Stages, View, stage_indices

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-12
"""Lower bound on the squared norm of an attention map, as in the released code."""


def at(
    weight: Annotated[float, Range(0, 1e8)] = 1e3, stages: Annotated[str, Stages()] = "-2,-1"
) -> Method:
    """Keeps attention maps close to the source's: weight sum_stages mean((Q(F) - Q(F0))^2).

    Q(F) = q/|q|_2 with q = mean_c F_c^2, [B, h w]. F [B, C, h, w] are a stage's feature maps, F0
    the frozen source's. The mean is over the batch and over positions, so that the term scales with
    1/(h w). The paper takes the three groups of a wide ResNet; lenet_bn has two stages.

    Args:
        weight: factor of the term.
        stages: the stages that are compared, by number; -1 is the last.
    """
    indices = stage_indices(stages)

    def penalty(view: View, _: Any) -> Tensor:
        terms = [
            (_attention(view.maps[index]) - _attention(view.source_maps[index])).square().mean()
            for index in indices
        ]
        return weight * sum(terms[1:], start=terms[0])

    return Method(penalty=penalty, maps=True)


def _attention(maps: Tensor) -> Tensor:
    """The attention of maps [B, C, h, w]: [B, h w], rows of norm 1, or zero for an empty map."""
    rows = maps.square().mean(1).flatten(1)
    return rows * rows.square().sum(1, keepdim=True).clamp(min=SMALLEST).rsqrt()
