"""Parameters of functions as settings of a task: how methods and scores say what may be searched."""

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
    """The values that a parameter takes: `Annotated[float, Range(0, 1)]`."""

    low: float
    high: float


@final
@dataclass(frozen=True, slots=True)
class Choices:
    """The names that a parameter takes: `Annotated[str, Choices(("reverse", "direct"))]`."""

    names: tuple[str, ...]
    needs: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Name -> what it cannot do without, for names that need something of source and target."""


def settings_of(
    function: Callable[..., Any],
    start: str,
    marked: Iterable[tuple[inspect.Parameter, type, Sequence[Any]]],
) -> Mapping[str, Setting]:
    """The settings of a function's parameters by config key `START.PARAMETER`, each with its line of the docstring.

    Args:
        function: of which `marked` are parameters.
        start: what the keys begin with.
        marked: each parameter, its type, and the marks of its annotation.
    """
    docs = dict(re.findall(r"^\s+(\w+): (.+)$", inspect.getdoc(function) or "", re.MULTILINE))
    settings = {}
    for parameter, kind, marks in marked:
        limits = next((mark for mark in marks if isinstance(mark, Range)), None)
        choices = next((mark.names for mark in marks if isinstance(mark, Choices)), None)
        settings[f"{start}.{parameter.name}"] = Setting(
            kind,
            parameter.default,
            low=limits and limits.low,
            high=limits and limits.high,
            choices=choices,
            doc=docs.get(parameter.name, ""),
        )
    return settings
