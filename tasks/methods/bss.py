"""BSS: batch spectral shrinkage (Chen et al., NeurIPS 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor


def bss(
    weight: Annotated[float, Range(0, 1e6)] = 1e-3, smallest: Annotated[int, Range(1, 100_000)] = 1
) -> Method:
    """Shrinks the smallest singular values of the features: weight sum_{i=1..smallest} s_{r+1-i}^2.

    s_1 >= ... >= s_r are the singular values of the batch's features F [B, d] before the head, and
    r = min(B, d), as in the released code; if r is below `smallest`, all of them count. The term is
    not averaged, so that it grows with the batch. Squared singular values are computed as the
    eigenvalues of F F' or F'F, whichever is smaller, in double precision: the gradient is then
    valid even if singular values are equal, and in single precision the smallest would be lost next
    to the largest. (Catastrophic Forgetting Meets Negative Transfer, NeurIPS 2019.)

    Args:
        weight: factor of the term.
        smallest: number of smallest singular values to shrink.
    """

    def penalty(view: View, _: Any) -> Tensor:
        features = view.features
        return weight * _eigenvalues(features.double())[:smallest].sum().to(features.dtype)

    return Method(penalty=penalty)


def _eigenvalues(features: Tensor) -> Tensor:
    """The squared singular values of features [B, d], the smallest first."""
    from torch.linalg import eigvalsh

    count, width = features.shape
    values: Tensor = eigvalsh(features @ features.T if count <= width else features.T @ features)
    return values
