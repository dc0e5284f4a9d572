"""LogME: the log of the maximum evidence of a linear model from features to labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from tasks.scores.declaration import score
from tasks.scores.inputs import matrix, numbered, one_hot
from tasks.scores.spectra import decompose

GRID = 129
"""How many ratios of the two precisions are looked at before the best one is refined."""
BEYOND = 1e8
"""How far past the spectrum's ends the ratio is looked for: there the evidence has its limit to
that precision.
"""
NO_RESIDUAL = 1e-9
"""The share of a target's square below which what the features leave of it is rounding."""


@score()
def logme(features: ArrayLike, labels: ArrayLike) -> float:
    """LogME: log maximum evidence of a linear model from features to labels (You et al., ICML 2021).

    Mean over classes of  max_a,b log p(y | F, a, b) / N,  in nats; higher is better.

    y [N] is 1 at the images of a class and 0 elsewhere,  y ~ N(F w, I/b),  w ~ N(0, I/a).
    (You, Liu, Wang and Long, "LogME: Practical Assessment of Pre-trained Models for Transfer
    Learning", ICML 2021, equation 2.) Features are neither centred nor given a bias, as in the
    paper. For a ratio l = a/b, squared singular values s_j of F and t = U^T y the best b is N / q,
    so that what is left to maximise has one variable:

        log p = -N/2 log(2 pi e q / N) - 1/2 sum_j log(1 + s_j/l),    q = |y|^2 - sum_j t_j^2 s_j / (l + s_j)

    It is searched over the whole range of l, so that this is the maximum; released code ends its
    fixed-point steps after 11 or when they change by less than 1 %. Where a or b grows without end
    (features that tell nothing; as many features as images), it is the limit.

    Args:
        features: [N, d].
        labels: [N]; classes without images are no classes.

    Raises:
        ValueError: a class is an exact linear function of features of less than full rank: its
            evidence has no maximum.
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
            "that LogME has "
            "no maximum; leave out images that are there twice, or use another score"
        )
    best = [
        _maximum(values, powers[:, index], residuals[index], len(inputs))
        for index in range(len(counts))
    ]
    return float(np.mean(best) / len(inputs))


def _maximum(
    values: NDArray[np.float64], powers: NDArray[np.float64], residual: float, count: int
) -> float:
    """The maximum log evidence of one class: t_j^2 are its `powers` [r], along squared singular `values` [r]."""
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
    """Log evidence at the best precision b = N/q, where `left` is q."""
    return -count / 2 * float(np.log(2 * np.pi * np.e * left / count)) - log_determinant / 2
