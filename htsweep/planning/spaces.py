"""The search space of a sweep: YAML files of `search_spaces/` and the study's overrides."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from htsweep.errors import HtsweepError, Problem, did_you_mean
from htsweep.planning.dimension import Dimension, Space, read_dimension
from htsweep.planning.sequences import size
from htsweep.planning.settings import meant, refused
from htsweep.study import document
from htsweep.study.document import Located, Place
from htsweep.study.schema import Search

EVERY, TRAINING = "all", "training"
"""The names in `search.spaces` whose dimensions are added to every sweep.

`all` may have any settings; `training` has settings of training that methods share, whose usual
ranges are in search_spaces/training.yaml.
"""
SHARED = (EVERY, TRAINING)


@final
class Spaces:
    """The search spaces of all sweeps; each is read once, as sweeps are many and lists long."""

    def __init__(self, search: Search | None, settings: Mapping[str, Any] | None = None) -> None:
        """Reads nothing yet; `settings` are the task's, with the defaults of training settings."""
        self._search, self._settings = search, settings or {}
        self._read: dict[tuple[str, ...], Space] = {}
        self._without: dict[tuple[tuple[str, ...], tuple[str, ...]], Space] = {}

    def of(self, names: Sequence[str], fixed: Collection[str] = ()) -> Space:
        """The dimensions of the spaces `names`, without parameters in `fixed`, sorted by key."""
        if self._search is None:
            return ()
        known = tuple(names)
        if known not in self._read:
            dimensions = [
                self._as_of_task(read_dimension(key, value), value, place)
                for key, value, place in _entries(self._search, names)
            ]
            self._read[known] = tuple(sorted(dimensions, key=lambda dimension: dimension.key))
        space = self._read[known]
        gone = tuple(dimension.key for dimension in space if dimension.key in fixed)
        if gone and (known, gone) not in self._without:
            self._without[known, gone] = tuple(
                dimension for dimension in space if dimension.key not in gone
            )
        return self._without[known, gone] if gone else space

    def _as_of_task(self, dimension: Dimension, value: Any, place: Place) -> Dimension:
        """The dimension with the task's default, if it includes that and the study names none.

        So for training settings and for the usual range of a method's parameter, whose default may
        depend on the task. A grid of the usual default alone becomes that of the task's.
        """
        setting = self._settings.get(dimension.key)
        named = isinstance(value, Mapping) and "default" in value
        of_training = place[2] == TRAINING
        usual = not of_training and _file(str(place[2])).get(str(place[3])) is value
        if setting is None or not (usual or (of_training and not named)):
            return dimension
        if not dimension.has(setting.default):
            return dimension
        alone = usual and dimension.grid == (dimension.default,)
        grid = (setting.default,) if alone else dimension.grid
        return replace(dimension, default=setting.default, grid=grid)


def training_keys(settings: Mapping[str, Any] | None) -> list[str]:
    """The keys of the training settings shared by methods that a task has."""
    return [key for key in _file(TRAINING) if key in (settings or {})]


def known() -> dict[str, str]:
    """Name -> first comment line of each space file."""
    comments = {}
    for folder in _folders():
        for path in sorted(folder.glob("*.yaml")):
            first = path.read_text(encoding="utf-8").partition("\n")[0]
            comments[path.stem] = first.lstrip("# ").strip()
    return comments


def usual(name: str) -> Mapping[str, Any]:
    """The ranges of a space file, by parameter; empty if there is no such file."""
    return _file(name)


def check(
    search: Search, names: Iterable[str], settings: Mapping[str, Any] | None, where: Located
) -> Iterator[Problem]:
    """The problems of the spaces `names` after the study's overrides; some may be `SHARED`."""
    for name in names:
        yield from _wrong(search, [] if name in SHARED else [name], settings, where, only=name)


def listed(
    search: Search | None, settings: Mapping[str, Any] | None, where: Located
) -> list[Problem]:
    """What is wrong with the overrides of spaces that exist, whatever the sweeps are."""
    if search is None:
        return []
    return list(check(search, [name for name in search.spaces if _exists(name)], settings, where))


def unknown(search: Search, used: Iterable[str], where: Located) -> Iterator[Problem]:
    """Overrides of spaces that no sweep uses."""
    names = set(used)
    for name in search.spaces:
        if name not in names and name not in SHARED:
            yield where.problem(
                ("search", "spaces", name),
                f"no method of the grid has this space; {did_you_mean(name, names | {*SHARED})}",
            )


def _wrong(
    search: Search,
    names: Sequence[str],
    settings: Mapping[str, Any] | None,
    where: Located,
    *,
    only: str,
) -> Iterator[Problem]:
    for key, value, place in _entries(search, names):
        if place[2] != only:
            continue
        if only == TRAINING and key not in _file(TRAINING):
            yield where.problem(
                place,
                f"'{key}' is no setting of training: {_meant(key, settings)}; other "
                f"settings are searched under `{EVERY}`",
            )
            continue
        if settings is not None and key not in settings and ":" not in key:
            yield where.problem(place, f"the task has no key '{key}'; {meant(key, settings)}")
            continue
        try:
            dimension = read_dimension(key, value)
            size((dimension,), search.sampler)
        except ValueError as error:
            yield where.problem(place, str(error))
            continue
        yield from _outside(dimension, (settings or {}).get(key), where, place)


def _meant(key: str, settings: Mapping[str, Any] | None) -> str:
    own = {name: (settings or {}).get(name) for name in _file(TRAINING)}
    return meant(key, own)


def _outside(dimension: Dimension, setting: Any, where: Located, place: Place) -> Iterator[Problem]:
    if setting is None:
        return
    ends = [dimension.low, dimension.high, *(dimension.choices or ()), *(dimension.grid or ())]
    for value in ends:
        wrong = refused(setting, value) if value is not None else None
        if wrong:
            yield where.problem(place, wrong)
            return


def _entries(search: Search, names: Sequence[str]) -> Iterator[tuple[str, Any, Place]]:
    for name in names:
        unnamed = {} if search.only_listed else _file(name)
        for parameter, value in {**unnamed, **search.spaces.get(name, {})}.items():
            yield f"{name}.{parameter}", value, ("search", "spaces", name, parameter)
    for key, value in search.spaces.get(EVERY, {}).items():
        yield key, value, ("search", "spaces", EVERY, key)
    for key, value in search.spaces.get(TRAINING, {}).items():
        usual = _file(TRAINING).get(key) if value is None else value
        yield key, usual, ("search", "spaces", TRAINING, key)


def _exists(name: str) -> bool:
    return name in SHARED or bool(_file(name))


@functools.cache
def _file(name: str) -> Mapping[str, Any]:
    for folder in _folders():
        path = folder / f"{name}.yaml"
        if path.name == f"{name}.yaml" and path.is_file():
            parsed = document.read(path)
            if parsed.problems:
                raise HtsweepError("\n".join(f"{path}: {problem}" for problem in parsed.problems))
            return parsed.value or {}
    return {}


def _folders() -> list[Path]:
    import search_spaces

    return [Path(folder) for folder in search_spaces.__path__]
