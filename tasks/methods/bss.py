"""BSS: batch spectral shrinkage (Chen et al., Catastrophic Forgetting Meets Negative Transfer, NeurIPS 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range, View

if TYPE_CHECKING:
    from torch import Tensor


def bss(
    weight: Annotated[float, Range(0, 1e6)] = 1e-3, smallest: Annotated[int, Range(1, 100_000)] = 1
) -> Method:
    """Adds  weight sum_{i=1..smallest} s_{r+1-i}^2 , where s_1 >= ... >= s_r are the singular values of F [B, d].

    F are the batch's features before the head and r = min(B, d), as in the released code; where r
    is less than `smallest`, all singular values count. No mean is taken: the term grows with the
    batch. Squared singular values are the eigenvalues of F F' or F'F, of which the smaller is
    taken, in double precision: their gradient is sound also where singular values are equal, and in
    single precision the smallest would be lost beside the largest.

    Args:
        weight: factor of the term.
        smallest: how many of the smallest singular values shrink.
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
