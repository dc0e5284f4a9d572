"""The spectrum of a feature matrix from its smaller Gram matrix, for LogME, H-scores and N-LEEP.

In float64 this loses singular values below 1e-8 of the largest one; the rounding of float32
features is larger than that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Array = NDArray[np.float64]


def decompose(features: Array, targets: Array, scale: float = 0.0) -> tuple[Array, Array]:
    """Squared singular values [r] of the features, and U^T targets [r, K].

    U [N, r] are the left singular vectors. Singular values that may be rounding errors are left
    out, so that r is the rank.

    Args:
        features: [N, d].
        targets: [N, K].
        scale: the squared norm by which rounding is measured, for features that were centred;
            default: their own.
    """
    values, vectors = eigh(_gram(features), driver="evd", overwrite_a=True)
    kept = values > _rounding(features, max(values[-1], scale))
    values, vectors = values[kept], vectors[:, kept]
    if _wide(features):
        return values, vectors.T @ targets
    return values, (vectors.T @ (features.T @ targets)) / np.sqrt(values)[:, None]


def principal(features: Array, energy: float, most: int) -> Array:
    """The first principal components of the rows, [N, k], with the share `energy` of the variance.

    There are at most `most`, and none ([N, 0]) if the rows differ only by rounding.
    """
    centred = features - features.mean(0)
    gram = _gram(centred)
    variance, size = float(np.trace(gram)), len(gram)
    if variance <= _rounding(features, float((features**2).sum())):
        return np.empty((len(features), 0))
    values, vectors = eigh(gram, subset_by_index=[max(size - most, 0), size - 1], overwrite_a=True)
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    enough = int(np.searchsorted(np.cumsum(values), energy * variance)) + 1
    vectors = vectors[:, :enough]
    return np.asarray(vectors * np.sqrt(values[:enough]) if _wide(features) else centred @ vectors)


def squared_norm(features: Array) -> float:
    """The largest squared singular value."""
    gram = _gram(features)
    return float(
        eigh(
            gram,
            eigvals_only=True,
            subset_by_index=[len(gram) - 1, len(gram) - 1],
            overwrite_a=True,
        )[0]
    )


def _wide(features: Array) -> bool:
    return bool(features.shape[1] > features.shape[0])


def _gram(features: Array) -> Array:
    return features @ features.T if _wide(features) else features.T @ features


def _rounding(features: Array, scale: float) -> float:
    """Squared singular values up to this may be rounding errors."""
    return float(
        max(np.finfo(np.float64).eps * max(features.shape) * scale, np.finfo(np.float64).tiny)
    )
