"""One trial's end as in the ledger, and its copy for MLflow; pure."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, final

TRIAL = "htsweep.trial"
"""The tag with the trial that a run copies."""
RECORD = "htsweep.record"
"""The tag with the digest of the copied ledger record; another digest makes another run."""
SELECTED = "htsweep.selected"
"""The tag with the protocols that pick the run's point, by commas; updated as they change."""
INFINITE = "htsweep.infinite"
"""The tag with infinite values, which are left out: MLflow would store them as 1.8e308."""
RENAMED = "htsweep.renamed"
"""The tag with the original names, as JSON, of metrics whose names MLflow refuses."""
NAME = "mlflow.runName"
COLOUR = "mlflow.runColor"
COMMIT = "mlflow.source.git.commit"

STATUSES = {"done": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
"""MLflow's status of a trial.

A stopped trial was healthy but has fewer steps than its neighbours. KILLED keeps it out of `status
= 'FINISHED'`, so that what is compared there was trained to the end; its tag `status` says
`stopped`.
"""

LONGEST_KEY, LONGEST_PARAMETER, LONGEST_TAG = 250, 6000, 8000
"""MLflow's limits in characters."""

NAMED = ("method", "dataset", "missing_ratio", "backbone")
"""The tags that name a run; legends show nothing else."""

Point = tuple[str, float, int]
"""Metric, value, step."""


@final
@dataclass(frozen=True)
class Run:
    """One trial's end. `record` is a digest of the ledger's record; times are unix seconds."""

    trial: str
    record: str
    status: str
    tags: Mapping[str, str]
    parameters: Mapping[str, Any]
    measurements: Sequence[Mapping[str, Any]]
    started: float
    ended: float


@final
@dataclass(frozen=True)
class Copy:
    """A run as MLflow stores it: legal names, values within its limits, times in milliseconds."""

    name: str
    status: str
    started: int
    ended: int
    tags: dict[str, str]
    parameters: dict[str, str]
    points: tuple[Point, ...]


def copy_of(run: Run, colour: str | None = None) -> Copy:
    """The copy of `run`, drawn in `colour` (`#rrggbb`) by MLflow's charts."""
    points, infinite = points_of(run.measurements)
    name = name_of(run)
    tags = {"status": run.status, **run.tags, TRIAL: run.trial, RECORD: run.record, NAME: name}
    if "commit" in run.tags:
        tags[COMMIT] = run.tags["commit"]
    if infinite:
        tags[INFINITE] = ", ".join(infinite)
    renamed = {
        legal(key): key
        for measurement in run.measurements
        for key in measurement
        if legal(key) != key
    }
    if renamed:
        tags[RENAMED] = json.dumps(renamed, ensure_ascii=False)
    if colour:
        tags[COLOUR] = colour
    return Copy(
        name=name,
        status=STATUSES[run.status],
        started=int(run.started * 1000),
        ended=int(run.ended * 1000),
        tags={legal(key): cut(str(value), LONGEST_TAG) for key, value in tags.items()},
        parameters={
            legal(key): cut(_written(value), LONGEST_PARAMETER)
            for key, value in run.parameters.items()
        },
        points=points,
    )


def name_of(run: Run) -> str:
    """A name for people and the head of the trial's id: `l2sp mnist-uci 0.5 lenet #2 3fa9c1`."""
    words = [run.tags[tag] for tag in NAMED if tag in run.tags]
    if "repetition" in run.tags:
        words.append(f"#{run.tags['repetition']}")
    return cut(" ".join([*words, run.trial[:6]]), LONGEST_KEY)


def points_of(measurements: Iterable[Mapping[str, Any]]) -> tuple[tuple[Point, ...], list[str]]:
    """Every number as (metric, value, step), each once, and the infinite ones as text.

    The text is `metric@step=inf`, as MLflow cannot hold them. Curves, texts and missing values are
    left out; NaN is kept, as MLflow can hold it.
    """
    points: dict[Point, None] = {}
    infinite = []
    for measurement in measurements:
        step = int(measurement["step"])
        for key, value in measurement.items():
            if key == "step" or isinstance(value, bool) or not isinstance(value, Real):
                continue
            number = float(value)
            if math.isinf(number):
                infinite.append(f"{key}@{step}={number}")
            else:
                # NaN differs from itself: one object for all of them, so that a repeated one counts
                # once.
                points[legal(key), math.nan if math.isnan(number) else number, step] = None
    return tuple(points), infinite


def latest(points: Iterable[Point]) -> dict[str, Point]:
    """The last point of each metric by MLflow's definition: greatest step, then greatest value.

    NaN counts as 0.
    """
    last: dict[str, Point] = {}
    for point in points:
        held = last.get(point[0])
        if held is None or _order(point) > _order(held):
            last[point[0]] = point
    return last


@functools.lru_cache(10_000)
def legal(key: str) -> str:
    """`key` as a name that MLflow accepts for a metric, a parameter or a tag.

    A name that it does not accept gets a digest of the original, so that no two names become one,
    in this run or another.
    """
    plain = re.sub(r"[^/\w.\- :]", "_", key)
    path = posixpath.normpath(plain).lstrip("/")
    # ".." is a path to MLflow, and one that leads out.
    name = "_" if path in ("", ".") else path.replace("..", "_")
    if name == key and len(key) <= LONGEST_KEY:
        return key
    mark = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{name[: LONGEST_KEY - len(mark) - 1]}-{mark}"


def cut(text: str, length: int) -> str:
    """The text, cut to at most `length` characters, with `...` if cut."""
    return text if len(text) <= length else text[: length - 3] + "..."


def _order(point: Point) -> tuple[int, float]:
    return point[2], 0.0 if math.isnan(point[1]) else point[1]


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Real) and not isinstance(value, bool):
        return str(int(value)) if isinstance(value, Integral) else repr(float(value))
    return json.dumps(value, default=str)
