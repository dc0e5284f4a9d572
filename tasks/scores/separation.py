"""Scores of how well features separate classes: H-score, its shrinkage form, TransRate."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh

from tasks.parameters import Range
from tasks.scores.declaration import score
from tasks.scores.inputs import matrix, numbered, one_hot
from tasks.scores.spectra import decompose


@score()
def h_score(features: ArrayLike, labels: ArrayLike) -> float:
    """H-score: variance between classes over all variance of the features (Bao et al., ICIP 2019).

    tr(cov(f)^+ cov(E[f|y])), in [0, min(d, K - 1)]; higher is better. (Bao et al., "An
    Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019,
    definition 2.) Class means are weighted by the number of their images. The pseudo-inverse leaves
    out directions in which the features vary only by rounding; the released code keeps directions
    down to 1e-15 of the largest. With at least as many features as images, any labelling is
    separable and the score is K - 1 for all labels: use `shrunk_h_score` then.

    Args:
        features: [N, d].
        labels: [N].
    """
    _, _, along, counts = _centred(features, labels)
    # In the eigenbasis of the covariance, column c of U^T Y is n_c times the class mean divided by
    # sqrt(N eigenvalue).
    return float((along**2 / counts).sum())


@score(parts=("shrunk_h_score/shrinkage",))
def shrunk_h_score(features: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """H-score with Ledoit-Wolf shrinkage, for few images (Ibrahim et al., ECML PKDD 2022).

    (1 - a) tr(C_a^-1 cov(E[f|y])) with C_a = (1 - a) cov(f) + a tr(cov(f))/d I; higher is better.
    (Ibrahim, Ponomareva and Mazumder, "Newer is not always better: Rethinking transferability
    metrics, their peculiarities, stability and performance", ECML PKDD 2022, equation 4.) The
    shrinkage a is Ledoit and Wolf's (2004). Both covariances divide by N; the released code divides
    the second by N - 1. Constant features give 0.

    Args:
        features: [N, d].
        labels: [N].

    Returns:
        The score, and a in [0, 1].
    """
    centred, values, along, counts = _centred(features, labels)
    if not len(values):
        return 0.0, 0.0
    shrinkage = _ledoit_wolf(centred, values)
    # N times the eigenvalues of C_a
    within = (1 - shrinkage) * values + shrinkage * values.sum() / centred.shape[1]
    return float((1 - shrinkage) * ((values / within) @ (along**2 / counts)).sum()), shrinkage


@score()
def transrate(
    features: ArrayLike,
    labels: ArrayLike,
    epsilon: Annotated[float, Range(1e-12, 1e12)] = 1e-4,
) -> float:
    """TransRate: coding rate of all features minus that within classes (Huang et al., ICML 2022).

    R(f) - sum_c n_c/N R(f_c) with the coding rate R(f) = 1/2 log det(I + f^T f / (n epsilon)), in
    nats, at least 0; higher is better. (Huang, Huang, Rong, Yang and Wei, "Frustratingly Easy
    Transferability Estimation", ICML 2022.) f is centred over all images; f_c are its rows of class
    c, not centred again. Classes are weighted by their number of images, which makes it an estimate
    of the mutual information of features and labels; the released code weights all classes equally,
    which is the same for balanced classes. It depends on the features' scale, as in the paper.

    Args:
        features: [N, d].
        labels: [N].
        epsilon: squared distortion that the coding rate allows
    """
    inputs = matrix("features", features)
    answers, counts = numbered("labels", labels, len(inputs))
    inputs = inputs - inputs.mean(0)
    rates = [_coding_rate(inputs[answers == index], epsilon) for index in range(len(counts))]
    return float(_coding_rate(inputs, epsilon) - (counts / len(inputs)) @ rates)


def _ledoit_wolf(centred: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """The shrinkage a of Ledoit and Wolf.

    ("A well-conditioned estimator for large-dimensional covariance matrices", 2004.) It equals
    scikit-learn's, but uses the known squared singular `values`, which saves two matrix products.
    """
    rows, columns = centred.shape
    squared = (values**2).sum() / rows**2  # of the covariance's Frobenius norm
    # Squared distance from the multiple of I with the same trace.
    distance = squared - (values.sum() / rows) ** 2 / columns
    error = (((centred**2).sum(1) ** 2).sum() / rows - squared) / rows
    # For a multiple of I, as with a single feature, the distance is rounding: nothing to shrink.
    return float(np.clip(error / distance, 0.0, 1.0)) if distance > 1e-12 * squared else 0.0


def _coding_rate(features: NDArray[np.float64], epsilon: float) -> float:
    rows, columns = features.shape
    gram = features @ features.T if columns > rows else features.T @ features
    eigenvalues = np.maximum(eigvalsh(gram, overwrite_a=True, driver="evd"), 0.0)
    return float(np.log1p(eigenvalues / (rows * epsilon)).sum() / 2)


def _centred(
    features: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Centred features, squared singular values [r], U^T Y [r, K] and images per class [K]."""
    inputs = matrix("features", features)
    answers, counts = numbered("labels", labels, len(inputs))
    centred = inputs - inputs.mean(0)
    # For constant features, centring leaves only rounding errors: judge them by the original scale.
    return (
        centred,
        *decompose(centred, one_hot(answers, len(counts)), float((inputs**2).sum())),
        counts,
    )
