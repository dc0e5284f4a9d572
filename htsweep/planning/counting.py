"""Counts the points of a search without making them all; pure.

Two points may mean the same: a parameter may not matter to the method of its sweep, and two values
may mean the same number of classes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from htsweep.planning.dimension import Dimension, Space
from htsweep.planning.sequences import MOST_REMEMBERED, nth, share_of, size, walk

Name = Callable[[Mapping[str, Any]], str]
"""The id of the point that has these parameters: equal where they mean the same."""
FEWEST_SAMPLES = 100
"""Fewer samples cannot show whether parameters act independently."""
SOME = 16
"""How many values of a range are tried."""
SHOWN = 64
"""The most values of a list that `variations` tries."""


def bound(space: Space, sampler: str, limit: int | None) -> int:
    """The most points that the sampler gives, by arithmetic."""
    return min(end for end in (limit, size(space, sampler)) if end is not None)


def weight(space: Space) -> int:
    """The work to make one point of the space, where a point of a few parameters is 1."""
    return 1 + len(space) // 16


def draws(space: Space, sampler: str, limit: int | None) -> int:
    """The expected draws until a walk ends: in a small space the last new points come late."""
    most = bound(space, sampler, limit)
    whole = size(space, sampler)
    if sampler == "grid" or limit is None or whole is None or whole > MOST_REMEMBERED:
        return most
    return min(limit, math.ceil(whole * (math.log(whole) + 8)))


def at_most(space: Space, sampler: str, limit: int | None, name: Name, *, effort: int) -> int:
    """The most different points that a search can have, found by naming about `effort` points.

    A search that is small enough is counted exactly. Otherwise each parameter is varied alone; if a
    sample of points shows that parameters act independently, the count is the product of how many
    different values each has.
    """
    most = bound(space, sampler, limit)
    effort //= weight(space)
    if draws(space, sampler, limit) <= effort:
        return len({name(parameters) for _, parameters in walk(space, sampler, limit)})
    lists = [values_of(dimension, sampler) for dimension in space]
    varied = sum(map(len, lists))
    if varied + 2 * FEWEST_SAMPLES > effort:
        return most
    first = nth(space, lists, 0)
    alone = [
        [name({**first, dimension.key: value}) for value in values]
        for dimension, values in zip(space, lists, strict=True)
    ]
    endless = [
        ends(dimension, sampler) is None and len(set(names)) > 1
        for dimension, names in zip(space, alone, strict=True)
    ]
    if any(endless) or not all(
        _each_by_itself(space, lists, alone, name, number=attempt)
        for attempt in range((effort - varied) // 2)
    ):
        return most
    return min(most, math.prod(len(set(names)) for names in alone))


def ends(dimension: Dimension, sampler: str) -> Sequence[Any] | None:
    """The values of a parameter that the sampler may take; None if there are infinitely many."""
    return dimension.listed if sampler == "grid" else dimension.values


def values_of(dimension: Dimension, sampler: str) -> Sequence[Any]:
    """The values of a parameter that the sampler may take, or some of infinitely many."""
    values = ends(dimension, sampler)
    return values if values is not None else [dimension.at(part / SOME) for part in range(SOME)]


def variations(space: Space, sampler: str) -> Iterator[dict[str, Any]]:
    """A point, then points that differ from it in one parameter.

    Long lists and ranges are varied only in part.
    """
    lists = [values_of(dimension, sampler) for dimension in space]
    first = nth(space, lists, 0)
    yield first
    for dimension, values in zip(space, lists, strict=True):
        yield from ({**first, dimension.key: value} for value in values[1:SHOWN])


def _each_by_itself(
    space: Space,
    lists: Sequence[Sequence[Any]],
    alone: Sequence[Sequence[str]],
    name: Name,
    *,
    number: int,
) -> bool:
    """Whether a change of one value matters in a random point if and only if in the first."""
    places = [
        int(share_of("sample", number, key.key) * len(values))
        for key, values in zip(space, lists, strict=True)
    ]
    parameters = {
        key.key: values[place] for key, values, place in zip(space, lists, places, strict=True)
    }
    which = number % len(space)
    other = int(share_of("other", number) * len(lists[which]))
    changed = {**parameters, space[which].key: lists[which][other]}
    return (name(parameters) == name(changed)) == (
        alone[which][places[which]] == alone[which][other]
    )
