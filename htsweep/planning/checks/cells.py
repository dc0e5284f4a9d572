"""Asks the task what is wrong with the configs of a study, cell by cell and value by value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from htsweep import selection
from htsweep.errors import Problem
from htsweep.planning import spaces
from htsweep.planning.ablation import cells_of
from htsweep.planning.checks import ablation, size, stopping
from htsweep.planning.dimension import Dimension, Space
from htsweep.planning.spaces import Spaces
from htsweep.planning.task import Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import CHAIN, Stop, Study

MOST_CONFIGS = 20_000
"""The most searched configs about which a task is asked.

It is asked about every cell, since the size of a grid is limited.
"""
MOST_SAID = 20
"""The most problems of one kind that are listed; the others are counted."""


def problems(study: Study, study_task: Task, where: Located) -> list[Problem]:
    """Keys that conflict, and searches that are wrong or too large; each once."""
    said = _Said(where)
    asked: set[str] = set()
    wrong_spaces = (
        list(spaces.check(study.search, spaces.SHARED, study_task.settings, where))
        if study.search
        else []
    )
    known = Spaces(study.search, study_task.settings)
    searched: list[tuple[Mapping[str, Any], Space]] = []
    cells, unsure = 0, False
    for cell in cells_of(study):
        cells += 1
        config, wrong = _judged(study_task, {**study.fixed, **cell}, study.stop)
        for key, message in wrong:
            said.add(_place(study, key, cell), message)
        if config is None or wrong:
            # Its method has its spaces, whatever else is wrong with the cell.
            names = _spaces(study_task, {**study.fixed, **cell} if config is None else config)
            fresh = [name for name in names or () if name not in asked]
            asked.update(fresh)
            unsure |= names is None
            if study.search is not None:
                wrong_spaces += spaces.check(study.search, fresh, study_task.settings, where)
            continue
        for place, message in _empty(study, study_task.unmeasured(config)):
            said.add(place, message)
        if study.search is None:
            continue
        names = study_task.spaces(config)
        fresh = [name for name in names if name not in asked]
        asked.update(fresh)
        wrong_spaces += spaces.check(study.search, fresh, study_task.settings, where)
        if not wrong_spaces:
            searched.append((cell, known.of(names, cell)))
    if study.search is not None:
        unused = [name for name in study.search.spaces if name not in asked]
        if unsure or said.of(CHAIN):
            # A name of a method is wrong: it may be the one that has the space.
            wrong_spaces += spaces.check(study.search, unused, study_task.settings, where)
        else:
            wrong_spaces += spaces.unknown(study.search, asked, where)
    if wrong_spaces:
        return [*said.problems(cells), *wrong_spaces]
    sizes = list(size.of_spaces(study, [space for _, space in searched] or [()] * cells, where))
    values = _values(study, study_task, searched, where) if said.empty and not sizes else ()
    return [*said.problems(cells), *sizes, *values]


def _judged(
    study_task: Task, config: Mapping[str, Any], stop: Stop | None
) -> tuple[Mapping[str, Any] | None, list[tuple[str, str]]]:
    """The resolved config, or None if it cannot be resolved, and its problems as (key, message)."""
    try:
        resolved = study_task.resolve(config)
        study_task.role(resolved)  # raises ValueError for an answer that is not a role
        wrong = [(key, message) for key, message in study_task.problems(resolved)]
        return resolved, wrong or list(stopping.problems(stop, study_task, resolved))
    except (ValueError, LookupError, OSError) as error:
        return None, [("", str(error))]
    except Exception as error:  # a value of a type that the task does not expect may raise anything
        return None, [("", f"the task cannot read a value: {type(error).__name__}: {error}")]


def _spaces(study_task: Task, config: Mapping[str, Any]) -> list[str] | None:
    """The spaces of a config that has a problem; None if the task cannot say."""
    try:
        return list(study_task.spaces(config))
    except Exception:  # what cannot be resolved may raise anything
        return None


def _empty(study: Study, unmeasured: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """Columns by which the study decides, but which a cell cannot measure."""
    for index, objective in enumerate(study.objectives):
        if objective.metric in unmeasured:
            yield (
                ("objectives", index, "metric"),
                f"{objective.metric} is not measured: {unmeasured[objective.metric]}",
            )
    ways = [
        [name for name in needed if name in unmeasured] for needed in selection.needs(study.select)
    ]
    if all(ways):
        yield (
            ("select",),
            f"protocol {study.select} reads {ways[-1][0]}, which is not measured: "
            f"{unmeasured[ways[-1][0]]}",
        )


def _values(
    study: Study,
    study_task: Task,
    searched: Sequence[tuple[Mapping[str, Any], Space]],
    where: Located,
) -> Iterator[Problem]:
    """What the task finds wrong with each value of a search, the others at their defaults.

    A wrong name is found whatever the other values are; of many numbers only the smallest and the
    largest are tried.
    """
    said = _Said(where)
    firsts = {id(space): (cell, space) for cell, space in reversed(searched)}
    left = MOST_CONFIGS
    for cell, space in (*firsts.values(), *searched):
        usual = {
            dimension.key: dimension.default if dimension.has_default else dimension.at(0)
            for dimension in space
        }
        for dimension in space:
            for value in _tried(dimension, study, left // len(space)):
                left -= 1
                config = {**study.fixed, **cell, **usual, dimension.key: value}
                _, wrong = _judged(study_task, config, study.stop)
                for key, message in wrong:
                    place = _searched_place(study, key if key in usual else dimension.key)
                    said.add(place or _place(study, key, cell), message)
        if left <= 0:
            break
    return said.problems(0)


def _tried(dimension: Dimension, study: Study, most: int) -> list[Any]:
    """The values to ask a task about: all, but only the ends of more than `most` numbers."""
    listed = (
        dimension.listed
        if study.search is not None and study.search.sampler == "grid"
        else dimension.choices
    )
    values = list(listed or ())
    if len(values) <= most:
        return values
    numbers = [
        value for value in values if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    others = [
        value for value in values if not isinstance(value, int | float) or isinstance(value, bool)
    ]
    return [*({min(numbers), max(numbers)} if numbers else ()), *others[:most]]


def _searched_place(study: Study, key: str) -> Place | None:
    """The searched parameter's place in the study; None if the study does not name it."""
    given = study.search.spaces if study.search else {}
    name, _, parameter = key.partition(".")
    if key in given.get(spaces.EVERY, {}):
        return ("search", "spaces", spaces.EVERY, key)
    return ("search", "spaces", name, parameter) if parameter in given.get(name, {}) else None


def _place(study: Study, key: str, cell: Mapping[str, Any]) -> Place:
    if key in study.grid and (study.ablate is None or cell[key] in study.grid[key]):
        return ("grid", key)
    if study.ablate is not None and key in study.ablate.keys:
        return ablation.place(study.ablate, key, cell)
    return ("fixed", key) if key in study.fixed else ("grid",)


class _Said:
    """Collects messages: each once, with the place where it first came up and how often it did."""

    def __init__(self, where: Located) -> None:
        self._where = where
        self._found: dict[str, tuple[Place, int]] = {}

    @property
    def empty(self) -> bool:
        """Whether there are no messages."""
        return not self._found

    def of(self, key: str) -> bool:
        """Whether there is a message on this key of the grid, or on this setting."""
        return any(key in place for place, _ in self._found.values())

    def add(self, place: Place, message: str) -> None:
        """Adds a message."""
        first, count = self._found.get(message, (place, 0))
        self._found[message] = first, count + 1

    def problems(self, cells: int) -> Iterator[Problem]:
        """The problems, at most `MOST_SAID` of each place, of `cells` cells checked."""
        places: dict[Place, list[tuple[str, int]]] = {}
        for message, (place, count) in self._found.items():
            places.setdefault(place, []).append((message, count))
        for place, messages in places.items():
            for message, count in messages[:MOST_SAID]:
                often = f" (in {count:,} of {cells:,} cells)" if 1 < count < cells else ""
                yield self._where.problem(place, message + often)
            if len(messages) > MOST_SAID:
                yield self._where.problem(
                    place, f"and {len(messages) - MOST_SAID:,} more problems with this key"
                )
