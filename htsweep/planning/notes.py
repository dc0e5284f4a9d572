"""What to know about a valid study before it runs: its data, and values that mean the same."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
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
    searched = {
        key for keys in (study.search.spaces if study.search else {}).values() for key in keys
    }
    lines += _not_given(study_task, cells, searched)
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


def _not_given(study_task: Task, cells: Cells, searched: Collection[str]) -> Iterator[str]:
    """Lines on settings at their default where a word such as `auto` would make them another.

    The default stays what it was, so that ids do; a study that gives none may have meant the word.
    """
    for key, setting in (study_task.settings or {}).items():
        for word in () if key in searched else getattr(setting, "words", ()):
            where: dict[str, list[Mapping[str, Any]]] = {}
            for cell, given, config in cells:
                if key in given or key not in config:
                    continue
                would = study_task.resolve({**given, key: word})[key]
                if would != config[key]:
                    line = (
                        f"{key} is {text_of(config[key])}, the default, since the study gives "
                        f"none; `{key}: {word}` makes it {text_of(would)}"
                    )
                    where.setdefault(line, []).append(cell)
            for line, own in where.items():
                yield line + _where(own, [cell for cell, _, _ in cells])


def _where(own: Sequence[Mapping[str, Any]], cells: Sequence[Mapping[str, Any]]) -> str:
    """` (where backbone "a", "b")`: what tells some cells from all; "" if nothing does."""
    conditions = []
    for name in own[0] if len(own) < len(cells) else {}:
        values = dict.fromkeys(text_of(cell[name]) for cell in own)
        # A factor all of whose values occur is no condition.
        if len(values) < len({text_of(cell[name]) for cell in cells}):
            conditions.append(f"{name} {', '.join(values)}")
    return f" (where {' and '.join(conditions)})" if conditions else ""


def _alike(key: str, cells: Cells) -> Iterator[str]:
    """Lines such as `missing_ratio 0.2, 0.25 mean the same and are planned once, as 0.25`.

    If that holds only in some cells, the line says in which.
    """
    rests: dict[str, Mapping[str, Any]] = {}
    came: dict[tuple[str, str], list[Any]] = {}
    for cell, given, config in cells:
        if key in given and key in config:
            rest = {name: value for name, value in cell.items() if name != key}
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
        yield line + _where([rests[place] for place in places], list(rests.values()))
