"""Times fronts, hypervolumes and AUSUC on large inputs, against what a user would write.

The fronts have 100,000 points, and the logits for AUSUC are 30,000 x 200.

uv run python benchmarks/analysis.py
"""

from __future__ import annotations

import itertools
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import machine

from htsweep.analysis.halves import front, staircase
from htsweep.selection.fronts import non_dominated
from tasks import metrics

POINTS, PAIRS = 100_000, 5_000
SAMPLES, CLASSES, STEPS = 30_000, 200, 30


def all_pairs(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The front as in simple scripts: each point against all others, in numpy."""
    return np.array(
        [not ((x >= a) & (y >= b) & ((x > a) | (y > b))).any() for a, b in zip(x, y, strict=True)]
    )


def area_of(x: np.ndarray, y: np.ndarray) -> float:
    """The area above (0, 0) as the report computes it."""
    start = np.zeros(2)
    chosen = front(x, y, start)
    return staircase(x[chosen], y[chosen], start)


def strip_by_strip(x: np.ndarray, y: np.ndarray) -> float:
    """The area above (0, 0) as in simple scripts: strips between neighbouring x, in Python."""
    front = sorted(zip(x.tolist(), y.tolist(), strict=True))
    area, height = 0.0, 0.0
    for (right, up), (left, _) in zip(
        reversed(front), [*reversed(front[:-1]), (0.0, 0.0)], strict=True
    ):
        height = max(height, up)
        area += (right - left) * height
    return area


def fronts(name: str, x: np.ndarray, y: np.ndarray) -> None:
    area, other = area_of(x, y), strip_by_strip(x, y)
    assert abs(area - other) < 1e-9, (area, other)
    some, more = x[:PAIRS], y[:PAIRS]
    assert (all_pairs(some, more) == non_dominated(some, more)).all()
    ours = machine.median_seconds(lambda: (non_dominated(x, y), area_of(x, y)), 7)
    pairs = machine.median_seconds(lambda: all_pairs(some, more))
    strips = machine.median_seconds(lambda: strip_by_strip(x, y))
    theirs = pairs * (POINTS / PAIRS) ** 2 + strips
    print(
        f"front and hypervolume of {POINTS} points, {name}: {ours:.3f} s; all pairs in numpy and "
        f"strips in Python: {theirs:.0f} s (pairs of {PAIRS} points in {pairs:.2f} s, scaled up; "
        f"strips in {strips:.2f} s); ratio: {theirs / ours:.0f}"
    )


def quadratic(
    scores: np.ndarray, labels: np.ndarray, missing: np.ndarray, steps: int
) -> tuple[list[float], list[float]]:
    """The curve as in official code: one constant per sample, and all accuracies for each."""
    seen = np.setdiff1d(np.arange(scores.shape[1]), missing)
    gaps = np.sort(scores[:, seen].max(1) - scores[:, missing].max(1))
    of_missing = np.isin(labels, missing)
    found: tuple[list[float], list[float]] = ([], [])
    for gap in itertools.islice(gaps, steps):
        moved = scores.copy()
        moved[:, missing] += gap
        right = moved.argmax(1) == labels
        found[0].append(right[~of_missing].mean())
        found[1].append(right[of_missing].mean())
    return found


def ausuc() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, SAMPLES)
    scores = random.normal(size=(SAMPLES, CLASSES)).astype(np.float32)
    scores[np.arange(SAMPLES), labels] += 3
    missing = np.arange(CLASSES // 2, CLASSES)
    agree(scores[:300].astype(np.float64), labels[:300], missing)
    ours = machine.median_seconds(lambda: metrics.area(*metrics.curve(scores, labels, missing)), 7)
    begin = time.perf_counter()
    quadratic(scores, labels, missing, STEPS)
    theirs = (time.perf_counter() - begin) / STEPS * SAMPLES
    print(
        f"AUSUC of {SAMPLES} x {CLASSES} logits: {ours:.3f} s; the quadratic loop: {theirs:.0f} s "
        f"({STEPS} of its {SAMPLES} "
        f"steps, scaled up); ratio: {theirs / ours:.0f}"
    )


def agree(scores: np.ndarray, labels: np.ndarray, missing: np.ndarray) -> None:
    """Checks on few samples that the loop's area is ours, except for the ends that it lacks."""
    seen, gained = quadratic(scores, labels, missing, len(scores))
    first, last = (
        metrics.curve(scores, labels, missing),
        metrics.area(*metrics.curve(scores, labels, missing)),
    )
    # Its constants rise, so that it starts with the highest seen accuracy, like ours.
    loop = metrics.area(np.array([first[0][0], *seen, 0.0]), np.array([0.0, *gained, first[1][-1]]))
    assert abs(loop - last) < 2 / len(scores), (loop, last)


if __name__ == "__main__":
    print(machine.said())
    square = np.random.default_rng(0).random((2, POINTS))
    fronts("random", *square)
    fronts("all on the front", square[0], 1 - square[0])
    ausuc()
