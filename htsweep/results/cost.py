"""What runs will cost, from past runs that are like them in whatever takes time.

Two runs are alike if they are of one task and part (trial or stage), need the same stages, and have
the same values of all settings but fractions (learning rates, weights) and those that multiply the
work, as their declarations say (`Setting.repeats`: epochs, steps, batch size). Time is then taken
as a line through the past runs, or as proportional to the work if they all did the same amount.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, final

from htsweep.planning import task
from htsweep.planning.dimension import text_of
from htsweep.planning.plan import Plan, Point, Sweep

COLUMNS = (
    "kind",
    "task",
    "status",
    "point",
    "config",
    "stages",
    "seconds",
    "gpu",
    "device",
    "ended",
)
"""The columns of the ledger that `Past` reads."""
TRIAL = "trial"
"""The part of the work of all that is not a stage with settings of its own."""
Key = tuple[Any, ...]


@final
@dataclass(frozen=True)
class Run:
    """A run, as far as its time depends on it."""

    kind: str
    task: str
    point: str
    config: Mapping[str, Any]
    stages: frozenset[str]
    """The names of the stages that it needs."""

    @cached_property
    def key(self) -> Key:
        """Equal for runs that differ at most in fractions and in the amount of work."""
        return self._key(self.config)

    def without(self, compared: str | None) -> Key:
        """As `key`, whatever the compared value is, and its own parameters."""
        return self._key(
            {key: value for key, value in self.config.items() if key != compared and "." not in key}
        )

    @cached_property
    def work(self) -> float:
        """The product of the settings that multiply it; 1 without any."""
        product = 1.0
        for key, value in self.config.items():
            if self._repeats.get(key) == self._part and _is_number(value) and value > 0:
                product *= value
        return product

    def _key(self, config: Mapping[str, Any]) -> Key:
        settings = _settings(self.task)
        kept = {
            key: text_of(value)
            for key, value in config.items()
            if not self._repeats.get(key)
            and not isinstance(value, float)
            and (settings is None or (key in settings and settings[key].type is not float))
        }
        return (self.kind, self.task, self.stages, tuple(sorted(kept.items())))

    @cached_property
    def _repeats(self) -> Mapping[str, str]:
        settings = _settings(self.task) or {}
        return {key: getattr(setting, "repeats", "") for key, setting in settings.items()}

    @cached_property
    def _part(self) -> str:
        own = self.task.partition(":")[2]
        return own if own and own in self._repeats.values() else TRIAL


def run_of(planned: Plan, point: Point) -> Run:
    """The run of a trial of `point`."""
    needs = frozenset(planned.needs(point))
    return Run("trial", planned.study.task, point.id, point.config, needs)


def first_of(planned: Plan, sweep: Sweep) -> Point:
    """A point of a sweep, which stands for those that are not known yet: its defaults."""
    usual = {
        dimension.key: dimension.default if dimension.has_default else dimension.at(0)
        for dimension in sweep.space
    }
    return planned.point(sweep, 0, usual)


@final
@dataclass(frozen=True)
class Cost:
    """The hours of one slot for what is to run, and on what they rest."""

    hours: float | None
    """None if no past run is like any of them."""
    runs: int
    """To run."""
    unknown: int
    """Of these, how many have no past run like them, and are not in the hours."""
    borrowed: int
    """How many have their time from runs with another compared value."""
    past: int
    """Past runs on this kind of device."""

    def basis(self, measure: str) -> str:
        """What the hours rest on; `measure`: the command that times what has no run yet."""
        remedy = f"; to time one of each kind: {measure}"
        if self.hours is None:
            return f"no run like {'this' if self.runs == 1 else 'these'} yet{remedy}"
        text = f"from {self.past} past runs"
        if self.borrowed:
            text += f"; {self.borrowed} of {self.runs} have their time from those of other methods"
        if self.unknown:
            text += (
                f"; {self.unknown} of {self.runs} have no run like them yet and are not counted"
                f"{remedy}"
            )
        return text


@final
class Past:
    """Past runs, by what their time depends on."""

    def __init__(
        self, rows: Iterable[Mapping[str, Any]], compared: str | None, *, gpu: bool
    ) -> None:
        """Takes the rows that are done, on a GPU or without one.

        Args:
            rows: of the ledger's table of trials, with `COLUMNS`.
            compared: the compared factor.
            gpu: whether the runs to estimate use one.
        """
        self._compared = compared
        self.count = 0
        self._points: dict[str, list[float]] = {}
        self._alike: dict[Key, list[tuple[str, float, float]]] = {}
        self._near: dict[Key, list[tuple[str, float, float]]] = {}
        known: dict[tuple[str, str], Run] = {}
        done = [row for row in rows if row["status"] == "done" and (row["gpu"] > 0) == gpu]
        for row in sorted(done, key=lambda row: row["ended"]):
            self.count += 1
            self._points.setdefault(row["point"], []).append(row["seconds"])
            place = (row["task"], row["config"])
            if place not in known:
                stages = frozenset(json.loads(row["stages"] or "{}"))
                config = json.loads(row["config"] or "{}")
                known[place] = Run(row["kind"], row["task"], row["point"], config, stages)
            run = known[place]
            found = (row["device"], run.work, row["seconds"])
            self._alike.setdefault(run.key, []).append(found)
            self._near.setdefault(run.without(compared), []).append(found)

    def of(self, wanted: Iterable[tuple[Run, int]]) -> Cost:
        """What runs cost together; each comes with how often it runs."""
        total, count, unknown, borrowed = 0.0, 0, 0, 0
        for run, many in wanted:
            count += many
            seconds, own = self.seconds(run)
            unknown += many if seconds is None else 0
            borrowed += many if seconds is not None and not own else 0
            total += (seconds or 0.0) * many
        hours = None if count and unknown == count else total / 3600
        return Cost(hours, count, unknown, borrowed, self.count)

    def seconds(self, run: Run) -> tuple[float | None, bool]:
        """What the run takes, or None; and whether that is from runs of its own compared value."""
        if run.point in self._points:
            return median(self._points[run.point]), True
        if run.key in self._alike:
            return _fitted(self._alike[run.key], run.work), True
        near = self._near.get(run.without(self._compared))
        return (None, False) if near is None else (_fitted(near, run.work), False)


def _fitted(past: list[tuple[str, float, float]], work: float) -> float:
    """The seconds of `work`, from (device, work, seconds) of past runs on the latest's device."""
    device = past[-1][0]
    by_work: dict[float, list[float]] = {}
    for where, amount, seconds in past:
        if where == device:
            by_work.setdefault(amount, []).append(seconds)
    medians = {amount: median(each) for amount, each in by_work.items()}
    if work in medians:
        return medians[work]
    least, most = min(medians), max(medians)
    if least == most:
        return medians[most] * work / most
    slope = max(0.0, (medians[most] - medians[least]) / (most - least))
    return max(0.0, medians[most] + slope * (work - most))


def lasting(seconds: float) -> str:
    """A duration: `45 s`, `12.0 min`, `1.5 h`."""
    if seconds > 5400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds > 90 else f"{seconds:.0f} s"


def _settings(name: str) -> Mapping[str, Any] | None:
    """The settings of a task; for a stage, those of the task that it belongs to."""
    for known in (name, name.partition(":")[0]):
        try:
            settings = task.find(known).settings
        except Exception:  # a run of a task that is no longer there
            continue
        if settings is not None:
            return settings
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
