"""Correlations as scipy has them, with intervals over every resample."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from htsweep.analysis import correlation
from htsweep.analysis.correlation import correlate, side, why_not

SCIPY = {
    "pearson": stats.pearsonr,
    "kendall": stats.kendalltau,
    "weighted_kendall": stats.weightedtau,
}
NUMBERS = st.integers(-4, 4).map(float)
LISTS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=4, max_size=12)


def told(x: Any, y: Any, block: Any = None) -> dict[str, float]:
    x, y = np.asarray(x, float), np.asarray(y, float)
    of = np.zeros(len(x), int) if block is None else np.asarray(block)
    return dict(correlate(side(x, of), side(y, of)))


@given(LISTS)
def test_each_statistic_is_scipys_ties_or_not(points: list[tuple[float, float]]) -> None:
    x, y = (np.array(one) for one in zip(*points, strict=True))
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    found = told(x, y)
    for name, reference in SCIPY.items():
        assert found[name] == pytest.approx(reference(x, y)[0], abs=1e-9), name


@pytest.mark.parametrize("pairs_of", [6, 15])
def test_the_interval_is_that_of_scipy_on_every_resample(pairs_of: int) -> None:
    """Sample by sample, with copies written out; those of two distinct pairs, or with a constant side, are left out."""
    random = np.random.default_rng(1)
    x = random.integers(0, 5, pairs_of).astype(float)
    y = x + random.integers(0, 6, pairs_of)
    counts, share, _ = correlation._samples(pairs_of)
    rows, weights = [], []
    for count, probability in zip(counts[1:].astype(int), share[1:], strict=True):
        drawn = np.repeat(np.arange(pairs_of), count)
        if len(set(drawn)) > 2 and len(set(x[drawn])) > 1 and len(set(y[drawn])) > 1:
            rows.append([reference(x[drawn], y[drawn])[0] for reference in SCIPY.values()])
            weights.append(probability)
    assert len(rows) < len(counts) - 1 or pairs_of > 7
    found = told(x, y)
    for name, values in zip(SCIPY, np.transpose(rows), strict=True):
        order = np.argsort(values)
        reached = np.cumsum(np.array(weights)[order]) / sum(weights)
        low, high = (values[order][np.argmax(reached >= at - 1e-9)] for at in (0.025, 0.975))
        assert (found[f"{name} low"], found[f"{name} high"]) == (
            pytest.approx(low, abs=1e-9),
            pytest.approx(high, abs=1e-9),
        )


@given(LISTS)
@settings(max_examples=25)
def test_the_order_of_pairs_and_the_scale_of_numbers_do_not_matter(
    points: list[tuple[float, float]],
) -> None:
    x, y = (np.array(one) for one in zip(*points, strict=True))
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    found, scaled = told(x, y), told(2.5 * x - 7, 0.1 * y)
    turned = told(x[::-1], y[::-1])
    for name in SCIPY:
        assert found[name] == pytest.approx(scaled[name], abs=1e-9)
        assert found[name] == pytest.approx(turned[name], abs=1e-9)
        if found[f"{name} low"] == found[f"{name} low"]:
            assert -1 - 1e-9 <= found[f"{name} low"] <= found[f"{name} high"] <= 1 + 1e-9


def test_within_targets_only_pairs_of_one_target_are_compared() -> None:
    """Two targets at other levels, each in reverse order: pooled the score looks right, inside a target it is wrong."""
    x, y, block = (
        np.array([1, 2, 3, 11, 12, 13.0]),
        np.array([3, 2, 1, 13, 12, 11.0]),
        np.array([0, 0, 0, 1, 1, 1]),
    )
    assert told(x, y)["kendall"] == pytest.approx(3 / 15)
    assert told(x, y)["pearson"] > 0.9
    found = told(x, y, block)
    assert {found[name] for name in SCIPY} == {-1.0}


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(0, 2)), min_size=5, max_size=10))
def test_kendalls_tau_within_targets_counts_pairs_of_pairs(
    points: list[tuple[float, float, int]],
) -> None:
    x, y, block = (np.array(one) for one in zip(*points, strict=True))
    same = [(i, j) for i, j in combinations(range(len(x)), 2) if block[i] == block[j]]
    score = [np.sign(x[i] - x[j]) for i, j in same]
    came = [np.sign(y[i] - y[j]) for i, j in same]
    assume(np.any(score) and np.any(came))
    expected = np.dot(score, came) / np.sqrt(np.sum(np.abs(score)) * np.sum(np.abs(came)))
    assert told(x, y, block)["kendall"] == pytest.approx(expected, abs=1e-9)


def test_why_there_is_no_correlation() -> None:
    zeros, rising, two = np.zeros(4), np.arange(4.0), np.array([0, 0, 1, 1])
    assert why_not(rising[:3], rising[:3], zeros[:3]) == "fewer than 4 pairs"
    assert why_not(zeros, rising, zeros) == "the score is the same for all pairs"
    assert why_not(rising, zeros, zeros) == "the outcome is the same for all pairs"
    assert why_not(np.array([1.0, 1, 2, 2]), rising, two) == "the score is the same for all pairs"
    assert why_not(rising, rising, zeros) == ""


def crossed(random: np.random.Generator) -> tuple[np.ndarray, tuple[tuple[int, ...], ...]]:
    """Numbers of 8 sources x 6 targets with effects of both, and the source and target of each."""
    source, target = np.tile(np.arange(8), 6), np.repeat(np.arange(6), 8)
    values = random.normal(size=8)[source] + random.normal(size=6)[target]
    return values + 0.5 * random.normal(size=48), (tuple(source.tolist()), tuple(target.tolist()))


def test_pairs_that_share_a_source_or_target_are_no_independent_evidence() -> None:
    """Of scores that say nothing: intervals over pairs exclude 0 far too often, over clusters less."""
    wrong = {"pairs": 0, "clusters": 0}
    for draw in range(60):
        random = np.random.default_rng(draw)
        (x, clusters), (y, _) = crossed(random), crossed(random)
        for name, of in (("pairs", ()), ("clusters", clusters)):
            block = np.zeros(48, int)
            found = correlate(side(x, block, of), side(y, block, of))
            wrong[name] += not found["kendall low"] <= 0 <= found["kendall high"]
    assert wrong["pairs"] >= 12
    assert wrong["clusters"] <= 5


def test_a_cluster_of_each_pair_s_own_changes_nothing() -> None:
    x, y = np.array([1.0, 2.0, 4.0, 3.0, 5.0]), np.array([2.0, 1.0, 5.0, 3.0, 4.0])
    block, alone = np.zeros(5, int), (tuple(range(5)), (0,) * 5)
    assert correlate(side(x, block, alone), side(y, block, alone)) == told(x, y)


def test_a_sample_counts_a_pair_as_often_as_its_source_times_its_target() -> None:
    """And the ranks of all copies are weighed: 1, 1/2, 1/3 and so on."""
    x, clusters = crossed(np.random.default_rng(3))
    counts = correlation._samples(48, clusters)[0][1].astype(int).reshape(6, 8)
    assert np.linalg.matrix_rank(counts) == 1
    one = side(x, np.zeros(48, int), clusters)
    assert one.weight is not None
    assert one.weight[1].sum() == pytest.approx((1 / np.arange(1, counts.sum() + 1)).sum())
