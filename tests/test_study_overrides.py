"""Overrides of the command line change the study that is read, and a wrong one is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import StudyError
from htsweep.planning.reading import read

TOY = "task: toy\ngrid: {x: [0.1, 0.9]}\n"
SHARED = """\
task: toy
x-short: &short {steps: 1, noise: 0.0}
x-values: &values [0.1, 0.9]
grid: {x: *values}
fixed:
  <<: *short
  steps: 2
"""


def problems(path: Path, *overrides: str) -> dict[str, tuple[int | None, str]]:
    with pytest.raises(StudyError) as caught:
        read(path, overrides)
    return {problem.key: (problem.line, problem.message) for problem in caught.value.problems}


def test_overrides(study_file: Callable[..., Path]) -> None:
    study = read(
        study_file(TOY),
        ["repetitions=4", "grid.x=[0.2]", "fixed.steps=7", "resources.cpu=2", "search.trials=3"],
    )
    assert (study.repetitions, study.grid, study.fixed, study.resources.cpu) == (
        4,
        {"x": [0.2]},
        {"steps": 7},
        2,
    )
    assert study.search is not None
    assert "# --set repetitions=4" in study.text


def test_an_override_that_is_wrong_names_itself(study_file: Callable[..., Path]) -> None:
    found = problems(study_file(TOY), "repetitions=many", "nonsense", "grid.x=[7]")
    assert found["--set repetitions"][0] is None
    assert "KEY=VALUE" in found["--set nonsense"][1]
    assert "at most 1.0" in found["--set grid.x.0"][1]


def test_an_override_of_what_is_shared_would_change_nothing_and_is_refused(
    study_file: Callable[..., Path],
) -> None:
    [(key, (_, message))] = problems(study_file(SHARED), "x-short.steps=3").items()
    assert key == "--set x-short.steps"
    assert "override the key that uses the value" in message


def test_an_override_that_no_study_can_hold(study_file: Callable[..., Path]) -> None:
    found = problems(
        study_file(TOY),
        "fixed.noise=1e400",
        "fixed.steps=99999999999999999999",
        "fixed.y=!!set {a}",
    )
    assert "would become .inf" in found["--set fixed.noise"][1]
    assert "64 bits" in found["--set fixed.steps"][1]
    assert "!!set" in found["--set fixed.y"][1]
    assert len(found) == 3  # what follows from them is not told as well


def test_an_override_over_several_lines_stays_a_comment_of_the_text(
    study_file: Callable[..., Path],
) -> None:
    study = read(study_file(TOY), ["fixed.steps=7", "grid.x=[0.1,\n 0.2]"])
    assert study.text.endswith("\n# --set fixed.steps=7\n# --set grid.x=[0.1,  0.2]")
    assert study.source == TOY
