"""Checks the key `resources`: what a trial may take of a machine, and which trials differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from htsweep.errors import Problem, did_you_mean
from htsweep.planning import task
from htsweep.planning.ablation import cells_of
from htsweep.planning.checks.remaining import Remaining
from htsweep.planning.dimension import Space, text_of
from htsweep.planning.jobs import stages_of, with_inner
from htsweep.planning.resources import Amounts
from htsweep.planning.spaces import Spaces
from htsweep.planning.task import Task
from htsweep.study.document import Located, Place
from htsweep.study.resources import TAKEN
from htsweep.study.schema import Study

Had = tuple[Mapping[str, Any], Space]
"""A config of a cell or a stage, and the space that is searched in it."""


def problems(study: Study, where: Located) -> Iterator[Problem]:
    """Amounts that no trial can use, and entries of `when` that lack a part."""
    given = study.resources
    places: list[tuple[Place, Any]] = [(_default(where), given.default.gpu)]
    places += [(("resources", "when", i), one.gpu) for i, one in enumerate(given.when)]
    for place, gpu in places:
        if isinstance(gpu, float | int) and gpu > 1:
            yield where.problem(
                (*place, "gpu"),
                f"is {gpu:g}, but a trial uses one GPU, so that others would be idle; "
                "give at most 1, or a fraction such as 0.25 for trials that share a GPU",
            )
    if given.default.accelerator and not given.default.gpu:
        yield where.problem((*_default(where), "accelerator"), _no_gpu(given.default.accelerator))
    for number, one in enumerate(given.when):
        place = ("resources", "when", number)
        if not one.conditions:
            yield where.problem(
                place,
                "has no condition, so that it would hold for all trials; add one, such as "
                "`backbone: resnet50`, or move what it says into `default`",
            )
        if not one.taken:
            yield where.problem(
                place, f"does not say what such a trial takes; add one of {', '.join(TAKEN)}"
            )
        gpu = given.default.gpu if one.gpu is None else one.gpu
        if one.accelerator and not gpu:
            yield where.problem((*place, "accelerator"), _no_gpu(one.accelerator))


def of_cells(left: Remaining, study_task: Task, where: Located) -> Iterator[Problem]:
    """Conditions that no trial and no stage meets, and entries that contradict each other.

    Nothing is told of entries whose conditions are about what is not left of the study.
    """
    study = left.study
    unsure = {
        number
        for number, clause in enumerate(study.resources.when)
        if {*clause.conditions} & {*(left.lost or ()), *left.gone}
    }
    if len(unsure) == len(study.resources.when):
        return
    had, amounts = _had(study, study_task), Amounts(study, study_task)
    if had is None:
        return
    for number, clause in enumerate(study.resources.when):
        if number in unsure:
            continue
        place = ("resources", "when", number)
        wrong = list(_unknown(amounts, number, clause.conditions, had, place=place, where=where))
        yield from wrong
        if clause.conditions and not wrong and not any(amounts.met(number, *one) for one in had):
            yield where.problem(
                place,
                "no trial and no stage of the study meets all these conditions at once; change "
                "one, or remove the entry",
            )
    said: set[tuple[int, int, str]] = set()
    for config, space in had:
        for first, second, key in amounts.clashes(config, space):
            if (first, second, key) in said or {first, second} & unsure:
                continue
            said.add((first, second, key))
            one, other = (_shown(getattr(study.resources.when[n], key)) for n in (first, second))
            named = {name for n in (first, second) for name in study.resources.when[n].conditions}
            met = ", ".join(f"{name}={config[name]}" for name in sorted(named & config.keys()))
            yield where.problem(
                ("resources", "when", second, key),
                f"is {other}, but resources.when.{first} says {one}, and what has {met} meets the "
                "conditions of both; add a condition to one of them, so that nothing meets both",
            )


def _unknown(
    amounts: Amounts,
    number: int,
    conditions: Mapping[str, Sequence[Any]],
    had: Sequence[Had],
    *,
    place: Place,
    where: Located,
) -> Iterator[Problem]:
    """Keys that nothing of the study has, and values that none of these has."""
    keys = {key for config, space in had for key in (*config, *(each.key for each in space))}
    for key, values in conditions.items():
        if key not in keys:
            yield where.problem(
                (*place, key),
                "no trial and no stage of the study has this key; "
                f"{did_you_mean(key, [*TAKEN, *study_keys(keys)])}",
            )
            continue
        for index, value in enumerate(values):
            if any(amounts.has(number, key, value, *one) for one in had):
                continue
            known = {text_of(config[key]).strip('"') for config, _ in had if key in config}
            at = (*place, key) if len(values) == 1 else (*place, key, index)
            yield where.problem(
                at,
                f"no trial and no stage of the study has {value!r}; "
                f"{did_you_mean(text_of(value).strip(chr(34)), known)}",
            )


def study_keys(keys: set[str]) -> list[str]:
    """The keys, sorted, without those of single methods."""
    return sorted(key for key in keys if "." not in key)


def _had(study: Study, study_task: Task) -> list[Had] | None:
    """The configs of the study's cells, each with its search, and of the stages that they need.

    None if the task cannot say of one: `cells` reports what is wrong with it.
    """
    spaces, found, stages = Spaces(study.search, study_task.settings), [], {}
    for cell in cells_of(study):
        try:
            config = study_task.resolve({**study.fixed, **cell})
            names = study_task.spaces(config) if study.search else ()
            found.append((config, spaces.of(names, cell)))
        except (ValueError, LookupError, OSError, TypeError):
            return None
        try:
            for stage in with_inner(stages_of(study_task, config).values()):
                stages[stage.point] = stage.config
        except (task.UnknownTask, ValueError, LookupError, OSError, TypeError):
            continue  # one of its names is wrong, which decides what it needs
    nothing: Space = ()
    return [*found, *((config, nothing) for config in stages.values())]


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | int) else str(value)


def _default(where: Located) -> Place:
    """The place of the default, which may be written without that word."""
    return ("resources", "default") if where.has(("resources", "default")) else ("resources",)


def _no_gpu(name: str) -> str:
    return f"is {name}, but such a trial takes no GPU; set `gpu`, or leave `accelerator` out"
