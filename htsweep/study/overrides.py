"""The `key=value` overrides of the command line, applied to what a study file says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from htsweep.errors import Problem
from htsweep.study import document, messages

OWN = "x-"
"""How the top-level keys begin that are the user's own: nothing reads them but aliases and merge
keys.
"""


def apply(value: dict[str, Any], overrides: Sequence[str], problems: list[Problem]) -> set[str]:
    """The keys that were overridden; `value` then has the new values, and `problems` what is wrong with the overrides."""
    keys = set()
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key:
            problems.append(
                Problem(f"--set {override}", "an override is KEY=VALUE, such as repetitions=3")
            )
            continue
        if key.startswith(OWN):
            problems.append(
                Problem(
                    f"--set {key}",
                    f"changes nothing, since only aliases and merge keys read what stands under "
                    f"`{OWN}...`, and they were followed before; override the key in which the "
                    "value is used",
                )
            )
            continue
        found, wrong = document.override(text)
        problems += [Problem(f"--set {key}", problem.message) for problem in wrong]
        parts = _parts(key)
        target = value
        for part in parts[:-1]:
            inner = target.setdefault(part, {})
            if not isinstance(inner, dict):
                problems.append(
                    Problem(f"--set {key}", f"'{part}' holds no keys, but {messages.shown(inner)}")
                )
                break
            target = inner
        else:
            target[parts[-1]] = found
            keys.add(key)
    return keys


def _parts(key: str) -> list[str]:
    """The keys on the way to `key`. A task's own keys have dots (`l2sp.backbone`): below these sections the rest is one."""
    for section in ("grid", "fixed", "screen.fixed"):
        if key.startswith(f"{section}."):
            return [*section.split("."), key.removeprefix(f"{section}.")]
    return key.split(".")
