"""The seen/missing metrics: exact values, and their laws against brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import metrics

CLASSES = 5


@st.composite
def scored(draw, distinct=False):
    """Scores with many ties (or none), labels, missing classes: both groups have a class, not always a sample."""
    count = draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scores = (
        rng.normal(size=(count, CLASSES))
        if distinct
        else rng.integers(-3, 4, (count, CLASSES)).astype(float)
    )
    missing = draw(
        st.lists(st.integers(0, CLASSES - 1), unique=True, min_size=1, max_size=CLASSES - 1)
    )
    labels = rng.integers(0, CLASSES, count)
    return scores, labels, missing


def brute_force(scores, labels, missing):
    """The curve by trying a constant between any two gaps: O(N^2 C)."""
    seen = [index for index in range(CLASSES) if index not in missing]
    gaps = sorted({row[seen].max() - row[missing].max() for row in scores})
    middles = [(a + b) / 2 for a, b in itertools.pairwise(gaps)]
    of_missing = np.isin(labels, missing)
    points = []
    for threshold in [gaps[0] - 1, *middles, gaps[-1] + 1]:
        right = []
        for row, label in zip(scores, labels, strict=True):
            group = seen if row[seen].max() - row[missing].max() >= threshold else sorted(missing)
            right.append(group[int(np.argmax(row[group]))] == label)
        right = np.array(right)
        points.append((right[~of_missing].mean(), right[of_missing].mean()))
    return np.array(points)


@settings(max_examples=150, deadline=None)
@given(scored())
def test_the_curve_has_the_area_of_the_brute_force_loop(case):
    scores, labels, missing = case
    seen, missed = metrics.curve(scores, labels, missing)
    of_missing = np.isin(labels, missing)
    if of_missing.all() or not of_missing.any():
        assert len(seen) == len(missed) == 0
        return
    points = brute_force(scores, labels, missing)
    assert metrics.area(seen, missed) == pytest.approx(
        metrics.area(points[:, 0], points[:, 1]), abs=1e-12
    )
    for x, y in zip(seen, missed, strict=True):
        # Only points of the loop, ends included
        assert np.isclose(points, (x, y), atol=1e-12).all(1).any()
    assert np.allclose(points[0], (seen[0], missed[0]))
    assert np.allclose(points[-1], (seen[-1], missed[-1]))


@settings(max_examples=100, deadline=None)
@given(scored())
def test_the_curve_falls_in_one_and_rises_in_the_other_without_needless_points(case):
    seen, missed = metrics.curve(*case)
    dx, dy = np.diff(seen), np.diff(missed)
    assert (dx <= 0).all()
    assert (dy >= 0).all()
    assert ((dx != 0) | (dy != 0)).all()
    if len(seen) > 2:
        assert not np.isclose(dx[1:] * dy[:-1], dx[:-1] * dy[1:], atol=1e-15).any()


@settings(max_examples=100, deadline=None)
@given(scored())
def test_the_five_accuracies_keep_their_laws(case):
    scores, labels, missing = case
    found = metrics.accuracies(scores, labels, missing)
    of_missing = np.isin(labels, missing)
    mix = sum(
        found[f"{name}_accuracy"] * rows.sum()
        for name, rows in (("seen", ~of_missing), ("missing", of_missing))
        if rows.any()
    )
    assert found["overall_accuracy"] == pytest.approx(mix / len(labels))
    for name in ("seen", "missing"):
        if f"{name}_accuracy" in found:
            assert found[f"{name}_within_accuracy"] >= found[f"{name}_accuracy"]
    shifted = scores.copy()
    shifted[:, missing] += 7.0
    again = metrics.accuracies(shifted, labels, missing)
    for name in ("seen_within_accuracy", "missing_within_accuracy"):
        assert again.get(name) == found.get(name)
    seen, missed = metrics.curve(scores, labels, missing)
    if len(seen):
        assert (seen[0], missed[0]) == (found["seen_within_accuracy"], 0)
        assert (seen[-1], missed[-1]) == (0, found["missing_within_accuracy"])
        assert (
            metrics.area(seen, missed)
            <= found["seen_within_accuracy"] * found["missing_within_accuracy"] + 1e-12
        )


@settings(max_examples=50, deadline=None)
@given(scored(distinct=True), st.floats(-5, 5))
def test_the_curve_does_not_feel_a_constant_on_the_missing_classes(case, shift):
    scores, labels, missing = case
    shifted = scores.copy()
    shifted[:, missing] += shift
    assert metrics.area(*metrics.curve(scores, labels, missing)) == pytest.approx(
        metrics.area(*metrics.curve(shifted, labels, missing))
    )


def test_accuracies_by_hand():
    scores = np.array([[2.0, 1, 0], [0, 1, 2], [1, 0, 2], [3, 0, 2]])
    labels = np.array([0, 1, 2, 2])
    assert metrics.accuracies(scores, labels, [2]) == {
        "overall_accuracy": 0.5,
        "seen_accuracy": 0.5,
        "missing_accuracy": 0.5,
        "seen_within_accuracy": 1.0,
        "missing_within_accuracy": 1.0,
        "harmonic_mean": 0.5,
    }


def test_a_group_without_samples_is_left_out():
    found = metrics.accuracies(np.eye(3), np.arange(3), [])
    assert found == {"overall_accuracy": 1.0, "seen_accuracy": 1.0, "seen_within_accuracy": 1.0}
    assert all(len(side) == 0 for side in metrics.curve(np.eye(3), np.arange(3), []))


def test_a_perfect_model_has_area_one_and_a_useless_one_zero():
    assert metrics.area(*metrics.curve(np.eye(4), np.arange(4), [2, 3])) == 1.0
    assert metrics.area(*metrics.curve(np.eye(4)[[1, 0, 3, 2]], np.arange(4), [2, 3])) == 0.0


@pytest.mark.parametrize(("a", "b", "expected"), [(0, 0, 0), (1, 1, 1), (1, 0, 0), (0.5, 1, 2 / 3)])
def test_harmonic_mean(a, b, expected):
    assert metrics.harmonic_mean(a, b) == pytest.approx(expected)


def test_nearest_class_mean_ignores_a_class_without_an_image():
    references = np.array([[1.0, 0], [3, 0.3], [0, 2]])
    similarity = metrics.nearest_class_mean(
        references, np.array([0, 0, 2]), np.array([[5.0, 1], [0, 0.1]]), 3
    )
    assert similarity.argmax(1).tolist() == [0, 2]
    assert np.isneginf(similarity[:, 1]).all()
    mean = np.array([1 + 3 / np.hypot(3, 0.3), 0.3 / np.hypot(3, 0.3)])
    assert similarity[0, 0] == pytest.approx(
        np.array([5, 1]) / np.sqrt(26) @ mean / np.linalg.norm(mean)
    )


def test_a_hundred_thousand_samples_take_no_time():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(100_000, 10)), rng.integers(0, 10, 100_000)
    seen, missed = metrics.curve(scores, labels, [0, 1])
    assert 0.1 < seen[0] <= 1  # quadratic work would not come back
    assert metrics.area(seen, missed) == pytest.approx(seen[0] * missed[-1] / 2, rel=0.05)


# Calibration constants


def shifted(scores, gamma, missing):
    moved = scores.astype(float).copy()
    moved[:, missing] += gamma
    return moved


def tried(scores, labels, missing):
    """(gamma, seen accuracy, missing accuracy) for a constant between any two neighbouring gaps, by brute force."""
    seen = [index for index in range(scores.shape[1]) if index not in missing]
    gaps = np.unique(scores[:, seen].max(1).astype(float) - scores[:, missing].max(1))
    rows = []
    for gamma in [gaps[0] - 1, *(gaps[1:] + gaps[:-1]) / 2, gaps[-1] + 1]:
        right = shifted(scores, gamma, missing).argmax(1) == labels
        of_missing = np.isin(labels, missing)
        rows.append((gamma, right[~of_missing].mean(), right[of_missing].mean(), right.mean()))
    return np.array(rows)


@given(scored())
def test_the_oracle_constant_is_the_best_there_is(case):
    scores, labels, missing = case
    gamma = metrics.oracle_gamma(scores, labels, missing)
    if np.isnan(gamma):
        assert not {True, False} <= set(np.isin(labels, missing))
        return
    reached = (metrics.calibrated(scores, gamma, missing).argmax(1) == labels).mean()
    assert reached >= tried(scores, labels, missing)[:, 3].max() - 1e-12


@given(scored(distinct=True))
def test_the_oracle_constant_is_no_worse_than_none(case):
    scores, labels, missing = case
    gamma = metrics.oracle_gamma(scores, labels, missing)
    if not np.isnan(gamma):
        reached = (metrics.calibrated(scores, gamma, missing).argmax(1) == labels).mean()
        assert reached >= (scores.argmax(1) == labels).mean()


@given(scored())
def test_the_balancing_constant_has_the_highest_harmonic_mean(case):
    scores, labels, missing = case
    gamma = metrics.balancing_gamma(scores, labels, missing)
    if np.isnan(gamma):
        return
    found = metrics.accuracies(metrics.calibrated(scores, gamma, missing), labels, missing)[
        "harmonic_mean"
    ]
    rows = tried(scores, labels, missing)
    with np.errstate(invalid="ignore"):
        best = np.nan_to_num(2 * rows[:, 1] * rows[:, 2] / (rows[:, 1] + rows[:, 2])).max()
    assert found == pytest.approx(best)


@pytest.mark.parametrize("known", [-3.0, 0.5, 7.0])
def test_a_known_constant_is_found(known):
    """Every sample has its class's score 1 above the rest; then missing scores are lowered by `known`."""
    labels, missing = np.repeat(np.arange(6), 5), [1, 4]
    scores = shifted(np.eye(6)[labels], -known, missing)
    for rule in (metrics.oracle_gamma, metrics.balancing_gamma):
        gamma = rule(scores, labels, missing)
        assert abs(gamma - known) < 1
        assert (metrics.calibrated(scores, gamma, missing).argmax(1) == labels).all()


@given(scored())
def test_the_average_logit_gap_is_the_papers(case):
    scores, labels, missing = case
    classes = scores.shape[1]
    of_seen, of_missing = [], []
    for row, label in zip(scores.astype(float), labels, strict=True):
        others = [row[index] for index in range(classes) if index not in missing and index != label]
        if others:
            of_seen.append(np.mean(others))
        of_missing.append(np.mean([row[index] for index in missing]))
    found = metrics.average_logit_gap(scores, labels, missing)
    if of_seen:
        assert found == pytest.approx(np.mean(of_seen) - np.mean(of_missing), abs=1e-6)
    else:
        assert np.isnan(found)


def test_without_a_group_there_is_no_constant():
    scores, labels = np.random.default_rng(0).normal(size=(9, 3)), np.arange(9) % 3
    for rule in (metrics.oracle_gamma, metrics.balancing_gamma, metrics.average_logit_gap):
        assert np.isnan(rule(scores, labels, []))


@given(scored(distinct=True), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_the_released_rule_is_the_best_overall_above_a_floor(drawn, floor):
    """By trying a constant between any two neighbouring gaps, and beyond the outer ones."""
    scores, labels, missing = drawn
    of_missing = np.isin(labels, missing)
    found = metrics.released_gamma(scores, labels, missing, floor)
    if not of_missing.any() or of_missing.all():
        assert np.isnan(found)
        return
    is_missing = np.isin(np.arange(CLASSES), missing)
    gaps = np.sort(
        np.where(is_missing, -np.inf, scores).max(1) - np.where(is_missing, scores, -np.inf).max(1)
    )
    tried = np.concatenate([[gaps[0] - 1], (gaps[1:] + gaps[:-1]) / 2, [gaps[-1] + 1]])

    def counts(gamma):
        right = (scores + gamma * is_missing).argmax(1) == labels
        return right.sum(), right[of_missing].sum()

    enough = [
        counts(gamma)[0] for gamma in tried if counts(gamma)[1] >= floor * of_missing.sum() - 1e-9
    ]
    if not enough:
        assert np.isnan(found)
        return
    overall, gained = counts(found)
    assert overall == max(enough)
    assert gained >= floor * of_missing.sum() - 1e-9
