"""The terms of the bound against their equations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from transferred import any_problem, any_transform, euclidean, program

from tasks.scores.task_transfer_terms import (
    conditional_entropy,
    joint_weights,
    steepness_at_labels,
    supremum,
    terms,
    uncovered,
)


class TestTerms:
    def test_each_is_its_equation(self):
        """Loops over images, classes and labels, from the equations alone."""
        classifier, transform, source, target = any_problem(7)
        numbers = terms(classifier, transform, source, target)
        labels, prior, p_target = (
            np.exp(transform.log_labels),
            transform.prior,
            np.bincount(target.labels) / 30,
        )

        def p(z):
            scores = np.exp(classifier.weight @ z + classifier.bias)
            return scores / scores.sum()

        weights = np.array(
            [
                [p_target[t] * labels[t, k] * prior[k] / (labels[t] @ prior) for k in range(5)]
                for t in range(3)
            ]
        )
        moved = [transform.matrix @ z + transform.shift for z in source.features]
        back = [transform.inverse @ (x - transform.shift) for x in moved]
        of_class = [np.flatnonzero(source.labels == k) for k in range(5)]
        reweighted = sum(
            weights[:, k].sum() * np.mean([-np.log(p(back[i])[k]) for i in of_class[k]])
            for k in range(5)
        )
        mixed = sum(
            weights[t, k] * np.mean([-np.log(labels[t] @ p(back[i])) for i in of_class[k]])
            for t in range(3)
            for k in range(5)
        )
        assert numbers["reweighted_source_loss"] == pytest.approx(reweighted)
        assert numbers["conditional_entropy"] == pytest.approx(-(weights * np.log(labels)).sum())
        assert numbers["transformed_source_loss"] == pytest.approx(mixed)
        seen_from = [transform.inverse @ (x - transform.shift) for x in target.features]
        losses = [
            -np.log((labels @ p(z))[t]) for z, t in zip(seen_from, target.labels, strict=True)
        ]
        assert numbers["transformed_target_loss"] == pytest.approx(np.mean(losses))
        slopes = [
            np.linalg.norm(transform.inverse.T @ classifier.weight.T @ (p(z) - np.eye(5)[k]))
            for z in seen_from
            for k in range(5)
        ]
        assert numbers["lipschitz"] == pytest.approx(max(slopes))
        distance = sum(
            p_target[t]
            * program(
                np.array([weights[t, k] / p_target[t] / len(of_class[k]) for k in source.labels]),
                np.full((target.labels == t).sum(), 1 / (target.labels == t).sum()),
                euclidean(np.array(moved), target.features[target.labels == t]),
            )[1]
            for t in range(3)
        )
        assert numbers["wasserstein"] == pytest.approx(distance)
        gap = (weights.sum(0) - prior) @ [
            np.mean([-np.log(p(back[i])[k]) for i in of_class[k]]) for k in range(5)
        ]
        gap -= ((weights - labels * prior) * np.log(labels)).sum()
        assert numbers["prior_gap"] == pytest.approx(gap)

    def test_there_is_no_prior_gap_where_the_marginals_match(self):
        classifier, transform, source, target = any_problem(1, targets=4, sources=4)
        matched = replace(
            transform,
            log_labels=np.where(np.eye(4) > 0, 0.0, -np.inf),
            prior=np.bincount(target.labels, minlength=4) / 30,
        )
        assert terms(classifier, matched, source, target)["prior_gap"] == pytest.approx(
            0, abs=1e-12
        )

    def test_the_supremum_of_the_gradient_is_what_a_search_finds(self):
        rng = np.random.default_rng(0)
        weight, bias = rng.normal(size=(5, 3)), rng.normal(size=5)

        def slope(z, label):
            scores = weight @ z + bias
            p = np.exp(scores - scores.max())
            return np.linalg.norm(weight.T @ (p / p.sum() - np.eye(5)[label]))

        found = max(
            -minimize(
                lambda z, label=label: -slope(z, label),
                3 * rng.normal(size=3),
                method="Nelder-Mead",
                options={"maxiter": 400},
            ).fun
            for label in range(5)
            for _ in range(8)
        )
        assert found <= supremum(weight) + 1e-12
        assert found == pytest.approx(supremum(weight), rel=1e-3)

    def test_conditional_entropy_is_zero_at_one_hot_and_logarithmic_at_uniform(self):
        prior = np.array([0.2, 0.3, 0.5])
        with np.errstate(divide="ignore"):
            assert conditional_entropy(np.log(np.eye(3)), prior) == 0
        assert conditional_entropy(np.array([[0.0] * 3, [-1000.0] * 3]), prior) == 0
        assert conditional_entropy(np.full((4, 3), -np.log(4)), prior) == pytest.approx(np.log(4))

    @given(st.integers(0, 10**6), st.integers(2, 5))
    @settings(max_examples=30, deadline=None)
    def test_joint_weights_have_the_targets_marginals(self, seed, targets):
        rng = np.random.default_rng(seed)
        marginals = rng.dirichlet(np.ones(targets)) * (np.arange(targets) > 0)
        marginals /= marginals.sum()
        weights = joint_weights(any_transform(rng, targets, targets + 2, 2), marginals)
        np.testing.assert_allclose(weights.sum(1), marginals, atol=1e-12)
        assert (weights >= 0).all()

    def test_a_target_class_that_no_source_class_maps_to_is_counted_and_never_passed_over(self):
        """The released code returned 1e10 for one such class and left another out, by its number."""
        labels = np.array([[1.0, 1.0, 1.0], [1e-6, 0, 0], [0, 0, 0]])
        with np.errstate(divide="ignore"):
            transform = replace(
                any_transform(np.random.default_rng(0), 3, 3, 2),
                log_labels=np.log(labels / labels.sum(0)),
            )
        assert uncovered(transform.log_labels) == 2
        np.testing.assert_allclose(
            joint_weights(transform, np.array([0.5, 0.5, 0.0])).sum(1), [0.5, 0.5, 0.0]
        )
        with pytest.raises(ValueError, match="no source class maps to the target's class 2"):
            joint_weights(transform, np.full(3, 1 / 3))


class TestTheReleasedCodesSteepness:
    @pytest.mark.parametrize("seed", range(4))
    def test_it_is_the_largest_slope_of_the_loss_by_differences(self, seed):
        classifier, transform, source, target = any_problem(seed)
        drawn = np.random.default_rng(seed).integers(0, 3, len(target.labels))

        def loss(x, label):
            return -transform.log_probabilities(classifier, x[None])[0, label]

        step = 1e-6
        slopes = [
            np.linalg.norm(
                [
                    (loss(x + step * way, label) - loss(x - step * way, label)) / (2 * step)
                    for way in np.eye(len(x))
                ]
            )
            for labels in (target.labels, drawn)
            for x, label in zip(target.features, labels, strict=True)
        ]
        found = steepness_at_labels(classifier, transform, target, drawn)
        assert found == pytest.approx(max(slopes), rel=1e-5)
        numbers = terms(classifier, transform, source, target, drawn)
        assert numbers["lipschitz_code"] == found <= numbers["lipschitz"] + 1e-9
        assert numbers["bound_code"] == pytest.approx(
            numbers["bound"] + (found - numbers["lipschitz"]) * numbers["wasserstein"]
        )
        assert "bound_code" not in terms(classifier, transform, source, target)

    def test_a_label_of_no_source_class_has_no_slope(self):
        classifier, transform, _, target = any_problem(1)
        lost = replace(transform, log_labels=np.vstack([transform.log_labels, [-np.inf] * 5]))
        drawn = np.full(len(target.labels), 3)
        own = steepness_at_labels(classifier, transform, target, target.labels)
        assert steepness_at_labels(classifier, lost, target, drawn) == pytest.approx(own)
