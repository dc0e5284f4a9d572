"""The plan of a study: sweeps, points, trials and stages, with ids from what they mean; pure.

A plan of any size can be counted by arithmetic and walked point by point; only small plans are made
as a list.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from htsweep.planning import counting, paths, sequences, task
from htsweep.planning.ablation import cells_of
from htsweep.planning.dimension import Space, text_of
from htsweep.planning.jobs import Job, Stage, digest, point_id, stages_of, trial_id, with_inner
from htsweep.planning.sharing import LIMIT, Need, Sharing
from htsweep.planning.spaces import Spaces
from htsweep.planning.task import Task
from htsweep.study.schema import Study

ADAPTIVE = ("tpe", "nsga2")
"""Samplers whose next point depends on the results of earlier ones."""
MOST_LISTED = 20_000
"""A plan whose searches have more points is not listed, and its counts are upper bounds."""

MOST_SAMPLED = 1_000
"""How many points of a plan that is not listed are asked which stages they need."""


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
    """The most points; None: as many as the grid of the space has."""
    role: str = ""
    """Its role in a comparison, as the task says of `base`; not part of any id."""


@final
@dataclass(frozen=True)
class Plan:
    """The sweeps of a study, and everything that follows from them."""

    study: Study
    task: Task
    sweeps: tuple[Sweep, ...]

    @property
    def sampler(self) -> str:
        """The study's sampler; `grid` if nothing is searched."""
        return self.study.search.sampler if self.study.search else "grid"

    @property
    def adaptive(self) -> bool:
        """Whether a point is known only after earlier ones are measured."""
        return self.sampler in ADAPTIVE

    @cached_property
    def factors(self) -> tuple[str, ...]:
        """The columns that identify a cell: the study's factors that no cell searches."""
        return tuple(
            name
            for name in self.study.factors
            if name in self.study.grid or (name not in self.searched and self._varies(name))
        )

    def _varies(self, name: str) -> bool:
        """Whether a parameter of a method differs among the cells that have it.

        Where it does not, its absence from other methods' cells must not part the two.
        """
        if "." not in name:
            return True
        return len({text_of(each.base[name]) for each in self.sweeps if name in each.base}) > 1

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

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """What values of factors are called, under what a task makes of them, too.

        A folder of images is resolved to its whole path, which nobody wants to read: it is called
        as the study calls it, without what is outside of the study's folder.
        """
        found, settings = dict(self.study.labels), self.task.settings
        placed = any(paths.has_place(settings, key) for key in self.study.factors)
        shortened: dict[str, dict[str, None]] = {}
        for cell in cells_of(self.study) if found or placed else ():
            given = {key: self.study.labels.get(str(value)) for key, value in cell.items()}
            shorter = {
                key: paths.short(settings, key, cell[key])
                for key, label in given.items()
                if label is None
            }
            if all(text is None for text in (given | shorter).values()):
                continue  # resolving takes the most of the time
            config = self.task.resolve({**self.study.fixed, **cell})
            for key in cell:
                label, short = given[key], shorter.get(key)
                if label is not None and key in config:
                    found.setdefault(str(config[key]), label)
                elif short is not None and key in config:
                    shortened.setdefault(short, {})[str(config[key])] = None
        for short, texts in shortened.items():
            if len(texts) == 1:  # else it would name two things
                found.setdefault(next(iter(texts)), short)
        return found

    # -- points

    @cached_property
    def listed(self) -> tuple[Point, ...] | None:
        """Every point that is known in advance, sweep by sweep; None if there are too many.

        An adaptive sampler has none. Without a search, each sweep has one point, and all are listed
        however many they are.
        """
        if self.adaptive:
            return ()
        weighted = sum(
            self._bounds[sweep.id] * counting.weight(sweep.space)
            for sweep in self.sweeps
            if sweep.space
        )
        if weighted > MOST_LISTED or self._effort > 5 * MOST_LISTED:
            return None
        return tuple(point for sweep in self.sweeps for point in self.points_of(sweep))

    @property
    def exact(self) -> bool:
        """Whether `sizes` and `trial_count` are exact rather than upper bounds (`counting`)."""
        return self.listed is not None

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point that is known in advance; prefer `distinct` for a plan too large to list."""
        return self.listed if self.listed is not None else tuple(self.distinct())

    def points_of(self, sweep: Sweep) -> Iterator[Point]:
        """The distinct points of one sweep in the sampler's order, made on demand."""
        return filter(None, _each_once(self._walk(sweep)))

    def distinct(self) -> Iterator[Point]:
        """Every point that is known in advance, each once in the whole study, made on demand."""
        return filter(None, self.steps())

    def steps(self) -> Iterator[Point | None]:
        """As `distinct`, but with None for each point that means the same as an earlier one."""
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
        if not sweep.space:  # the sweep's id is already the digest of this meaning
            return Point(sweep.id, sweep.id, index, parameters, sweep.base)
        config = (
            self.task.resolve({**self.study.fixed, **sweep.factors, **parameters})
            if parameters
            else sweep.base
        )
        return Point(point_id(self.task, config), sweep.id, index, parameters, config)

    def at(self, sweep: Sweep, index: int) -> Point | None:
        """Point `index` of a sweep, without walking there; None if the sweep has fewer points."""
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
        """Sweep -> how many points it has or will have; upper bounds unless `exact`."""
        if self.adaptive:
            return self._bounds
        if self.listed is None:
            effort = MOST_LISTED // 2 // len(self.sweeps)
            return {
                sweep.id: counting.at_most(
                    sweep.space, self.sampler, sweep.limit, self._name(sweep), effort=effort
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
        """Sweep -> how many points, each counted once in the study; None beyond `most` effort."""
        if not self.exact and self._effort > most:
            return None
        return Counter(point.sweep for point in self.distinct())

    @property
    def _effort(self) -> int:
        """The work of a walk through all searches, where a point of a few parameters is 1."""
        return sum(
            counting.draws(sweep.space, self.sampler, sweep.limit) * counting.weight(sweep.space)
            for sweep in self.sweeps
            if sweep.space
        )

    # -- trials and stages

    @property
    def trial_count(self) -> int:
        """Trials of the study without stages; an upper bound unless `exact`."""
        points = len(self._once) if self.listed else sum(self.sizes.values())
        return points * self.study.repetitions

    def trials(self) -> Iterator[tuple[Point, int, str]]:
        """(point, repetition, trial id) of each trial once, by repetition, made on demand."""
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
        """Id -> stage that (point, repetition) pairs need, each after those that it needs."""
        jobs: dict[str, Job] = {}
        for point, repetition in trials:
            for stage in with_inner(self.needs(point).values()):
                trial = trial_id(stage.point, repetition)
                if trial not in jobs:
                    jobs[trial] = stage.job(repetition)
        return jobs

    @cached_property
    def known_stages(self) -> Mapping[str, Stage]:
        """Point id -> stage needed by listed points, each after those that it needs itself.

        For a plan that is not listed, these are the stages of some of its points, so there may be
        more. For an adaptive one, those of the default point of each sweep.
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
        """Name -> stage that a point needs directly, as the task names them."""
        if point.id not in self._needs:
            if len(self._needs) > 5 * MOST_LISTED:
                self._needs.clear()
            needs = self._need(point)
            self._needs[point.id] = (
                self.sharing.needs(point.id, needs) if self.sharing else needs[2]
            )
        return self._needs[point.id]

    @cached_property
    def sharing(self) -> Sharing | None:
        """The trainings that trials share; None if each trial trains by itself.

        Trials that may be stopped early train by themselves: what stopping saves is their own
        training.
        """
        asked = self.study.share_trainings
        if asked is False or not self.task.shares or self.study.stop:
            return None
        known = [(point.id, self._need(point)) for point in self._some()]
        whole, points = self.listed is not None and not self.adaptive, sum(self.sizes.values())
        return Sharing(
            known,
            whole=whole,
            times=self.study.repetitions
            * (1.0 if whole else max(1.0, points / max(1, len(known)))),
            limit=math.inf if asked else LIMIT,
        )

    def _need(self, point: Point) -> Need:
        return self.task, point.config, stages_of(self.task, point.config)

    @cached_property
    def _needs(self) -> dict[str, Mapping[str, Stage]]:
        return {}


def plan(study: Study) -> Plan:
    """The plan of `study`; extending a study only adds to its plan."""
    study_task = task.of(study)
    spaces = Spaces(study.search, study_task.settings)
    sweeps: dict[str, Sweep] = {}
    for cell in cells_of(study):
        sweep = sweep_of(study, study_task, cell, spaces)
        sweeps.setdefault(sweep.id, sweep)
    return Plan(study, study_task, tuple(sweeps.values()))


def sweep_of(study: Study, study_task: Task, cell: Mapping[str, Any], spaces: Spaces) -> Sweep:
    """The sweep of a cell of `study`; cells that mean the same have sweeps of the same id."""
    base = study_task.resolve({**study.fixed, **cell})
    # A parameter that is a factor of the cell is not searched in it.
    space = spaces.of(study_task.spaces(base), cell)
    searched = {dimension.key for dimension in space}
    meaning = {key: value for key, value in study_task.meaning(base).items() if key not in searched}
    # A factor that resolving has removed does not matter in this cell.
    factors = {
        key: base.get(key, value)
        for key, value in cell.items()
        if key in base or study_task.settings is None
    }
    limit = study.search.trials if study.search else 1
    return Sweep(
        digest([study.task, meaning]),
        factors,
        base,
        space,
        limit if space else 1,
        study_task.role(base),
    )


def _each_once(points: Iterable[Point]) -> Iterator[Point | None]:
    """The points, with None in place of those whose id came before."""
    seen: set[int] = set()
    for point in points:
        number = int(point.id, 16)  # takes half the memory of the text
        yield None if number in seen else point
        seen.add(number)
