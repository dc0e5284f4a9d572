"""The study file: every mistake at once, each with its line, the rule and the remedy."""

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


def test_a_small_study_is_read_with_its_defaults(study_file: Callable[..., Path]) -> None:
    study = read(study_file(TOY, "small.yaml"))
    assert (study.name, study.task, study.repetitions, study.select) == ("small", "toy", 1, "last")
    assert study.resources.cpu == 1
    assert study.grid == {"x": [0.1, 0.9]}


def test_every_mistake_is_told_at_once(study_file: Callable[..., Path]) -> None:
    found = problems(
        study_file("""\
task: toy
grid:
  x: [0.1, 1.5, true]
  stepz: [3]
  y: []
repetitions: 0
repetitions: 3
fixed: {x: 0.5, fail: rise}
search: {sampler: tpee, trials: 2.5}
objectives:
  - {metric: validation/scoer}
  - {metric: test/seen_accuracy}
resources: {cpu: 0, gpu: -1}
budget: {trails: 3}
retry: {attempts: 2, reasons: [dead]}
select: lats
colour: red
""")
    )
    lines = {key: line for key, (line, _) in found.items()}
    assert lines == {
        "grid.x.1": 3,
        "grid.x.2": 3,
        "grid.stepz": 4,
        "grid.y": 5,
        "repetitions": 7,
        "fixed.x": 8,
        "fixed.fail": 8,
        "search.sampler": 9,
        "search.trials": 9,
        "objectives.0.metric": 11,
        "objectives.1.metric": 12,
        "resources.cpu": 13,
        "resources.gpu": 13,
        "budget.trails": 14,
        "retry.reasons.0": 15,
        "select": 16,
        "colour": 17,
    }
    for key, hint in {
        "grid.stepz": "did you mean 'steps'?",
        "fixed.fail": "did you mean 'raise'?",
        "search.sampler": "did you mean 'tpe'?",
        "objectives.0.metric": "did you mean 'validation/score'?",
        "budget.trails": "did you mean 'trials'?",
        "retry.reasons.0": "did you mean 'died'?",
        "select": "did you mean 'last'?",
        "resources.cpu": "greater than 0",
        "grid.x.1": "at most 1.0, but got 1.5",
        "grid.x.2": "must be a number, but got True",
        "repetitions": "listed twice, first in line 6",
        "objectives.1.metric": "oracle: true",
    }.items():
        assert hint in found[key][1], key


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "empty"),
        ("- a\n", "a study is a mapping"),
        ("task: [toy\n", "not YAML"),
        ("grid: {x: [1]}\n", "required"),
        ("task: toyy\n", "did you mean 'toy'?"),
        ("task: toy:absent\n", "no task 'absent'"),
        ("task: 3\n", "must be text"),
        ("task: toy\ngrid: {x: 1}\n", "must be a list"),
        ("task: toy\nstudy: ../../etc\n", "a study's name"),
        ("task: toy\nstudy: a/b\n", "a study's name"),
        ("task: toy\nstudy: ..\n", "a study's name"),
        ("task: toy\ngrid: {x: [0.1, 0.1]}\n", "is listed twice; remove one"),
        ("task: toy\nrepetitions: 2.5\n", "whole number"),
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


def test_numbers_are_those_of_yaml_1_2(study_file: Callable[..., Path]) -> None:
    assert read(study_file("task: toy\ngrid: {x: [1e-3, 5E-1]}\n")).grid["x"] == [0.001, 0.5]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in problems(tmp_path / "absent.yaml")[""][1]


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
        "task fine_tuning does not measure that; choose one of last, seen_validation, oracle"
        in said
    )


SHARED = """\
task: toy
x-short: &short {steps: 1, noise: 0.0}
x-values: &values [0.1, 0.9]
grid: {x: *values}
fixed:
  <<: *short
  steps: 2
"""


def test_settings_that_several_places_share(study_file: Callable[..., Path]) -> None:
    """Keys that begin with `x-` are the user's own; merge keys and aliases read them, and nothing else does."""
    study = read(study_file(SHARED))
    assert (study.grid, study.fixed) == ({"x": [0.1, 0.9]}, {"steps": 2, "noise": 0.0})
    assert read(study_file(SHARED), ["fixed.steps=3"]).fixed["steps"] == 3


def test_a_mistake_in_what_is_shared_is_told_where_it_stands(
    study_file: Callable[..., Path],
) -> None:
    found = problems(study_file(SHARED.replace("noise: 0.0", "noise: 7").replace("0.9]", "9]")))
    assert found["fixed.noise"][0] == 2
    assert found["grid.x.1"] == (3, "must be at most 1.0, but got 9")
    assert set(found) == {"fixed.noise", "grid.x.1"}


def test_an_override_of_what_is_shared_would_change_nothing_and_is_refused(
    study_file: Callable[..., Path],
) -> None:
    [(key, (_, message))] = problems(study_file(SHARED), "x-short.steps=3").items()
    assert key == "--set x-short.steps"
    assert "override the key that uses the value" in message


def test_an_unknown_key_says_how_one_s_own_begin(study_file: Callable[..., Path]) -> None:
    assert (
        "begins with `x-`" in problems(study_file("task: toy\n.common: {steps: 1}\n"))[".common"][1]
    )
    assert (
        "begins with `x-`"
        not in problems(study_file("task: toy\nresources: {cpus: 1}\n"))["resources.cpus"][1]
    )


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


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (
            b"task: toy\ngrid: {x: [0.1]}\n# caf\xe9\n",
            "line 3: byte 0xe9 is not UTF-8; save the file as UTF-8",
        ),
        (b"\xff\xfet\0", "a study is a mapping, but got the text 't'"),
        (b"task: toy\0\n", "U+0000"),
        (b"task: toy\n---\ntask: toy\n", "line 2: not YAML: "),
    ],
)
def test_files_of_any_bytes(tmp_path: Path, data: bytes, hint: str) -> None:
    (tmp_path / "study.yaml").write_bytes(data)
    with pytest.raises(StudyError) as caught:
        read(tmp_path / "study.yaml")
    assert hint in str(caught.value)


def test_a_study_may_be_utf_16(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_bytes((TOY + "# caf\u00e9\n").encode("utf-16"))
    assert read(tmp_path / "study.yaml").grid == {"x": [0.1, 0.9]}


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/zero"), tmp_path / "a\0b", tmp_path / ("x" * 300)):
        with pytest.raises(StudyError):
            read(path)


def test_a_task_that_raises_while_it_is_asked_is_named(study_file: Callable[..., Path]) -> None:
    study_file(
        "def odd(config, workspace):\n    yield {'step': 0}\n\ndef problems(config):\n    raise "
        "KeyError('gone')\n\n"
        "odd.problems = problems\n",
        "my_odd_module.py",
    )
    message = str(problems(study_file("task: my_odd_module:odd\n")))
    assert "KeyError: 'gone'" in message or "gone" in message


def test_what_was_read_is_read_again_from_its_text(study_file: Callable[..., Path]) -> None:
    """As the mirror's process does: the file may be another one by then."""
    path = study_file(TOY)
    study = read(path, ["repetitions=3"])
    path.write_text("nonsense")
    assert read(path, study.overrides, text=study.source) == study
