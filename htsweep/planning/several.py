"""Values of the grid that stand for several, such as one dataset for each of many targets."""

from __future__ import annotations

from typing import Any

from htsweep.planning import paths, task
from htsweep.study.document import Located
from htsweep.study.schema import Study


def expanded(study: Study, where: Located) -> tuple[Study, Located]:
    """The study with every value of its grid that stands for several replaced by them.

    What a value stands for is the answer of its setting's `each`. Mistakes in values are reported
    at the line of what they came from. A study whose task cannot be found is returned as it is.

    Args:
        study: the study, as far as it could be read.
        where: the lines of its keys.
    """
    task.beside(study.file.parent)
    try:
        settings = task.of(study).settings or {}
    except Exception:  # a user's module may raise anything; `check` reports it
        return study, where

    def several(key: str, value: str) -> list[Any]:
        """What a text stands for, with paths as it has them."""
        whole = paths.located(settings, {key: value}, study.folder)[key]
        return [paths.as_in(settings, key, value, other) for other in settings[key].each(whole)]

    grid: dict[str, list[Any]] = {}
    origins: dict[str, list[int]] = {}
    for key, values in study.grid.items():
        if getattr(settings.get(key), "each", None) is None:
            grid[key] = values
            continue
        meant = [
            (other, index)
            for index, value in enumerate(values)
            for other in (several(key, value) if isinstance(value, str) else [value])
        ]
        grid[key] = [value for value, _ in meant]
        origins[key] = [index for _, index in meant]
    if grid == study.grid:
        return study, where
    return study.model_copy(update={"grid": grid}), where.expanded(origins)
