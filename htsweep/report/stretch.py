"""Limits of axes, and a percent axis that gives values near 100 the room they need.

Seen accuracies may lie between 97 and 100 for every method that adapts, and at 60 for the source
model: on an even axis the methods would overlap. A front is the same on any increasing scale.
"""

from __future__ import annotations

import math

import numpy as np

_ROOM = 1.0
"""The scale is the negative logarithm of the distance to 100 plus this."""
_TICKS = (0, 20, 40, 60, 80, 90, 95, 97, 98, 99, 100)
HIGHEST = 100.0


def forward(percent: np.ndarray) -> np.ndarray:
    """Where a value lies on the axis: minus the log of its distance to slightly more than 100."""
    room: np.ndarray = np.maximum(HIGHEST + _ROOM - np.asarray(percent, float), 1e-3)
    place: np.ndarray = -np.log10(room)
    return place


def inverse(place: np.ndarray) -> np.ndarray:
    """The value at a place of the axis."""
    values: np.ndarray = HIGHEST + _ROOM - 10.0 ** -np.asarray(place, float)
    return values


def is_crowded(percent: np.ndarray) -> bool:
    """Whether most values lie in the top fifth of an even axis, which would hide their order."""
    known = percent[~np.isnan(percent)]
    if len(known) < 3 or known.max() > HIGHEST or known.min() < 0:
        return False
    span = HIGHEST - known.min()
    return bool(span > 15 and HIGHEST - np.median(known) < span / 5)


def limits(percent: np.ndarray) -> tuple[float, float]:
    """Ends of a stretched axis that shows all values, with a margin below; it ends at 100."""
    ends = forward(np.array([float(np.nanmin(percent)), HIGHEST]))
    margin = 0.05 * float(ends[1] - ends[0])
    (low,) = inverse(np.array([ends[0] - margin]))
    return max(0.0, float(low)), HIGHEST


def even_limits(values: np.ndarray, percent: bool) -> tuple[float, float]:
    """Ends of an even axis that shows all values with a margin.

    It shows 0 to 100 % where percent values span more than 40, and never more than that.
    """
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if percent and high - low > 40:
        low, high = 0.0, HIGHEST
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    if percent and low >= 0 and high <= HIGHEST:
        return max(0.0, low - margin), min(HIGHEST, high + margin)
    return low - margin, high + margin


def decades(low: float, high: float) -> list[float]:
    """A few round values on a logarithmic axis from `low` to `high`, and just outside."""
    ends = math.log10(low), math.log10(high)
    span = ends[1] - ends[0]
    steps = (
        (1, 2, 3, 4, 5, 6, 8)
        if span < 0.8
        else (1, 2, 5)
        if span < 1.5
        else (1, 3)
        if span < 3
        else (1,)
    )
    apart = max(1, math.ceil(span / 7))
    exponents = range(math.floor(ends[0]), math.ceil(ends[1]) + 1, apart)
    return [float(f"{step}e{exponent}") for exponent in exponents for step in steps]


def ticks(low: float, high: float) -> list[float]:
    """Round values on the axis from `low` to `high`, none too close to the next."""
    inside = [float(tick) for tick in _TICKS if low <= tick <= high]
    width = float(forward(np.array(high)) - forward(np.array(low)))
    kept: list[float] = []
    for tick in reversed(inside):
        if not kept or float(forward(np.array(kept[-1])) - forward(np.array(tick))) > width / 11:
            kept.append(tick)
    return kept[::-1]
