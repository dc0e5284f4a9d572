"""Tasks by name, and what the orchestrator asks of them and does without."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from htsweep.planning import task
from htsweep.planning.task import Task, UnknownTask, find


def bare(config: Any, workspace: Any) -> Iterator[dict[str, float]]:
    yield {"step": 0}


def test_a_function_alone_is_a_task() -> None:
    found = Task("bare", bare)
    config = {"x": 1}
    assert found.settings is None
    assert (found.metrics, found.measured_with, found.predicts) == ((), {}, None)
    assert found.resolve(config) == found.meaning(config) == found.comparable(config) == config
    assert (found.problems(config), found.notes(config), found.spaces(config)) == ([], [], [])
    assert (found.unmeasured(config), found.stages(config)) == ({}, {})
    assert (found.role(config), found.empty, found.terms, found.combined) == ("", "", "", {})


def test_what_a_task_says_is_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "resolve", lambda config: {**config, "y": 2}, raising=False)
    monkeypatch.setattr(bare, "problems", lambda config: (("x", "too small"),), raising=False)
    monkeypatch.setattr(bare, "predicts", "score", raising=False)
    found = Task("bare", bare)
    assert found.resolve({"x": 1}) == {"x": 1, "y": 2}
    assert found.problems({}) == [("x", "too small")]
    assert found.predicts == "score"


def test_a_resolved_config_is_a_copy() -> None:
    config = {"x": 1}
    Task("bare", bare).resolve(config)["x"] = 2
    assert config == {"x": 1}


@pytest.mark.parametrize("role", ["", "source", "bound"])
def test_a_role_is_one_of_three(monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    monkeypatch.setattr(bare, "role", lambda config: role, raising=False)
    assert Task("bare", bare).role({}) == role


def test_another_role_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "role", lambda config: "best", raising=False)
    with pytest.raises(ValueError, match=r"'bare' answers role\(config\) with 'best'"):
        Task("bare", bare).role({})


def test_a_task_is_found_by_module_and_function() -> None:
    from tasks import holistic_transfer, toy

    assert find("toy").run is toy.toy
    assert find("holistic_transfer:source").run is holistic_transfer.source
    assert find("tasks.toy:toy").run is toy.toy
    assert find("toy") is find("toy")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("fine_tunning", "unknown task 'fine_tunning'; did you mean 'fine_tuning'?"),
        ("toy:tooy", "tasks.toy has no task 'tooy'; did you mean 'toy'?"),
        ("toy:METRICS", "tasks.toy has no task 'METRICS'"),
    ],
)
def test_an_unknown_task_is_told_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(UnknownTask) as caught:
        find(name)
    assert said in str(caught.value)


def test_known_tasks_have_their_first_line() -> None:
    assert task.known()["fine_tuning"] == (find("fine_tuning").run.__doc__ or "").splitlines()[0]
    assert "toy" not in task.known()
    assert "transferability" in task.known()


def test_modules_beside_a_study_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "beside_a_study.py").write_text("def own(config, workspace):\n    yield {}\n")
    with pytest.raises(UnknownTask):
        find("beside_a_study:own")
    task.beside(tmp_path)
    task.beside(tmp_path)
    assert sys.path.count(str(tmp_path.resolve())) == 1
    assert find("beside_a_study:own").name == "beside_a_study:own"
