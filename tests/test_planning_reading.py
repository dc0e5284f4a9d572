"""The study file: every mistake at once, each with its line, the rule and the remedy."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pictures import domains

from htsweep.errors import StudyError
from htsweep.planning.plan import plan
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


def test_numbers_are_those_of_yaml_1_2(study_file: Callable[..., Path]) -> None:
    assert read(study_file("task: toy\ngrid: {x: [1e-3, 5E-1]}\n")).grid["x"] == [0.001, 0.5]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in problems(tmp_path / "absent.yaml")[""][1]


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


def test_an_unknown_key_says_how_one_s_own_begin(study_file: Callable[..., Path]) -> None:
    assert (
        "begins with `x-`" in problems(study_file("task: toy\n.common: {steps: 1}\n"))[".common"][1]
    )
    assert (
        "begins with `x-`"
        not in problems(study_file("task: toy\nresources: {cpus: 1}\n"))["resources.cpus"][1]
    )


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


def test_what_was_read_is_read_again_from_its_text(study_file: Callable[..., Path]) -> None:
    """As the mirror's process does: the file may be another one by then."""
    path = study_file(TOY)
    study = read(path, ["repetitions=3"])
    path.write_text("nonsense")
    assert read(path, study.overrides, text=study.source) == study


def test_values_of_the_grid_may_be_named(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    domains(tmp_path / "pictures", {"a": 2, "b": 2})
    study = read(
        study_file(
            "task: holistic_transfer\n"
            "grid:\n"
            "  dataset: {photos: folder:pictures:art-photo}\n"
            "  method: {Plain: plain, L2-SP: l2sp}\n"
            "labels: {l2sp: ours}\n"
        )
    )
    listed = read(
        study_file(
            "task: holistic_transfer\n"
            "grid: {dataset: [folder:pictures:art-photo], method: [plain, l2sp]}\n"
        )
    )
    assert study.grid == listed.grid
    assert study.labels == {
        "folder:pictures:art-photo": "photos",
        "plain": "Plain",
        "l2sp": "ours",  # `labels` goes before
    }
    assert [sweep.id for sweep in plan(study).sweeps] == [sweep.id for sweep in plan(listed).sweeps]
    whole = f"folder:{tmp_path / 'pictures'}:art-photo"
    assert plan(study).labels[whole] == "photos"
    assert plan(listed).labels == {whole: "folder:pictures:art-photo"}


def test_a_mistake_in_a_named_value_has_its_line(study_file: Callable[..., Path]) -> None:
    with pytest.raises(StudyError) as error:
        read(study_file("task: toy\ngrid:\n  x:\n    low: 0.1\n    high: much\n"))
    (problem,) = error.value.problems
    assert (problem.key, problem.line) == ("grid.x.high", 5)
