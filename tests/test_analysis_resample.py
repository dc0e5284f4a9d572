"""The bootstrap over repetitions against all ordered samples."""

import itertools
import math

import numpy as np
import pytest
from fronted import DIRECTIONS, brute
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep.analysis import resample
from htsweep.selection import fronts


@given(repetitions=st.integers(1, 7))
def test_the_samples_are_all_that_there_are(repetitions: int) -> None:
    counts, share = resample.samples(repetitions)
    assert counts.sum(axis=1).tolist() == [repetitions] * math.comb(
        2 * repetitions - 1, repetitions
    )
    assert share.sum() == pytest.approx(1)


def test_many_repetitions_are_sampled_and_always_alike() -> None:
    one, two = resample.samples(12), resample.samples(12)
    assert one[0].shape == (resample.DRAWS, 12)
    assert (one[0] == two[0]).all()
    assert (one[0].sum(axis=1) == 12).all()


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.integers(0, 4), min_size=24, max_size=24), maximise=DIRECTIONS)
def test_the_probability_is_that_of_all_ordered_samples(
    values: list[int], maximise: tuple[bool, bool]
) -> None:
    x, y = np.array(values[:12], float).reshape(3, 4), np.array(values[12:], float).reshape(3, 4)
    hits = np.zeros(4)
    for picks in itertools.product(range(3), repeat=3):
        means = [
            (round(a, 9), round(b, 9))
            for a, b in zip(x[list(picks)].mean(0), y[list(picks)].mean(0), strict=True)
        ]
        hits += brute(means, maximise)
    assert resample.probability(x, y, maximise) == pytest.approx(hits / 27)


def test_both_ways_to_find_the_fronts_of_all_samples_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    x, y = random.integers(0, 5, (2, 5, 30)).astype(float)
    x[2, 4] = y[2, 4] = np.nan
    few = resample.probability(x, y)
    monkeypatch.setattr(fronts, "_FEW", 0)
    assert resample.probability(x, y) == pytest.approx(few)


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.one_of(st.integers(0, 4), st.just(math.nan)), min_size=12, max_size=12),
    margin=st.integers(0, 2),
)
def test_the_probability_to_lie_below_is_that_of_all_ordered_samples(
    values: list[float], margin: int
) -> None:
    table, limit = np.array(values[:9], float).reshape(3, 3), np.array(values[9:], float)
    found = resample.probability_below(table, limit, margin)
    known = np.flatnonzero(~np.isnan(limit))
    for column in range(3):
        differences = [table[row, column] - limit[row] for row in known]
        if sum(not math.isnan(one) for one in differences) < 2:
            assert math.isnan(found[column])
            continue
        samples = [
            [d for d in picks if not math.isnan(d)]
            for picks in itertools.product(differences, repeat=len(known))
        ]
        hits = sum(bool(picks) and round(sum(picks) / len(picks), 9) < -margin for picks in samples)
        assert found[column] == pytest.approx(hits / len(samples))


def test_an_infinite_run_is_infinitely_good_in_the_samples_that_hold_it() -> None:
    """Of three repetitions one is infinite: 19 of 27 samples hold it, and in the other 8 the second point is ahead."""
    x = np.array([[0.1, 0.5], [0.1, 0.5], [np.inf, 0.5]])
    y = np.full((3, 2), 0.5)
    assert resample.probability(x, y) == pytest.approx([19 / 27, 8 / 27])
    assert resample.probability(-x, y, (False, True)) == pytest.approx([19 / 27, 8 / 27])
