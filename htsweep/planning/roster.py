"""Finds a plan's trials, each with its points, and their stages among the rows of a ledger.

A plan that can be listed is looked up. For a larger one, a row itself says where to look: it has
the sweep, the index and the config under which it ran. The point at that place is made, and belongs
to the row if their ids agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, final

from htsweep.planning import sequences
from htsweep.planning.dimension import Dimension, text_of
from htsweep.planning.jobs import point_id, trial_id
from htsweep.planning.plan import Plan, Point, Sweep, sweep_of
from htsweep.planning.spaces import Spaces

Row = Mapping[str, Any]
"""A row of the ledger's table of trials."""
COLUMNS = (
    "trial",
    "kind",
    "task",
    "status",
    "sweep",
    "point",
    "point_index",
    "repetition",
    "config",
    "stages",
)
"""The columns that a roster and `status` need."""
_AT_A_TIME = 4096
MOST_COMPARED = 1_000
"""In a longer list, numbers that mean the same are not searched for."""


def rows(table: Any, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows of one of the ledger's tables, with only a few thousand in memory at a time."""
    for batch in table.select(list(dict.fromkeys(columns))).to_batches(max_chunksize=_AT_A_TIME):
        yield from batch.to_pylist()


@final
class Roster:
    """Recognises the trials and stages of one plan among rows of a ledger."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._found: dict[str, tuple[Point, ...]] = {}
        self._missed: set[tuple[str, str, int]] = set()
        self._cells: dict[str, Sweep | None] = {}
        self._alike: dict[tuple[str, str], dict[str, Any]] = {}
        self._spaces = Spaces(plan.study.search, plan.task.settings)

    def points(self, row: Row) -> tuple[Point, ...]:
        """The plan's points of which the row is a trial, one in each sweep that has it, or none."""
        if (
            row["kind"] != "trial"
            or row["task"] != self._plan.study.task
            or not self._repeated(row["repetition"])
        ):
            return ()
        if self._plan.adaptive:
            return self._proposed(row)
        point = self.point_of(row)
        if self._plan.listed is not None:
            return self._listed.get(point, ())
        where = (point, row["sweep"], row["point_index"])
        if point and point not in self._found and where not in self._missed:
            points = tuple(self._looked_for(row, point))
            # Another row may lead to a point that this row does not.
            self._found |= {point: points} if points else {}
            self._missed |= set() if points else {where}
        return self._found.get(point, ())

    def point_of(self, row: Row) -> str:
        """The id of the point of which a row is a trial; "" if it contradicts the trial's id."""
        if trial_id(row["point"], row["repetition"]) == row["trial"]:
            return str(row["point"])
        try:
            point = point_id(
                self._plan.task, self._plan.task.resolve(json.loads(row["config"] or "{}"))
            )
        except (ValueError, LookupError, OSError):
            return ""
        return point if trial_id(point, row["repetition"]) == row["trial"] else ""

    def own(self, rows: Iterable[Row]) -> Iterator[tuple[Row, tuple[Point, ...]]]:
        """The plan's rows: its trials with their points, then its stages without points.

        For a plan that is not listed, stages are known from the rows and from some of its points
        (`Plan.known_stages`).
        """
        stages: dict[str, Row] = {}
        used: list[str] = []
        for row in rows:
            if row["kind"] == "stage":
                stages[row["trial"]] = row
                continue
            points = self.points(row)
            if points:
                used += json.loads(row["stages"] or "{}").values()
                yield row, points
        used += [
            trial
            for trial, row in stages.items()
            if row["point"] in self._plan.known_stages and self._repeated(row["repetition"])
        ]
        while used:
            stage = stages.pop(used.pop(), None)
            if stage is not None:
                used += json.loads(stage["stages"] or "{}").values()
                yield stage, ()

    def _repeated(self, repetition: int | None) -> bool:
        return repetition is not None and repetition < self._plan.study.repetitions

    @cached_property
    def _listed(self) -> Mapping[str, tuple[Point, ...]]:
        points: dict[str, tuple[Point, ...]] = {}
        for point in self._plan.listed or ():
            # Two sweeps may share a trial.
            points[point.id] = (*points.get(point.id, ()), point)
        return points

    def _proposed(self, row: Row) -> tuple[Point, ...]:
        """The point of a row, as an adaptive sampler proposed it."""
        sweep, index = self._plan.by_id.get(row["sweep"]), row["point_index"]
        if sweep is None or index is None or index >= self._plan.sizes[sweep.id]:
            return ()
        config = json.loads(row["config"] or "{}")
        parameters = {
            dimension.key: config[dimension.key]
            for dimension in sweep.space
            if dimension.key in config
        }
        return (Point(row["point"], sweep.id, index, parameters, config),)

    def _looked_for(self, row: Row, point: str) -> Iterator[Point]:
        config = json.loads(row["config"] or "{}")
        near = (
            self._plan.by_id.get(row["sweep"]),
            self._plan.by_id.get(point),
            self._sweep_of(config),
        )
        sweeps = {sweep.id: sweep for sweep in near if sweep is not None}
        for sweep in sorted(sweeps.values(), key=lambda sweep: self._order[sweep.id]):
            parameters = {
                key.key: self._spelt(sweep, key, config[key.key])
                for key in sweep.space
                if key.key in config
            }
            for index in sequences.indices(
                sweep.space, self._plan.sampler, parameters, row["point_index"] or 0
            ):
                candidate = self._plan.at(sweep, index)
                if candidate is not None and candidate.id == point:
                    yield candidate
                    break

    def _sweep_of(self, config: Mapping[str, Any]) -> Sweep | None:
        """The plan's sweep for a config that another search made; None if the plan has none."""
        cell = {name: config[name] for name in self._plan.study.factors if name in config}
        name = text_of(cell)
        if name not in self._cells:
            # A number that is not listed may mean the same as one that is. A name does not, and
            # resolving it might need another study's data.
            strange = any(
                text_of(value) not in self._values[key]
                for key, value in cell.items()
                if not _is_number(value)
            )
            self._cells[name] = None if strange else self._plan.by_id.get(self._meant(cell))
        return self._cells[name]

    def _meant(self, cell: Mapping[str, Any]) -> str:
        try:
            return sweep_of(self._plan.study, self._plan.task, cell, self._spaces).id
        except (ValueError, LookupError, OSError):
            return ""

    def _spelt(self, sweep: Sweep, dimension: Dimension, value: Any) -> Any:
        """The sweep's number that means the same as `value`: 0.25 for 0.3 of four classes."""
        listed = dimension.listed or ()
        if (
            not _is_number(value)
            or not 0 < len(listed) <= MOST_COMPARED
            or text_of(value) in dimension.places
        ):
            return value
        usual = {searched.key: searched.default for searched in sweep.space if searched.has_default}

        def name(other: Any) -> str:
            return self._plan.point(sweep, 0, {**usual, dimension.key: other}).id

        place = (sweep.id, dimension.key)
        if place not in self._alike:
            self._alike[place] = {
                name(other): other for other in reversed(listed) if _is_number(other)
            }
        return self._alike[place].get(name(value), value)

    @cached_property
    def _order(self) -> Mapping[str, int]:
        return {sweep.id: number for number, sweep in enumerate(self._plan.sweeps)}

    @cached_property
    def _values(self) -> Mapping[str, set[str]]:
        """Factor -> its values, as texts."""
        values: dict[str, set[str]] = {name: set() for name in self._plan.study.factors}
        for sweep in self._plan.sweeps:
            for name, value in sweep.factors.items():
                values.setdefault(name, set()).add(text_of(value))
        return values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
