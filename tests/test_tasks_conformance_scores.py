"""The suite for scores: all built-in ones pass it, and each broken one fails the check that is about its fault."""

import re
import sys
from types import ModuleType

import numpy as np
import pytest

from tasks import scores
from tasks.conformance import ScoreConformance
from tasks.scores import score

SHORT = {
    "tta.steps": 3,
    "tta.probe_steps": 3,
    "tta.label_steps": 1,
    "tta.samples": 20,
    "tta.judged": 30,
}

for name in scores.NAMES:
    known = scores.parameters(name)
    globals()[f"Test_{name}"] = type(
        f"Test_{name}",
        (ScoreConformance,),
        {
            "score": name,
            "parameters": {key: value for key, value in SHORT.items() if key in known},
            "__module__": __name__,
        },
    )


@score(parts=("own/spread",))
def undeclared(features, labels):
    return {"transferability": 1.0, "own/other": 2.0}


def needy(features, probabilities):
    return float(probabilities.mean())


def unseeded(features):
    return float(np.random.random())


def peeking(evidence):
    return float(evidence.test_features.mean())


def spoiling(features):
    features += 1
    return float(features.mean())


def raising(features, labels):
    return 1 / int(len(labels) - 5)


def wordless(features, power=2.0):
    return float(features.mean()) * power


@pytest.mark.parametrize(
    ("broken", "check", "said"),
    [
        (undeclared, "test_it_gives_what_it_declares", "name what it gives"),
        (needy, "test_it_needs_no_more_than_it_declares", "name it: @score(needs={'head'})"),
        (unseeded, "test_a_seed_decides_everything", "with a parameter called `seed`"),
        (peeking, "test_it_looks_at_no_test_image", "target's training images"),
        (spoiling, "test_the_evidence_stays_as_it_is", "it changes ['features']"),
        (raising, "test_what_it_cannot_score_it_says_in_words", "ZeroDivisionError"),
        (wordless, "test_a_study_can_name_it", "power: what it is"),
    ],
)
def test_a_broken_score_fails(monkeypatch, broken, check, said):
    module = ModuleType("broken_scores")
    setattr(module, broken.__name__, broken)
    monkeypatch.setitem(sys.modules, "broken_scores", module)
    monkeypatch.setattr(broken, "__module__", __name__)
    for cached in (scores.find, scores.parameters):
        cached.cache_clear()
    suite = type("Suite", (ScoreConformance,), {"score": f"broken_scores:{broken.__name__}"})()
    with pytest.raises(AssertionError, match=re.escape(said)):
        getattr(suite, check)()


def test_what_the_analysis_knows_of_scores_is_what_they_declare():
    from tasks.transferability import transferability

    assert transferability.combined == {"otce (fitted)": ("otce_w", "otce_ce")}
    assert transferability.terms == "tta/"
    kinds = {name: scores.declaration(name).kind for name in scores.NAMES}
    assert {name for name, kind in kinds.items() if kind == "bound"} == {
        name for name in scores.NAMES if "tta/bound" in scores.parts(name)
    }
    assert {name for name, kind in kinds.items() if kind == "control"} == {
        "source_accuracy",
        "nearest_class_mean",
        "linear_probe",
    }
