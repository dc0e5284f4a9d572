"""Parameters of methods in the grid: configurations of these methods, never groups of their own.

`grid: {method: [plain, l2sp], l2sp.backbone: [0.01, 0.1]}` compares plain with L2-SP, which has two
configurations. As a factor, `l2sp.backbone` would part the two, since plain has no such parameter.
So it becomes a search of the sweeps that have it, over the listed values alone; the trials, and
their ids, are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from htsweep.errors import Problem, did_you_mean
from htsweep.planning.ablation import cells_of
from htsweep.planning.task import Task
from htsweep.study.document import Located, dump
from htsweep.study.schema import Search, Study


def gathered(study: Study, study_task: Task) -> Study:
    """The study with the parameters of its methods in `search` instead of in `grid`."""
    own = _of_methods(study, _used(study, study_task)[0])
    if not own:
        return study
    search = study.search or Search(only_listed=True)
    spaces = {name: dict(values) for name, values in search.spaces.items()}
    for key, (name, parameter) in own.items():
        spaces.setdefault(name, {})[parameter] = list(study.grid[key])
    grid = {key: values for key, values in study.grid.items() if key not in own}
    return study.model_copy(
        update={"grid": grid, "search": search.model_copy(update={"spaces": spaces})}
    )


def problems(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """Parameters in the grid of a method that the study lacks, or beside a search that is limited.

    `study` is as it was read, before `gathered`.
    """
    used, whole = _used(study, study_task)
    known = study_task.settings or {}
    for key in study.grid:
        name, dot, _ = key.rpartition(".")
        # A method whose name is wrong may be the one that has the parameter.
        if dot and whole and used and name not in used and key in known:
            yield where.problem(
                ("grid", key),
                f"no cell of the grid has '{name}', so that its parameter would do nothing; add "
                f"it, or remove the parameter; {did_you_mean(name, used)}",
            )
    search = study.search
    for key, (name, parameter) in _of_methods(study, used).items():
        instead = f"`search: {{spaces: {{{name}: {{{parameter}: {dump(study.grid[key])}}}}}}}`"
        if search is None:
            continue
        if parameter in search.spaces.get(name, {}):
            yield where.problem(
                ("grid", key), f"is also in `search.spaces.{name}`; remove one of them"
            )
        elif search.sampler != "grid" or search.trials is not None:
            yield where.problem(
                ("grid", key),
                f"the values of a method's parameter are configurations of that method, and the "
                f"study's search, which has a limit, chooses among these; search it too: {instead}",
            )


def _of_methods(study: Study, used: set[str]) -> dict[str, tuple[str, str]]:
    """Key of the grid -> the space and the parameter that it names."""
    parts = {key: key.rpartition(".") for key in study.grid}
    return {
        key: (name, parameter)
        for key, (name, _, parameter) in parts.items()
        if name in used and not (study.ablate and key in study.ablate.keys)
    }


def _used(study: Study, study_task: Task) -> tuple[set[str], bool]:
    """The spaces of the grid's cells, as far as the parameters in the grid need to know.

    And whether these are all: not if the task cannot say of some cell.
    """
    wanted = {key.rpartition(".")[0] for key in study.grid if "." in key}
    used: set[str] = set()
    if not wanted:
        return used, True
    whole = True
    rest = {key: values for key, values in study.grid.items() if "." not in key}
    for cell in cells_of(study.model_copy(update={"grid": rest})):
        names = _spaces(study_task, {**study.fixed, **cell})
        used.update(names or ())
        whole &= names is not None
        if wanted <= used:
            break
    return used, whole


def _spaces(study_task: Task, config: Mapping[str, Any]) -> list[str] | None:
    try:
        return study_task.spaces(study_task.resolve(config))
    except Exception:  # a value of a wrong type may raise anything; the checks of cells report it
        return None
