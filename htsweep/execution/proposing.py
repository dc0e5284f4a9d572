"""The searches of an adaptive sampler: their open points, the results, and what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter
from typing import final

from htsweep.execution.others import Others
from htsweep.planning.plan import Plan, Point, Sweep
from htsweep.planning.search import propose

Measured = dict[int, tuple[float, ...] | None]
"""Repetition -> a point's last objectives; None: the trial failed or did not measure them."""


@final
class Proposals:
    """The searches of a plan with an adaptive sampler, one per sweep."""

    def __init__(self, plan: Plan, points: Iterable[Point], others: Others | None = None) -> None:
        """Continues the searches from the `points` that earlier launches proposed.

        With `others`, launches that share the study propose each point once, for all of them.
        """
        self._plan, self._others = plan, others
        self._metrics = [objective.metric for objective in plan.study.objectives]
        self._searches = {sweep.id: _Search(plan, sweep) for sweep in plan.sweeps}
        self._of: dict[str, list[_Search]] = {}
        """Point -> the searches that have it, since sweeps may share a point."""
        self._measured: dict[str, Measured] = {}
        self._begun: dict[str, set[int]] = {}
        for point in sorted(points, key=attrgetter("index")):
            search = self._searches[point.sweep]
            if search.open and not (search.points and search.points[-1].index == point.index):
                self._have(search, plan.point(search.sweep, point.index, point.parameters))

    @property
    def points(self) -> list[Point]:
        """The points proposed so far, sweep by sweep."""
        return [point for search in self._searches.values() for point in search.points]

    @property
    def open(self) -> bool:
        """Whether there is another point to propose."""
        return any(search.open for search in self._searches.values())

    def begin(self, point: Point, repetition: int) -> bool:
        """Marks a trial as begun; False if it already was, by another sweep with the same point."""
        begun = self._begun.setdefault(point.id, set())
        if repetition in begun:
            return False
        begun.add(repetition)
        return True

    def tell(self, point: str, repetition: int, values: Mapping[str, float] | None) -> None:
        """Records what a trial measured last; None: it failed."""
        measured = self._measured.setdefault(point, {})
        is_new = repetition not in measured
        known = values is not None and all(metric in values for metric in self._metrics)
        measured[repetition] = (
            tuple(values[metric] for metric in self._metrics)
            if known and values is not None
            else None
        )
        if is_new and self._whole(point):
            for search in self._of.get(point, ()):
                search.pending -= 1

    def next(self, idle: bool) -> Iterator[Point]:
        """The next point of each search, starting with the search that has the fewest open points.

        As proposals without results are guesses, a search may have at most a quarter of its size
        open, unless a slot is `idle`.
        """
        for search in sorted(
            (search for search in self._searches.values() if search.open), key=attrgetter("pending")
        ):
            if idle or search.pending < max(1, search.size // 4):
                point = search.propose(
                    [(past.parameters, self._mean(past)) for past in search.points], self._others
                )
                if point is not None:
                    self._have(search, point)
                    yield point

    def _have(self, search: _Search, point: Point) -> None:
        search.points.append(point)
        self._of.setdefault(point.id, []).append(search)
        search.pending += not self._whole(point.id)

    def _whole(self, point: str) -> bool:
        """Whether the point's trial has ended in every repetition."""
        return len(self._measured.get(point, ())) == self._plan.study.repetitions

    def _mean(self, point: Point) -> tuple[float, ...] | None:
        """The mean of a point's objectives over its repetitions; None until all have ended.

        Repetitions without objectives are left out; None if no repetition has any.
        """
        measured = self._measured.get(point.id, {}).values()
        values = [objectives for objectives in measured if objectives is not None]
        if not self._whole(point.id) or not values:
            return None
        return tuple(sum(column) / len(values) for column in zip(*values, strict=True))


@final
class _Search:
    """The search of one sweep, and its points so far."""

    def __init__(self, plan: Plan, sweep: Sweep) -> None:
        self.sweep = sweep
        self.size = plan.sizes[sweep.id]
        self.points: list[Point] = []
        self.pending = 0
        """Points that are proposed but not yet measured in every repetition."""
        self._plan = plan
        self._exhausted = False

    @property
    def open(self) -> bool:
        """Whether there is another point to propose."""
        return not self._exhausted and len(self.points) < self.size

    def propose(
        self,
        history: list[tuple[Mapping[str, object], tuple[float, ...] | None]],
        others: Others | None,
    ) -> Point | None:
        """The next point, given the mean of each earlier point over its repetitions.

        If another launch was first to propose it, its point.
        """
        index = max((point.index for point in self.points), default=-1) + 1
        agreed = others.agreed(self.sweep.id, index) if others else None
        if agreed is not None:
            return self._plan.point(self.sweep, index, agreed)
        parameters = propose(
            self.sweep.space,
            self._plan.sampler,
            self._plan.study.directions,
            history,
            index=index,
            seed_name=self.sweep.id,
        )
        if parameters is None:
            self._exhausted = True
            return None
        agreed = others.agree(self.sweep.id, index, parameters) if others else parameters
        return self._plan.point(self.sweep, index, agreed)
