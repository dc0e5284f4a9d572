"""A test suite for transferability scores, built in or a user's own."""

from __future__ import annotations

import copy
import random
import zlib
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import scores
from tasks.scores import NEEDS, Evidence

CLASSES, WIDTH = 5, 6
MISSING, SEEN = (1, 3), (0, 2, 4)
JUDGED_ON_TEST_IMAGES = "test_images"


def small_evidence(images: int = 60) -> Evidence:
    """A source with a nearest-mean head, and a noisy target with three of its five classes."""
    generator = np.random.default_rng(0)
    means = generator.normal(size=(CLASSES, WIDTH)) * 2

    def drawn(
        classes: tuple[int, ...], count: int, moved: float
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        labels = np.concatenate([classes, generator.choice(classes, count - len(classes))])
        noise = generator.normal(size=(count, WIDTH))
        return (means[labels] + moved + noise).astype(np.float32), labels

    features, labels = drawn(SEEN, images, 0.6)
    source_features, source_labels = drawn(tuple(range(CLASSES)), 80, 0.0)
    held_features, held_labels = drawn(tuple(range(CLASSES)), 50, 0.0)
    test_features, test_labels = drawn(SEEN, 30, 0.6)
    weight = (means / 2).astype(np.float32)
    bias = (-(means**2).sum(1) / 4).astype(np.float32)
    exponentials = np.exp(features @ weight.T + bias)
    return Evidence(
        features=features,
        labels=np.searchsorted(SEEN, labels),
        target_classes=SEEN,
        missing_classes=MISSING,
        shared_classes=True,
        probabilities=exponentials / exponentials.sum(1, keepdims=True),
        head=(weight, bias),
        source_features=source_features,
        source_labels=source_labels,
        held_features=held_features,
        held_labels=held_labels,
        test_features=test_features,
        test_labels=np.searchsorted(SEEN, test_labels),
        seed=lambda *names: zlib.crc32(repr(names).encode()) % 2**31,
    )


def without(evidence: Evidence, need: str) -> Evidence:
    """The evidence without something that a score may need."""
    if need == "head":
        return replace(evidence, head=None, probabilities=None)
    if need == "source_data":
        return replace(
            evidence,
            source_features=None,
            source_labels=None,
            held_features=None,
            held_labels=None,
        )
    if need == "held_out" and evidence.held_features is not None:
        return replace(
            evidence, held_features=np.empty((0, WIDTH), np.float32), held_labels=np.empty(0, int)
        )
    if need == "missing_classes":
        return replace(evidence, missing_classes=())
    if need == "shared_classes":
        return replace(evidence, shared_classes=False)
    return evidence


class ScoreConformance:
    """The rules for scores: subclass it with a score's name, and pytest runs its tests."""

    score: str = "logme"
    """A name as in a study: `logme`, `my_scores:spread`."""
    parameters: Mapping[str, Any] = {}
    """Settings by config key that the checks use instead of the score's defaults."""

    def test_a_study_can_name_it(self) -> None:
        """It is found, and each setting has a description and a default within its range."""
        wrong = scores.problem(self.score)
        assert not wrong, self._said(wrong, "see what the sentence says")
        settings = scores.parameters(self.score)
        strange = sorted(set(self.parameters) - set(settings))
        assert not strange, self._said(
            f"`parameters` has {strange}, but its settings are {sorted(settings)}",
            "name them as in a study",
        )
        for key, setting in settings.items():
            assert setting.doc, self._said(
                f"the setting {key} has no line",
                f"describe it in the docstring: '{key.rpartition('.')[2]}: what it is'",
            )
            if setting.low is not None and setting.high is not None:
                assert setting.low <= setting.default <= setting.high, self._said(
                    f"the default of {key} is {setting.default}, outside of its range",
                    "widen the range",
                )

    def test_it_gives_what_it_declares(self) -> None:
        """It returns the score and the declared parts."""
        given, declared = set(self._scored()), {"transferability", *scores.parts(self.score)}
        assert given == declared, self._said(
            f"it gives {sorted(given)}, but declares {sorted(declared)}",
            "name what it gives beside `transferability` in @score(parts=...)",
        )

    def test_a_seed_decides_everything(self) -> None:
        """The same evidence gives the same numbers, whatever the state of global generators."""
        numbers = []
        for elsewhere in (1, 2):
            np.random.seed(elsewhere)
            random.seed(elsewhere)
            numbers.append(self._scored())
        first, again = numbers
        assert first == again, self._said(
            f"the same evidence gives {first} and then {again}",
            "draw from np.random.default_rng(seed), with a parameter called `seed`",
        )

    def test_it_needs_no_more_than_it_declares(self) -> None:
        """It also works without anything that it does not declare to need."""
        needs = scores.needs(self.score)
        for need in sorted(frozenset(NEEDS) - needs):
            if need == "source_data" and "held_out" in needs:
                continue
            evidence = without(small_evidence(), need)
            try:
                self._scored(evidence)
            except Exception as error:
                raise AssertionError(
                    self._said(
                        f"without '{need}', which it does not name, it fails: "
                        f"{type(error).__name__}: {error}",
                        f"name it: @score(needs={{'{need}'}}), or do without",
                    )
                ) from error

    def test_it_looks_at_no_test_image(self) -> None:
        """The score does not depend on test images."""
        whole = small_evidence()
        other = replace(
            whole,
            test_features=np.random.default_rng(1).random(whole.test_features.shape, np.float32),
            test_labels=whole.test_labels[::-1].copy(),
        )
        first, second = self._scored(whole), self._scored(other)
        if JUDGED_ON_TEST_IMAGES in scores.needs(self.score):
            first, second = (
                {"transferability": evidence["transferability"]} for evidence in (first, second)
            )
        assert first == second, self._said(
            f"with other test images it gives {second} in place of {first}",
            "use `features`, which are the target's training images",
        )

    def test_the_evidence_stays_as_it_is(self) -> None:
        """It does not change the evidence, since other scores read the same arrays."""
        evidence = small_evidence()
        before = copy.deepcopy(
            {part.name: getattr(evidence, part.name) for part in fields(evidence)}
        )
        self._scored(evidence)
        changed = [
            name
            for name, value in before.items()
            if not _same(value, getattr(evidence, name)) and name != "seed"
        ]
        assert not changed, self._said(f"it changes {changed}", "work on a copy")

    def test_what_it_cannot_score_it_says_in_words(self) -> None:
        """Degenerate evidence gives finite numbers or a `ValueError`."""
        whole = small_evidence()
        first = np.unique(whole.labels, return_index=True)[1]
        probabilities = whole.probabilities
        assert probabilities is not None
        cases = {
            "constant features": replace(whole, features=np.ones_like(whole.features)),
            "one image of each class": replace(
                whole,
                features=whole.features[first],
                labels=whole.labels[first],
                probabilities=probabilities[first],
            ),
            "fewer images than features": small_evidence(WIDTH - 1),
        }
        for what, evidence in cases.items():
            try:
                self._scored(evidence)
            except ValueError:
                continue
            except Exception as error:
                raise AssertionError(
                    self._said(
                        f"{what}: {type(error).__name__}: {error}",
                        "raise a ValueError that says what cannot be scored and what to do",
                    )
                ) from error

    def _scored(self, evidence: Evidence | None = None) -> dict[str, float]:
        return scores.compute(self.score, evidence or small_evidence(), self.parameters)

    def _said(self, wrong: str, remedy: str) -> str:
        return f"{self.score}: {wrong}.\nRemedy: {remedy}."


def _same(first: Any, other: Any) -> bool:
    if isinstance(first, tuple):
        return len(first) == len(other) and all(map(_same, first, other))
    return bool(np.array_equal(first, other))
