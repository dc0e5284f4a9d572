"""How many points a search has, without making them all; pure.

Two points may mean the same: a parameter need not matter to the method of its sweep, and values may
mean one number of classes.
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
"""Fewer do not tell whether parameters act each by itself."""
SOME = 16
"""Values of a range that are tried."""
SHOWN = 64
"""Values of a list of which `variations` gives one each."""


def bound(space: Space, sampler: str, limit: int | None) -> int:
    """How many points the sampler gives at most, by arithmetic."""
    return min(end for end in (limit, size(space, sampler)) if end is not None)


def weight(space: Space) -> int:
    """What it takes to make one point of the space, in terms of a point of a few parameters."""
    return 1 + len(space) // 16


def draws(space: Space, sampler: str, limit: int | None) -> int:
    """How many points a walk draws until it ends, likely: of a small space the last new points come late."""
    most = bound(space, sampler, limit)
    whole = size(space, sampler)
    if sampler == "grid" or limit is None or whole is None or whole > MOST_REMEMBERED:
        return most
    return min(limit, math.ceil(whole * (math.log(whole) + 8)))


def at_most(space: Space, sampler: str, limit: int | None, name: Name, effort: int) -> int:
    """How many different points a search has at most, for the names of about `effort` points (of a few parameters each).

    A search that is small enough is counted. Else each parameter is varied by itself; where a
    sample of points shows that parameters act each by itself, what makes no difference is taken out
    of the product of their values.
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
        _each_by_itself(space, lists, alone, name, one) for one in range((effort - varied) // 2)
    ):
        return most
    return min(most, math.prod(len(set(names)) for names in alone))


def ends(dimension: Dimension, sampler: str) -> Sequence[Any] | None:
    """The values of a parameter that the sampler may take; None where there is no end to them."""
    return dimension.listed if sampler == "grid" else dimension.values


def values_of(dimension: Dimension, sampler: str) -> Sequence[Any]:
    """The values of a parameter that the sampler may take, or some of them where there is no end to them."""
    values = ends(dimension, sampler)
    return values if values is not None else [dimension.at(part / SOME) for part in range(SOME)]


def variations(space: Space, sampler: str) -> Iterator[dict[str, Any]]:
    """A point, and those that differ from it in the value of one parameter; of long lists and ranges, some."""
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
    number: int,
) -> bool:
    """Whether another value in some point makes a difference there just where it makes one in the first point."""
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
