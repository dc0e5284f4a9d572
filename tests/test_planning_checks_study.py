"""Each kind of mistake in a study is reported with its line, the rule and the remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import StudyError
from htsweep.planning.reading import read

TOY = "task: toy\ngrid: {x: [0.1, 0.9]}\n"


def problems(path: Path, *overrides: str) -> dict[str, tuple[int | None, str]]:
    with pytest.raises(StudyError) as caught:
        read(path, overrides)
    return {problem.key: (problem.line, problem.message) for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "empty"),
        ("- a\n", "a study is a mapping"),
        ("task: [toy\n", "not YAML"),
        ("grid: {x: [1]}\n", "required"),
        ("task: fine_tunning\n", "did you mean 'fine_tuning'?"),
        ("task: toy:absent\n", "no task 'absent'"),
        ("task: 3\n", "must be text"),
        ("task: toy\ngrid: {x: 1}\n", "must be a list"),
        ("task: toy\nstudy: ../../etc\n", "a study's name"),
        ("task: toy\nstudy: a/b\n", "a study's name"),
        ("task: toy\nstudy: ..\n", "a study's name"),
        ("task: toy\ngrid: {x: [0.1, 0.1]}\n", "is listed twice; remove one"),
        ("task: toy\nrepetitions: 2.5\n", "whole number"),
        ("task: toy\nresources: {gpu: 2}\n", "a trial uses one GPU"),
        ("task: toy\nsearch: {sampler: tpe, trials: 3}\n", "needs `objectives`"),
        ("task: toy\nstop: {first: 1}\n", "needs `objectives`"),
        (
            "task: toy\nobjectives: [{metric: validation/score}]\nsearch: {sampler: tpe}\n",
            "never runs out of points: set `search.trials`",
        ),
        ("task: toy\nsearch: {sampler: random}\n", "never runs out of points: set `search.trials`"),
        ("task: toy\nsearch: {spaces: {all: {x: {low: 1, high: 0}}}}\n", "low"),
        ("task: toy\nsearch: {spaces: {all: {x: {low: 0.1, high: 0.9}}}}\n", "grid"),
        (
            "task: toy\nsearch: {sampler: random, trials: 2, spaces: {all: {x: {low: 0.1, high: "
            "9.0}}}}\n",
            "at most 1.0",
        ),
        (
            "task: toy\nsearch: {spaces: {l2sp: {backbone: [0.1]}}}\n",
            "no method of the grid has this space",
        ),
        ("task: holistic_transfer\ngrid: {method: [l2ps]}\n", "did you mean 'l2sp'?"),
        ("task: holistic_transfer\ngrid: {dataset: [mnist-uic]}\n", "did you mean 'mnist-uci'?"),
        (
            "task: holistic_transfer\ngrid: {method: [[linear_probe, frozen_classifier]]}\n",
            "linear_probe",
        ),
    ],
)
def test_each_kind_of_mistake(study_file: Callable[..., Path], text: str, hint: str) -> None:
    path = study_file(text)
    with pytest.raises(StudyError) as caught:
        read(path)
    assert hint in str(caught.value)
    assert str(path) in str(caught.value)
    assert "nothing was started" in str(caught.value)


def test_a_user_s_own_task_beside_the_study(study_file: Callable[..., Path]) -> None:
    study_file("def mine(config, workspace):\n    yield {'step': 0}\n", "my_own_module.py")
    study = read(study_file("task: my_own_module:mine\ngrid: {anything: [1, [2, 3]]}\n"))
    assert study.task == "my_own_module:mine"


def test_a_user_s_module_that_does_not_import(study_file: Callable[..., Path]) -> None:
    study_file("raise RuntimeError('no')\n", "my_broken_module.py")
    found = problems(study_file("task: my_broken_module:mine\n"))
    assert "RuntimeError: no" in found["task"][1]


def test_a_factor_may_not_be_called_like_a_column_of_the_results(
    study_file: Callable[..., Path],
) -> None:
    path = study_file(
        "task: bare_task:bare\ngrid: {x: [0.1], metric: [1]}\nsearch: {spaces: {all: {n: [1, "
        "2]}}}\n"
    )
    (path.parent / "bare_task.py").write_text(
        "def bare(config, workspace):\n    yield {'step': 0, 'test/score': 1.0}\n"
    )
    found = problems(path)
    assert found["grid.metric"][0] == 2
    assert "name of a column in the tables of results" in found["grid.metric"][1]
    assert "name of a column" in found["search.spaces.all.n"][1]


def test_a_protocol_that_the_task_cannot_answer_is_told_before_anything_runs(
    study_file: Callable[..., Path],
) -> None:
    text = "task: holistic_transfer\ngrid: {method: [plain, l2sp]}\nselect: pseudo_missing\n"
    line, said = problems(study_file(text))["select"]
    assert line == 3
    assert "measures only if `pcv` is above 0" in said
    assert read(study_file(text), ["fixed.pcv=2"]).select == "pseudo_missing"
    without = (
        text.replace("pseudo_missing", "source_validation") + "fixed: {source_validation: 0}\n"
    )
    _, said = problems(study_file(without))["select"]
    assert "measures only if `source_validation` is above 0" in said
    _, said = problems(
        study_file("task: fine_tuning\ngrid: {method: [plain]}\nselect: source_validation\n")
    )["select"]
    assert (
        "task fine_tuning does not measure that; choose one of last, seen_validation, test_accuracy"
        in said
    )


def test_a_task_that_raises_while_it_is_asked_is_named(study_file: Callable[..., Path]) -> None:
    study_file(
        "def odd(config, workspace):\n    yield {'step': 0}\n\ndef problems(config):\n    raise "
        "KeyError('gone')\n\n"
        "odd.problems = problems\n",
        "my_odd_module.py",
    )
    message = str(problems(study_file("task: my_odd_module:odd\n")))
    assert "KeyError: 'gone'" in message or "gone" in message


@pytest.mark.parametrize("baseline", ["oracle", "[oracle, l2sp]"])
def test_an_upper_bound_is_no_baseline(study_file: Callable[..., Path], baseline: str) -> None:
    path = study_file(
        "study: s\ntask: holistic_transfer\ngrid: {method: [plain, oracle, [oracle, l2sp]]}\n"
        f"baseline: {baseline}\n"
    )
    with pytest.raises(StudyError, match=r"line 4: baseline: .*is an upper bound"):
        read(path)
