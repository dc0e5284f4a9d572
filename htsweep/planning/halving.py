"""Asynchronous successive halving: decides whether a trial continues past a rung; pure.

With one objective it is the stopping rule of ASHA (Li et al., MLSys 2020, arXiv:1810.05934), by
rank. With several it goes by non-dominated rank, and by an epsilon-net inside the front that the
cut falls into (MO-ASHA, Schmucker et al., arXiv:2106.12639), which neither Optuna nor Ray Tune
offers. Unlike MO-ASHA, a trial that no other dominates is never stopped, since it may be part of
the frontier that the study looks for. If most trials are on the first front, hardly any is stopped.

Decisions depend on comparisons alone: any increasing rescaling of an objective leaves them
unchanged.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from htsweep.selection.fronts import Losses, ranks

Values = Sequence[float]


def rungs(first: int, eta: int, last: int) -> tuple[int, ...]:
    """The steps at which trials are compared, before `last`: first, first eta, first eta^2, ...

    There is none at `last` itself, where stopping a trial would no longer save anything.
    """
    steps = []
    while first < last:
        steps.append(first)
        first *= eta
    return tuple(steps)


def survives(values: Values, others: Sequence[Values], directions: Sequence[str], eta: int) -> bool:
    """Whether a trial at a rung is among the best 1/eta of those that reached it so far.

    Args:
        values: its objectives.
        others: the objectives of the trials of its sweep and repetition that reached the rung
            before it, in any order.
        directions: `maximize` or `minimize`, one per objective.
        eta: one in `eta` continues, and at least one.

    Returns:
        True also while fewer than `eta` trials are known, including this one, and for all that tie
        at the cut: nothing is stopped without evidence. A trial with a NaN never continues, and is
        ignored among the others.
    """
    if any(map(math.isnan, values)):
        return False
    mine = _losses(values, directions)
    everyone = Counter(
        [mine, *(_losses(other, directions) for other in others if not any(map(math.isnan, other)))]
    )
    count = everyone.total()
    if count < eta:
        return True
    front = ranks(everyone)
    if front[mine] == 0:
        return True
    ahead = sum(everyone[point] for point in everyone if front[point] < front[mine])
    room = max(1, count // eta) - ahead
    for point in _net([point for point in everyone if front[point] == front[mine]]):
        if room <= 0 or point == mine:
            break
        room -= everyone[point]
    return room > 0


def _net(front: Sequence[Losses]) -> list[Losses]:
    """The front as an epsilon-net: the best by the first objective, then always the farthest point.

    Distance is measured to the nearest member so far, in ranks within the front, so that scales do
    not matter.
    """
    places = [
        {value: rank for rank, value in enumerate(sorted(set(column)))}
        for column in zip(*front, strict=True)
    ]
    place = {
        point: [rank[value] for rank, value in zip(places, point, strict=True)] for point in front
    }
    left = sorted(front)
    net = [left.pop(0)]
    distance = {point: math.dist(place[point], place[net[0]]) for point in left}
    while left:
        net.append(max(left, key=distance.__getitem__))
        left.remove(net[-1])
        distance = {
            point: min(distance[point], math.dist(place[point], place[net[-1]])) for point in left
        }
    return net


def _losses(values: Values, directions: Sequence[str]) -> Losses:
    return tuple(
        -value if direction == "maximize" else value
        for value, direction in zip(values, directions, strict=True)
    )
