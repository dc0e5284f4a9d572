"""The scores that serve as controls: source accuracy, nearest class mean, linear probe."""

import numpy as np
import pytest
from hypothesis import given, settings
from scored import cases, made
from sklearn.linear_model import LogisticRegression

from tasks.metrics import nearest_class_mean as cosine_to_means
from tasks.scores import controls


def test_accuracy_is_the_share_that_the_head_tells_right():
    rng = np.random.default_rng(0)
    weight, bias, features, labels = (
        rng.normal(size=(4, 3)),
        rng.normal(size=4),
        rng.normal(size=(50, 3)),
        rng.integers(0, 4, 50),
    )
    right = [
        max(range(4), key=lambda k, f=f: float(weight[k] @ f + bias[k])) == y
        for f, y in zip(features, labels, strict=True)
    ]
    assert controls.source_accuracy((weight, bias), features, labels) == np.mean(right)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_nearest_class_mean_leaves_each_image_out(case):
    features, labels, _ = case
    right = []
    for index in range(len(labels)):
        others = np.arange(len(labels)) != index
        cosines = cosine_to_means(
            features[others], labels[others], features[[index]], int(labels.max()) + 1
        )[0]
        right.append(cosines.argmax() == labels[index] and np.isfinite(cosines[labels[index]]))
    if features.shape[1] > 1:  # in one dimension all cosines are 1 or -1, and ties are no accident
        assert controls.nearest_class_mean(features, labels) == pytest.approx(np.mean(right))


def test_linear_probe_is_a_regression_judged_on_images_that_it_was_not_fitted_to():
    features, labels, _ = made(count=400, width=8, apart=1.2)
    accuracy, fitted = controls.linear_probe(features, labels, 0.25, 1e-3, steps=100, seed=1)
    # Held-out accuracies over many splits by scikit-learn's own means: ours is one of their kind.
    from sklearn.model_selection import StratifiedShuffleSplit

    theirs = [
        LogisticRegression(C=1 / (1e-3 * 300), max_iter=100)
        .fit(features[a], labels[a])
        .score(features[b], labels[b])
        for a, b in StratifiedShuffleSplit(10, test_size=0.25, random_state=0).split(
            features, labels
        )
    ]
    assert min(theirs) <= accuracy <= max(theirs)
    ours = [
        controls.linear_probe(features, labels, 0.25, 1e-3, steps=100, seed=seed)[0]
        for seed in range(10)
    ]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=4 * np.std(theirs) / np.sqrt(10))
    assert fitted >= np.mean(ours)
    assert controls.linear_probe(features, labels, 0.25, 1e-3, steps=100, seed=1) == (
        accuracy,
        fitted,
    )


def test_linear_probe_of_labels_without_meaning_is_chance():
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(2000, 50)), rng.integers(0, 4, 2000)
    accuracy, fitted = controls.linear_probe(features, labels, 0.5, 1e-4, steps=100, seed=0)
    assert accuracy == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 1000))
    assert fitted > accuracy
