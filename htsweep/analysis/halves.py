"""The area of a front that one half of the repetitions finds and the other half measures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd

from htsweep.analysis.design import is_bound, is_source
from htsweep.analysis.interval import LEVEL, interval_of

REFERENCES = ("origin", "source")
"""Where the areas begin: at (0, 0), or at the source model's accuracies before adaptation."""
_DIGITS = 12
_FEWEST = 4
"""With fewer repetitions a half has no spread."""


@final
@dataclass(frozen=True)
class Estimate:
    """A mean area, and the ends of its interval; NaN where there is none."""

    n: int
    """In how many repetitions it was measured."""
    mean: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Mean, low and high."""
        return self.mean, self.low, self.high


@final
@dataclass(frozen=True, eq=False)
class Fronts:
    """The points of one group: repetitions x points, NaN where a point lacks the repetition."""

    x: np.ndarray
    y: np.ndarray
    of: np.ndarray
    """[points], the number of each point's method."""
    methods: Sequence[int]
    """All of them, in order of appearance."""
    entrants: Sequence[int]
    """Those that are no upper bounds."""
    source: np.ndarray
    """[repetitions, 2], the source model's numbers; NaN where there is none."""

    @property
    def has_source(self) -> bool:
        """Whether some repetition has a source model."""
        return bool((~np.isnan(self.source)).all(axis=1).any())

    def estimate(
        self, reference: str, which: np.ndarray, without: np.ndarray | None, level: float = LEVEL
    ) -> Estimate:
        """The mean area of a front, or of what it loses without some points.

        Args:
            reference: one of `REFERENCES`.
            which: the points that make the front.
            without: those that remain of all; None: the area itself is meant, and no loss.
            level: of the interval.
        """
        start = self.source if reference == REFERENCES[1] else np.zeros_like(self.source)
        measured = ~np.isnan(self.x) & ~np.isnan(self.y)
        there = ~np.isnan(start).any(axis=1) & measured[:, which].any(axis=1)
        if without is not None:
            # What is lost is known where all participants have a point.
            for method in self.entrants:
                there &= measured[:, self.of == method].any(axis=1)
        repetitions = np.flatnonzero(there)
        if not len(repetitions):
            return Estimate(0)

        def areas(found: np.ndarray, held: np.ndarray) -> np.ndarray:
            area = self._areas(which, found, held, start)
            if without is not None:
                area -= self._areas(which & without, found, held, start)
            return area

        count = len(repetitions)
        one = without is None and which.sum() == 1 and reference == REFERENCES[0]
        if count == 1 or one:
            # Without a choice there is nothing that luck could choose.
            values = areas(repetitions, repetitions)
            low, high = interval_of(values, level)
            return Estimate(count, round(float(values.mean()), _DIGITS), low, high)
        halves = repetitions[::2], repetitions[1::2]
        values_of = [areas(halves[1], halves[0]), areas(halves[0], halves[1])]
        mean = float(np.mean([values.mean() for values in values_of]))
        low = high = float("nan")
        if count >= _FEWEST:
            ends = [interval_of(values, level) for values in values_of]
            reach = float(np.mean([high - low for low, high in ends])) / 2
            low, high = round(mean - reach, _DIGITS), round(mean + reach, _DIGITS)
        return Estimate(count, round(mean, _DIGITS), low, high)

    def _areas(
        self, which: np.ndarray, found: np.ndarray, held: np.ndarray, start: np.ndarray
    ) -> np.ndarray:
        """In each repetition of `held`, the area of the front that those of `found` find."""
        measured = ~np.isnan(self.x[found]) & ~np.isnan(self.y[found])
        known = np.flatnonzero(which & measured.any(axis=0))
        if not len(known):
            return np.zeros(len(held))
        mean_x = np.nanmean(np.where(measured, self.x[found], np.nan)[:, known], axis=0)
        mean_y = np.nanmean(np.where(measured, self.y[found], np.nan)[:, known], axis=0)
        chosen = known[front(mean_x, mean_y, start[found].mean(axis=0))]
        return np.array([self._area(chosen, held_out, start[held_out]) for held_out in held])

    def _area(self, chosen: np.ndarray, repetition: int, start: np.ndarray) -> float:
        x, y = self.x[repetition, chosen], self.y[repetition, chosen]
        known = ~np.isnan(x) & ~np.isnan(y)
        return staircase(x[known], y[known], start)


def front(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> np.ndarray:
    """The places of the points that no other beats on both and that beat `start`, by rising x."""
    inside = np.flatnonzero((x > start[0]) & (y > start[1]))
    order = inside[np.lexsort((-y[inside], -x[inside]))]
    highest = np.maximum.accumulate(np.r_[-np.inf, y[order]])[:-1]
    return order[y[order] > highest][::-1]


def staircase(x: np.ndarray, y: np.ndarray, start: np.ndarray) -> float:
    """The area below points that are taken for a front, in this order, above `start`.

    It is a sum of products, so that its expectation is, but for covariances, that of the true
    means: a point that a repetition puts on the wrong side of another, or of `start`, counts
    against.
    """
    return float(np.diff(np.r_[start[0], x]) @ (y - start[1]))


def fronts_of(group: pd.DataFrame) -> Fronts:
    """The points of a group, from a row per point and repetition.

    Args:
        group: the columns `method` and `point` (numbers), `repetition`, `role`, `x` and `y`.
    """
    repetitions, points = np.unique(group["repetition"]), pd.unique(group["point"])
    row = np.searchsorted(repetitions, group["repetition"])
    place = pd.Series(np.arange(len(points)), points)[group["point"]].to_numpy()
    x, y = (np.full((len(repetitions), len(points)), np.nan) for _ in range(2))
    x[row, place], y[row, place] = group["x"], group["y"]
    first = group.drop_duplicates("point")
    source = np.full((len(repetitions), 2), np.nan)
    own = group[is_source(group)]
    # Of several source points, the one with the highest sum.
    for number, repetition in enumerate(repetitions):
        inside = own[own["repetition"] == repetition][["x", "y"]].to_numpy()
        if len(inside):
            source[number] = inside[inside.sum(axis=1).argmax()]
    return Fronts(
        x,
        y,
        first["method"].to_numpy(),
        list(dict.fromkeys(group["method"])),
        list(dict.fromkeys(group["method"][~is_bound(group)])),
        source,
    )
