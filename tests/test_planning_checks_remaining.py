"""All mistakes are told at once: a wrong value hides no other, and nothing is told that is not so."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from htsweep.errors import StudyError
from htsweep.planning.reading import read

MANY = """\
task: holistic_transfer
grid:
  dataset: [mnist-uic]
  missing_ratio: [0.3, 1.5]
  backbone: [lenet_bm]
  method: [plain, l2ps, [lolsgd, wise_fd]]
  epoch: [5]
fixed: {lr: 0.1, epochs: 5}
search:
  sampler: grid
  spaces: {l2sp: {alpha: [0.1]}}
objectives:
  - {metric: validation/seen_acc}
select: seen_valid
baseline: plian
repetitions: 0
"""


def told(path: Path) -> list[str]:
    with pytest.raises(StudyError) as caught:
        read(path)
    return [f"{problem.line} {problem.key}" for problem in caught.value.problems]


def test_twelve_mistakes_take_one_round(study_file: Callable[..., Path]) -> None:
    assert told(study_file(MANY)) == [
        "3 grid.dataset",
        "4 grid.missing_ratio.1",
        "5 grid.backbone",
        "6 grid.method.1",
        "6 grid.method.2",
        "7 grid.epoch",
        "8 fixed.lr",
        "11 search.spaces.l2sp.alpha",
        "13 objectives.0.metric",
        "14 select",
        "15 baseline",
        "16 repetitions",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The baseline is misspelt as its method is: one mistake.
        (
            "grid: {method: [plain, l2ps, [[a]]]}\nbaseline: l2ps\n",
            ["2 grid.method.2", "2 grid.method.1"],
        ),
        # The space is that of the method whose name is wrong.
        (
            "grid: {method: [plain, l2ps]}\nsearch: {spaces: {l2sp: {backbone: [0.1]}}}\n",
            ["2 grid.method.1"],
        ),
        # Data that is not there says nothing about the methods' spaces.
        (
            "grid: {dataset: ['folder:none:a-b'], method: [plain, l2sp]}\n"
            "search: {spaces: {l2sp: {backbone: [0.1]}, ewc: {weight: [1.0]}}}\n",
            ["2 grid.dataset", "3 search.spaces.ewc"],
        ),
        # The default data has three channels less than the backbone may want: not the user's mistake.
        ("grid: {dataset: [1], backbone: [vit_tiny_patch16_224]}\n", ["2 grid.dataset.0"]),
        # A sampler that does not exist hides no name.
        (
            "grid: {method: [l2ps]}\nsearch: {sampler: tpee}\n",
            ["2 grid.method.0", "3 search.sampler"],
        ),
        # A wrong word in a section hides no other name in it, nor in another section.
        (
            "grid: {method: [plain, l2sp]}\nfixed: {epoch: 1, epochs: few}\nsearch: {sampler: gird,"
            " trials: 0, spaces: {l2sp: {bakcbone: [1]}}}\nobjectives:\n"
            "  - {metric: validation/seen, direction: up}\n",
            [
                "3 fixed.epoch",
                "3 fixed.epochs",
                "4 search.sampler",
                "4 search.trials",
                "4 search.spaces.l2sp.bakcbone",
                "6 objectives.0.direction",
                "6 objectives.0.metric",
            ],
        ),
        (
            "grid: {dataset: [mnist-uci]}\nablate: {full: {method: [lolsgd, wise_fit]}, components:"
            " [lolsg]}\nscreen: {scores: [logmee], keep: 1}\n",
            ["3 ablate.components.0", "3 ablate.full.method", "4 screen.scores.0"],
        ),
        # What is left out of a section is not missed there.
        ("grid: {method: [plain]}\nscreen: {scores: [logme], keep: x}\n", ["3 screen.keep"]),
        (
            "grid: {method: [l2sp]}\nsearch: {sampler: tpe, trials: x}\nobjectives: "
            "[{metric: validation/seen_accuracy}]\n",
            ["3 search.trials"],
        ),
        (
            "grid: {method: [l2sp]}\nobjectives: [{metric: test/seen_accuracy, oracle: 1}]\n",
            ["3 objectives.0.oracle"],
        ),
        # What is misspelt may have been meant to be the baseline.
        ("grid: {method: [plian, l2sp]}\nbaseline: plain\n", ["2 grid.method.0"]),
        ("grid: {method: [plian, l2sp]}\nbaseline: plainn\n", ["2 grid.method.0", "3 baseline"]),
        # A key that is no key hides no conflict of others.
        (
            "grid: {method: [[linear_probe, frozen_classifier]]}\nfixed: {colour: 1}\n",
            ["2 grid.method.0", "3 fixed.colour"],
        ),
    ],
)
def test_what_only_follows_is_not_told(
    text: str, expected: list[str], study_file: Callable[..., Path]
) -> None:
    assert told(study_file(f"task: holistic_transfer\n{text}")) == expected


RIGHT: dict[str, Any] = {
    "task": "holistic_transfer",
    "grid": {"dataset": ["mnist-uci"], "method": ["plain", "l2sp"]},
    "fixed": {},
    "search": {"spaces": {"l2sp": {"backbone": [0.1]}}},
    "objectives": [{"metric": "validation/seen_accuracy"}],
    "baseline": "plain",
}
MISTAKES: list[dict[str, Any]] = [
    {"fixed.learning_rate": "fast"},
    {"fixed.leaning_rate": 0.1},
    {"fixed.optimizer": 3},
    {"grid.missing_ratio": [1.5]},
    {"grid.missing_ratio": 0.3},
    {"grid.dataset": ["mnist-uic"]},
    {"grid.backbone": ["lenet_bm"]},
    {"repetitions": "three"},
    {"repetition": 3},
    {"select": "seen_valid"},
    {"objectives": [{"metric": "validation/seen_acc"}]},
    {"search.sampler": "gird"},
    {"resources": {"cpu": 0}},
]
CONFLICTS: list[dict[str, Any]] = [
    {"fixed.warmup_steps": 50, "fixed.epochs": 2, "fixed.steps_per_epoch": 5},
    {"fixed.schedule": "step", "fixed.milestones": [7], "fixed.epochs": 4},
    {"fixed.schedule": "step"},
    {"fixed.amp_dtype": "float16"},
    {"fixed.epochs": 3, "grid.epochs": [3]},
    {"grid.method": ["plain", "l2sp", ["linear_probe", "frozen_classifier"]]},
    {"grid.ewc.weight": [1.0]},
    {"fixed.other_classes": "keep"},
    {"resources": {"when": [{"method": "ewc", "gpu": 0.5}]}},
    {"search.spaces": {"all": {"warmup_steps": [5000]}, "l2sp": {"backbone": [0.1]}}},
]


def made_with(changes: Mapping[str, Any]) -> str:
    study = copy.deepcopy(RIGHT)
    for place, value in changes.items():
        section, _, key = place.partition(".")
        if key:
            study[section][key] = value
        else:
            study[section] = value
    return json.dumps(study)


def messages(path: Path) -> set[tuple[str, str]]:
    """Without the names that there are to choose from, which the other mistake may add to."""
    try:
        read(path)
    except StudyError as error:
        return {
            (
                one.key,
                one.message.partition("known:")[0].partition("did you")[0].partition(" (in")[0],
            )
            for one in error.problems
        }
    return set()


def test_two_mistakes_at_once_are_told_as_each_is_alone(study_file: Callable[..., Path]) -> None:
    assert messages(study_file(made_with({}))) == set()
    alone = [messages(study_file(made_with(one))) for one in (*MISTAKES, *CONFLICTS)]
    assert all(alone)
    pairs = itertools.product(enumerate(MISTAKES), enumerate(CONFLICTS, len(MISTAKES)))
    for (first, mistake), (second, conflict) in pairs:
        if not {*mistake} & {*conflict}:
            both = messages(study_file(made_with({**mistake, **conflict})))
            assert both == alone[first] | alone[second], (mistake, conflict)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # How many epochs there are to be is not known, whether misspelt or no number.
        ("fixed: {epoch: 20, schedule: step, milestones: [7]}\n", ["2 fixed.epoch"]),
        ("fixed: {epochs: many, schedule: step, milestones: [7]}\n", ["2 fixed.epochs"]),
        ("fixed: {weights: 5}\ngrid: {dataset: [pretrained-uci]}\n", ["2 fixed.weights"]),
        # A value alone is a list of one, and is checked as that.
        (
            "grid: {method: l2ps, epochs: 2}\nfixed: {warmup_steps: 500}\n",
            ["2 grid.epochs", "2 grid.method", "2 grid.method.0", "3 fixed.warmup_steps"],
        ),
        # The parameter is that of the method whose name is wrong.
        ("grid: {method: [plain, l2ps], l2sp.backbone: [0.1]}\n", ["2 grid.method.1"]),
    ],
)
def test_what_depends_on_what_is_not_known_is_not_told(
    text: str, expected: list[str], study_file: Callable[..., Path]
) -> None:
    task = "fine_tuning" if "pretrained" in text else "holistic_transfer"
    assert sorted(told(study_file(f"task: {task}\n{text}"))) == expected
