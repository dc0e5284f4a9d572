"""The points of `grid`, `random` and `qmc`, each from the space and its index alone; pure.

So methods that share a space get the same points, and their differences are paired. No point
depends on earlier ones, so a search of any length can be walked as far as wanted, and counted by
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
"""The most dimensions of a `qmc` sequence, as SciPy's direction numbers (Joe and Kuo) give."""
MOST_ELEMENTS = 2**30
"""The most elements of a `qmc` sequence: its numbers have 30 bits."""
MOST_REMEMBERED = 1_000_000
"""A walk skips repeated combinations of values in a space of at most this many."""


def size(space: Space, sampler: str) -> int | None:
    """How many different points the sampler can give; None: infinitely many.

    Raises:
        ValueError: the sampler is `grid`, and a range has no `grid` values.
    """
    lists = [dimension.listed if sampler == "grid" else dimension.values for dimension in space]
    unlisted = [
        dimension.key for dimension, values in zip(space, lists, strict=True) if values is None
    ]
    if unlisted and sampler == "grid":
        msg = (
            "the sampler grid does not know which values of a range to try "
            f"({', '.join(unlisted)}): "
            "add `grid: [...]`, list choices instead, or use the sampler random, qmc or tpe"
        )
        raise ValueError(msg)
    return None if unlisted else math.prod(len(values) for values in lists if values is not None)


def has_default(space: Space) -> bool:
    """Whether the first point is the default configuration: every dimension must have a default."""
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
    """Element `index` of the product of the lists, the last list fastest, by arithmetic."""
    values_by_key = {}
    for dimension, values in zip(reversed(space), reversed(lists), strict=True):
        index, place = divmod(index, len(values))
        values_by_key[dimension.key] = values[place]
    return {dimension.key: values_by_key[dimension.key] for dimension in space}


def drawn(space: Space, *names: object) -> dict[str, Any]:
    """A random point from the names and each dimension's key; a new dimension changes no other."""
    return {
        dimension.key: dimension.at(share_of("random", dimension.key, *names))
        for dimension in space
    }


def walk(space: Space, sampler: str, limit: int | None) -> Iterator[tuple[int, dict[str, Any]]]:
    """(index, parameters) of the points of `grid`, `random` or `qmc`, one by one.

    In a space of up to `MOST_REMEMBERED` combinations each comes once, at its first index, and the
    walk ends with the last.

    Args:
        space: what is searched.
        sampler: grid, random or qmc.
        limit: how many indices to walk at most; None: to the end of the grid.

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
    """The indices that a point with `parameters` may have in a search, without walking there.

    Args:
        space: what is searched.
        sampler: grid, random or qmc.
        parameters: of the point; those that do not matter to it may be missing.
        index: its index in the search that made it, which may have had other lists, or no default
            point.
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
    # Adding or removing a default point shifts the elements of a sequence by one.
    near = [index, index + 1, index - 1] if sampler == "qmc" else [index]
    return [neighbour for neighbour in dict.fromkeys([*near, 0]) if neighbour >= 0]


def share_of(*names: object) -> float:
    """A pseudo-random number in [0, 1) from the names alone."""
    digest = hashlib.sha256(json.dumps(list(map(str, names))).encode()).digest()
    # A float holds 53 bits; more could round up to 1.
    return (int.from_bytes(digest[:7]) >> 3) / 2**53


def _places(space: Space, sampler: str, index: int) -> tuple[int, ...]:
    """Point `index` of a finite space as the places of its values, which are cheap and hashable."""
    if index == 0 and has_default(space):
        return tuple(
            int(dimension.default)
            if dimension.choices is None
            else dimension.chosen[text_of(dimension.default)]
            for dimension in space
        )
    return tuple(
        dimension.place_at(share)
        for dimension, share in zip(space, _shares(space, sampler, index), strict=True)
    )


def _shares(space: Space, sampler: str, index: int) -> list[float]:
    """The share in [0, 1) of point `index` in each dimension; 0 if the dimension has one value."""
    if sampler == "random":
        # Each dimension has its own stream: adding one does not change the draws of the others.
        return [
            0.0 if dimension.fixed else share_of("random", dimension.key, index)
            for dimension in space
        ]
    # Fixed parameters use no dimension of the sequence, so adding one moves no point.
    width = sum(not dimension.fixed for dimension in space)
    # Start at element 0: a Sobol sequence without its first element is less even.
    row = iter(_element(width, index - has_default(space)) if width else ())
    return [0.0 if dimension.fixed else next(row) for dimension in space]


def _element(width: int, number: int) -> list[float]:
    """Element `number` of the scrambled Sobol sequence of `width` dimensions."""
    # A power of two, and small enough for a few megabytes.
    length = 256 if width <= 1024 else 8
    row: list[float] = _block(width, length, number // length)[number % length].tolist()
    return row


_SEQUENCES: dict[int, tuple[int, Any]] = {}
"""Width -> (number of the next block, the generator that yields it), for the last width used."""


@functools.lru_cache(maxsize=32)
def _block(width: int, length: int, number: int) -> Any:
    """Block `number`, of `length` elements, of the scrambled sequence; [length, width]."""
    from scipy.stats import qmc

    coming, sequence = _SEQUENCES.pop(width, (-1, None))
    if coming != number:
        sequence = qmc.Sobol(width, scramble=True, rng=20231107)
        if number:  # in SciPy 1.17, fast_forward(0) raises
            sequence.fast_forward(number * length)
    rows = sequence.random(length)
    # A walk asks for the blocks in order; going to each from the start would take quadratic time.
    _SEQUENCES.clear()
    _SEQUENCES[width] = number + 1, sequence
    return rows
