"""Tests for new images against scipy, brute force and the laws that a test with two random factors has."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from htsweep.analysis.design import Design
from htsweep.analysis.effects import effects
from htsweep.analysis.new_images import (
    Contributions,
    Images,
    Spread,
    crossed,
    crossed_interval,
    judged,
    resampled,
    resampled_interval,
    spread_of,
)

METRIC = "test/overall_accuracy"


def world(right: np.ndarray, tests: list[np.ndarray]) -> tuple[pd.DataFrame, Images]:
    """A table and its images, of `right` [methods, repetitions, images] and each repetition's test images."""
    rows, trials = [], {}
    for method in range(len(right)):
        for repetition, places in enumerate(tests):
            own = right[method, repetition, places].astype(float)
            name = "plain" if method == 0 else f"m{method}"
            rows.append(
                {
                    "sweep": name,
                    "method": name,
                    "repetition": repetition,
                    "role": "",
                    METRIC: own.mean(),
                }
            )
            trials[name, repetition] = Contributions(
                places, {METRIC: (own - own.mean()) / len(own)}
            )
    return pd.DataFrame(rows), Images(trials, right.shape[2])


def drawn(seed: int, repetitions: int = 6, images: int = 40, tested: int = 12):
    random = np.random.default_rng(seed)
    tests = [np.sort(random.permutation(images)[:tested]) for _ in range(repetitions)]
    return random.random((3, repetitions, images)) < 0.7, tests


def test_without_a_spread_over_images_it_is_students_test() -> None:
    values = np.array([0.1, 0.2, 0.15, 0.05, 0.12, np.nan])
    known = values[:5]
    assert crossed(values, Spread(0.0, 99)) == pytest.approx(stats.ttest_1samp(known, 0).pvalue)
    assert crossed_interval(values, Spread(0.0, 99)) == pytest.approx(
        stats.ttest_1samp(known, 0).confidence_interval(0.95)
    )


def test_without_a_spread_between_repetitions_it_is_students_test_over_images() -> None:
    """Every repetition tests all images with the same answers: then only images are random."""
    own = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 30)
    added = 5 * (own - own.mean()) / len(own)
    spread = spread_of(added, 5, 30)
    assert spread is not None
    assert spread.variance == pytest.approx(own.var(ddof=1) / 30)
    # Equal differences have a spread of rounding alone, so the degrees of freedom are those of images.
    p = crossed(np.full(5, own.mean()), spread)
    assert p == pytest.approx(stats.ttest_1samp(own, 0).pvalue)


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(-30, 50), min_size=2, max_size=12, unique=True),
    variance=st.floats(1e-6, 0.1),
    images=st.integers(10, 5000),
    level=st.sampled_from([0.8, 0.95, 0.99]),
)
def test_its_interval_leaves_out_what_it_rejects_and_is_wider_than_students(
    values: list[int], variance: float, images: int, level: float
) -> None:
    differences, spread = np.array(values) / 100, Spread(variance, images)
    low, high = crossed_interval(differences, spread, level)
    assert (low + high) / 2 == pytest.approx(differences.mean(), abs=1e-9)
    for rejected, end in ((low, -1e-6), (high, 1e-6)):
        assert crossed(differences - rejected, spread) == pytest.approx(1 - level, rel=1e-6)
        assert crossed(differences - rejected - end, spread) < 1 - level
    error = math.sqrt(differences.var(ddof=1) / len(values) + variance)
    assert high - low >= 2 * stats.norm.ppf((1 + level) / 2) * error * (1 - 1e-9)
    between = differences.var(ddof=1) / len(values)
    freedom = (between + variance) ** 2 / (
        between**2 / (len(values) - 1) + variance**2 / (images - 1)
    )
    assert high - low == pytest.approx(2 * stats.t.ppf((1 + level) / 2, freedom) * error)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), shuffle=st.randoms())
def test_neither_order_nor_unit_nor_sign_matters(seed: int, scale: float, shuffle) -> None:
    random = np.random.default_rng(seed)
    differences, total = random.normal(0.5, 1, 7), random.normal(size=20)
    p = crossed(differences, spread_of(total, 7, 20))
    order, places = list(differences), list(total)
    shuffle.shuffle(order)
    shuffle.shuffle(places)
    assert crossed(np.array(order), spread_of(np.array(places), 7, 20)) == pytest.approx(p)
    assert crossed(-scale * differences, spread_of(scale * total, 7, 20)) == pytest.approx(p)


def test_what_cannot_be_tested() -> None:
    spread = Spread(0.01, 50)
    assert math.isnan(crossed(np.array([0.3]), spread))
    assert math.isnan(crossed(np.array([0.3, np.inf]), spread))
    assert all(map(math.isnan, crossed_interval(np.array([0.3, np.nan]), spread)))
    assert crossed(np.zeros(4), Spread(0.0, 50)) == 1
    assert spread_of(None, 5, 50) is None
    assert spread_of(np.zeros(1), 5, 1) is None
    assert judged(np.array([0.1, 0.2]), None, math.nan) is None


def test_the_crossed_test_comes_first_and_the_resampled_one_is_the_fall_back() -> None:
    values, spread = np.array([0.1, 0.2, 0.15]), Spread(0.001, 60)
    first = judged(values, spread, 0.3)
    assert first is not None
    assert (first["test"], first["p"]) == ("crossed", crossed(values, spread))
    assert (first["low"], first["high"]) == crossed_interval(values, spread)
    other = judged(values, None, 0.3)
    assert other is not None
    assert (other["test"], other["p"]) == ("resampled", resampled(values, 0.3))
    assert (other["low"], other["high"]) == resampled_interval(values, 0.3)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_spread_of_a_difference_is_the_sum_of_squares_of_what_each_image_adds(
    seed: int,
) -> None:
    right, tests = drawn(seed)
    table, images = world(right, tests)
    design = Design((), "method")
    found = effects(table, design, [METRIC], "plain", images=images)
    for number, row in enumerate(found.to_dict("records"), 1):
        total = np.zeros(40)
        for repetition, places in enumerate(tests):
            own = right[number, repetition, places].astype(float) - right[0, repetition, places]
            total[places] += (own - own.mean()) / len(places)
        count = len(np.unique(np.concatenate(tests)))
        variance = (total**2).sum() / 6**2 * count / (count - 1)
        runs = table.pivot(index="repetition", columns="method", values=METRIC)
        differences = (runs[row["method"]] - runs["plain"]).to_numpy()
        assert row["new_images"] == "crossed"
        assert row["p_new_images"] == pytest.approx(crossed(differences, Spread(variance, count)))


def test_a_trial_whose_images_are_not_known_leaves_its_comparisons_to_the_other_test() -> None:
    table, images = world(*drawn(3))
    lacking = {key: value for key, value in images.trials.items() if key != ("m1", 2)}
    share = pd.Series(0.3, table["sweep"].unique())
    found = effects(
        table,
        Design((), "method"),
        [METRIC],
        "plain",
        tested=share,
        images=Images(lacking, images.count),
    )
    assert found.set_index("method")["new_images"].to_dict() == {"m1": "resampled", "m2": "crossed"}
    # A repetition that did not run takes its images with it.
    kept = table[~((table["method"] == "m1") & (table["repetition"] == 2))]
    again = effects(
        kept, Design((), "method"), [METRIC], "plain", images=Images(lacking, images.count)
    ).set_index("method")
    assert again["new_images"].tolist() == ["crossed", "crossed"]
    assert again.loc["m1", "n"] == 5


def test_a_metric_without_images_is_left_to_the_other_test() -> None:
    table, images = world(*drawn(4))
    table["test/ece"] = np.linspace(0, 1, len(table))
    found = effects(table, Design((), "method"), [METRIC, "test/ece"], "plain", images=images)
    assert set(found[found["metric"] == METRIC]["new_images"]) == {"crossed"}
    assert set(found[found["metric"] == "test/ece"]["new_images"]) == {""}


def test_it_holds_its_level_where_the_resampled_test_is_far_below_it() -> None:
    """Two models of equal accuracy, whose difference depends on which classes are missing.

    benchmarks/level.py has the nulls in full; here 200 draws bound the level by four deviations.
    """
    wrong = {"crossed": 0, "resampled": 0}
    for draw in range(200):
        random = np.random.default_rng([draw, 5])
        images, repetitions, tested = 200, 8, 60
        easy = random.normal(size=(2, images))
        tests = [random.permutation(images)[:tested] for _ in range(repetitions)]
        # What each of ten classes does to each model when it is missing.
        effect = random.normal(0, 0.7, (2, repetitions, 10))
        right = easy[:, None] + effect[:, :, np.arange(images) % 10] > -0.5
        total, differences = np.zeros(images), np.zeros(repetitions)
        for repetition, places in enumerate(tests):
            own = right[1, repetition, places].astype(float) - right[0, repetition, places]
            differences[repetition] = own.mean()
            total[places] += (own - own.mean()) / tested
        spread = spread_of(total, repetitions, len(np.unique(np.concatenate(tests))))
        assert spread is not None
        wrong["crossed"] += crossed(differences, spread) < 0.05
        wrong["resampled"] += resampled(differences, tested / images) < 0.05
    limit = 200 * 0.05 + 4 * math.sqrt(200 * 0.05 * 0.95)
    assert 0 < wrong["crossed"] <= limit
    assert wrong["resampled"] < wrong["crossed"]


def test_the_resampled_test_is_a_t_test_with_a_larger_variance() -> None:
    values = np.array([0.1, 0.2, 0.15, 0.05, 0.12])
    expected = values.mean() / math.sqrt((1 / 5 + 0.3 / 0.7) * values.var(ddof=1))
    assert resampled(values, 0.3) == pytest.approx(2 * stats.t.sf(expected, 4))
    # With nothing shared it would be Student's own test.
    assert resampled(values, 1e-12) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    assert resampled(np.zeros(4), 0.3) == 1
    for unknown in (0.0, 1.0, float("nan")):
        assert math.isnan(resampled(values, unknown))
    assert math.isnan(resampled(values[:1], 0.3))


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(-30, 50), min_size=2, max_size=12),
    tested=st.floats(0.05, 0.9),
    level=st.sampled_from([0.8, 0.95, 0.99]),
)
def test_the_resampled_interval_leaves_out_what_its_test_rejects(
    values: list[int], tested: float, level: float
) -> None:
    differences = np.array(values) / 100
    low, high = resampled_interval(differences, tested, level)
    assert (low + high) / 2 == pytest.approx(differences.mean())
    if len(set(values)) > 1:
        for rejected, end in ((low, -1e-6), (high, 1e-6)):
            assert resampled(differences - rejected, tested) == pytest.approx(1 - level)
            assert resampled(differences - rejected - end, tested) < 1 - level
    assert all(map(math.isnan, resampled_interval(differences, float("nan"))))
