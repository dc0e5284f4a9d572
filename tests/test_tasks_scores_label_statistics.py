"""NCE, LEEP and N-LEEP against implementations from their equations, and their laws."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scored import cases, made

from tasks.scores import label_statistics


def nce_by_loops(probabilities, labels):
    guesses, total = probabilities.argmax(1), 0.0
    for z in set(guesses.tolist()):
        for y in set(labels.tolist()):
            both = np.mean((guesses == z) & (labels == y))
            if both:
                total += both * np.log(both / np.mean(guesses == z))
    return total


def leep_by_loops(probabilities, labels):
    count, sources = probabilities.shape
    joint = {
        (y, z): sum(probabilities[i, z] for i in range(count) if labels[i] == y) / count
        for y in set(labels.tolist())
        for z in range(sources)
    }
    marginal = [sum(joint[y, z] for y in set(labels.tolist())) for z in range(sources)]
    return np.mean(
        [
            np.log(
                sum(
                    joint[labels[i], z] / marginal[z] * probabilities[i, z]
                    for z in range(sources)
                    if marginal[z]
                )
            )
            for i in range(count)
        ]
    )


@settings(max_examples=40, deadline=None)
@given(cases, st.integers(0, 2**32 - 1))
def test_label_statistics_are_their_equations_and_keep_their_laws(case, seed):
    _, labels, probabilities = case
    leep, nce = (
        label_statistics.leep(probabilities, labels),
        label_statistics.nce(probabilities, labels),
    )
    assert leep == pytest.approx(leep_by_loops(probabilities, labels), abs=1e-12)
    assert nce == pytest.approx(nce_by_loops(probabilities, labels), abs=1e-12)
    assert leep <= 0
    assert nce <= 1e-15
    # By Jensen's inequality LEEP is at least -H(Y|Z) under the soft joint, which is at least -H(Y).
    entropy = scipy.stats.entropy(np.bincount(labels))
    assert min(leep, nce) >= -entropy - 1e-12
    one_hot = np.eye(6)[probabilities.argmax(1)]
    assert label_statistics.leep(one_hot, labels) == pytest.approx(nce, abs=1e-12)
    order = np.random.default_rng(seed).permutation(len(labels))
    columns = np.random.default_rng(seed).permutation(6)
    for score, value in ((label_statistics.leep, leep), (label_statistics.nce, nce)):
        assert score(probabilities[order][:, columns], (labels * 7 + 3)[order]) == pytest.approx(
            value, abs=1e-12
        )


def test_label_statistics_at_their_ends():
    labels = np.array([0, 0, 1, 1])
    assert label_statistics.leep(np.eye(2)[labels], labels) == 0
    assert label_statistics.nce(np.eye(2)[labels], labels) == 0
    same = np.full((4, 3), 1 / 3)
    assert label_statistics.leep(same, labels) == pytest.approx(-np.log(2))
    assert label_statistics.nce(same, labels) == pytest.approx(-np.log(2))
    # A source class that nothing gets any probability of, and a likelihood so small that its square
    # is 0 in float32.
    rare = np.array([[1, 0, 0], [1 - 1e-30, 1e-30, 0], [1, 0, 0], [1, 0, 0]])
    assert np.isfinite(label_statistics.leep(rare, np.array([0, 1, 0, 0])))


def test_n_leep_is_leep_on_the_posteriors_of_a_mixture():
    """One Gaussian a class on classes far apart: its posteriors are the labels, so that nothing is left to learn."""
    features, labels, _ = made(apart=40.0, width=5)
    assert label_statistics.n_leep(
        features, labels, 5, 1, covariance="full", steps=50, seed=0
    ) == pytest.approx(0, abs=1e-6)
    features, labels, _ = made(apart=0.0, count=400)
    blurred = label_statistics.n_leep(features, labels, 5, 1, covariance="diag", steps=50, seed=0)
    entropy = scipy.stats.entropy(np.bincount(labels) / len(labels))
    assert -entropy - 1e-9 <= blurred <= -0.7 * entropy
    turned = features @ scipy.stats.special_ortho_group.rvs(7, random_state=0) * 9
    assert label_statistics.n_leep(
        turned, labels, 5, 1, covariance="diag", steps=50, seed=0
    ) == pytest.approx(blurred, abs=1e-6)


def test_n_leep_is_the_mixture_of_scikit_learn_on_its_principal_components():
    from sklearn.decomposition import PCA
    from sklearn.mixture import GaussianMixture

    features, labels, _ = made(count=200, width=12, apart=2.0)
    points = PCA(0.8, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(8, covariance_type="diag", random_state=3, max_iter=20, tol=1e-3)
    posteriors = mixture.fit(points / points.std()).predict_proba(points / points.std())
    expected = leep_by_loops(posteriors, labels)
    assert label_statistics.n_leep(
        features, labels, 12, 2, covariance="diag", steps=20, seed=3
    ) == pytest.approx(expected, abs=1e-8)
