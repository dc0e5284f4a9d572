"""What to know about a valid study before it runs: its data, and values that mean the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from htsweep.planning import paths, task
from htsweep.planning.ablation import cells_of
from htsweep.planning.dimension import text_of
from htsweep.planning.plan import Plan
from htsweep.planning.task import Task
from htsweep.study.schema import Study

Cells = list[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]
"""Each cell of the grid, with its config as given and as resolved."""


def notes(study: Study) -> list[str]:
    """A line for each note of its task, and for each set of values that mean the same."""
    study_task = task.of(study)
    cells: Cells = []
    for cell in cells_of(study):
        given = {**study.fixed, **cell}
        cells.append((cell, given, study_task.resolve(given)))
    lines = [
        f"{key:7} {own.resolve()} is used, by its path from the study's file; "
        f"{other.resolve()} in the working folder is not"
        for _, given, _ in cells
        for key, own, other in paths.shadowed(study_task.settings, given, study.folder)
    ]
    lines += [f"{key:7} {text}" for _, _, config in cells for key, text in study_task.notes(config)]
    lines += _idle(study_task, cells)
    # Values can only coincide if resolving changed some of them.
    changed = [
        key
        for key in (*study.grid, *study.fixed)
        if any(key in config and config[key] != given.get(key) for _, given, config in cells)
    ]
    for key in changed:
        lines += _alike(key, cells)
    return list(dict.fromkeys(lines))


def varied_notes(planned: Plan) -> list[str]:
    """A line for each setting with several values, in the grid or searched, on what follows."""
    settings = planned.task.settings or {}
    in_grid = [key for key, values in planned.study.grid.items() if len(values) > 1]
    lines: list[str] = []
    for key in (*in_grid, *planned.searched):
        entails = getattr(settings.get(key), "varied", None)
        if entails is not None:
            lines += [
                f"{key:7} {text}" for sweep in planned.sweeps if (text := entails(sweep.base))
            ]
    return list(dict.fromkeys(lines))


def _idle(study_task: Task, cells: Cells) -> Iterator[str]:
    """Lines on settings that were given and have no effect in any cell, so that nobody trusts them.

    Such as a `missing_ratio` beside `missing_classes`.
    """
    settings = study_task.settings or {}
    given = dict.fromkeys(key for _, config, _ in cells for key in config if key in settings)
    for key in given:
        asked = any(config.get(key) for _, config, _ in cells)
        if asked and not any(key in resolved for _, _, resolved in cells):
            yield f"{key:7} has no effect in this study, given its other settings"


def _alike(key: str, cells: Cells) -> Iterator[str]:
    """Lines such as `missing_ratio 0.2, 0.25 mean the same and are planned once, as 0.25`.

    If that holds only in some cells, the line says in which.
    """
    rests: dict[str, Mapping[str, Any]] = {}
    came: dict[tuple[str, str], list[Any]] = {}
    for cell, given, config in cells:
        if key in given and key in config:
            rest = {name: text_of(value) for name, value in cell.items() if name != key}
            place = text_of(list(rest.items()))
            rests[place] = rest
            came.setdefault((place, text_of(config[key])), []).append(given[key])
    where: dict[str, list[str]] = {}
    for (place, meant), values in came.items():
        texts = list(dict.fromkeys(map(text_of, values)))
        if len(texts) > 1:
            where.setdefault(
                f"{key} {', '.join(texts)} mean the same and are planned once, as {meant}", []
            ).append(place)
        elif texts != [meant] and isinstance(values[0], int | float):
            where.setdefault(
                f"{key} {texts[0]} means the same as {meant}, and is planned as {meant}", []
            ).append(place)
    for line, places in where.items():
        conditions = []
        # A factor all of whose values occur is no condition.
        for name in rests[places[0]] if len(places) < len(rests) else {}:
            own = list(dict.fromkeys(rests[place][name] for place in places))
            if len(own) < len({rest[name] for rest in rests.values()}):
                conditions.append(f"{name} {', '.join(own)}")
        yield line + (f" (where {' and '.join(conditions)})" if conditions else "")
