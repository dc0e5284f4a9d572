"""Checks a value against a setting of a task."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from typing import Any

from htsweep.errors import did_you_mean, nearest


def refused(setting: Any, value: Any, *, several: bool = True) -> str | None:
    """Why `setting` does not accept `value`; None if it does.

    `several`: whether names may stand in a list, as of methods; of other texts one is given.
    """
    kinds = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        list: "a list",
    }
    wanted = setting.type
    right = isinstance(value, (int, float) if wanted is float else wanted) and (
        wanted is bool or not isinstance(value, bool)
    )
    if wanted in (str, list) and isinstance(value, str | list):
        # A chain may be written as a list or as a name, and a chain of one is a name.
        names = value if isinstance(value, list) else [value]
        right = right or (
            bool(setting.choices)
            and bool(names)
            and all(isinstance(name, str) and name for name in names)
        )
    if value is None and setting.default is None:
        return None
    if isinstance(value, str) and value in getattr(setting, "words", ()):
        return None
    if wanted is str and isinstance(value, list) and not several:
        return f"must be text, but got {value!r}; write it without the brackets"
    if not right and isinstance(value, list) and any(isinstance(name, list) for name in value):
        return f"has a list too many; a chain is one list of names, but got {value!r}"
    if not right:
        return f"must be {kinds.get(wanted, wanted)}, but got {value!r}"
    if wanted in (int, float) and not math.isfinite(value):
        return f"must be finite, but got {value!r}"
    if setting.low is not None and wanted in (int, float) and value < setting.low:
        return f"must be at least {setting.low}, but got {value!r}"
    if setting.high is not None and wanted in (int, float) and value > setting.high:
        return f"must be at most {setting.high}, but got {value!r}"
    return _unknown_name(setting, value)


def nearest_key(key: str, settings: Mapping[str, Any]) -> str | None:
    """The key that may be meant by one that a task does not have; None if none is similar.

    It is the key that has it as an alias; else one of the method or score that it names; else the
    most similar one.
    """
    for name, setting in settings.items():
        if key in getattr(setting, "aliases", ()):
            return name
    start, dot, last = key.rpartition(".")
    own = [name.rpartition(".")[2] for name in settings if dot and name.startswith(f"{start}.")]
    if own:
        near = difflib.get_close_matches(last, own, n=1)
        return f"{start}.{near[0]}" if near else None
    return nearest(key, _alike(key, settings))


def meant(key: str, settings: Mapping[str, Any]) -> str:
    """`nearest_key` as a question, with the keys that there are unless it is by an alias."""
    near = nearest_key(key, settings)
    hint = f"did you mean '{near}'?" if near else ""
    if near and key in getattr(settings[near], "aliases", ()):
        return hint
    start, dot, _ = key.rpartition(".")
    own = [name for name in settings if dot and name.startswith(f"{start}.")]
    if own:
        return f"{hint} '{start}' has {', '.join(own)}".strip()
    return did_you_mean(key, _alike(key, settings))


def _alike(key: str, settings: Mapping[str, Any]) -> list[str]:
    """The keys among which one is looked for: those of methods only if it has a dot as well."""
    return [name for name in settings if "." in key or "." not in name]


def _unknown_name(setting: Any, value: Any) -> str | None:
    if setting.choices is None or setting.open:
        return None
    names = [
        str(name) for name in (setting.choices() if callable(setting.choices) else setting.choices)
    ]
    parts = value if isinstance(value, list) else re.split(r"\s*\+\s*", str(value))
    for part in parts:
        # The task checks `module:function` and `folder:ROOT:A-B`, since it sees the whole config.
        if str(part) not in names and ":" not in str(part):
            return f"got {part!r}; {did_you_mean(str(part), names)}"
    return None
