"""Checks a study against the tasks, settings, spaces, metrics and protocols that exist."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from htsweep.errors import Problem, did_you_mean
from htsweep.planning import metrics, task
from htsweep.planning.checks import ablation, cells, fitting, kept, resources, screen, size
from htsweep.planning.checks.asking import Asked
from htsweep.planning.checks.cells import MOST_SAID
from htsweep.planning.checks.remaining import Recorded, remaining
from htsweep.planning.dimension import repeated
from htsweep.planning.settings import meant, refused
from htsweep.planning.task import Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import CHAIN, Study


def check(study: Study, where: Located, gone: Mapping[Place, Any]) -> list[Problem]:
    """Every mistake that types alone do not show.

    Args:
        study: the study, as far as it could be read.
        where: the lines of its keys.
        gone: what could not be read, by its place; it is already reported.
    """
    problems = [*_name(study, where), *resources.problems(study, where)]
    task.beside(study.file.parent)
    try:
        study_task = task.of(study)
    except task.UnknownTask as error:
        return [*problems, where.problem(("task",), str(error))]
    except Exception as error:  # a user's module may raise anything at import
        return [
            *problems,
            where.problem(("task",), f"importing it raised {type(error).__name__}: {error}"),
        ]
    seen = Recorded(where)
    problems += [*ablation.problems(study, seen), *_settings(study, study_task, seen, gone)]
    problems += kept.problems(study, study_task, where)
    problems += _objectives(study, study_task, where)
    problems += fitting.protocol(study, study_task, where)
    problems += screen.problems(study, study_task, where)
    problems += _alone(study, study_task, seen)
    left = remaining(study, study_task, seen.places, gone)
    large = list(size.of_grid(left.study, where))
    problems += large
    if not large:
        problems += cells.problems(left, study_task, where)
        problems += fitting.problems(study, left, study_task, where, gone)
    sections = {str(place[0]) for place in gone}
    sections |= {one.key.removeprefix("--set ").partition(".")[0] for one in problems}
    if not sections & {"", "task", "grid", "fixed", "search", "ablate", "screen"}:
        problems += ablation.without_effect(study, study_task, where)
        problems += screen.of_pairs(study, study_task, where)
    return problems


def _name(study: Study, where: Located) -> Iterator[Problem]:
    # The name becomes part of paths, and must not lead out of the results folder.
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
"""Columns of the result tables, for which a factor or parameter could be mistaken."""


def _reserved(study: Study, where: Located) -> Iterator[Problem]:
    places: list[tuple[str, Place]] = [(key, ("grid", key)) for key in study.grid]
    places += [
        (key, ("search", "spaces", space, key))
        for space, keys in (study.search.spaces if study.search else {}).items()
        if space == "all"
        for key in keys
    ]
    places += [(key, place) for key, place, _ in ablation.given(study)]
    for key, place in places:
        if key in RESERVED:
            yield where.problem(
                place,
                f"'{key}' is the name of a column in the tables of results; "
                "give the setting another name",
            )


def _settings(
    study: Study, study_task: Task, where: Located, gone: Collection[Place]
) -> Iterator[Problem]:
    yield from _reserved(study, where)
    for key, values in study.grid.items():
        if not values:
            yield where.problem(
                ("grid", key), "a factor needs at least one value, but its list is empty"
            )
        twice = repeated(values)
        for index in twice[:MOST_SAID]:
            yield where.problem(
                ("grid", key, index), f"the value {values[index]!r} is listed twice; remove one"
            )
        if len(twice) > MOST_SAID:
            yield where.problem(
                ("grid", key), f"{len(twice) - MOST_SAID:,} more of its values are listed twice"
            )
        if key in study.fixed:
            yield where.problem(("fixed", key), "is also in `grid`; remove one of them")
    settings = study_task.settings
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
    places += ablation.given(study)
    # Of methods, and of what is measured (a value for each shape), a list is one value.
    listed = {CHAIN, *([study_task.timed.key] if study_task.timed else [])}
    unknown: set[str] = set()
    refusals: Counter[str] = Counter()
    for key, place, value in places:
        if key not in settings:
            # `my_lab.methods:entropy.weight` belongs to a user's own method: the task checks it.
            if key not in unknown and ":" not in key:
                unknown.add(key)
                at = place[:2] if place[0] == "grid" else place
                yield where.problem(
                    at, f"task '{study.task}' has no such key; {meant(key, settings)}"
                )
            continue
        wrong = refused(settings[key], value, several=key in listed)
        if wrong:
            refusals[key] += 1
            if refusals[key] <= MOST_SAID:
                yield where.problem(place, wrong)
    for key, count in refusals.items():
        if count > MOST_SAID:
            yield where.problem(
                ("grid", key), f"{count - MOST_SAID:,} more of its values are invalid"
            )
    given = {*study.fixed, *study.grid, *(study.ablate.full if study.ablate else ())}
    given |= {str(place[-1]) for place in gone}
    if {("fixed",), ("grid",), ("ablate",)} & {*gone}:
        return
    for key, setting in settings.items():
        if key not in given and getattr(setting, "required", False):
            yield where.problem(
                ("grid",),
                f"task '{study.task}' requires the key '{key}'; set it under `grid` or `fixed`",
            )


def _alone(study: Study, study_task: Task, seen: Recorded) -> Iterator[Problem]:
    """What is wrong with chains of methods whatever the cells are."""
    asked = Asked(study_task, study_task.problems)
    places: list[tuple[Place, Any]] = [
        (("grid", CHAIN, index), value) for index, value in enumerate(study.grid.get(CHAIN, []))
    ]
    places += [(place, value) for key, place, value in ablation.given(study) if key == CHAIN]
    for place, value in places if CHAIN in (study_task.settings or {}) else ():
        if place not in seen.places:
            for message in asked.alone(CHAIN, value, None):
                yield seen.problem(place, message)


def _objectives(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    for index, objective in enumerate(study.objectives):
        place = ("objectives", index, "metric")
        own = metrics.asked(objective.metric, study.metrics)
        if study_task.metrics and objective.metric not in study_task.metrics and not own:
            columns = [*study_task.metrics, *metrics.columns(study.metrics)]
            yield where.problem(
                place,
                f"task '{study.task}' does not measure '{objective.metric}'; "
                f"{did_you_mean(objective.metric, columns)}",
            )
        if objective.metric.startswith("test/") and not objective.oracle:
            yield where.problem(
                place,
                f"{objective.metric} is a test column: anything chosen by it has seen the "
                "test labels; use a validation/ column, or set `oracle: true`",
            )
    adaptive = study.search is not None and study.search.sampler in ("tpe", "nsga2")
    if not study.objectives and (adaptive or study.stop):
        what = f"`{study.search.sampler}`" if adaptive and study.search else "`stop`"
        yield where.problem(
            ("search",) if adaptive else ("stop",),
            f"{what} needs `objectives`, a list of "
            "{metric: ..., direction: maximize or minimize}",
        )
    if study.search and study.search.sampler != "grid" and study.search.trials is None:
        yield where.problem(
            ("search",),
            f"`{study.search.sampler}` never runs out of points: set `search.trials`",
        )
