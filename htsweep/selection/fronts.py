"""Which points no other point dominates: the only place that decides this; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Directions = tuple[bool, bool]
"""For x and y: whether more is better."""
Losses = tuple[float, ...]
"""Objectives with their signs turned so that less is better."""
_FEW = 64
"""Up to this many points, comparing all pairs in numpy beats calling moocore for each sample."""


def non_dominated(
    x: Sequence[float] | pd.Series | np.ndarray,
    y: Sequence[float] | pd.Series | np.ndarray,
    group: Sequence[object] | np.ndarray | None = None,
    maximise: Directions = (True, True),
) -> np.ndarray:
    """A flag per point, in the order given: True where no other point of its group dominates it.

    To dominate is to be as good on both and better on one. Equal points do not dominate each other;
    a point with a NaN is on no front and dominates none.
    """
    import moocore
    import numpy as np
    import pandas as pd

    both = np.column_stack([np.asarray(x, float), np.asarray(y, float)])
    sets = np.zeros(len(both), int) if group is None else pd.factorize(np.asarray(group))[0]
    flags = np.zeros(len(both), bool)
    known = ~np.isnan(both).any(axis=1)
    if known.any():
        flags[known] = moocore.is_nondominated_within_sets(
            both[known], sets[known], maximise=list(maximise), keep_weakly=True
        )
    return flags


def staircase(
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    ends: tuple[float, float],
    maximise: Directions = (True, True),
) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the edge between what the points of a front reach and what none does.

    The edge runs from the first of `ends` on the x axis to the second on the y axis.
    """
    import numpy as np

    order = np.argsort(np.asarray(x, float) * (1 if maximise[0] else -1), kind="stable")
    along, up = np.asarray(x, float)[order], np.asarray(y, float)[order]
    # At each point: along to it at its height, then vertically to the height of the next.
    return (
        np.concatenate([[ends[0]], np.repeat(along, 2)]),
        np.concatenate([np.repeat(up, 2), [ends[1]]]),
    )


def non_dominated_in_samples(
    x: np.ndarray, y: np.ndarray, maximise: Directions = (True, True)
) -> np.ndarray:
    """The flags of `non_dominated` for the points (columns) in each sample (row)."""
    return (_few_points if x.shape[1] <= _FEW else _many_points)(x, y, maximise)


def beaten_by(
    points: np.ndarray,
    others: np.ndarray,
    sets: np.ndarray,
    count: int,
    *,
    maximise: Directions = (True, True),
) -> np.ndarray:
    """Flags (points x sets): True where the set has a point that dominates the point.

    To dominate is to be as good on both axes and better on one. A point is on the joint front of
    some sets if none of them beats it, so that one table serves every choice of sets. Equal points
    do not beat each other; a NaN beats none.

    Args:
        points: x and y of each point.
        others: x and y of each point that may beat one.
        sets: the number, below `count`, of the set of each of `others`.
        count: how many sets there are.
        maximise: for x and y, whether more is better.
    """
    import numpy as np

    signs = np.array([1.0 if more else -1.0 for more in maximise])
    mine = points * signs
    flags = np.zeros((len(points), count), bool)
    # Whatever a dominated point of a set beats, a point of the set's own front beats too.
    front = non_dominated(others[:, 0], others[:, 1], sets, maximise)
    for number in np.unique(sets[front]):
        for x, y in others[front & (sets == number)] * signs:
            as_good = (x >= mine[:, 0]) & (y >= mine[:, 1])
            flags[:, number] |= as_good & ((x > mine[:, 0]) | (y > mine[:, 1]))
    return flags


def _few_points(x: np.ndarray, y: np.ndarray, maximise: Directions) -> np.ndarray:
    """Which points are on the front in each sample (samples x points), from all pairs at once."""
    import numpy as np

    along, up = (axis if more else -axis for axis, more in zip((x, y), maximise, strict=True))
    mine, other = (slice(None), slice(None), None), (slice(None), None, slice(None))
    as_good = (along[other] >= along[mine]) & (up[other] >= up[mine])
    better = (along[other] > along[mine]) | (up[other] > up[mine])
    known: np.ndarray = ~(np.isnan(x) | np.isnan(y))
    return known & ~(as_good & better).any(axis=2)


def _many_points(x: np.ndarray, y: np.ndarray, maximise: Directions) -> np.ndarray:
    """As `_few_points`, one sample at a time, which sorts instead of comparing all pairs."""
    import moocore
    import numpy as np

    flags = np.zeros(x.shape, bool)
    for flag, sample in zip(flags, np.stack([x, y], axis=-1), strict=True):
        known = ~np.isnan(sample).any(axis=1)
        if known.any():
            flag[known] = moocore.is_nondominated(
                sample[known], maximise=list(maximise), keep_weakly=True
            )
    return flags


def ranks(losses: Iterable[Losses]) -> Mapping[Losses, int]:
    """The non-dominated rank of each: 0 where nothing dominates it.

    Otherwise it is one more than the highest rank among those that dominate it.
    """
    rank_of: dict[Losses, int] = {}
    # In lexicographic order, whatever dominates a point comes before it.
    for point in sorted(set(losses)):
        rank_of[point] = 1 + max(
            (rank for other, rank in rank_of.items() if _dominates(other, point)), default=-1
        )
    return rank_of


def _dominates(first: Losses, second: Losses) -> bool:
    """Whether `first` is no worse in any objective; the two are known to differ."""
    return all(a <= b for a, b in zip(first, second, strict=True))
