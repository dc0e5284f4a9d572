"""What a study says against what there is: tasks, settings, spaces, metrics, protocols."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from htsweep import selection
from htsweep.errors import HtsweepError, Problem, did_you_mean
from htsweep.planning import checks_ablation, checks_cells, checks_screen, checks_size, task
from htsweep.planning.ablation import cells_of
from htsweep.planning.checks_cells import MOST_SAID
from htsweep.planning.dimension import repeated, text_of
from htsweep.planning.settings import refused
from htsweep.planning.task import Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import Study


def check(study: Study, where: Located, broken: Iterable[str]) -> list[Problem]:
    """Every mistake that the types alone do not show; `broken` names the keys already reported."""
    problems = list(_name(study, where))
    task.beside(study.file.parent)
    try:
        found = task.find(study.task)
    except task.UnknownTask as error:
        return [*problems, where.problem(("task",), str(error))]
    except Exception as error:  # a user's module may raise anything at import
        return [
            *problems,
            where.problem(("task",), f"importing it raised {type(error).__name__}: {error}"),
        ]
    wrong = [*checks_ablation.problems(study, where), *_settings(study, found, where)]
    problems += wrong
    problems += _objectives(study, found, where)
    problems += _protocol(study, found, where)
    problems += checks_screen.problems(study, found, where)
    if not wrong and not {"grid", "fixed", "search", "ablate"} & set(broken):
        large = list(checks_size.of_grid(study, where))
        problems += large or [
            *checks_cells.problems(study, found, where),
            *_unmeasured(study, found, where),
        ]
    if not problems and not broken:
        problems = [
            *checks_ablation.without_effect(study, found, where),
            *_baseline(study, found, where),
            *checks_screen.of_pairs(study, found, where),
        ]
    return problems


def _name(study: Study, where: Located) -> Iterator[Problem]:
    # The name becomes part of paths: it may not lead out of the results folder.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,99}", study.study):
        yield where.problem(
            ("study",),
            f"a study's name is up to 100 letters, digits, '.', '_', '-' or spaces and "
            f"begins with a letter or digit, but got {study.study!r}",
        )


RESERVED = frozenset(
    {
        "trial",
        "sweep",
        "point",
        "point_index",
        "repetition",
        "status",
        "step",
        "n",
        "mean",
        "low",
        "high",
        "iqm",
        "metric",
        "value",
        "role",
        "chosen",
        "front",
        "own_front",
        "probability",
        "disrupts",
        "disruption",
        "difference",
        "improvement",
        "p",
        "p_holm",
        "least_p",
        "verdict",
        "baseline",
        "groups",
        "protocol",
        "gap",
        "cost",
        "reference",
        "volume",
        "contribution",
        "seen",
        "missing",
        "rank",
        "blocks",
        "component",
        "components",
        "control",
        "kind",
        "parameter",
        "objective",
        "evaluator",
        "importance",
        "points",
        "trials",
        "reason",
        "log",
    }
)
"""Columns of the tables that results are told in: a factor or a searched parameter of such a name
would be taken for one.
"""


def _reserved(study: Study, where: Located) -> Iterator[Problem]:
    places: list[tuple[str, Place]] = [(key, ("grid", key)) for key in study.grid]
    places += [
        (key, ("search", "spaces", space, key))
        for space, keys in (study.search.spaces if study.search else {}).items()
        if space == "all"
        for key in keys
    ]
    places += [(key, place) for key, place, _ in checks_ablation.given(study)]
    for key, place in places:
        if key in RESERVED:
            yield where.problem(
                place,
                f"'{key}' is the name of a column of the results' tables; give the setting another "
                "name",
            )


def _settings(study: Study, found: Task, where: Located) -> Iterator[Problem]:
    yield from _reserved(study, where)
    for key, values in study.grid.items():
        if not values:
            yield where.problem(
                ("grid", key), "a factor needs at least one value, but its list is empty"
            )
        twice = repeated(values)
        for index in twice[:MOST_SAID]:
            yield where.problem(
                ("grid", key, index), f"the value {values[index]!r} stands twice; keep one"
            )
        if len(twice) > MOST_SAID:
            yield where.problem(
                ("grid", key), f"{len(twice) - MOST_SAID:,} more of its values stand twice"
            )
        if key in study.fixed:
            yield where.problem(("fixed", key), "stands in `grid` as well; keep one of them")
    settings = found.settings
    if settings is None:
        return
    places: list[tuple[str, Place, Any]] = [
        (key, ("fixed", key), value) for key, value in study.fixed.items()
    ]
    places += [
        (key, ("grid", key, index), value)
        for key, values in study.grid.items()
        for index, value in enumerate(values)
    ]
    places += checks_ablation.given(study)
    unknown: set[str] = set()
    refusals: Counter[str] = Counter()
    for key, place, value in places:
        if key not in settings:
            # `my_lab.methods:entropy.weight` is the parameter of a user's own: the task judges it.
            if key not in unknown and ":" not in key:
                unknown.add(key)
                at = place[:2] if place[0] == "grid" else place
                yield where.problem(
                    at, f"task '{study.task}' has no such key; {did_you_mean(key, settings)}"
                )
            continue
        wrong = refused(settings[key], value)
        if wrong:
            refusals[key] += 1
            if refusals[key] <= MOST_SAID:
                yield where.problem(place, wrong)
    for key, count in refusals.items():
        if count > MOST_SAID:
            yield where.problem(
                ("grid", key), f"{count - MOST_SAID:,} more of its values are refused"
            )
    given = {*study.fixed, *study.grid, *(study.ablate.full if study.ablate else ())}
    for key, setting in settings.items():
        if key not in given and getattr(setting, "required", False):
            yield where.problem(
                ("grid",), f"task '{study.task}' needs the key '{key}'; give it in grid or fixed"
            )


def _objectives(study: Study, found: Task, where: Located) -> Iterator[Problem]:
    for index, objective in enumerate(study.objectives):
        place = ("objectives", index, "metric")
        if found.metrics and objective.metric not in found.metrics:
            yield where.problem(
                place,
                f"task '{study.task}' measures no '{objective.metric}'; "
                f"{did_you_mean(objective.metric, found.metrics)}",
            )
        if objective.metric.startswith("test/") and not objective.oracle:
            yield where.problem(
                place,
                f"{objective.metric} is a test column: whatever is chosen by it has seen the "
                "test labels; take a validation/ column, or say `oracle: true`",
            )
    adaptive = study.search is not None and study.search.sampler in ("tpe", "nsga2")
    if not study.objectives and (adaptive or study.stop):
        what = f"sampler {study.search.sampler}" if adaptive and study.search else "stop"
        yield where.problem(
            ("search",) if adaptive else ("stop",),
            f"{what} needs `objectives`, a list of "
            "{metric: ..., direction: maximize or minimize}",
        )
    if study.search and study.search.sampler != "grid" and study.search.trials is None:
        yield where.problem(
            ("search",),
            f"sampler {study.search.sampler} has no end of its own: give `trials`, the "
            "points per sweep",
        )


def _protocol(study: Study, found: Task, where: Located) -> Iterator[Problem]:
    if study.select not in selection.NAMES and ":" not in study.select:
        yield where.problem(
            ("select",),
            f"no protocol '{study.select}'; {did_you_mean(study.select, selection.NAMES)}",
        )
        return
    try:
        selection.find(study.select)
    except HtsweepError as error:
        yield where.problem(("select",), str(error))
        return
    if found.metrics and not any(
        set(needed) <= set(found.metrics) for needed in selection.needs(study.select)
    ):
        needed = ", ".join(selection.needs(study.select)[-1])
        yield where.problem(
            ("select",),
            f"protocol {study.select} reads {needed}, but task {study.task} does not measure that; "
            f"it can have {', '.join(selection.possible(found.metrics))}",
        )


def _unmeasured(study: Study, found: Task, where: Located) -> Iterator[Problem]:
    """Columns that the protocol reads, and that the task measures only with a key which no cell has."""
    if not found.metrics or any(_protocol(study, found, where)):
        return
    asked = {
        name: key
        for name, key in found.measured_with.items()
        if all(name in needed for needed in selection.needs(study.select))
    }
    for name, key in asked.items():
        configs = (_resolved(study, found, cell) for cell in cells_of(study))
        if not any(config.get(key) for config in configs):
            setting = (found.settings or {})[key]
            yield where.problem(
                ("select",),
                f"protocol {study.select} reads {name}, which {study.task} measures with `{key}` "
                f"above 0 only ({setting.doc}); set it, under `fixed` say",
            )


def _resolved(study: Study, found: Task, cell: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return found.resolve({**study.fixed, **cell})
    except (
        Exception
    ):  # what is wrong with the cell is said elsewhere; a value of a wrong type may raise anything
        return {}


def _baseline(study: Study, found: Task, where: Located) -> Iterator[Problem]:
    if study.baseline is None:
        return
    compared = study.compared
    if compared is None:
        yield where.problem(
            ("baseline",), "is a value of the factor that is compared, but the grid has no factor"
        )
        return
    setting = (found.settings or {}).get(compared)
    wrong = None if setting is None else refused(setting, study.baseline)
    if wrong:
        yield where.problem(("baseline",), wrong)
        return
    known = list(
        {
            text_of(cell[compared]): cell[compared] for cell in cells_of(study) if compared in cell
        }.values()
    )
    meant = {
        text_of(found.resolve({**study.fixed, compared: value}).get(compared, value))
        for value in known
    }
    if (
        text_of(
            found.resolve({**study.fixed, compared: study.baseline}).get(compared, study.baseline)
        )
        not in meant
    ):
        names = [
            "+".join(map(str, value)) if isinstance(value, list) else str(value) for value in known
        ]
        yield where.problem(
            ("baseline",),
            f"no {compared} of the study is {study.baseline!r}; "
            f"{did_you_mean(str(study.baseline), names)}",
        )
