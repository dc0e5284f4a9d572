"""A dimension: the values that one parameter may take in a search. Pure.

Reading one from YAML reports every rule that it breaks.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from htsweep.errors import did_you_mean

Number = int | float
SHOWN = 3
"""The most values that a message quotes; the rest are counted."""


@final
@dataclass(frozen=True)
class Dimension:
    """One parameter and the values that it may take: a range, or choices.

    What follows from its values is computed once, since a search needs it at every point and lists
    may be long.
    """

    key: str
    low: Number | None = None
    high: Number | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] | None = None
    grid: tuple[Any, ...] | None = None
    """The values of a range that the sampler `grid` tries."""
    default: Any = None

    def at(self, share: float) -> Any:
        """The value at `share` in [0, 1) of the dimension: of its logarithm if `log` is set."""
        if self.choices is not None:
            return self.choices[self.place_at(share)]
        low, high = self.ends
        # Each whole number has an equal share of the (log) range.
        start, stop = (low - 0.5, high + 0.5) if self.integer else (float(low), float(high))
        if self.log:
            start, stop = math.log(start), math.log(stop)
        value = start * (1 - share) + stop * share
        value = math.exp(value) if self.log else value
        # Rounding may lead just outside the range.
        return (
            min(max(round(value), int(low)), int(high))
            if self.integer
            else min(max(value, float(low)), float(high))
        )

    def place_at(self, share: float) -> int:
        """The value at `share` of a finite dimension as a number: a choice is its place."""
        if self.choices is not None:
            return min(int(share * len(self.choices)), len(self.choices) - 1)
        return int(self.at(share))

    def has(self, value: Any) -> bool:
        """Whether the dimension may take `value`."""
        if self.choices is not None:
            return text_of(value) in self.chosen
        low, high = self.ends
        return _is_number(value) and low <= value <= high and not (self.integer and value % 1)

    @cached_property
    def chosen(self) -> Mapping[str, int]:
        """Text of a choice -> its place; empty for a range."""
        return {text_of(choice): place for place, choice in enumerate(self.choices or ())}

    @cached_property
    def fixed(self) -> bool:
        """Whether there is only one value."""
        return self.values is not None and len(self.values) == 1

    @property
    def has_default(self) -> bool:
        """Whether there is a default; None counts as one only if it is among the choices."""
        return self.default is not None or (self.choices is not None and None in self.choices)

    @cached_property
    def listed(self) -> tuple[Any, ...] | None:
        """The values that the sampler `grid` tries, default first; None: a range without `grid`."""
        values, default = (
            self.choices if self.choices is not None else self.grid,
            text_of(self.default),
        )
        return (
            None
            if values is None
            else tuple(sorted(values, key=lambda value: text_of(value) != default))
        )

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Text of a `listed` value -> its place."""
        return {text_of(value): place for place, value in enumerate(self.listed or ())}

    @property
    def values(self) -> Sequence[Any] | None:
        """Every value; None if there are infinitely many."""
        if self.choices is not None:
            return self.choices
        low, high = self.ends
        return range(int(low), int(high) + 1) if self.integer else None

    @property
    def ends(self) -> tuple[Number, Number]:
        """The lowest and highest value of a range."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high


Space = tuple[Dimension, ...]
"""The dimensions of a sweep, sorted by key."""

_KEYS = ("low", "high", "log", "integer", "choices", "grid", "default")


def read_dimension(key: str, value: Any) -> Dimension:
    """The dimension that `value` describes: one value, a list of choices, or a mapping.

    Raises:
        ValueError: lists every broken rule, each with what was given.
    """
    if isinstance(value, list):
        value = {"choices": value}
    if not isinstance(value, Mapping):
        return Dimension(key, choices=(value,), default=value)
    wrong = list(_wrong(value))
    if wrong:
        raise ValueError("; ".join(wrong))
    if "choices" in value:
        choices = tuple(value["choices"])
        # The first is the default: users list the usual value first.
        return Dimension(key, choices=choices, default=value.get("default", choices[0]))
    integer = bool(value.get("integer"))
    low, high, *listed = (
        int(number) if integer else number
        for number in (value["low"], value["high"], *value.get("grid", ()))
    )
    default = value.get("default")
    return Dimension(
        key,
        low,
        high,
        bool(value.get("log")),
        integer,
        grid=tuple(listed) if listed else None,
        default=int(default) if integer and default is not None else default,
    )


def text_of(value: Any) -> str:
    """A text that is equal for values that mean the same.

    1 and 1.0 do, as in a trial's id, but 1 and true do not.
    """
    return _encode(_plain(value))


_encode = json.JSONEncoder(sort_keys=True, default=str).encode


def quoted(values: Sequence[Any]) -> str:
    """The values as a message quotes them: `1, 'a', None and 97 more`."""
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return ", ".join(map(repr, values[:SHOWN])) + more


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _wrong(value: Mapping[str, Any]) -> Iterator[str]:
    """The rules that a mapping breaks, each with what was given."""
    for name in value:
        if name not in _KEYS:
            yield f"unknown key '{name}'; {did_you_mean(str(name), _KEYS)}"
    for name in ("log", "integer"):
        if not isinstance(value.get(name, False), bool):
            yield f"`{name}` must be true or false, but got {value[name]!r}"
    lists = True
    for name in ("choices", "grid"):
        if name in value:
            broken = _wrong_list(name, value[name])
            lists = lists and not broken
            yield from broken
    of_range = [name for name in ("low", "high", "log", "integer", "grid") if name in value]
    if "choices" not in value:
        if "low" in value or "high" in value:
            yield from _wrong_range(value, value["grid"] if lists and "grid" in value else [])
        else:
            yield (
                "either `choices`, or `low` and `high`, must be given, "
                f"but got {', '.join(map(str, value)) or 'nothing'}"
            )
    elif of_range:
        yield (
            "either `choices`, or `low` and `high` with what belongs to a range, "
            f"but got choices, {', '.join(of_range)}"
        )
    elif (
        lists
        and "default" in value
        and text_of(value["default"]) not in map(text_of, value["choices"])
    ):
        yield f"`default` must be one of the choices, but got {value['default']!r}"


def _wrong_list(name: str, values: Any) -> list[str]:
    if not isinstance(values, list) or not values:
        return [f"`{name}` must be a list with at least one value, but got {values!r}"]
    twice = [values[place] for place in repeated(values)]
    return (
        [f"the values of `{name}` must differ, but {twice[0]!r} is listed twice"] if twice else []
    )


def repeated(values: Sequence[Any]) -> list[int]:
    """The places of the values that mean the same as an earlier one."""
    first: dict[str, int] = {}
    return [
        place
        for place, value in enumerate(values)
        if first.setdefault(text_of(value), place) != place
    ]


def _wrong_range(value: Mapping[str, Any], grid: Sequence[Any]) -> Iterator[str]:
    ends = {name: value.get(name) for name in ("low", "high")}
    unusable = [
        f"`{name}` must be a finite number, but got {end!r}"
        for name, end in ends.items()
        if not _is_number(end)
    ]
    yield from unusable
    low, high = ends["low"], ends["high"]
    if unusable or low is None or high is None:
        return
    if not low < high:
        yield f"`low < high` must hold, but got low={low}, high={high}"
    if value.get("log") and low <= 0:
        yield f"`log` needs low > 0, but got low={low}"
    if value.get("integer") and (low % 1 or high % 1):
        yield f"`integer` needs whole ends, but got low={low}, high={high}"
    if value.get("integer") and max(-low, high) > 2**53:  # beyond, floats skip whole numbers
        yield f"`integer` needs ends of at most 2**53, but got low={low}, high={high}"
    given = [*grid, *([value["default"]] if "default" in value else [])]
    outside = [item for item in given if not _is_number(item) or not low <= item <= high]
    if outside:
        yield f"`grid` and `default` must lie in [{low}, {high}], but got {quoted(outside)}"
    broken = (
        [item for item in given if _is_number(item) and item % 1] if value.get("integer") else []
    )
    if broken:
        yield f"`integer` needs whole numbers in `grid` and `default`, but got {quoted(broken)}"
