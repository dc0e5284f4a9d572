"""H-score, its shrunk form and TransRate against their equations, and their laws."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scored import cases, made
from sklearn.covariance import LedoitWolf

from tasks.scores import controls, logme, separation


@settings(max_examples=40, deadline=None)
@given(cases)
def test_h_score_is_the_sum_of_generalised_eigenvalues(case):
    features, labels, _ = case
    covariance = np.atleast_2d(np.cov(features, rowvar=False))
    if len(features) < 2 * features.shape[1]:
        return  # scipy's needs a positive definite matrix
    means = np.array([features[labels == label].mean(0) for label in labels])
    between = np.atleast_2d(np.cov(means, rowvar=False))
    expected = scipy.linalg.eigh(between, covariance, eigvals_only=True).sum()
    assert separation.h_score(features, labels) == pytest.approx(expected, abs=1e-8)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_shrunk_h_score_is_its_equation(case):
    features, labels, _ = case
    fitted = LedoitWolf().fit(features)
    means = np.array([features[labels == label].mean(0) for label in labels])
    between = np.atleast_2d(np.cov(means, rowvar=False, ddof=0))
    expected = np.trace(np.linalg.solve(fitted.covariance_, (1 - fitted.shrinkage_) * between))
    score, shrinkage = separation.shrunk_h_score(features, labels)
    assert shrinkage == pytest.approx(fitted.shrinkage_, abs=1e-9)
    if fitted.shrinkage_ or len(features) > 2 * features.shape[1]:
        assert score == pytest.approx(expected, abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(cases, st.floats(1e-4, 10))
def test_transrate_is_its_determinants(case, epsilon):
    features, labels, _ = case

    def rate(rows):
        return (
            np.linalg.slogdet(np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * epsilon))[1] / 2
        )

    centred = features - features.mean(0)
    within = [
        (labels == label).mean() * rate(centred[labels == label]) for label in np.unique(labels)
    ]
    found = separation.transrate(features, labels, epsilon)
    assert found == pytest.approx(rate(centred) - sum(within), abs=1e-8)
    assert found >= -1e-9  # log det is concave


@settings(max_examples=30, deadline=None)
@given(cases, st.integers(0, 2**32 - 1))
def test_feature_scores_do_not_see_order_names_and_rotations(case, seed):
    features, labels, _ = case
    order = np.random.default_rng(seed).permutation(len(labels))
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(features.shape[1],) * 2))[0]
    turned, renamed = features[order] @ turn, (9 - 2 * labels)[order] + 100
    for score in (
        logme.logme,
        separation.h_score,
        lambda f, y: separation.shrunk_h_score(f, y)[0],
        lambda f, y: separation.transrate(f, y, 1e-2),
        controls.nearest_class_mean,
    ):
        assert score(turned, renamed) == pytest.approx(score(features, labels), rel=1e-5, abs=1e-6)
    scaled = features * 37 + 5
    assert separation.h_score(scaled, labels) == pytest.approx(
        separation.h_score(features, labels), rel=1e-5, abs=1e-6
    )


def test_h_score_counts_dimensions_that_tell_classes_apart():
    """With as many features as images every labelling is told apart, whatever the labels: K - 1."""
    features, labels, _ = made(count=20, width=50, classes=4, apart=0.0)
    assert separation.h_score(features, labels) == pytest.approx(3)
    assert separation.shrunk_h_score(features, labels)[0] < 1.5
