"""A trial or stage to run, with ids and seeds that depend on its meaning alone; pure."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, final

from htsweep.planning import task
from htsweep.planning.task import Task


@final
@dataclass(frozen=True, slots=True)
class Job:
    """One trial or stage to run: everything that its numbers depend on."""

    trial: str
    kind: str
    task: str
    config: Mapping[str, Any]
    repetition: int
    stages: Mapping[str, str] = field(default_factory=dict)
    sweep: str = ""
    point: str = ""
    index: int = 0


@final
@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that a config needs, in any repetition."""

    task: str
    config: Mapping[str, Any]
    point: str
    needs: Mapping[str, Stage]

    def job(self, repetition: int) -> Job:
        """The job that runs the stage in a repetition."""
        needs = {name: trial_id(stage.point, repetition) for name, stage in self.needs.items()}
        return Job(
            trial_id(self.point, repetition),
            "stage",
            self.task,
            self.config,
            repetition,
            needs,
            point=self.point,
        )


def with_inner(stages: Iterable[Stage]) -> Iterator[Stage]:
    """The stages, each after those that it needs; a stage may come more than once."""
    for stage in stages:
        yield from with_inner(stage.needs.values())
        yield stage


def stages_of(of: Task, config: Mapping[str, Any]) -> dict[str, Stage]:
    """Name -> stage that a config of a task needs directly, as the task names them."""
    return {
        name: _stage(reference, json.dumps(raw, sort_keys=True))
        for name, (reference, raw) in of.stages(config).items()
    }


@functools.lru_cache(maxsize=10_000)
def _stage(reference: str, raw: str) -> Stage:
    stage_task = task.find(reference)
    config = stage_task.resolve(json.loads(raw))
    return Stage(reference, config, point_id(stage_task, config), stages_of(stage_task, config))


def point_id(of: Task, config: Mapping[str, Any]) -> str:
    """The id of a configuration of a task: a digest of what it means."""
    return digest([of.name, of.meaning(config)])


def trial_id(point: str, repetition: int) -> str:
    """The id of a point's trial in a repetition."""
    return hashlib.sha256(f"{point}/{repetition}".encode()).hexdigest()[:20]


def seed_for(repetition: int, *names: object) -> int:
    """A seed in [0, 2**31) from names, not counters, so that new trials leave others unchanged."""
    text = json.dumps([repetition, *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def digest(value: Any) -> str:
    """A short digest of JSON-able data; 1 equals 1.0, and the order of keys does not matter."""
    return hashlib.sha256(_encode(_canonical(value)).encode()).hexdigest()[:16]


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def _canonical(value: Any) -> Any:
    kind = type(value)
    if kind is float:
        return int(value) if value.is_integer() else value
    # The most frequent kinds first, since the check for a Mapping is slow.
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list | tuple) else value
