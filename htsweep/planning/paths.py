"""Relative paths in the values of a study, which are taken from the folder of its file.

A task says of a setting where in a value a path stands (`Setting.path`, tasks/task.py).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def located(
    settings: Mapping[str, Any] | None, config: Mapping[str, Any], folder: Path
) -> Mapping[str, Any]:
    """The config with its relative paths made absolute.

    A path is below `folder`, the study's. Only what is not there is looked for below the working
    folder, and what is in neither is left as it is.
    """
    changed = {
        key: f"{parts[0]}{found}{parts[2]}"
        for key, parts in _parts(settings, config)
        if (found := _there(folder, parts[1]) or _there(Path(), parts[1])) is not None
    }
    return {**config, **changed} if changed else config


def shadowed(
    settings: Mapping[str, Any] | None, config: Mapping[str, Any], folder: Path
) -> list[tuple[str, Path, Path]]:
    """(key, the path that counts, another that the working folder has by this path)."""
    found = []
    for key, (_, path, _) in _parts(settings, config):
        own, other = _there(folder, path), _there(Path(), path)
        if own is not None and other is not None and own.resolve() != other.resolve():
            found.append((key, own, other))
    return found


def elsewhere(
    settings: Mapping[str, Any] | None, config: Mapping[str, Any], folder: Path
) -> list[str]:
    """The relative paths of a config that only the working folder has, outside of `folder`."""
    return [
        path
        for _, (_, path, _) in _parts(settings, config)
        if _there(folder, path) is None
        and (found := _there(Path(), path)) is not None
        and not found.resolve().is_relative_to(folder)
    ]


def short(settings: Mapping[str, Any] | None, key: str, value: Any) -> str | None:
    """A value with its path as people read it: relative, or the last folder of it; None: no path.

    Where a path leads to on somebody's disk says nothing in a figure, and may be private.
    """
    parts = _split(settings, key, value)
    if parts is None:
        return None
    before, path, after = parts
    bare = path.partition("?")[0] if "://" in path else path  # a bucket, perhaps with options
    outside = _is_fixed(path) or path.startswith("..")
    return f"{before}{Path(bare).name if outside else path}{after}"


def as_in(settings: Mapping[str, Any] | None, key: str, value: str, other: Any) -> Any:
    """Another value of the same place with its path as `value` has it."""
    parts = _split(settings, key, value)
    beside = _split(settings, key, other)
    return f"{beside[0]}{parts[1]}{beside[2]}" if parts and beside else other


def seen_from(settings: Mapping[str, Any] | None, key: str, value: Any, folder: Path) -> Any:
    """A value that was given in the working folder, with its path as a study in `folder` has it."""
    parts = _split(settings, key, value)
    if parts is None or _is_fixed(parts[1]) or (found := _there(Path(), parts[1])) is None:
        return value
    if folder.resolve() == Path().resolve():
        return value
    return f"{parts[0]}{os.path.relpath(found, folder.resolve())}{parts[2]}"


def has_place(settings: Mapping[str, Any] | None, key: str) -> bool:
    """Whether values of a key may have a path."""
    return getattr((settings or {}).get(key), "path", None) is not None


def _parts(
    settings: Mapping[str, Any] | None, config: Mapping[str, Any]
) -> list[tuple[str, tuple[str, str, str]]]:
    """The keys of a config whose values have a relative path, with the text around it."""
    found = []
    for key, value in config.items():
        parts = _split(settings, key, value)
        if parts is not None and not _is_fixed(parts[1]):
            found.append((key, parts))
    return found


def _is_fixed(path: str) -> bool:
    """Whether a path is the same from every folder."""
    return path.startswith("~") or "://" in path or Path(path).is_absolute()


def _split(settings: Mapping[str, Any] | None, key: str, value: Any) -> tuple[str, str, str] | None:
    way = getattr((settings or {}).get(key), "path", None)
    return way(value) if way is not None and isinstance(value, str) and value else None


def _there(folder: Path, path: str) -> Path | None:
    """The path below a folder as an absolute one; None if nothing is there."""
    try:
        place = folder.absolute() / path
        return place if place.exists() else None
    except (OSError, ValueError):  # a name that no file may have
        return None
