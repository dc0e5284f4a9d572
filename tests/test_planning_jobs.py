"""Digests of meaning, and seeds from names."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from htsweep.planning.jobs import Stage, digest, point_id, seed_for, stages_of, trial_id, with_inner
from htsweep.planning.task import Task, find


def test_a_digest_is_of_meaning() -> None:
    assert digest({"a": 1, "b": [1.0, "x"]}) == digest({"b": [1, "x"], "a": 1.0})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert digest([1, [2]]) != digest([[1], 2])


@given(st.integers(0, 50), st.lists(st.text(max_size=3), max_size=3))
def test_seeds_come_from_names(repetition: int, names: list[str]) -> None:
    seed = seed_for(repetition, *names)
    assert 0 <= seed < 2**31
    assert seed == seed_for(repetition, *names)
    assert seed != seed_for(repetition + 1, *names)
    assert seed != seed_for(repetition, *names, "more")


def test_seeds_are_pinned() -> None:
    """Another value would silently change every study's numbers."""
    assert seed_for(0, "class split", "mnist-uci") == 1039211318


def test_a_point_is_what_its_config_means() -> None:
    toy = find("toy")
    whole, other = toy.resolve({"x": 1}), toy.resolve({"x": 1.0})
    assert point_id(toy, whole) == point_id(toy, other) == digest(["toy", toy.meaning(whole)])
    assert point_id(toy, whole) != point_id(toy, toy.resolve({"x": 0.5}))
    assert len({trial_id("a", 0), trial_id("a", 1), trial_id("b", 0)}) == 3


def test_a_stage_s_job_needs_those_of_its_own_repetition() -> None:
    inner = Stage("toy", {"x": 0.1}, "inner", {})
    outer = Stage("toy", {"x": 0.2}, "outer", {"source": inner})
    job = outer.job(3)
    assert (job.trial, job.kind, job.repetition) == (trial_id("outer", 3), "stage", 3)
    assert job.stages == {"source": trial_id("inner", 3)}
    assert (job.task, job.config, job.point) == ("toy", {"x": 0.2}, "outer")


def test_stages_come_after_those_that_they_need() -> None:
    first = Stage("toy", {}, "first", {})
    second = Stage("toy", {}, "second", {"a": first})
    third = Stage("toy", {}, "third", {"a": second, "b": first})
    assert [stage.point for stage in with_inner([third])] == ["first", "second", "first", "third"]


def test_a_config_s_stages_have_resolved_configs() -> None:
    def trial(config: Any, workspace: Any) -> Iterator[dict[str, float]]:
        yield {"step": 0}

    trial.stages = lambda config: {"source": ("toy", {"x": config["x"]})}  # type: ignore[attr-defined]
    toy = find("toy")
    (found,) = stages_of(Task("trial", trial), {"x": 0.25}).items()
    name, stage = found
    assert (name, stage.task, stage.needs) == ("source", "toy", {})
    assert stage.config == toy.resolve({"x": 0.25}) != {"x": 0.25}
    assert stage.point == point_id(toy, {"x": 0.25, **stage.config})
