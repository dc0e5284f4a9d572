"""Feature distillation, a variant of the distillation of Tu et al. (NeurIPS 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor


def feature_distillation(
    weight: Annotated[float, Range(0, 1e6)] = 0.1, normalised: bool = False
) -> Method:
    """Keeps features close to the source's: adds weight mean_i |z_i - z0_i|^2 to the loss.

    z are the student's features [B, width] and z0 the frozen source's for the same images. The
    default weight is not from a paper; it should be searched.

    Args:
        weight: factor of the term.
        normalised: whether to compare directions, dividing each feature vector by its length.
    """

    def penalty(view: View, _: Any) -> Tensor:
        from torch.nn.functional import normalize

        pair = view.features, view.source_features
        student, source = [normalize(features, dim=1) for features in pair] if normalised else pair
        return weight * (student - source).square().sum(1).mean()

    return Method(penalty=penalty)
