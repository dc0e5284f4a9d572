"""Task Transfer Analysis: what is learned on data made so, the terms against their equations, and the bound on every pair."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from tasks.scores import task_transfer
from tasks.scores.evidence import Evidence
from tasks.scores.task_transfer_learning import Settings, class_counts, drawn, exact_plan, learned
from tasks.scores.task_transfer_probe import constrained_probe
from tasks.scores.task_transfer_terms import (
    Linear,
    Sample,
    Transform,
    class_free_terms,
    conditional_entropy,
    joint_weights,
    supremum,
    terms,
    transport,
    uncovered,
)

SHORT = {"steps": 80, "samples": 100, "rate": 0.05}
SCORES = {
    "tta": SHORT | {"label_steps": 20},
    "tta_features_only": SHORT,
    "tta_fixed": {},
    "tta_unlabelled": SHORT,
}


def made(
    seed=0, *, classes=4, extra=0, width=8, spread=1.5, images=160, linear=None, permuted=True
):
    """Gaussian classes; target class t is source class `order[t]`, its features seen through `linear`."""
    rng = np.random.default_rng(seed)
    sources = classes + extra
    means = spread * rng.normal(size=(sources, width))
    order = rng.permutation(sources)[:classes] if permuted else np.arange(classes)

    def domain(labels, of, through):
        features = means[of[labels]] + rng.normal(size=(len(labels), width))
        return (features if through is None else features @ through.T).astype(np.float32), labels

    source = [domain(np.arange(images) % sources, np.arange(sources), None) for _ in range(2)]
    target = [domain(np.arange(images) % classes, order, linear) for _ in range(2)]
    (features, labels), (test_features, test_labels) = target
    (source_features, source_labels), (held_features, held_labels) = source
    return order, Evidence(
        features=features,
        labels=labels,
        test_features=test_features,
        test_labels=test_labels,
        source_features=source_features,
        source_labels=source_labels,
        held_features=held_features,
        held_labels=held_labels,
        target_classes=tuple(range(classes)),
        missing_classes=(),
        shared_classes=not permuted,
        probabilities=None,
        head=None,
        seed=lambda *names: zlib.crc32(repr((seed, names)).encode()) % 2**31,
    )


def score(name, evidence, **parameters):
    return getattr(task_transfer, name)(evidence, **SCORES[name] | parameters)


@pytest.fixture
def found(monkeypatch):
    """The transforms that the scores learn, in order."""
    kept = []
    monkeypatch.setattr(
        task_transfer, "learned", lambda *a, **k: kept.append(learned(*a, **k)) or kept[-1]
    )
    return kept


def any_transform(rng, targets, sources, width):
    labels = rng.normal(size=(targets, sources)) * 3
    prior = rng.dirichlet(np.ones(sources))
    matrix = np.eye(width) + 0.3 * rng.normal(size=(width, width))
    return Transform(
        matrix=matrix,
        inverse=np.linalg.inv(matrix) + 0.1 * rng.normal(size=(width, width)),
        shift=rng.normal(size=width),
        log_labels=labels - np.log(np.exp(labels).sum(0)),
        prior=prior,
    )


def any_problem(seed, targets=3, sources=5, width=4, images=40):
    rng = np.random.default_rng(seed)
    classifier = Linear(rng.normal(size=(sources, width)), rng.normal(size=sources))
    source = Sample(
        rng.normal(size=(images, width)),
        np.append(np.arange(sources), rng.integers(0, sources, images - sources)),
    )
    target = Sample(rng.normal(size=(30, width)), rng.integers(0, targets, 30))
    return classifier, any_transform(rng, targets, sources, width), source, target


class TestMadeData:
    @pytest.mark.parametrize("seed", range(3))
    def test_the_same_features_with_permuted_labels_give_the_permutation_and_the_identity(
        self, found, seed
    ):
        _, evidence = made(seed)
        # Source class k is target class order[k]
        order = np.random.default_rng(seed).permutation(4)
        images, labels = evidence.source_features, order[evidence.source_labels]
        same = replace(
            evidence,
            features=images,
            labels=labels,
            test_features=images,
            test_labels=labels,
            held_features=None,
            held_labels=None,
        )
        numbers = score("tta", same, samples=160)
        np.testing.assert_array_equal(found[-1].log_labels.argmax(0), order)
        np.testing.assert_allclose(found[-1].matrix, np.eye(8), atol=0.05)
        assert numbers["tta/bound"] == pytest.approx(numbers["tta/target_loss"], abs=0.01)

    def test_a_permutation_survives_where_there_are_more_source_classes(self, found):
        order, evidence = made(1, extra=3, spread=4.0, images=210)
        numbers = score("tta", evidence)
        np.testing.assert_array_equal(found[-1].log_labels.argmax(0)[order], np.arange(4))
        assert numbers["tta/uncovered_classes"] == 0

    def test_a_linear_map_of_features_is_recovered(self):
        _, evidence = made(2, width=4, spread=2.0, images=200, permuted=False)
        source = Sample(evidence.source_features.astype(float), evidence.source_labels)
        order = np.random.default_rng(0).permutation(200)
        through = np.eye(4) + 0.2 * np.random.default_rng(1).normal(size=(4, 4))
        target = Sample((source.features @ through.T + 1)[order], source.labels[order])
        start = Transform(
            matrix=np.eye(4),
            inverse=np.eye(4),
            shift=np.zeros(4),
            prior=np.full(4, 0.25),
            log_labels=np.where(np.eye(4) > 0, 0.0, -np.inf),
        )
        found = learned(
            start,
            np.zeros(4),
            source,
            target,
            settings=Settings(
                steps=500,
                samples=200,
                rate=0.01,
                prior_rate=0.01,
                label_cost=1e8,
                label_steps=0,
                labels=False,
            ),
            seed=0,
            device="cpu",
            bound=lambda one: transport(
                one(source.features), np.full(200, 1 / 200), target.features
            ),
        )
        np.testing.assert_allclose(found.matrix, through, atol=0.02)
        np.testing.assert_allclose(found.shift, np.ones(4), atol=0.02)
        np.testing.assert_allclose(found.matrix @ found.inverse, np.eye(4), atol=0.02)

    @pytest.mark.parametrize("seed", range(3))
    def test_the_more_is_learned_the_lower_the_bound(self, seed):
        """On test images, where the training images are enough that what is fitted to them holds for others."""
        _, evidence = made(seed, spread=2.5, images=400)
        everything, features, fixed = (
            score(name, evidence) for name in ("tta", "tta_features_only", "tta_fixed")
        )
        assert everything["tta/bound"] <= features["tta/bound"] <= fixed["tta/bound"]

    @pytest.mark.parametrize("seed", range(3))
    def test_few_training_images_never_make_learned_features_score_below_fixed_ones(self, seed):
        _, evidence = made(seed, images=24, width=12)
        features, fixed = (
            score(name, evidence)["transferability"] for name in ("tta_features_only", "tta_fixed")
        )
        assert features >= fixed


class TestTheBoundHolds:
    @pytest.mark.parametrize("name", ["tta", "tta_features_only", "tta_fixed"])
    @pytest.mark.parametrize(
        "pair",
        [{}, {"extra": 2}, {"spread": 0.2}, {"permuted": False}, {"images": 24, "width": 30}],
    )
    def test_over_both_losses_of_the_target(self, name, pair):
        _, evidence = made(3, **pair)
        numbers = score(name, evidence, lipschitz=0.5)
        assert numbers["tta/transformed_target_loss"] <= numbers["tta/tighter_bound"] + 1e-9
        assert numbers["tta/tighter_bound"] <= numbers["tta/bound"] + 1e-9
        assert numbers["tta/target_loss"] <= numbers["tta/bound"]
        parts = numbers["tta/reweighted_source_loss"] + numbers["tta/conditional_entropy"]
        assert numbers["tta/bound"] == pytest.approx(
            parts + numbers["tta/lipschitz"] * numbers["tta/wasserstein"]
        )

    @given(st.integers(0, 10**6), st.integers(1, 4), st.integers(0, 4), st.integers(1, 5))
    @settings(max_examples=60, deadline=None)
    def test_for_any_transform_whatever(self, seed, targets, extra, width):
        """No optimisation is needed for the theorem: any B, D, A and any Ā that is no inverse of it at all."""
        problem = any_problem(seed, targets, targets + extra, width)
        numbers = terms(*problem)
        assert (
            numbers["transformed_target_loss"]
            <= numbers["tighter_bound"] + 1e-9
            <= numbers["bound"] + 2e-9
        )
        assert numbers["lipschitz"] <= supremum(problem[0].weight @ problem[1].inverse) + 1e-9

    def test_without_labels_over_the_loss_against_carried_labels(self):
        """The plan is had from a linear program; what is bounded is the mean loss of each image against what comes to it."""
        for seed in range(5):
            rng = np.random.default_rng(seed)
            classifier, _, source, target = any_problem(seed, images=12)
            transform = replace(
                any_transform(rng, 5, 5, 4), log_labels=np.where(np.eye(5) > 0, 0.0, -np.inf)
            )
            numbers = class_free_terms(classifier, transform, source, target.features)
            weights = transform.prior[source.labels] / np.bincount(source.labels)[source.labels]
            plan, _ = program(
                weights, np.full(30, 1 / 30), euclidean(transform(source.features), target.features)
            )
            log_q = transform.log_probabilities(classifier, target.features)
            carried = -(plan * log_q[:, source.labels].T).sum()
            assert carried <= numbers["tighter_bound"] + 1e-9 <= numbers["bound"] + 2e-9


def euclidean(points, others):
    return np.sqrt(((points[:, None] - others) ** 2).sum(2))


def program(weights, others, costs):
    """The plan and its cost by the linear program of optimal transport."""
    rows, columns = costs.shape
    sums = np.concatenate(
        [np.kron(np.eye(rows), np.ones(columns)), np.kron(np.ones(rows), np.eye(columns))]
    )
    solved = linprog(
        costs.ravel(),
        A_eq=sums[:-1],
        b_eq=np.append(weights, others)[:-1],
        bounds=(0, None),
        method="highs",
    )
    return solved.x.reshape(rows, columns), solved.fun


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


class TestProbe:
    def test_is_the_best_of_its_steepness(self):
        """Against SLSQP, which keeps to the limit as a constraint."""
        rng = np.random.default_rng(0)
        labels = np.arange(60) % 3
        sample = Sample(rng.normal(size=(60, 2)) + 2 * rng.normal(size=(3, 2))[labels], labels)
        probe = constrained_probe(sample, 3, lipschitz=0.5, penalty=1e4, steps=2000)
        assert supremum(probe.weight) <= 0.5 + 1e-12

        def loss(point):
            return (
                -Linear(point[:6].reshape(3, 2), point[6:])
                .log_probabilities(sample.features)[np.arange(60), labels]
                .mean()
            )

        pairs = [(0, 1), (0, 2), (1, 2)]
        within = {
            "type": "ineq",
            "fun": lambda x: [
                0.25 - ((x[2 * a : 2 * a + 2] - x[2 * b : 2 * b + 2]) ** 2).sum() for a, b in pairs
            ],
        }
        best = minimize(
            loss,
            0.01 * rng.normal(size=9),
            constraints=[within],
            method="SLSQP",
            options={"maxiter": 500, "ftol": 1e-12},
        )
        assert best.success
        assert loss(np.append(probe.weight, probe.bias)) == pytest.approx(best.fun, rel=1e-3)


class TestEvidence:
    def test_fewer_source_than_target_classes_are_refused_with_the_reason(self):
        _, evidence = made()
        two = evidence.source_labels < 2
        few = replace(
            evidence,
            source_features=evidence.source_features[two],
            source_labels=evidence.source_labels[two],
        )
        for name in ("tta", "tta_features_only", "tta_fixed"):
            with pytest.raises(
                ValueError, match=r"2 source classes and 4 target classes.*at least"
            ):
                score(name, few)
        with pytest.raises(ValueError, match="no images of the source"):
            score("tta", replace(evidence, source_features=None, source_labels=None))

    def test_values_that_are_not_finite_are_told_with_their_row(self):
        _, evidence = made()
        broken = evidence.features.copy()
        broken[7, 1] = np.nan
        with pytest.raises(ValueError, match="row 7 of features"):
            score("tta_fixed", replace(evidence, features=broken))

    def test_the_same_map_needs_shared_classes_and_their_images(self):
        _, evidence = made()
        with pytest.raises(ValueError, match="not the source's here"):
            score("tta_fixed", evidence, label_map="same")
        with pytest.raises(ValueError, match="no images of class 9"):
            score(
                "tta_fixed",
                replace(evidence, shared_classes=True, target_classes=(0, 1, 2, 9)),
                label_map="same",
            )

    def test_missing_classes_have_no_weight_under_the_same_map(self):
        """Holistic transfer: the target has images of classes 1 and 3 of the source's 0 to 3."""
        _, evidence = made(permuted=False, spread=4.0)
        keep, kept = np.isin(evidence.labels, (1, 3)), np.isin(evidence.test_labels, (1, 3))
        part = replace(
            evidence,
            features=evidence.features[keep],
            labels=evidence.labels[keep] // 2,
            target_classes=(1, 3),
            missing_classes=(0, 2),
            test_features=evidence.test_features[kept],
            test_labels=evidence.test_labels[kept] // 2,
        )
        numbers = score("tta_fixed", part, label_map="same")
        assert numbers["tta/conditional_entropy"] == 0
        assert numbers["tta/transformed_target_accuracy"] > 0.9
        assert np.isfinite(list(numbers.values())).all()

    def test_constant_features_single_images_and_more_features_than_images_give_numbers(self):
        _, evidence = made(images=9, width=20)
        flat = replace(
            evidence,
            features=np.where(np.arange(20) < 3, 1.0, evidence.features).astype(np.float32),
        )
        for name in SCORES:
            assert np.isfinite(
                list(score(name, flat, **{"steps": 20} if name != "tta_fixed" else {}).values())
            ).all()

    @pytest.mark.parametrize("name", SCORES)
    def test_deterministic_and_test_labels_change_nothing_that_is_learned(self, found, name):
        _, evidence = made(4)
        short = {} if name == "tta_fixed" else {"steps": 30}
        first = score(name, evidence, **short)
        assert score(name, evidence, **short) == first
        other = replace(
            evidence,
            test_labels=np.roll(evidence.test_labels, 1),
            test_features=evidence.test_features[::-1].copy(),
        )
        again = score(name, other, **short)
        assert again["transferability"] == first["transferability"]
        assert again["tta/target_loss"] != first["tta/target_loss"]
        for one, two in zip(found, found[2:], strict=False):
            assert all(np.array_equal(vars(one)[key], vars(two)[key]) for key in vars(one))

    def test_the_unlabelled_variant_looks_at_no_label_of_the_target(self, found):
        _, evidence = made(5, permuted=False)
        first = score("tta_unlabelled", evidence, judged=60)
        shuffled = replace(evidence, labels=np.random.default_rng(0).permutation(evidence.labels))
        again = score("tta_unlabelled", shuffled, judged=60)
        learnt = [key for key in first if not key.startswith("tta/target_")]
        assert {key: again[key] for key in learnt} == {key: first[key] for key in learnt}
        np.testing.assert_array_equal(found[0].matrix, found[1].matrix)
        assert first["tta/transformed_target_accuracy"] > 0.5
