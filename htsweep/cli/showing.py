"""`htsweep show NAME`: all that is known of a method, a setting, or whatever a study names."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from htsweep.cli.listing import KINDS
from htsweep.errors import HtsweepError
from htsweep.planning import spaces, task
from htsweep.planning.dimension import Dimension, read_dimension
from htsweep.planning.settings import meant

WIDTH = 100
"""Columns of the text."""
MOST_NAMED = 20
"""The most values of a setting that are named."""


def show(name: str) -> list[str]:
    """The lines on `name`: as a setting, as a value of one, or as anything that `list` lists.

    Raises:
        HtsweepError: nothing has this name; says what is similar.
    """
    name = name.strip()
    found = [*_as_setting(name), *_as_value(name)]
    if not found:
        found = list(_as_listed(name))
    if not found:
        known = {key: setting for _, settings in _tasks() for key, setting in settings.items()}
        listed = {entry: None for kind in KINDS.values() for entry in kind.entries()}
        raise HtsweepError(f"nothing is called '{name}'; {meant(name, {**listed, **known})}")
    return found


def _tasks() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each task that users are offered, with its settings."""
    for name in task.known():
        yield name, task.find(name).settings or {}


def _as_setting(key: str) -> Iterator[str]:
    """What a key of a task's config means, with its default in each task."""
    having = {name: settings[key] for name, settings in _tasks() if key in settings}
    if not having:
        return
    first = next(iter(having.values()))
    what = f"a parameter of {key.rpartition('.')[0]}" if "." in key else "a setting"
    yield f"{key}: {what}, for `grid` and `fixed`"
    doc = first.doc.rstrip(".")
    yield from _wrapped(f"{doc[:1].upper()}{doc[1:]}." if doc else "")
    yield from _facts(first)
    for default, names in _defaults(having).items():
        yield f"  default   {default} ({', '.join(names)})"
    searched = _searched().get(key)
    if searched is not None:
        yield f"  searched  {_range(searched)}"


def _facts(setting: Any) -> Iterator[str]:
    kinds = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}
    ends = [
        f"{word} {end:g}"
        for word, end in (("from", setting.low), ("to", setting.high))
        if end is not None
    ]
    yield f"  type      {' '.join([kinds.get(setting.type, 'a list'), *ends])}"
    choices = setting.choices() if callable(setting.choices) else setting.choices
    if choices:
        names = [str(choice) for choice in choices if choice]
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield from _hanging("  known     ", ", ".join(names[:MOST_NAMED]) + more)


def _as_value(name: str) -> Iterator[str]:
    """What a value of some setting is, such as a method, with its own parameters.

    A name may be a value of two settings: `linear_probe` is a method and a score.
    """
    tasks: dict[str, list[str]] = {}
    for task_name, settings in _tasks():
        for key, setting in settings.items():
            if name and name in _choices(setting):
                tasks.setdefault(key, []).append(task_name)
    for key, names in tasks.items():
        article = "an" if key[0] in "aeiou" else "a"
        yield f"{name}: {article} {key} of {', '.join(names)}"
        having = {each: settings for each, settings in _tasks() if each in names}
        yield from _said(name, [settings[key] for settings in having.values()])
        own: dict[str, dict[str, Any]] = {}
        for task_name, settings in having.items():
            for each, made in settings.items():
                if each.startswith(f"{name}."):
                    own.setdefault(each, {})[task_name] = made
        yield from _parameters(own)


def _choices(setting: Any) -> Any:
    return (setting.choices() if callable(setting.choices) else setting.choices) or ()


def _said(name: str, settings: Sequence[Any]) -> Iterator[str]:
    """The description of a value, or else its line among the choices."""
    choices = _choices(settings[0])
    said = choices[name] if isinstance(choices, Mapping) else ""
    for setting in settings:
        if setting.describe:
            said = setting.describe(name)
            break
    for paragraph in said.split("\n\n"):
        yield ""
        # What is indented is a formula, or a list: its lines are its own.
        as_written = all(line.startswith("    ") for line in paragraph.splitlines())
        yield from (paragraph.splitlines() if as_written else _wrapped(paragraph))


def _parameters(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The lines on parameters: key -> task -> setting."""
    if not settings:
        return
    yield ""
    yield "  parameters"
    searched = _searched()
    for key, having in settings.items():
        setting = next(iter(having.values()))
        ends = f", from {setting.low:g} to {setting.high:g}" if setting.low is not None else ""
        default = " or ".join(
            text if len(having) == len(names) else f"{text} ({', '.join(names)})"
            for text, names in _defaults(having).items()
        )
        text = f"{key}: {setting.doc.rstrip('.')}. Default {default}{ends}"
        text += f"; searched {_range(searched[key])}" if key in searched else ""
        yield from _hanging("    ", f"{text}.")


def _defaults(having: Mapping[str, Any]) -> dict[str, list[str]]:
    """Each default of a setting, with the tasks that have it."""
    defaults: dict[str, list[str]] = {}
    for name, setting in having.items():
        defaults.setdefault(_text(setting.default), []).append(name)
    return defaults


def _as_listed(name: str) -> Iterator[str]:
    """The line of anything else that `htsweep list` names."""
    for kind_name, kind in KINDS.items():
        entries = kind.entries()
        if name in entries:
            yield f"{name}: one of the {kind_name} ({kind.line})"
            yield from _wrapped(entries[name])


def _searched() -> dict[str, Dimension]:
    """Key -> its range in search_spaces/, of all methods and of what they share."""
    found: dict[str, Dimension] = {}
    for space in spaces.known():
        for parameter, value in spaces.usual(space).items():
            key = parameter if space == spaces.TRAINING else f"{space}.{parameter}"
            found[key] = read_dimension(key, value)
    return found


def _range(dimension: Dimension) -> str:
    """`0.01, 0.1, 1 in a grid; else 0.001 to 1, in logarithms`."""
    listed = dimension.listed
    grid = f"{', '.join(_text(value) for value in listed)} in a grid" if listed else ""
    if dimension.grid and dimension.grid == (dimension.default,):
        grid = "its default in a grid"  # which may be another in another task
    if dimension.choices is not None:
        return grid.removesuffix(" in a grid")
    low, high = dimension.ends
    whole = f"{low:g} to {high:g}{', in logarithms' if dimension.log else ''}"
    return f"{grid}; else {whole}" if grid else whole


def _text(value: Any) -> str:
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _wrapped(text: str) -> list[str]:
    return [
        f"  {line}" for line in textwrap.wrap(" ".join(text.split()), WIDTH - 2) if line.strip()
    ]


def _hanging(start: str, text: str) -> Sequence[str]:
    blank = " " * (len(start) + (2 if not start.strip() else 0))
    return textwrap.wrap(
        " ".join(text.split()), WIDTH, initial_indent=start, subsequent_indent=blank
    )
