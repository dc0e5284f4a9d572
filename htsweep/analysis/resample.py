"""The bootstrap over repetitions: what other draws of classes, data and seeds could have given."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import numpy as np

from htsweep.selection.fronts import non_dominated_in_samples

_DIGITS = 12
"""Means are rounded: further decimals depend on the order of the sum, and equal points must tie."""
DRAWS = 1000
"""How many samples are drawn where there are too many to take them all."""
_ALL = 2000
"""Up to this many distinct samples (seven repetitions), all are taken, each with its probability:
nothing is random.
"""


def samples(repetitions: int, draws: int = DRAWS) -> tuple[np.ndarray, np.ndarray]:
    """How often each bootstrap sample has each repetition, and each sample's probability.

    The counts are samples x repetitions.
    """
    if math.comb(2 * repetitions - 1, repetitions) <= _ALL:
        picks = np.array(list(combinations_with_replacement(range(repetitions), repetitions)))
        counts = (picks[:, :, None] == np.arange(repetitions)).sum(axis=1)
        ways = [
            math.factorial(repetitions) / math.prod(map(math.factorial, row))
            for row in counts.tolist()
        ]
        return counts, np.array(ways) / float(repetitions) ** repetitions
    random = np.random.default_rng(0)
    counts = random.multinomial(repetitions, np.full(repetitions, 1 / repetitions), size=draws)
    return counts, np.full(draws, 1 / draws)


def probability(
    x: np.ndarray, y: np.ndarray, maximise: tuple[bool, bool] = (True, True), draws: int = DRAWS
) -> np.ndarray:
    """The bootstrap probability of each point to be on the front of its group.

    NaN with fewer than two repetitions. Repetitions are drawn for all points at once: a repetition
    has the same class split and data for every method, so that what they share cancels in the
    comparison.

    Args:
        x: repetitions x points; NaN where a point lacks the repetition.
        y: the same.
        maximise: for x and y, whether more is better.
        draws: how many samples, where there are too many to take them all.
    """
    measured = ~(np.isnan(x) & np.isnan(y)).all(axis=1)
    x, y = x[measured], y[measured]
    repetitions, count = x.shape
    if repetitions < 2 or count == 0:
        return np.full(count, np.nan)
    counts, weight = samples(repetitions, draws)
    along, up = _means(counts, x).round(_DIGITS), _means(counts, y).round(_DIGITS)
    on_front = non_dominated_in_samples(along, up, maximise)
    # Rounding may take a sum of shares slightly above 1.
    total: np.ndarray = np.minimum(weight @ on_front, 1.0)
    return total


def probability_below(
    values: np.ndarray, limit: np.ndarray, margin: float = 0.0, draws: int = DRAWS
) -> np.ndarray:
    """The bootstrap probability that a mean lies below the mean of `limit` by more than `margin`.

    Both are drawn in the same repetitions; a sample without a repetition that both have counts as
    not below.

    Args:
        values: repetitions x points; NaN where a point lacks the repetition.
        limit: one number per repetition.
        margin: at least 0.
        draws: how many samples, where there are too many to take them all.

    Returns:
        One probability per point; NaN where fewer than two repetitions have both numbers.
    """
    measured = ~np.isnan(limit)
    differences = (values - limit[:, None])[measured]
    if len(differences) < 2:
        return np.full(values.shape[1], np.nan)
    counts, weight = samples(len(differences), draws)
    below = _means(counts, differences).round(_DIGITS) < -margin
    enough = (~np.isnan(differences)).sum(axis=0) > 1
    return np.where(enough, np.minimum(weight @ below, 1.0), np.nan)


def _means(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Means of `values` (repetitions x points) over each sample.

    NaN where a sample has none of the point's repetitions.
    """
    known = ~np.isnan(values)
    size = counts @ known.astype(float)
    total = counts @ np.where(np.isfinite(values), values, 0.0)
    # Infinities are not in the product above: a sample may leave one out, and 0 x inf is NaN.
    for infinite in (
        np.inf,
        -np.inf,
    ):
        np.add(total, infinite, out=total, where=counts @ (values == infinite).astype(float) > 0)
    return np.where(size > 0, total / np.where(size > 0, size, 1), np.nan)
