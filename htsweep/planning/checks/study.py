"""Checks a study against the tasks, settings, spaces, metrics and protocols that exist."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from htsweep import selection
from htsweep.errors import HtsweepError, Problem, did_you_mean
from htsweep.planning import configurations, metrics, spaces, task
from htsweep.planning.ablation import cells_of
from htsweep.planning.checks import ablation, cells, kept, resources, screen, size
from htsweep.planning.checks.cells import MOST_SAID
from htsweep.planning.checks.remaining import Recorded, remaining, said_alone
from htsweep.planning.dimension import repeated, text_of
from htsweep.planning.settings import meant, refused
from htsweep.planning.task import BOUND, Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import CHAIN, Study


def check(study: Study, where: Located, broken: Iterable[str]) -> list[Problem]:
    """Every mistake that types alone do not show.

    Args:
        study: the study, as far as it could be read.
        where: the lines of its keys.
        broken: the top-level keys that are already reported.
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
    problems += [*ablation.problems(study, seen), *_settings(study, study_task, seen)]
    problems += kept.problems(study, study_task, where)
    problems += _objectives(study, study_task, where)
    problems += _protocol(study, study_task, where)
    problems += screen.problems(study, study_task, where)
    if {"grid", "ablate"} & set(broken) or any(place[0] == "ablate" for place in seen.places):
        # The cells are not known, but what is listed has names of its own.
        problems += spaces.listed(study.search, study_task.settings, where)
        return problems + list(_alone(study, study_task, seen))
    left = remaining(study, study_task, seen.places, "fixed" in broken)
    large = list(size.of_grid(left.study, where))
    problems += large
    if not large:
        names = spaces.listed(study.search, study_task.settings, where)
        problems += left.certain(cells.problems(left.study, study_task, where), names)
    problems += _blocks(study, where)
    problems += _labels(study, study_task, where)
    if not large and not left.changed and not set(broken) & {"search", "fixed"}:
        problems += _unmeasured(study, study_task, where)
        problems += resources.of_cells(study, study_task, where)
        problems += configurations.problems(study, study_task, where)
    if not large and not left.lacks(study.baseline):
        problems += _baseline(left.study, study_task, where)
    if not problems and not broken:
        problems = [
            *_repetitions(study, study_task, where),
            *ablation.without_effect(study, study_task, where),
            *screen.of_pairs(study, study_task, where),
        ]
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


def _settings(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
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
    for key, setting in settings.items():
        if key not in given and getattr(setting, "required", False):
            yield where.problem(
                ("grid",),
                f"task '{study.task}' requires the key '{key}'; set it under `grid` or `fixed`",
            )


def _alone(study: Study, study_task: Task, seen: Recorded) -> Iterator[Problem]:
    """What is wrong with chains of methods whatever the cells are."""
    places: list[tuple[Place, Any]] = [
        (("grid", CHAIN, index), value) for index, value in enumerate(study.grid.get(CHAIN, []))
    ]
    places += [(place, value) for key, place, value in ablation.given(study) if key == CHAIN]
    for place, value in places if CHAIN in (study_task.settings or {}) else ():
        if place not in seen.places:
            for message in said_alone(study_task, CHAIN, value):
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


def _protocol(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    try:
        selection.find(study.select)
    except HtsweepError as error:
        yield where.problem(("select",), str(error))
        return
    if study_task.metrics and not any(
        all(name in study_task.metrics or metrics.asked(name, study.metrics) for name in needed)
        for needed in selection.needs(study.select)
    ):
        needed = ", ".join(selection.needs(study.select)[-1])
        yield where.problem(
            ("select",),
            f"protocol {study.select} reads {needed}, but task {study.task} does not measure that; "
            f"choose one of {', '.join(selection.possible(study_task.metrics))}",
        )


def _unmeasured(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """Columns that the protocol reads, but are measured only with a key that no cell sets."""
    if not study_task.metrics or any(_protocol(study, study_task, where)):
        return
    asked = {
        name: key
        for name, key in study_task.measured_with.items()
        if all(name in needed for needed in selection.needs(study.select))
    }
    for name, key in asked.items():
        configs = [_resolved(study, study_task, cell) for cell in cells_of(study)]
        if any(config.get(key) for config in configs):
            continue
        # Where it cannot be measured for another reason, that is said instead.
        if not all(_cannot_measure(study_task, config, name) for config in configs):
            setting = (study_task.settings or {})[key]
            yield where.problem(
                ("select",),
                f"protocol {study.select} reads {name}, which {study.task} measures only if "
                f"`{key}` is above 0 ({setting.doc}); set it, for example under `fixed`",
            )


def _cannot_measure(study_task: Task, config: Mapping[str, Any], name: str) -> bool:
    try:
        return name in study_task.unmeasured(config)
    except Exception:  # data that is not there may raise anything; `cells` reports it
        return False


def _repetitions(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """More repetitions than the task has data for."""
    seen: set[tuple[str, ...]] = set()
    for cell in cells_of(study):
        # Data does not depend on what is compared.
        key = tuple(text_of(value) for name, value in cell.items() if name != study.compared)
        if key in seen:
            continue
        seen.add(key)
        rests = study_task.evidence(_resolved(study, study_task, cell))
        most = getattr(rests, "repetitions", None)
        if most is not None and study.repetitions > most:
            yield where.problem(
                ("repetitions",),
                f"got {study.repetitions}, but there are test images of their own for {most} "
                "repetitions (in "
                f"{', '.join(f'{name}={text_of(value)}' for name, value in cell.items())}); lower "
                "it, or make smaller parts by a lower test_share",
            )
            return


def _resolved(study: Study, study_task: Task, cell: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return study_task.resolve({**study.fixed, **cell})
    except Exception:  # a value of a wrong type may raise anything; `cells` reports it
        return {}


def _blocks(study: Study, where: Located) -> Iterator[Problem]:
    known = [name for name in study.factors if name != study.compared]
    for index, name in enumerate(study.blocks):
        if name not in known:
            yield where.problem(
                ("blocks", index),
                f"blocks are values of factors other than '{study.compared}', which is compared, "
                f"but got '{name}'; {did_you_mean(name, known)}"
                if known
                else f"got '{name}', but the grid has no factor besides what is compared; add one, "
                "or leave `blocks` out",
            )


def _labels(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """Labels of values that the study does not have, and labels that do not tell values apart."""
    if not study.labels:
        return
    given = {str(value) for values in study.grid.values() for value in values}
    given |= {str(value) for value in study.fixed.values()}
    for cell in cells_of(study):
        config = _resolved(study, study_task, cell)
        given |= {str(config[key]) for key in study.factors if key in config}
    for value, label in study.labels.items():
        if value not in given:
            yield where.problem(
                ("labels", value),
                f"no factor of the study has this value; {did_you_mean(value, given)}",
            )
        twins = [other for other, same in study.labels.items() if same == label]
        if twins[0] != value or label in given - {value}:
            yield where.problem(
                ("labels", value), f"another value is called '{label}' too; give it its own"
            )


def _baseline(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    if study.baseline is None:
        return
    compared = study.compared
    if compared is None:
        yield where.problem(
            ("baseline",),
            "names a value of the factor that is compared, but the grid has no factor; add one",
        )
        return
    setting = (study_task.settings or {}).get(compared)
    wrong = None if setting is None else refused(setting, study.baseline)
    if wrong:
        yield where.problem(("baseline",), wrong)
        return

    def meaning(value: Any) -> str:
        return text_of(study_task.resolve({**study.fixed, compared: value}).get(compared, value))

    by_text: dict[str, Any] = {}
    for cell in cells_of(study):
        if compared in cell:
            by_text[text_of(cell[compared])] = cell[compared]
    known = list(by_text.values())
    if meaning(study.baseline) not in set(map(meaning, known)):
        names = [
            "+".join(map(str, value)) if isinstance(value, list) else str(value) for value in known
        ]
        yield where.problem(
            ("baseline",),
            f"the study has no {compared} {study.baseline!r}; "
            f"{did_you_mean(str(study.baseline), names)}",
        )
        return
    if study_task.role(_resolved(study, study_task, {compared: study.baseline})) == BOUND:
        yield where.problem(
            ("baseline",),
            f"{compared} {study.baseline!r} is an upper bound, which no other value is tested "
            "against; name a value that competes",
        )
