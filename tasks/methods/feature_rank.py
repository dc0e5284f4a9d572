"""Feature-rank regularisation: decorrelated features (Tu et al., Holistic Transfer; Shi et al., CwD, CVPR 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor

SMALLEST = 1e-5
"""Added to variances: a feature that is constant over the batch counts as zero."""


def feature_rank(weight: Annotated[float, Range(0, 1e6)] = 1.0) -> Method:
    """Adds  weight |K|_F^2 / d^2 , K [d, d] the correlation matrix of the batch's features: least where all directions are used.

    Columns of Z [B, d] are standardised over the batch and K = Z'Z / (B - 1); |Z'Z|_F = |ZZ'|_F, so
    that the smaller of the two products is taken. That Holistic Transfer means this term (CwD's) is
    by recollection; so is its weight.

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
