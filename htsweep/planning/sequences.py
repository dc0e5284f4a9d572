"""The points of `grid`, `random` and `qmc`: each follows from the space and its index alone; pure.

So that methods which share a space get the same points, and their differences are paired. No point
needs those before it: a search of any length is walked as far as it is wanted, and counted by
arithmetic.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from htsweep.planning.dimension import Space, text_of

MOST_DIMENSIONS = 21_201
"""Dimensions of which `qmc` has a sequence: those of Joe and Kuo's direction numbers, which SciPy
takes.
"""
MOST_ELEMENTS = 2**30
"""Elements of its sequence: its numbers have 30 bits."""
MOST_REMEMBERED = 1_000_000
"""A walk remembers which combinations of values have come in a space of at most so many."""


def size(space: Space, sampler: str) -> int | None:
    """How many different points the sampler can give; None: no end.

    Raises:
        ValueError: the sampler is `grid`, and a range has no `grid` values.
    """
    lists = [dimension.listed if sampler == "grid" else dimension.values for dimension in space]
    unlisted = [
        dimension.key for dimension, values in zip(space, lists, strict=True) if values is None
    ]
    if unlisted and sampler == "grid":
        msg = (
            f"a grid does not know which values of a range to try ({', '.join(unlisted)}): give "
            "`grid: [...]` values, or a "
            "list of choices, or take the sampler random, qmc or tpe"
        )
        raise ValueError(msg)
    return None if unlisted else math.prod(len(values) for values in lists if values is not None)


def has_default(space: Space) -> bool:
    """Whether the first point is the default configuration, which every dimension must have a value for."""
    return all(dimension.has_default for dimension in space)


def point(space: Space, sampler: str, index: int) -> dict[str, Any] | None:
    """The parameters of point `index`; None: the grid has no more. `random` and `qmc` never end.

    Raises:
        ValueError: the sampler is `grid`, and a range has no `grid` values.
    """
    if sampler == "grid":
        whole = size(space, "grid")
        assert whole is not None
        return (
            nth(space, [dimension.listed or () for dimension in space], index)
            if index < whole
            else None
        )
    if index == 0 and has_default(space):
        return {dimension.key: dimension.default for dimension in space}
    return {
        dimension.key: dimension.at(share)
        for dimension, share in zip(space, _shares(space, sampler, index), strict=True)
    }


def nth(space: Space, lists: Sequence[Sequence[Any]], index: int) -> dict[str, Any]:
    """Element `index` of the product of the lists, the last one fastest, without walking there."""
    found = {}
    for dimension, values in zip(reversed(space), reversed(lists), strict=True):
        index, place = divmod(index, len(values))
        found[dimension.key] = values[place]
    return {dimension.key: found[dimension.key] for dimension in space}


def drawn(space: Space, *names: object) -> dict[str, Any]:
    """A point that the names alone give, each dimension's value by its key: one that is added leaves the others as they were."""
    return {
        dimension.key: dimension.at(share_of("random", dimension.key, *names))
        for dimension in space
    }


def walk(space: Space, sampler: str, limit: int | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index, parameters) of the points of `grid`, `random` or `qmc`, one by one.

    In a space of up to `MOST_REMEMBERED` combinations each comes once, at its first index, and the
    walk ends after the last.

    Args:
        space: what is searched.
        sampler: grid, random or qmc.
        limit: the indices that are walked at most; None: to the end of the grid.

    Raises:
        ValueError: the sampler is `grid`, and a range has no `grid` values.
    """
    whole = size(space, sampler)
    ends = whole if sampler == "grid" or not space else None
    count = min(end for end in (limit, ends) if end is not None)
    if ends is not None or whole is None or whole > MOST_REMEMBERED:
        for index in range(count):
            parameters = point(space, sampler, index)
            assert parameters is not None
            yield index, parameters
        return
    seen: set[tuple[int, ...]] = set()
    for index in range(count):
        places = _places(space, sampler, index)
        if places not in seen:
            seen.add(places)
            yield (
                index,
                {
                    dimension.key: place if dimension.choices is None else dimension.choices[place]
                    for dimension, place in zip(space, places, strict=True)
                },
            )
            if len(seen) == whole:
                return


def indices(space: Space, sampler: str, parameters: Mapping[str, Any], index: int) -> list[int]:
    """Where a point with `parameters` may stand among those of `grid`, `random` or `qmc`, without walking there.

    Args:
        space: what is searched.
        sampler: grid, random or qmc.
        parameters: of the point; what does not matter to it may be missing.
        index: where it stands in a search that may have been another: with other lists, or without
            the default point.
    """
    if not space:
        return [0]
    if sampler == "grid":
        at = 0
        for dimension in space:
            place = (
                dimension.places.get(text_of(parameters[dimension.key]))
                if dimension.key in parameters
                else 0
            )
            if place is None:
                return [index]
            at = at * len(dimension.places) + place
        return list(dict.fromkeys([at, index]))
    # A default point that is added or taken out moves the elements of a sequence by one.
    near = [index, index + 1, index - 1] if sampler == "qmc" else [index]
    return [one for one in dict.fromkeys([*near, 0]) if one >= 0]


def share_of(*names: object) -> float:
    """A number in [0, 1) that the names alone give."""
    digest = hashlib.sha256(json.dumps(list(map(str, names))).encode()).digest()
    # 53 bits are what a float holds; more could round up to 1.
    return (int.from_bytes(digest[:7]) >> 3) / 2**53


def _places(space: Space, sampler: str, index: int) -> tuple[int, ...]:
    """Point `index` of a finite space by the place of each value: cheaper than the values, and hashable whatever they are."""
    if index == 0 and has_default(space):
        return tuple(
            int(one.default) if one.choices is None else one.chosen[text_of(one.default)]
            for one in space
        )
    return tuple(
        one.place_at(share)
        for one, share in zip(space, _shares(space, sampler, index), strict=True)
    )


def _shares(space: Space, sampler: str, index: int) -> list[float]:
    """Where in each dimension point `index` of `random` or `qmc` lies, in [0, 1); 0 where there is but one value."""
    if sampler == "random":
        # Each dimension has a stream of its own: one that is added leaves the draws of the others
        # as they were.
        return [
            0.0 if dimension.fixed else share_of("random", dimension.key, index)
            for dimension in space
        ]
    # What is fixed takes no dimension of the sequence: to fix another parameter moves no point.
    width = sum(not dimension.fixed for dimension in space)
    # From element 0 on: without its first element a Sobol sequence is less even.
    row = iter(_element(width, index - has_default(space)) if width else ())
    return [0.0 if dimension.fixed else next(row) for dimension in space]


def _element(width: int, number: int) -> list[float]:
    """Element `number` of the scrambled Sobol sequence of `width` dimensions."""
    # A power of two, and no more numbers than fit in a few megabytes.
    length = 256 if width <= 1024 else 8
    row: list[float] = _block(width, length, number // length)[number % length].tolist()
    return row


_SEQUENCES: dict[int, tuple[int, Any]] = {}
"""By width, for the last one that was used: the block that comes next, and the sequence that goes
on with it.
"""


@functools.lru_cache(maxsize=32)
def _block(width: int, length: int, number: int) -> Any:
    """Elements [number length, (number + 1) length) of the scrambled sequence, as an array [length, width]."""
    from scipy.stats import qmc

    coming, sequence = _SEQUENCES.pop(width, (-1, None))
    if coming != number:
        sequence = qmc.Sobol(width, scramble=True, rng=20231107)
        if number:  # SciPy 1.17: to go forward by 0 raises
            sequence.fast_forward(number * length)
    rows = sequence.random(length)
    # A walk asks for one block after the other; to go forward to each from the start would be
    # quadratic.
    _SEQUENCES.clear()
    _SEQUENCES[width] = number + 1, sequence
    return rows
