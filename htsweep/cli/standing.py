"""Which method is best so far in a launch, beside the baseline: means of the trials that ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, final

from htsweep.execution.agenda import Agenda
from htsweep.planning.plan import Plan
from htsweep.planning.task import BOUND

SEEN, MISSING, HARMONIC = "test/seen_accuracy", "test/missing_accuracy", "test/harmonic_mean"
"""What is shown of a point, and its score where the study has not one objective."""
Group = tuple[tuple[str, str], ...]


@final
@dataclass(slots=True)
class Point:
    """A configuration, and what its trials measured, in the order in which they ended."""

    group: Group
    method: str
    label: str
    """The method with what is searched in it: `l2sp l2sp.backbone=0.1`."""
    values: list[Mapping[str, float]] = field(default_factory=list)

    def mean(self, metric: str) -> float:
        """The mean over the trials that measured it; NaN without any."""
        found = [value[metric] for value in self.values if metric in value]
        return fmean(found) if found else float("nan")


@final
@dataclass(frozen=True, slots=True)
class Place:
    """The best point of a group, and the score of the baseline's best point there."""

    group: Group
    best: Point
    score: float
    baseline: float
    """NaN without the baseline."""


@final
class Standing:
    """The points of one plan so far; upper bounds, which nobody can choose, are left out."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        study = plan.study
        objective = study.objectives[0] if len(study.objectives) == 1 else None
        self.metric = HARMONIC if objective is None else objective.metric
        """The score: the study's objective if it has one, else the harmonic mean."""
        self._sign = -1.0 if objective is not None and objective.direction == "minimize" else 1.0
        self._points: dict[str, Point] = {}
        wanted = plan.task.empty if study.baseline is None else study.baseline
        if study.compared is not None and study.baseline is not None:
            config = plan.task.resolve({**study.fixed, study.compared: study.baseline})
            wanted = config.get(study.compared, wanted)
        self.baseline = self._called(_text(wanted))
        """The compared value that others are compared with; "" if the task names none."""

    @property
    def metrics(self) -> list[str]:
        """What `add` reads of a trial's values."""
        return list(dict.fromkeys([self.metric, SEEN, MISSING]))

    def take(self, agenda: Agenda) -> None:
        """Adds the trials that had ended before the launch."""
        for point, values in agenda.measured(self.metrics):
            self.add(point.id, point.sweep, point.config, values)

    def add(
        self, point: str, sweep: str, config: Mapping[str, Any], values: Mapping[str, float]
    ) -> None:
        """Adds a trial of a point: its last value of each metric."""
        score = self._score(values)
        if score is None or self._plan.task.role(config) == BOUND:
            return
        if point not in self._points:
            self._points[point] = self._new(sweep, config)
        self._points[point].values.append({**values, self.metric: score})

    def places(self) -> list[Place]:
        """The best of each group, in the order in which groups appeared."""
        places = []
        for group, points in self._groups().items():
            best = self._best(points)
            own = [point for point in points if point.method == self.baseline]
            baseline = self._best(own).mean(self.metric) if own else float("nan")
            places.append(Place(group, best, best.mean(self.metric), baseline))
        return places

    def line(self) -> str:
        """The best of all groups in a line, beside the baseline; "" until one has a result in each.

        Over several groups it is the method whose best points have the best mean over them.
        """
        groups = self._groups()
        found: dict[str, list[Point]] = {}
        for points in groups.values():
            for method in dict.fromkeys(point.method for point in points):
                best = self._best([point for point in points if point.method == method])
                found.setdefault(method, []).append(best)
        whole = {name: each for name, each in found.items() if len(each) == len(groups)}
        if not whole:
            return ""
        ranked = sorted(whole, key=lambda name: self._sign * -self._over(whole[name], self.metric))
        first = whole[ranked[0]]
        name = first[0].label if len(groups) == 1 else ranked[0]
        over = f" over {len(groups)} groups" if len(groups) > 1 else ""
        text = f"best so far{over}: {name} with {title(self.metric)} {self._told(first)}"
        seen, missing = self._over(first, SEEN), self._over(first, MISSING)
        if seen == seen and missing == missing:
            text += f" (seen {seen:.1%}, missing {missing:.1%})"
        if ranked[0] != self.baseline and self.baseline in whole:
            return f"{text}; baseline {self.baseline} {self._told(whole[self.baseline])}"
        beside = f"; next {ranked[1]} {self._told(whole[ranked[1]])}" if len(ranked) > 1 else ""
        return f"{text}{beside}"

    def _told(self, points: list[Point]) -> str:
        return shown(self._over(points, self.metric), self.metric)

    def _over(self, points: list[Point], metric: str) -> float:
        return fmean(point.mean(metric) for point in points)

    def _best(self, points: list[Point]) -> Point:
        return max(points, key=lambda point: self._sign * point.mean(self.metric))

    def _groups(self) -> dict[Group, list[Point]]:
        groups: dict[Group, list[Point]] = {}
        for point in self._points.values():
            groups.setdefault(point.group, []).append(point)
        return groups

    def _score(self, values: Mapping[str, float]) -> float | None:
        if self.metric in values:
            return values[self.metric]
        if self.metric != HARMONIC or not {SEEN, MISSING} <= set(values):
            return None
        total = values[SEEN] + values[MISSING]
        return 2 * values[SEEN] * values[MISSING] / total if total else 0.0

    def _called(self, text: str) -> str:
        """What the study calls a value; a folder of images never by where it lies."""
        return self._plan.labels.get(text, text)

    def _new(self, sweep: str, config: Mapping[str, Any]) -> Point:
        made = self._plan.by_id[sweep]
        compared = self._plan.study.compared

        def value(name: str) -> str:
            return self._called(_text(config.get(name, made.factors.get(name))))

        group = tuple((name, value(name)) for name in self._plan.factors if name != compared)
        method = value(compared) if compared else ""
        searched = sorted(each.key for each in made.space if each.key in config)
        label = " ".join([method, *(f"{key}={_text(config[key])}" for key in searched)]).strip()
        return Point(group, method, label or "the study")


def title(metric: str) -> str:
    """A metric in a sentence."""
    return "harmonic mean" if metric == HARMONIC else metric


def shown(value: float, metric: str) -> str:
    """A value of the metric with its unit; "-" if there is none."""
    if value != value:
        return "-"
    return f"{value:.1%}" if metric == HARMONIC or metric.endswith("_accuracy") else f"{value:.4g}"


def named(group: Group) -> Iterator[str]:
    """The values of a group; numbers with their factor's name."""
    for name, value in group:
        yield value if not value.replace(".", "", 1).isdigit() else f"{name} {value}"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "+".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)
