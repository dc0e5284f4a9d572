"""What factors, methods and metrics are called in tables and figures."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.summary import METRICS

PERCENT = 100.0
RATIO = "missing_ratio"
"""The factor that says which share of the classes the target data lacks."""
HEADLINES = ("test/overall_accuracy", "test/harmonic_mean", "test/ausuc")
"""A method is judged first by the first of these that was measured, else by the first metric."""


_LABELS: ContextVar[Mapping[str, str]] = ContextVar("labels", default={})  # noqa: B039  (never changed)


@contextlib.contextmanager
def labelled(labels: Mapping[str, str]) -> Iterator[None]:
    """Within this block, `value` gives these labels in place of the values that have one."""
    token = _LABELS.set(labels)
    try:
        yield
    finally:
        _LABELS.reset(token)


def value(given: Any) -> str:
    """A factor's value as text: its label, else `0.5`, `lenet_bn`, `lolsgd + frozen` for a list."""
    text = _text(given)
    return _LABELS.get().get(text, text)


def _text(given: Any) -> str:
    if isinstance(given, float) and given != given:
        return "none"
    if isinstance(given, float):
        return f"{given:g}"
    if isinstance(given, list | tuple):
        return " + ".join(map(value, given))
    text = str(given)
    if text.startswith("["):
        try:
            return value(json.loads(text))
        except ValueError:
            return text
    return text


def factor(name: str, given: Any) -> str:
    """A factor's value that is clear by itself: `mnist-uci`, `50 % missing`, `epochs 10`."""
    if name == RATIO and isinstance(given, int | float):
        return f"{PERCENT * given:g} % missing"
    return (
        value(given)
        if name in ("dataset", "backbone", "method", "sweep")
        else f"{name} {value(given)}"
    )


def group(values: Mapping[str, Any]) -> str:
    """A group by its factors: `mnist-uci, 50 % missing, lenet_bn`; others with their names."""
    return ", ".join(factor(name, given) for name, given in values.items())


def title(row: Mapping[str, Any], design: Design) -> str:
    """A row's group by all of its factors; "" if the design has no groups."""
    return group({name: row[name] for name in design.groups})


def groups(frame: pd.DataFrame, design: Design) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each group, under its title, in order of appearance."""
    if not design.groups or frame.empty:
        return [("", frame)] if len(frame) else []
    return [
        (title(dict(zip(design.groups, key, strict=True)), design), inside)
        for key, inside in frame.groupby(
            list(design.groups), sort=False, observed=True, dropna=False
        )
    ]


def split(frame: pd.DataFrame, design: Design) -> tuple[list[str], list[str]]:
    """The group factors that are the same in all rows, and those that differ."""
    same = [name for name in design.groups if frame[name].nunique(dropna=False) <= 1]
    return same, [name for name in design.groups if name not in same]


def configuration(row: Mapping[str, Any], parameters: Sequence[str]) -> str:
    """The parameters that a point has: `l2sp.backbone=0.1, l2sp.head=0.01`."""
    return ", ".join(
        f"{name}={value(row[name])}"
        for name in parameters
        if name in row and not pd.isna(row[name])
    )


def headline(metrics: Sequence[str]) -> str:
    """The metric that a method is judged by first; "" if there is none."""
    return next((name for name in HEADLINES if name in metrics), next(iter(metrics), ""))


def area(axes: tuple[str, str] | None) -> str:
    """A metric in the unit of an area between these axes: percent if both are, else "" (as is)."""
    return "test/ausuc" if axes is not None and all(map(is_percent, axes)) else ""


def is_percent(metric: str) -> bool:
    """Whether the metric is a fraction that is shown in percent."""
    return metric in METRICS or metric.endswith(("_accuracy", "_share"))


def scale(metric: str) -> float:
    """The factor by which a metric is multiplied to be shown."""
    return PERCENT if is_percent(metric) else 1.0


def shown(frame: pd.DataFrame, metric: str, bound: str = "") -> np.ndarray:
    """The column of a metric, or of its `bound` (" low", " high"), in the displayed unit."""
    return frame[f"{metric}{bound}"].to_numpy(float) * scale(metric)


def metric(name: str) -> str:
    """A metric's short title: `seen`, `AUSUC`, else its own name."""
    return METRICS.get(name, name)


def number(given: float, name: str, sign: bool = False) -> str:
    """A value of the metric `name` in the displayed unit: `98.8`, `12.34`.

    With `sign`, for a difference: `+15.8`.
    """
    text = format(
        given * scale(name), f"{'+' if sign else ''}{'.1f' if is_percent(name) else '.4g'}"
    )
    return text if text.strip("+-0.") else text.lstrip("+-")  # no minus zero


def bracket(low: float, high: float, name: str, sign: bool = False) -> str:
    """The ends of an interval: `[98.1, 99.2]`; `[n/a]` if there is none (one repetition)."""
    if low != low or high != high:
        return "[n/a]"
    return f"[{number(low, name, sign)}, {number(high, name, sign)}]"


def interval(row: Mapping[str, Any], name: str) -> str:
    """A metric's mean and interval: `98.8 [98.1, 99.2] %`; `[n/a]` without one."""
    text = f"{number(row[name], name)} {bracket(row[f'{name} low'], row[f'{name} high'], name)}"
    return f"{text} %" if is_percent(name) else text


def amount(given: float, name: str) -> str:
    """A value of the metric with its unit: `98.8 %`, `12.34`."""
    return f"{number(given, name)} %" if is_percent(name) else number(given, name)


def distance(given: float, name: str) -> str:
    """How far apart two values of the metric are: `15.8 points`, `12.34`."""
    return f"{number(abs(given), name)} points" if is_percent(name) else number(abs(given), name)


def rounded(given: float) -> str:
    """A round number in few letters, for a tick: `1000`, `20k`, `3M`, `0.01`."""
    for unit, shown, letter in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if given >= unit:
            return f"{given / shown:g}{letter}"
    return f"{given:g}"


def probability(given: float) -> str:
    """A p value: `0.031`, `< 0.001`, `n/a`."""
    if given != given:
        return "n/a"
    return "< 0.001" if given < 0.001 else f"{given:.2g}" if given < 0.995 else "1"


def axis(name: str) -> str:
    """A metric as the title of an axis."""
    if name.endswith("_accuracy") and name in METRICS:
        return (
            f"accuracy on {METRICS[name]} classes (%)"
            if METRICS[name] != "overall"
            else "accuracy on all classes (%)"
        )
    return f"{metric(name)} (%)" if is_percent(name) else name


_COSTS = {
    "seconds": "seconds of training",
    "gpu_hours": "GPU hours",
    "peak_memory_bytes": "peak memory (MB)",
    "trainable_parameters": "trainable parameters",
}


def cost(name: str) -> str:
    """A cost as the title of an axis: `GPU hours`."""
    return _COSTS.get(name, name)


_UNITS = {"peak_memory_bytes": 1e-6}
"""Cost -> the factor by which it is shown; 1 for others."""


def priced(costs: pd.DataFrame) -> pd.DataFrame:
    """The table of costs with `value` and its interval in the unit of `cost`'s title."""
    if costs.empty:
        return costs
    factors = costs["cost"].astype(str).map(_UNITS).fillna(1.0).astype(float)
    columns = [name for name in ("value", "value low", "value high") if name in costs]
    return costs.assign(**{name: costs[name].astype(float) * factors for name in columns})
