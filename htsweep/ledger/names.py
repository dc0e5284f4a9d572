"""The names that a measurement may have, so that every table, format and tool preserves them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

LISTS = "[]"
"""The suffix of a stored column of lists, so that numbers of the same name stay separate."""
RESERVED = frozenset(
    {
        "record",
        "trial",
        "step",
        "kind",
        "status",
        "task",
        "config",
        "repetition",
        "sweep",
        "point",
        "point_index",
        "n",
        "chosen",
        "role",
    }
)
"""The names of the tables' other columns, compared without case, since SQL ignores it."""
ENDS = (" n", " low", " high")
"""Suffixes in tables of means: the count behind a mean, and the ends of its interval."""
LONGEST = 250
"""The most characters of a name, a limit of MLflow."""
MOST = 10_000
"""The most names that one trial may measure."""


def problem(name: Any) -> str | None:
    """The problem with a measurement's name and its remedy; None if the name is allowed."""
    if not isinstance(name, str):
        return f"the name of a measurement is text, but got {shown(name)}"
    if not name:
        return (
            "a measurement has the empty name; "
            "give it one that says what it is, such as 'train/loss'"
        )
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name):
        return (
            f"the name {shown(name)} of a measurement holds a control character or half of a "
            "surrogate pair, which no table "
            "can show; use letters, digits and signs"
        )
    if len(name) > LONGEST:
        return (
            f"the name {shown(name)} of a measurement has {len(name)} characters; "
            f"{LONGEST} are the most that MLflow takes"
        )
    if name.endswith(LISTS):
        return (
            f"the name {shown(name)} of a measurement ends in {LISTS}, "
            "which marks columns of lists; leave it out"
        )
    for end in ENDS:
        if name.endswith(end):
            plainly = name.removesuffix(end)
            return (
                f"the name {shown(name)} of a measurement ends in '{end}', as the tables of means "
                "call what belongs to the "
                f"mean of {shown(plainly)}; write '{plainly}_{end.strip()}'"
            )
    if name.lower() in RESERVED:
        return (
            f"the measurement {shown(name)} has the name of a column that says which measurement "
            "it is; give it another, "
            f"such as 'train/{name}'"
        )
    return None


def alike(names: Sequence[str]) -> list[list[str]]:
    """Groups of names that differ only in case, which SQL cannot tell apart."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.lower(), []).append(name)
    return [group for group in groups.values() if len(group) > 1]


def shown(value: Any, longest: int = 200) -> str:
    """A value for a message: on one line, shortened, even if its own `repr` raises."""
    try:
        text = repr(value)
    except Exception as error:
        text = f"<a {type(value).__name__} whose repr raises {type(error).__name__}>"
    return plain(text if len(text) <= longest else text[:longest] + "...")


def plain(text: str) -> str:
    """Text that any file, database and terminal takes: surrogates and control signs escaped."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )
