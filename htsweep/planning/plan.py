"""What a study means: its sweeps, points, trials and stages, with ids that depend on meaning alone; pure.

A plan is counted by arithmetic and walked point by point, so that its size is no matter: only what
is small is listed.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from htsweep.planning import counting, sequences, task
from htsweep.planning.ablation import cells_of
from htsweep.planning.dimension import Space
from htsweep.planning.jobs import Job, Stage, digest, point_id, stages_of, trial_id, with_inner
from htsweep.planning.spaces import Spaces
from htsweep.planning.task import Task
from htsweep.study.schema import Study

ADAPTIVE = ("tpe", "nsga2")
"""Samplers whose next point depends on what the earlier ones gave."""
MOST_LISTED = 20_000
"""A plan whose searches have more points than this is not listed: they are counted by arithmetic,
as "at most".
"""

MOST_SAMPLED = 1_000
"""So many points of a plan that is not listed are asked for the stages that they need."""


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
    role: str = ""
    """What it is in a comparison, as its task says of `base`: no part of any id."""


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

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """The columns that tell cells apart: the study's factors, but for what the ablation fixes in some and others search."""
        return tuple(
            name
            for name in self.study.factors
            if name in self.study.grid or name not in self.searched
        )

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """The parameters that are searched in any sweep."""
        spaces = {id(sweep.space): sweep.space for sweep in self.sweeps}
        return tuple(
            dict.fromkeys(dimension.key for space in spaces.values() for dimension in space)
        )

    @cached_property
    def by_id(self) -> Mapping[str, Sweep]:
        """The sweeps by their ids."""
        return {sweep.id: sweep for sweep in self.sweeps}

    # -- points
    # ----------------------------------------------------------------------------------------------------------

    @cached_property
    def listed(self) -> tuple[Point, ...] | None:
        """Every point that is known beforehand, those of one sweep after those of the other; None where they are too many.

        There are none for an adaptive sampler. What is not searched has as many points as sweeps,
        whatever their number.
        """
        if self.adaptive:
            return ()
        searched = [sweep for sweep in self.sweeps if sweep.space]
        if (
            sum(self._bounds[sweep.id] * counting.weight(sweep.space) for sweep in searched)
            > MOST_LISTED
        ):
            return None
        if self._effort > 5 * MOST_LISTED:
            return None
        return tuple(point for sweep in self.sweeps for point in self.points_of(sweep))

    @property
    def exact(self) -> bool:
        """Whether `sizes` and `trial_count` are counted, or else are at most so many (htsweep/planning/counting.py)."""
        return self.listed is not None

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point that is known beforehand as a tuple; of a plan that is too large to list, `distinct` walks them."""
        return self.listed if self.listed is not None else tuple(self.distinct())

    def points_of(self, sweep: Sweep) -> Iterator[Point]:
        """The points of one sweep, distinct, in the sampler's order, made as they are asked for."""
        return filter(None, _each_once(self._walk(sweep)))

    def distinct(self) -> Iterator[Point]:
        """Every point that is known beforehand, each once in the whole study, made as they are asked for."""
        return filter(None, self.steps())

    def steps(self) -> Iterator[Point | None]:
        """The walk of `distinct`, step by step: None for each point that means the same as one before."""
        if self.listed is not None:
            return iter(self._once)
        return _each_once(point for sweep in self.sweeps for point in self._walk(sweep))

    @cached_property
    def _once(self) -> tuple[Point, ...]:
        return tuple(filter(None, _each_once(self.listed or ())))

    def _walk(self, sweep: Sweep) -> Iterator[Point]:
        for index, parameters in sequences.walk(sweep.space, self.sampler, sweep.limit):
            yield self.point(sweep, index, parameters)

    def point(self, sweep: Sweep, index: int, parameters: Mapping[str, Any]) -> Point:
        """The point of `sweep` that has `parameters`."""
        if not sweep.space:  # the sweep's id is a digest of the same meaning
            return Point(sweep.id, sweep.id, index, parameters, sweep.base)
        config = (
            self.task.resolve({**self.study.fixed, **sweep.factors, **parameters})
            if parameters
            else sweep.base
        )
        return Point(point_id(self.task, config), sweep.id, index, parameters, config)

    def at(self, sweep: Sweep, index: int) -> Point | None:
        """Point `index` of a sweep, without walking there; None where the sweep ends before."""
        if sweep.limit is not None and index >= sweep.limit:
            return None
        parameters = (
            {}
            if not sweep.space and not index
            else sequences.point(sweep.space, self.sampler, index)
        )
        return None if parameters is None else self.point(sweep, index, parameters)

    @cached_property
    def sizes(self) -> Mapping[str, int]:
        """Points per sweep, known or to be proposed; at most so many where the plan is not `exact`."""
        if self.adaptive:
            return self._bounds
        if self.listed is None:
            effort = MOST_LISTED // 2 // len(self.sweeps)
            return {
                sweep.id: counting.at_most(
                    sweep.space, self.sampler, sweep.limit, self._name(sweep), effort
                )
                for sweep in self.sweeps
            }
        counts = dict.fromkeys(self._bounds, 0)
        for point in self.listed:
            counts[point.sweep] += 1
        return counts

    @cached_property
    def _bounds(self) -> Mapping[str, int]:
        return {
            sweep.id: counting.bound(sweep.space, self.sampler, sweep.limit)
            for sweep in self.sweeps
        }

    def _name(self, sweep: Sweep) -> Callable[[Mapping[str, Any]], str]:
        return lambda parameters: self.point(sweep, 0, parameters).id

    def counted(self, most: int) -> Mapping[str, int] | None:
        """Points per sweep, each counted once in the whole study; None where it takes more effort than `most`."""
        return (
            Counter(point.sweep for point in self.distinct())
            if self.exact or self._effort <= most
            else None
        )

    @property
    def _effort(self) -> int:
        """What a walk through all searches takes, in terms of points of a few parameters."""
        return sum(
            counting.draws(sweep.space, self.sampler, sweep.limit) * counting.weight(sweep.space)
            for sweep in self.sweeps
            if sweep.space
        )

    # -- trials and stages
    # -----------------------------------------------------------------------------------------------

    @property
    def trial_count(self) -> int:
        """Trials of the study, stages not counted; at most so many where the plan is not `exact`."""
        return (
            len(self._once) if self.listed else sum(self.sizes.values())
        ) * self.study.repetitions

    def trials(self) -> Iterator[tuple[Point, int, str]]:
        """(point, repetition, trial id), all points of a repetition before the next; each trial once, made as asked for."""
        if self.adaptive or not self.sweeps:
            return
        for repetition in range(self.study.repetitions):
            for point in self.distinct():
                yield point, repetition, trial_id(point.id, repetition)

    def job(self, point: Point, repetition: int) -> Job:
        """The trial of `point` in `repetition`."""
        needs = {
            name: trial_id(stage.point, repetition) for name, stage in self.needs(point).items()
        }
        return Job(
            trial_id(point.id, repetition),
            "trial",
            self.study.task,
            point.config,
            repetition,
            needs,
            point.sweep,
            point.id,
            point.index,
        )

    def stages(self, trials: Iterable[tuple[Point, int]]) -> dict[str, Job]:
        """The stages that (point, repetition) pairs need, by id, each once, after the stages that they need themselves."""
        found: dict[str, Job] = {}
        for point, repetition in trials:
            for stage in with_inner(self.needs(point).values()):
                trial = trial_id(stage.point, repetition)
                if trial not in found:
                    found[trial] = stage.job(repetition)
        return found

    @cached_property
    def known_stages(self) -> Mapping[str, Stage]:
        """The stages by the id of what they mean, each after those that it needs: all that the listed points need.

        Of a plan that is not listed, those of some of its points: there may be more. Of an adaptive
        one, those of its sweeps.
        """
        return {
            stage.point: stage
            for point in self._some()
            for stage in with_inner(self.needs(point).values())
        }

    def _some(self) -> Iterator[Point]:
        if self.adaptive:
            return (self.point(sweep, 0, {}) for sweep in self.sweeps)
        if self.listed is not None:
            return iter(self._once)
        firsts = (
            (sweep, {} if not sweep.space else sequences.point(sweep.space, self.sampler, 0))
            for sweep in self.sweeps
        )
        varied = (
            (sweep, parameters)
            for sweep in self.sweeps
            for parameters in counting.variations(sweep.space, self.sampler)
        )
        drawn = (
            (sweep, parameters)
            for sweep in self.sweeps
            for _, parameters in sequences.walk(sweep.space, self.sampler, sweep.limit)
        )
        most = MOST_SAMPLED // max(counting.weight(sweep.space) for sweep in self.sweeps)
        chosen = itertools.chain(
            *(itertools.islice(some, most) for some in (firsts, varied, drawn))
        )
        return (self.point(sweep, 0, parameters or {}) for sweep, parameters in chosen)

    def needs(self, point: Point) -> Mapping[str, Stage]:
        """The stages that a point needs itself, by the names that the task calls them."""
        if point.id not in self._needs:
            if len(self._needs) > 5 * MOST_LISTED:
                self._needs.clear()
            self._needs[point.id] = stages_of(self.task, point.config)
        return self._needs[point.id]

    @cached_property
    def _needs(self) -> dict[str, Mapping[str, Stage]]:
        return {}


def plan(study: Study) -> Plan:
    """The plan of `study`; the same study gives the same plan, and a study that grows only adds to it."""
    found, spaces = task.find(study.task), Spaces(study.search)
    sweeps: dict[str, Sweep] = {}
    for cell in cells_of(study):
        sweep = sweep_of(study, found, cell, spaces)
        sweeps.setdefault(sweep.id, sweep)
    return Plan(study, found, tuple(sweeps.values()))


def sweep_of(study: Study, found: Task, cell: Mapping[str, Any], spaces: Spaces) -> Sweep:
    """The sweep of a cell of `study`, whose task is `found`; cells that mean the same have sweeps of one id."""
    base = found.resolve({**study.fixed, **cell})
    # What the cell fixes by a factor is not searched in it.
    space = spaces.of(found.spaces(base), cell)
    searched = {dimension.key for dimension in space}
    meaning = {key: value for key, value in found.meaning(base).items() if key not in searched}
    # A factor that the config no longer has did not matter in this cell.
    factors = {
        key: base.get(key, value)
        for key, value in cell.items()
        if key in base or found.settings is None
    }
    limit = study.search.trials if study.search else 1
    return Sweep(
        digest([study.task, meaning]), factors, base, space, limit if space else 1, found.role(base)
    )


def _each_once(points: Iterable[Point]) -> Iterator[Point | None]:
    """The points, and None for those whose id has come before."""
    seen: set[int] = set()
    for point in points:
        number = int(point.id, 16)  # takes half the memory of the text
        yield None if number in seen else point
        seen.add(number)
