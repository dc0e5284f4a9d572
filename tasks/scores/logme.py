"""LogME: the log maximum evidence of a linear model from features to labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from tasks.scores.declaration import score
from tasks.scores.inputs import matrix, numbered, one_hot
from tasks.scores.spectra import decompose

GRID = 129
"""Number of ratios of the two precisions that are tried before the best one is refined."""
BEYOND = 1e8
"""How far beyond the spectrum the ratio is searched; there the evidence has reached its limit."""
NO_RESIDUAL = 1e-9
"""A residual below this share of a target's squared norm is rounding error."""


@score()
def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """LogME: log maximum evidence of a linear model of the labels (You et al., ICML 2021).

    The mean over classes of max_a,b log p(y | F, a, b) / N, in nats; higher is better. y [N] is 1
    at the images of a class and 0 elsewhere, y ~ N(F w, I/b), w ~ N(0, I/a). (You, Liu, Wang and
    Long, "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021,
    equation 2.) Features are neither centred nor given a bias, as in the paper.

    With the ratio l = a/b, the squared singular values s_j of F and t = U^T y, the best b is N / q,
    which leaves one variable to maximise over:

        log p = -N/2 log(2 pi e q / N) - 1/2 sum_j log(1 + s_j/l),
        q = |y|^2 - sum_j t_j^2 s_j / (l + s_j).

    It is searched over the whole range of l, so that this is the maximum; the released code stops
    its fixed-point iteration after 11 steps or at changes below 1 %. If the best a or b is infinite
    (uninformative features; as many features as images), the result is the limit.

    Args:
        features: [N, d].
        labels: [N]; classes without images are ignored.

    Raises:
        ValueError: a class is an exact linear function of features of less than full rank, so that
            its evidence has no maximum.
    """
    inputs = matrix("features", features)
    answers, counts = numbered("labels", labels, len(inputs))
    values, along = decompose(inputs, one_hot(answers, len(counts)))
    powers = along**2
    residuals = (
        np.maximum(counts - powers.sum(0), 0.0)
        if len(values) < len(inputs)
        else np.zeros(len(counts))
    )
    exact = np.flatnonzero(residuals <= NO_RESIDUAL * counts)
    if len(exact) and len(values) < len(inputs):
        raise ValueError(
            f"class {np.unique(labels)[exact[0]]} is an exact linear function of the features, so "
            "that LogME has no maximum; leave out images that are there twice, or use another score"
        )
    best = [
        _maximum(values, powers[:, index], residuals[index], len(inputs))
        for index in range(len(counts))
    ]
    return float(np.mean(best) / len(inputs))


def _maximum(
    values: NDArray[np.float64], powers: NDArray[np.float64], residual: float, count: int
) -> float:
    """The maximum log evidence of a class with powers t_j^2 [r] and squared singular values [r]."""
    if not len(values):
        return _evidence(residual, 0.0, count)

    def surprise(exponent: float) -> float:
        ratio = np.exp(exponent)
        left = residual + (powers * (ratio / (ratio + values))).sum()
        return -_evidence(left, float(np.log1p(values / ratio).sum()), count)

    exponents = np.linspace(np.log(values.min() / BEYOND), np.log(values.max() * BEYOND), GRID)
    seen = [surprise(exponent) for exponent in exponents]
    first = int(np.argmin(seen))
    if first in (0, GRID - 1):
        return -seen[first]
    refined = minimize_scalar(
        surprise,
        bounds=(exponents[first - 1], exponents[first + 1]),
        method="bounded",
        options={"xatol": 1e-7},
    )
    return -min(float(refined.fun), seen[first])


def _evidence(left: float, log_determinant: float, count: int) -> float:
    """The log evidence at the best precision b = N/q; `left` is q."""
    return -count / 2 * float(np.log(2 * np.pi * np.e * left / count)) - log_determinant / 2
