"""OTCE against a linear program."""

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scored import made

from tasks.scores import transport


def by_linear_program(source_features, source_labels, features, labels):
    """W and CE from a plan that scipy's simplex gives."""
    cost = np.array([[((s - f) ** 2).sum() for f in features] for s in source_features])
    rows, columns = cost.shape
    sums = np.array(
        [np.kron(np.eye(rows)[i], np.ones(columns)) for i in range(rows)]
        + [np.kron(np.ones(rows), np.eye(columns)[j]) for j in range(columns)]
    )
    found = scipy.optimize.linprog(
        cost.ravel(), A_eq=sums, b_eq=[1 / rows] * rows + [1 / columns] * columns, method="highs"
    )
    plan, entropy = found.x.reshape(rows, columns), 0.0
    for s in set(source_labels.tolist()):
        for t in set(labels.tolist()):
            both = plan[np.ix_(source_labels == s, labels == t)].sum()
            entropy -= both * np.log(both / plan[source_labels == s].sum()) if both > 1e-12 else 0
    return found.fun, entropy


@pytest.mark.parametrize("seed", range(6))
def test_otce_is_the_linear_program(seed):
    """Costs of real numbers: the plan is unique, so that the entropy is too."""
    source, source_labels, _ = made(seed, count=9, width=3, classes=3)
    target, labels, _ = made(seed + 50, count=11 - seed % 3, width=3, classes=3)
    distance, entropy = transport.otce(
        source, source_labels * 2, target, labels, samples=100, seed=0
    )
    expected = by_linear_program(source, source_labels, target, labels)
    assert (distance, entropy) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(arrays(np.float64, (12, 3), elements=st.integers(-4, 4).map(float)), st.integers(0, 99))
def test_otce_of_a_domain_and_itself_is_nothing(features, seed):
    labels = np.unique(features, axis=0, return_inverse=True)[1].ravel()
    distance, entropy = transport.otce(
        features, labels, features[::-1], labels[::-1], samples=100, seed=seed
    )
    assert distance == pytest.approx(0, abs=1e-9)
    assert entropy == pytest.approx(0, abs=1e-9)


def test_otce_draws_as_many_as_told_and_a_seed_decides_which():
    source, source_labels, _ = made(0, count=300)
    target, labels, _ = made(1, count=200)
    found = [
        transport.otce(source, source_labels, target, labels, samples=50, seed=seed)
        for seed in (1, 1, 2)
    ]
    assert found[0] == found[1] != found[2]
    whole = transport.otce(source, source_labels, target, labels, samples=300, seed=1)
    assert whole == transport.otce(source, source_labels, target, labels, samples=1000, seed=2)


def test_a_large_common_mean_costs_otce_no_digits():
    source, source_labels, _ = made(0, count=30)
    target, labels, _ = made(1, count=30)
    near, far = (
        transport.otce(source + m, source_labels, target + m, labels, samples=100, seed=0)[0]
        for m in (0.0, 1e6)
    )
    assert far == pytest.approx(near, rel=1e-8)
