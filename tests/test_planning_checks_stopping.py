"""Trials that would be compared at a step at which they are not measured."""

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import Problem, StudyError
from htsweep.planning.reading import read

STUDY = """\
task: {task}
grid: {{method: [plain, {more}]}}
fixed: {{epochs: {epochs}, steps_per_epoch: 10, measure_every: {every}, source_epochs: 1, source_steps_per_epoch: 5}}
search: {{sampler: random, trials: 3, spaces: {{training: {{learning_rate: }}, all: {{{searched}}}}}}}
objectives: [{{metric: validation/seen_accuracy, direction: maximize}}]
stop: {{first: {first}, eta: {eta}}}
repetitions: 1
"""


@pytest.fixture
def problems(study_file: Callable[..., Path]) -> Callable[..., list[Problem]]:
    def of(first: int, eta: int, every: int, **given: object) -> list[Problem]:
        usual = {"task": "holistic_transfer", "more": "source", "epochs": 9, "searched": ""}
        text = STUDY.format(**{**usual, **given}, first=first, eta=eta, every=every)
        try:
            read(study_file(text))
        except StudyError as error:
            return list(error.problems)
        return []

    return of


@pytest.mark.parametrize("task", ["holistic_transfer", "fine_tuning"])
@pytest.mark.parametrize(
    ("first", "eta", "every", "at"),
    [
        (30, 3, 2, 30),
        (21, 9, 2, 30),  # the first row past the rung is that of epoch 3
        (20, 2, 1, None),
        (20, 2, 2, None),  # 20, 40, 80
        (20, 3, 3, 20),
        (11, 3, 2, None),  # of 11 the row at 20, of 33 that at 40; 99 is past the end
    ],
)
def test_a_rung_that_is_not_measured_is_said_with_line_and_remedy(
    problems: Callable[..., list[Problem]], task: str, first: int, eta: int, every: int, at: int
) -> None:
    found = problems(first, eta, every, task=task, more="l2sp")
    if at is None:
        assert found == []
        return
    (problem,) = found
    assert (problem.key, problem.line) == ("fixed.measure_every", 3)
    assert f"compares trials at step {at}, which is then not measured" in problem.message
    assert "leave measure_every out" in problem.message


def test_a_searched_length_is_asked_about_too(problems: Callable[..., list[Problem]]) -> None:
    """Of three epochs of 10 steps the last is at the rung; of 30 steps it is the first, which is not measured."""
    assert problems(30, 3, 2, epochs=3) == []
    (problem,) = problems(30, 3, 2, epochs=3, searched="steps_per_epoch: [10, 30]")
    assert "compares trials at step 30" in problem.message
