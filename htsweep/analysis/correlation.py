"""How well one number per pair ranks another: Pearson's r, Kendall's tau-b and weighted tau.

Intervals are bootstrapped over sources and targets, each drawn by itself, since pairs that share
one are not independent (the pigeonhole bootstrap: Owen, Annals of Applied Statistics 2007); a pair
counts as often as its source times as often as its target. A bootstrap sample is a count for each
pair, and all three statistics are sums over pairs of pairs, so that a thousand samples are a few
matrix products. The first row of the counts is all ones and gives the statistic itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import numpy as np

from htsweep.analysis.resample import samples

NAMES = ("pearson", "kendall", "weighted_kendall")
FEWEST = 4
"""With fewer pairs no correlation is reported: three points are in order by chance once in six."""
_DISTINCT = 3
"""A bootstrap sample with fewer distinct pairs is left out: two points are always on a line."""
_TAIL = 0.025
_DIGITS = 12
_DRAWS = 1000
Clusters = tuple[tuple[int, ...], ...]


@final
@dataclass(frozen=True, eq=False)
class Side:
    """A number per pair, and what a correlation needs from it in every bootstrap sample.

    Samples are rows; the first one has every pair once.
    """

    values: np.ndarray
    block: np.ndarray
    """Only pairs of the same block are compared with each other."""
    signs: np.ndarray
    """The sign of value i - value j; 0 between blocks."""
    untied: np.ndarray
    """Samples x pairs: how many drawn pairs differ from the pair."""
    centred: np.ndarray
    """Samples x pairs: the values minus the sample's mean in the block."""
    square: np.ndarray
    """Per sample: the sum of their squares."""
    clusters: Clusters
    """The source and the target of each pair, as numbers; empty: pairs are independent."""
    weight: np.ndarray | None
    """Samples x pairs: the weight of a pair's ranks; None: some values are equal, so that the order
    of these pairs depends on the other side.
    """


def why_not(score: np.ndarray, achieved: np.ndarray, block: np.ndarray) -> str:
    """Why the numbers have no correlation, in words; empty if they have one."""
    if len(score) < FEWEST:
        return f"fewer than {FEWEST} pairs"
    for values, name in ((score, "score"), (achieved, "outcome")):
        if all(len(np.unique(values[block == number])) == 1 for number in np.unique(block)):
            return f"the {name} is the same for all pairs"
    return ""


def side(values: np.ndarray, block: np.ndarray, clusters: Clusters = ()) -> Side:
    """What all correlations with `values` have in common.

    Args:
        values: a number per pair.
        block: a number per pair; only pairs with the same number are compared with each other.
        clusters: a number per pair for its source, and one for its target; empty: every pair is
            independent of every other.
    """
    counts = _samples(len(values), clusters)[0]
    same = block[:, None] == block[None, :]
    signs = np.sign(values[:, None] - values[None, :]) * same
    member = (block[:, None] == np.unique(block)[None, :]).astype(float)
    size = counts @ member
    mean = (counts * values) @ member / np.where(size > 0, size, 1.0)
    centred = values - mean @ member.T
    tied = int((signs == 0).sum() - (~same).sum()) > len(values)
    return Side(
        values,
        block,
        signs,
        counts @ np.abs(signs),
        centred,
        _dot(counts, centred**2),
        clusters,
        None if tied else _weight(np.argsort(-values, kind="stable"), block, clusters),
    )


def correlate(score: Side, achieved: Side) -> Mapping[str, float]:
    """Each statistic of `NAMES` with the ends of its 95 % interval.

    The keys are `kendall`, `kendall low`, `kendall high` and so on.

    Kendall's tau-b and the weighted tau are those of scipy.stats. The weighted one,
    weightedtau(score, achieved), weighs an exchange of the pairs at the ranks r and s (0 is best)
    by 1/(r+1) + 1/(s+1) and is the mean of ranking by the score and by what was achieved (Vigna,
    WWW 2015). With several blocks, numerators and denominators are summed over them, ranks are
    those within the block, and Pearson's r is of the deviations from the block's mean. Intervals
    come from the percentile bootstrap over sources and targets (1,000 samples with a fixed seed; of
    up to seven independent pairs all of them); samples of fewer than three distinct pairs, or with
    a constant side, are left out.
    """
    counts, share, distinct = _samples(len(score.values), score.clusters)
    differ = _dot(score.untied, counts) * _dot(achieved.untied, counts)
    agree = counts @ (score.signs * achieved.signs)
    square = score.square * achieved.square
    with np.errstate(divide="ignore", invalid="ignore"):  # constant sides are left out below
        drawn = np.stack(
            [
                np.clip(
                    _dot(counts * score.centred, achieved.centred) / np.sqrt(square), -1.0, 1.0
                ),
                _dot(agree, counts) / np.sqrt(differ),
                (_weighted(agree, score, achieved) + _weighted(agree, achieved, score)) / 2,
            ]
        )
    drawn[:, (differ == 0) | (square == 0)] = np.nan
    kept = distinct & ~np.isnan(drawn).any(axis=0)
    low, high = ends(drawn[:, kept].T, share[kept])
    statistics: dict[str, float] = {}
    for name, *numbers in zip(NAMES, drawn[:, 0], low, high, strict=True):
        statistics |= dict(
            zip(
                (name, f"{name} low", f"{name} high"),
                np.round(numbers, _DIGITS).tolist(),
                strict=True,
            )
        )
    return statistics


def ends(samples: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the 95 % percentile interval of each column of `samples` (samples x columns).

    `share` is each sample's probability. Without samples the ends are NaN.
    """
    if not len(samples):
        return np.full(samples.shape[1], np.nan), np.full(samples.shape[1], np.nan)
    order = np.argsort(samples, axis=0, kind="stable")
    reached = np.cumsum(share[order], axis=0) / share.sum()
    ordered = np.take_along_axis(samples, order, axis=0)
    # Sums of probabilities are rounded; a sample that reaches the tail exactly belongs to it.
    low, high = ((reached < at - 1e-12).sum(axis=0) for at in (_TAIL, 1 - _TAIL))
    columns = np.arange(samples.shape[1])
    last = len(samples) - 1
    return ordered[np.minimum(low, last), columns], ordered[np.minimum(high, last), columns]


def _weighted(agree: np.ndarray, first: Side, second: Side) -> np.ndarray:
    """The weighted tau by the decreasing ranks of `first`, with ties broken by `second`."""
    weight = first.weight
    if weight is None:
        weight = _weight(
            np.lexsort((second.values, first.values))[::-1], first.block, first.clusters
        )
    total: np.ndarray = _dot(agree, weight) / np.sqrt(
        _dot(first.untied, weight) * _dot(second.untied, weight)
    )
    return total


def _weight(order: np.ndarray, block: np.ndarray, clusters: Clusters) -> np.ndarray:
    """Samples x pairs: the weight of all copies of a pair, ranked by `order` within its block.

    The first pair of a block has rank 0. c copies have the ranks r ... r+c-1, and together weigh
    1/(r+1) + ... + 1/(r+c).
    """
    counts = _samples(len(order), clusters)[0]
    place = np.argsort(order)
    before = (place[:, None] < place[None, :]) & (block[:, None] == block[None, :])
    rank = (counts @ before.astype(float)).astype(int)
    harmonic = np.concatenate(
        [[0.0], np.cumsum(1.0 / np.arange(1, int(counts.sum(axis=1).max()) + 1))]
    )
    weight: np.ndarray = harmonic[rank + counts.astype(int)] - harmonic[rank]
    return weight


def _dot(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The inner product of each row of one array with the same row of the other."""
    total: np.ndarray = np.einsum("sp,sp->s", first, second)
    return total


@lru_cache(maxsize=64)
def _samples(pairs: int, clusters: Clusters = ()) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each sample has each pair, the sample's probability, and whether it counts.

    The first sample has each pair once and probability 0.
    """
    # A clustering of one cluster says nothing, and one with a cluster per pair is the pairs' own.
    informative = [numbers for numbers in clusters if len(set(numbers)) > 1]
    if any(len(set(numbers)) < pairs for numbers in informative):
        random = np.random.default_rng(0)
        counts = np.ones((_DRAWS, pairs), int)
        for numbers in informative:
            names, place = np.unique(numbers, return_inverse=True)
            equal = np.full(len(names), 1 / len(names))
            counts *= random.multinomial(len(names), equal, size=_DRAWS)[:, place]
        share = np.full(_DRAWS, 1 / _DRAWS)
    else:
        counts, share = samples(pairs)
    counts = np.concatenate([np.ones((1, pairs)), counts])
    distinct = (counts > 0).sum(axis=1) >= _DISTINCT
    distinct[0] = False
    return counts, np.concatenate([[0.0], share]), distinct
