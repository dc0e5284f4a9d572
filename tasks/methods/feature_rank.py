"""Feature-rank regularisation (Tu et al., NeurIPS 2023; Shi et al., CwD, CVPR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-5
"""Added to variances, so that a feature that is constant over the batch becomes zero."""


def feature_rank(weight: Annotated[float, Range(0, 1e6)] = 1.0) -> Method:
    """Decorrelates features, so that they use all directions: adds weight |K|_F^2 / d^2.

    K = Z'Z / (B - 1) [d, d] is the correlation matrix of the batch's features Z [B, d], which are
    standardised over the batch. Since |Z'Z|_F = |ZZ'|_F, the smaller product is computed. It is not
    verified that Holistic Transfer uses this term, which is CwD's, nor with which weight.

    Args:
        weight: factor of the term.
    """

    def penalty(view: View, _: Any) -> Tensor:
        features = view.features
        count, width = features.shape
        if count < 2:  # one sample has no correlation
            return features.sum() * 0
        variance, mean = _variance_and_mean(features)
        columns = (features - mean) * (variance + SMALLEST).rsqrt()
        gram = columns @ columns.T if count < width else columns.T @ columns
        return weight * (gram / (count - 1)).square().sum() / width**2

    return Method(penalty=penalty)


def _variance_and_mean(features: Tensor) -> tuple[Tensor, Tensor]:
    from torch import var_mean

    return var_mean(features, 0)
