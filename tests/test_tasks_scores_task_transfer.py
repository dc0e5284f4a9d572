"""Task Transfer Analysis: what is learned on made data, and the bound on every pair."""

from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transferred import any_problem, any_transform, euclidean, program

from tasks.scores import task_transfer
from tasks.scores.evidence import Evidence
from tasks.scores.task_transfer_learning import Settings, learned
from tasks.scores.task_transfer_terms import (
    Sample,
    Transform,
    class_free_terms,
    supremum,
    terms,
    transport,
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
