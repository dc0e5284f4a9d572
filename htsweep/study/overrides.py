"""Applies the `key=value` overrides of the command line to the values of a study file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from htsweep.errors import Problem
from htsweep.study import document, messages

OWN = "x-"
"""The prefix of the user's own top-level keys, which only aliases and merge keys read."""


def apply(value: dict[str, Any], overrides: Sequence[str], problems: list[Problem]) -> set[str]:
    """Writes overrides into `value`, and their mistakes into `problems`; returns their keys."""
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
                    f"has no effect, since `{OWN}...` is read only through aliases and merge keys, "
                    "which are resolved before; override the key that uses the value",
                )
            )
            continue
        new_value, wrong = document.override(text)
        problems += [Problem(f"--set {key}", problem.message) for problem in wrong]
        parts = _parts(key)
        target = value
        for part in parts[:-1]:
            inner = target.setdefault(part, {})
            if not isinstance(inner, dict):
                problems.append(
                    Problem(
                        f"--set {key}", f"'{part}' is not a mapping, but {messages.shown(inner)}"
                    )
                )
                break
            target = inner
        else:
            target[parts[-1]] = new_value
            keys.add(key)
    return keys


def _parts(key: str) -> list[str]:
    """The keys that lead to `key`; below some sections, all the rest is one key.

    `grid.l2sp.backbone` is the key `l2sp.backbone` of `grid`.
    """
    for section in ("grid", "fixed", "screen.fixed"):
        if key.startswith(f"{section}."):
            return [*section.split("."), key.removeprefix(f"{section}.")]
    return key.split(".")
