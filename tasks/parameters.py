"""Turns parameters of functions into settings: how methods and scores declare what to search."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from tasks.task import Setting


@final
@dataclass(frozen=True, slots=True)
class Range:
    """The range of a parameter's values: `Annotated[float, Range(0, 1)]`."""

    low: float
    high: float


@final
@dataclass(frozen=True, slots=True)
class Choices:
    """The names that a parameter accepts: `Annotated[str, Choices(("reverse", "direct"))]`."""

    names: tuple[str, ...]
    needs: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Name -> what it needs of the source and the target, for the names that need something."""


@final
@dataclass(frozen=True, slots=True)
class Later:
    """Marks a parameter that was added to a method which already had trials.

    It is left out of a resolved config at its default, which is how the method was before.
    """


@final
@dataclass(frozen=True, slots=True)
class NewHead:
    """Marks a parameter whose default is another one where the head is new."""

    default: Any


def settings_of(
    function: Callable[..., Any],
    start: str,
    marked: Iterable[tuple[inspect.Parameter, type, Sequence[Any]]],
    *,
    new_head: bool = False,
) -> Mapping[str, Setting]:
    """The settings of a function's parameters by config key `START.PARAMETER`.

    A setting's doc is the parameter's entry in the docstring, on one line.

    Args:
        function: the function that has the parameters.
        start: the prefix of the keys.
        marked: each parameter with its type and the marks in its annotation.
        new_head: whether defaults are those under a new head.
    """
    entries = re.findall(
        r"^( +)(\w+): (.+(?:\n\1 +\S.*)*)", inspect.getdoc(function) or "", re.MULTILINE
    )
    docs = {name: " ".join(text.split()) for _, name, text in entries}
    settings = {}
    for parameter, kind, marks in marked:
        limits = next((mark for mark in marks if isinstance(mark, Range)), None)
        choices = next((mark.names for mark in marks if isinstance(mark, Choices)), None)
        under_new = [mark.default for mark in marks if new_head and isinstance(mark, NewHead)]
        settings[f"{start}.{parameter.name}"] = Setting(
            kind,
            under_new[0] if under_new else parameter.default,
            low=limits and limits.low,
            high=limits and limits.high,
            choices=choices,
            doc=docs.get(parameter.name, ""),
        )
    return settings
