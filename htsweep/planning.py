"""What a study means: its sweeps, points, trials and stages, with ids that depend on meaning alone; pure."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

from htsweep import spaces, task
from htsweep.ablating import cells_of
from htsweep.search import Space, propose, size
from htsweep.study import Study
from htsweep.task import Task

ADAPTIVE = ("tpe", "nsga2")
"""Samplers whose next point depends on what the earlier ones gave."""


@final
@dataclass(frozen=True, slots=True)
class Job:
    """One trial, or one stage, as it is to be run: everything that its numbers depend on."""

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
class Point:
    """One configuration of a sweep; its trials are its repetitions."""

    id: str
    sweep: str
    index: int
    parameters: Mapping[str, Any]
    config: Mapping[str, Any]


@final
@dataclass(frozen=True)
class Sweep:
    """One cell of the grid and the space that is searched in it."""

    id: str
    factors: Mapping[str, Any]
    base: Mapping[str, Any]
    space: Space
    limit: int | None
    """Points at most; None: as many as the grid of the space has."""


@final
@dataclass(frozen=True)
class Plan:
    """The sweeps of a study, and whatever follows from them."""

    study: Study
    task: Task
    sweeps: tuple[Sweep, ...]

    @property
    def sampler(self) -> str:
        """The study's sampler; `grid` where nothing is searched."""
        return self.study.search.sampler if self.study.search else "grid"

    @property
    def adaptive(self) -> bool:
        """Whether points are not known before the earlier ones are measured."""
        return self.sampler in ADAPTIVE

    @property
    def factors(self) -> tuple[str, ...]:
        """The columns that tell cells apart: the study's factors, but for what the ablation fixes in some and others search."""
        searched = {dimension.key for sweep in self.sweeps for dimension in sweep.space}
        return tuple(name for name in self.study.factors if name in self.study.grid or name not in searched)

    @cached_property
    def points(self) -> tuple[Point, ...]:
        """Every point that is known beforehand: none for an adaptive sampler."""
        return () if self.adaptive else tuple(point for sweep in self.sweeps for point in self.points_of(sweep))

    def points_of(self, sweep: Sweep) -> Iterator[Point]:
        """The points of one sweep, distinct, in the sampler's order."""
        seen: set[str] = set()
        index = 0
        while sweep.limit is None or index < sweep.limit:
            parameters = propose(sweep.space, self.sampler, self.study.directions, (), index)
            if parameters is None:
                return
            point = self.point(sweep, index, parameters)
            index += 1
            if point.id not in seen:
                seen.add(point.id)
                yield point

    def point(self, sweep: Sweep, index: int, parameters: Mapping[str, Any]) -> Point:
        """The point of `sweep` that has `parameters`."""
        config = self.task.resolve({**self.study.fixed, **sweep.factors, **parameters}) if parameters else sweep.base
        return Point(point_id(self.task, config), sweep.id, index, parameters, config)

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Points per sweep, known or to be proposed."""
        if self.adaptive:
            return {sweep.id: _bounded(sweep, self.sampler) for sweep in self.sweeps}
        counts = dict.fromkeys((sweep.id for sweep in self.sweeps), 0)
        for point in self.points:
            counts[point.sweep] += 1
        return counts

    @property
    def trial_count(self) -> int:
        """Trials of the study, stages not counted."""
        if self.adaptive:
            return sum(self.sizes.values()) * self.study.repetitions
        return len({point.id for point in self.points}) * self.study.repetitions

    def trials(self, points: Sequence[Point] | None = None) -> Iterator[tuple[Point, int, str]]:
        """(point, repetition, trial id), all points of a repetition before the next; each trial once."""
        seen: set[str] = set()
        listed = self.points if points is None else points
        for repetition in range(self.study.repetitions):
            for point in listed:
                trial = trial_id(point.id, repetition)
                if trial not in seen:
                    seen.add(trial)
                    yield point, repetition, trial

    def job(self, point: Point, repetition: int) -> Job:
        """The trial of `point` in `repetition`."""
        needs = {name: trial_id(stage.point, repetition) for name, stage in self._needs(point).items()}
        return Job(trial_id(point.id, repetition), "trial", self.study.task, point.config, repetition, needs,
                   point.sweep, point.id, point.index)

    def stages(self, trials: Iterable[tuple[Point, int]]) -> dict[str, Job]:
        """The stages that (point, repetition) pairs need, by id, each once, after the stages that they need themselves."""
        found: dict[str, Job] = {}
        for point, repetition in trials:
            for stage in self._needs(point).values():
                _collect(stage, repetition, found)
        return found

    def _needs(self, point: Point) -> Mapping[str, _Stage]:
        if point.id not in self._cache:
            self._cache[point.id] = _stages(self.task, point.config)
        return self._cache[point.id]

    @cached_property
    def _cache(self) -> dict[str, Mapping[str, _Stage]]:
        return {}


def plan(study: Study) -> Plan:
    """The plan of `study`; the same study gives the same plan, and a study that grows only adds to it."""
    found = task.find(study.task)
    sweeps: dict[str, Sweep] = {}
    for cell in cells_of(study):
        sweep = sweep_of(study, found, cell)
        sweeps.setdefault(sweep.id, sweep)
    return Plan(study, found, tuple(sweeps.values()))


def sweep_of(study: Study, found: Task, cell: Mapping[str, Any]) -> Sweep:
    """The sweep of a cell of `study`, whose task is `found`; cells that mean the same have sweeps of one id."""
    base = found.resolve({**study.fixed, **cell})
    # What the cell fixes by a factor is not searched in it.
    space = tuple(dimension for dimension in spaces.space_of(study.search, found.spaces(base)) if dimension.key not in cell)
    searched = {dimension.key for dimension in space}
    meaning = {key: value for key, value in found.meaning(base).items() if key not in searched}
    # A factor that the config no longer has did not matter in this cell.
    factors = {key: base.get(key, value) for key, value in cell.items() if key in base or found.settings is None}
    limit = study.search.trials if study.search else 1
    return Sweep(digest([study.task, meaning]), factors, base, space, limit if space else 1)


def _collect(stage: _Stage, repetition: int, found: dict[str, Job]) -> None:
    trial = trial_id(stage.point, repetition)
    if trial not in found:
        for inner in stage.needs.values():
            _collect(inner, repetition, found)
        found[trial] = stage.job(repetition)


def point_id(of: Task, config: Mapping[str, Any]) -> str:
    """The id of a configuration of a task: a digest of what it means."""
    return digest([of.name, of.meaning(config)])


def trial_id(point: str, repetition: int) -> str:
    """The id of a point's trial in a repetition."""
    return hashlib.sha256(f"{point}/{repetition}".encode()).hexdigest()[:20]


def seed_for(repetition: int, *names: object) -> int:
    """A seed in [0, 2**31) from names, never from counters: adding a trial moves no other trial's numbers."""
    text = json.dumps([repetition, *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


def digest(value: Any) -> str:
    """A short digest of JSON-able data; 1 and 1.0 are one number, and keys have no order."""
    text = json.dumps(_canonical(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _canonical(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items()}
    return [_canonical(item) for item in value] if isinstance(value, list | tuple) else value


@final
@dataclass(frozen=True, slots=True)
class _Stage:
    """A stage that a config needs, in whichever repetition."""

    task: str
    config: Mapping[str, Any]
    point: str
    needs: Mapping[str, _Stage]

    def job(self, repetition: int) -> Job:
        needs = {name: trial_id(stage.point, repetition) for name, stage in self.needs.items()}
        return Job(trial_id(self.point, repetition), "stage", self.task, self.config, repetition, needs, point=self.point)


def _stages(of: Task, config: Mapping[str, Any]) -> dict[str, _Stage]:
    return {name: _stage(reference, json.dumps(raw, sort_keys=True)) for name, (reference, raw) in of.stages(config).items()}


@functools.lru_cache(maxsize=10_000)
def _stage(reference: str, raw: str) -> _Stage:
    found = task.find(reference)
    config = found.resolve(json.loads(raw))
    return _Stage(reference, config, point_id(found, config), _stages(found, config))


def _bounded(sweep: Sweep, sampler: str) -> int:
    whole = size(sweep.space, sampler)
    limit = sweep.limit if sweep.limit is not None else whole
    assert limit is not None
    return limit if whole is None else min(limit, whole)
