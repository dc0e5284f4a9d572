"""Asynchronous successive halving: whether a trial goes on past a rung; pure.

One objective: ASHA (Li et al., MLSys 2020, Algorithm 2), in its stopping form. Several: non-dominated rank in place of rank
(MO-ASHA, Schmucker et al., arXiv 2106.12639), which neither Optuna nor Ray Tune offers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Values = Sequence[float]


def survives(values: Values, others: Sequence[Values], directions: Sequence[str], eta: int) -> bool:
    """Whether a trial that reached a rung with `values` is among the best 1/eta of those that reached it so far.

    Args:
        values: its objectives.
        others: the objectives of the trials of its sweep and repetition that reached the rung before it.
        directions: `maximize` or `minimize`, one per objective.
        eta: one in so many goes on.

    Returns:
        True also while fewer than `eta` trials are known, and for ties at the edge: nothing is stopped without evidence. A NaN
        never goes on.
    """
    if any(map(math.isnan, values)):
        return False
    mine = _losses(values, directions)
    known = [_losses(other, directions) for other in others if not any(map(math.isnan, other))]
    if len(known) + 1 < eta:
        return True
    kept = max(1, (len(known) + 1) // eta)
    # With one objective the front of what beats it is its rank; with several, the fronts are peeled off.
    return _ahead(mine, known) < kept


def _ahead(mine: Sequence[float], known: Sequence[Sequence[float]]) -> int:
    """How many of `known` lie in fronts before the one that `mine` is in."""
    left = list(known)
    ahead = 0
    while left:
        if not any(_dominates(other, mine) for other in left):
            return ahead
        front = [one for one in left if not any(_dominates(other, one) for other in left)]
        ahead += len(front)
        left = [one for one in left if one not in front]
    return ahead


def _dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(first, second, strict=True)) and any(a < b for a, b in zip(first, second, strict=True))


def _losses(values: Values, directions: Sequence[str]) -> tuple[float, ...]:
    return tuple(-value if direction == "maximize" else value for value, direction in zip(values, directions, strict=True))
