"""Feature distillation: features stay near the source's (a variant of Tu et al., Holistic Transfer, NeurIPS 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor


def feature_distillation(
    weight: Annotated[float, Range(0, 1e6)] = 0.1, normalised: bool = False
) -> Method:
    """Adds  weight mean_i |z_i - z0_i|^2 , z the student's features [B, width] and z0 the frozen source's on the same images.

    No constant of a paper was recovered: the weight is a default to be searched.

    Args:
        weight: factor of the term.
        normalised: compare directions, each feature vector divided by its length.
    """

    def penalty(view: View, _: Any) -> Tensor:
        from torch.nn.functional import normalize

        pair = view.features, view.source_features
        student, source = [normalize(features, dim=1) for features in pair] if normalised else pair
        return weight * (student - source).square().sum(1).mean()

    return Method(penalty=penalty)
