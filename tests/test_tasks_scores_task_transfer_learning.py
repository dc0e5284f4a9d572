"""The transport plans by which transforms are learned, against linear programs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transferred import euclidean, program

from tasks.scores.task_transfer_learning import class_counts, drawn, exact_plan
from tasks.scores.task_transfer_terms import (
    transport,
)


class TestTransport:
    @pytest.mark.parametrize("label_cost", [0.0, 10.0, 1e8])
    @pytest.mark.parametrize("seed", range(3))
    def test_the_plan_is_the_linear_programs(self, seed, label_cost):
        rng = np.random.default_rng(seed)
        labels = rng.dirichlet(np.ones(3), 4)  # the new label of each of 4 source classes
        of_classes = np.linalg.norm(labels[:, None] - np.eye(3), axis=2)
        costs = euclidean(rng.normal(size=(15, 3)), rng.normal(size=(15, 3)))
        costs += label_cost * of_classes[np.arange(15) % 4][:, np.arange(15) % 3]
        carried = exact_plan(costs)
        assert sorted(carried) == list(range(15))
        _, cost = program(np.ones(15), np.ones(15), costs)
        assert costs[np.arange(15), carried].sum() == pytest.approx(cost, rel=1e-9)

    @pytest.mark.parametrize("seed", range(3))
    def test_the_distance_is_the_linear_programs(self, seed):
        rng = np.random.default_rng(seed)
        points, others, weights = (
            rng.normal(size=(9, 3)),
            rng.normal(size=(7, 3)),
            rng.dirichlet(np.ones(9)),
        )
        weights[2] = 0
        weights /= weights.sum()
        _, cost = program(weights, np.full(7, 1 / 7), euclidean(points, others))
        assert transport(points, weights, others) == pytest.approx(cost)

    @given(
        st.lists(st.floats(0, 1), min_size=2, max_size=12).filter(lambda values: sum(values) > 0.1),
        st.integers(12, 400),
    )
    def test_counts_sum_up_and_are_within_one_of_the_share(self, shares, total):
        prior = np.array(shares) / sum(shares)
        counts = class_counts(prior, total)
        assert counts.sum() == total
        assert (np.abs(counts - prior * total) <= 1 + 1e-9).all()

    def test_a_class_is_drawn_again_only_where_it_has_too_few(self):
        labels = np.array([0, 0, 1, 1, 1, 1])
        rows = drawn(labels, np.array([5, 3]), np.random.default_rng(0))
        np.testing.assert_array_equal(np.bincount(labels[rows]), [5, 3])
        assert sorted(np.bincount(rows[:5], minlength=2)) == [2, 3]
        assert len(set(rows[5:])) == 3
