"""What a study says against what there is: tasks, settings, spaces, metrics, protocols."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from htsweep import selection, spaces, task
from htsweep.document import Place
from htsweep.errors import Problem, did_you_mean
from htsweep.study import Located, Study
from htsweep.task import Task

MOST_CELLS = 20_000
"""More cells than this are not asked one by one whether their keys go together."""


def check(study: Study, where: Located, broken: Iterable[str]) -> list[Problem]:
    """Every mistake that the types alone do not show; `broken` names the keys already reported."""
    problems = list(_name(study, where))
    task.beside(study.file.parent)
    try:
        found = task.find(study.task)
    except task.UnknownTask as error:
        return [*problems, where.problem(("task",), str(error))]
    except Exception as error:  # a user's module may raise anything at import
        return [*problems, where.problem(("task",), f"importing it raised {type(error).__name__}: {error}")]
    wrong = list(_settings(study, found, where))
    problems += wrong
    problems += _objectives(study, found, where)
    problems += _protocol(study, where)
    if not wrong and not {"grid", "fixed", "search"} & set(broken):
        problems += _cells(study, found, where)
    return problems


def _name(study: Study, where: Located) -> Iterator[Problem]:
    # The name becomes part of paths: it may not lead out of the results folder.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}", study.study):
        yield where.problem(("study",), f"a study's name is up to 100 letters, digits, '.', '_', '-' or spaces and "
                            f"begins with a letter or digit, but got {study.study!r}")


def _settings(study: Study, found: Task, where: Located) -> Iterator[Problem]:
    for key, values in study.grid.items():
        if not values:
            yield where.problem(("grid", key), "a factor needs at least one value, but its list is empty")
        for index, value in enumerate(values):
            if value in values[:index]:
                yield where.problem(("grid", key, index), f"the value {value!r} stands twice; keep one")
        if key in study.fixed:
            yield where.problem(("fixed", key), "stands in `grid` as well; keep one of them")
    settings = found.settings
    if settings is None:
        return
    places: list[tuple[str, Place, Any]] = [(key, ("fixed", key), value) for key, value in study.fixed.items()]
    places += [(key, ("grid", key, index), value)
               for key, values in study.grid.items() for index, value in enumerate(values)]
    unknown: set[str] = set()
    for key, place, value in places:
        if key not in settings:
            # `my_lab.methods:entropy.weight` is the parameter of a user's own: the task judges it.
            if key not in unknown and ":" not in key:
                unknown.add(key)
                yield where.problem(place[:2], f"task '{study.task}' has no such key; {did_you_mean(key, settings)}")
            continue
        wrong = refused(settings[key], value)
        if wrong:
            yield where.problem(place, wrong)
    given = {*study.fixed, *study.grid}
    for key, setting in settings.items():
        if key not in given and getattr(setting, "required", False):
            yield where.problem(("grid",), f"task '{study.task}' needs the key '{key}'; give it in grid or fixed")


def refused(setting: Any, value: Any) -> str | None:
    """Why `setting` does not take `value`, or None."""
    kinds = {int: "a whole number", float: "a number", str: "text", bool: "true or false", list: "a list"}
    wanted = setting.type
    right = isinstance(value, (int, float) if wanted is float else wanted) and (wanted is bool or not isinstance(value, bool))
    if wanted in (str, list) and isinstance(value, str | list):
        right = right or bool(setting.choices)  # a chain of names may be one name, and a name a chain of one
    if value is None and setting.default is None:
        return None
    if not right:
        return f"must be {kinds.get(wanted, wanted)}, but got {value!r}"
    if wanted in (int, float) and not math.isfinite(value):
        return f"must be finite, but got {value!r}"
    if setting.low is not None and wanted in (int, float) and value < setting.low:
        return f"must be at least {setting.low}, but got {value!r}"
    if setting.high is not None and wanted in (int, float) and value > setting.high:
        return f"must be at most {setting.high}, but got {value!r}"
    return _unknown_name(setting, value)


def _unknown_name(setting: Any, value: Any) -> str | None:
    if setting.choices is None or setting.open:
        return None
    names = [str(name) for name in (setting.choices() if callable(setting.choices) else setting.choices)]
    parts = value if isinstance(value, list) else re.split(r"\s*\+\s*", str(value))
    for part in parts:
        # `module:function` and `folder:ROOT:A-B` are judged by the task, which sees the whole config.
        if str(part) not in names and ":" not in str(part):
            return f"got {part!r}; {did_you_mean(str(part), names)}"
    return None


def _objectives(study: Study, found: Task, where: Located) -> Iterator[Problem]:
    for index, objective in enumerate(study.objectives):
        place = ("objectives", index, "metric")
        if found.metrics and objective.metric not in found.metrics:
            yield where.problem(place, f"task '{study.task}' measures no '{objective.metric}'; "
                                f"{did_you_mean(objective.metric, found.metrics)}")
        if objective.metric.startswith("test/") and not objective.oracle:
            yield where.problem(place, f"{objective.metric} is a test column: whatever is chosen by it has seen the "
                                "test labels; take a validation/ column, or say `oracle: true`")
    adaptive = study.search is not None and study.search.sampler in ("tpe", "nsga2")
    if not study.objectives and (adaptive or study.stop):
        what = f"sampler {study.search.sampler}" if adaptive and study.search else "stop"
        yield where.problem(("search",) if adaptive else ("stop",), f"{what} needs `objectives`, a list of "
                            "{metric: ..., direction: maximize or minimize}")
    if study.search and study.search.sampler != "grid" and study.search.trials is None:
        yield where.problem(("search",), f"sampler {study.search.sampler} has no end of its own: give `trials`, the "
                            "points per sweep")


def _protocol(study: Study, where: Located) -> Iterator[Problem]:
    if study.select not in selection.NAMES and ":" not in study.select:
        yield where.problem(("select",), f"no protocol '{study.select}'; {did_you_mean(study.select, selection.NAMES)}")


def _cells(study: Study, found: Task, where: Located) -> Iterator[Problem]:
    """Keys that do not go together, and spaces that cannot hold, each said once."""
    said: set[str] = set()
    asked: set[str] = set()
    cells = itertools.islice(cells_of(study), MOST_CELLS)
    for cell in cells:
        try:
            config = found.resolve({**study.fixed, **cell})
            wrong = [(key, message) for key, message in found.problems(config)]
        except (ValueError, LookupError, OSError) as error:
            wrong, config = [("", str(error))], None
        for key, message in wrong:
            if message not in said:
                said.add(message)
                yield where.problem(_place(study, key), message)
        if config is not None and study.search is not None and not wrong:
            names = found.spaces(config)
            fresh = [name for name in names if name not in asked]
            asked.update(fresh)
            yield from spaces.check(study.search, fresh, found.settings, where)
    if study.search is not None:
        yield from spaces.unknown(study.search, asked, found.settings, where)


def _place(study: Study, key: str) -> Place:
    if key in study.grid:
        return ("grid", key)
    return ("fixed", key) if key in study.fixed else ("grid",)


def cells_of(study: Study) -> Iterator[Mapping[str, Any]]:
    """The cells of the study's grid in the order of the file, the last factor fastest."""
    for values in itertools.product(*study.grid.values()):
        yield dict(zip(study.grid, values, strict=True))

