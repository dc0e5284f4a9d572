"""Checks what a study says of its cells: protocol, baseline, labels, blocks and resources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from htsweep import selection
from htsweep.errors import HtsweepError, Problem, did_you_mean
from htsweep.planning import configurations, metrics
from htsweep.planning.ablation import cell_count, cells_of
from htsweep.planning.checks import resources, size
from htsweep.planning.checks.asking import Asked
from htsweep.planning.checks.remaining import Remaining
from htsweep.planning.dimension import text_of
from htsweep.planning.settings import refused
from htsweep.planning.task import BOUND, Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import CHAIN, Study


def problems(
    study: Study,
    left: Remaining,
    study_task: Task,
    where: Located,
    gone: Mapping[Place, Any],
) -> Iterator[Problem]:
    """What does not fit the cells that the study has, as far as these are known.

    Args:
        study: as it was read.
        left: what is left of it.
        study_task: its task.
        where: the lines of its keys.
        gone: what could not be read, by its place.
    """
    unread = [str(place[1]) for place in gone if place[0] == "grid" and len(place) > 1]
    yield from _blocks(study, where, unread)
    if left.lost is None:
        return
    yield from _unmeasured(left, study_task, where)
    if left.study.ablate is study.ablate:
        given = [value for place, value in gone.items() if place[0] in ("grid", "fixed")]
        yield from _labels(study, study_task, where, given)
        # With a factor that could not be read, another may be the last, which is compared.
        known = study.compared == CHAIN or not unread
        if known and study.compared not in left.lost and not left.lacks(study.baseline):
            whole = study.compared not in left.gone
            yield from _baseline(left.study, study_task, where, whole=whole)
    if CHAIN in left.lost:
        return
    if CHAIN not in left.gone:
        yield from configurations.problems(left.study, study_task, where)
    yield from resources.of_cells(left, study_task, where)


def protocol(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """A protocol that does not exist, or reads what the task does not measure."""
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


def _unmeasured(left: Remaining, study_task: Task, where: Located) -> Iterator[Problem]:
    """Columns that the protocol reads, but are measured only with a key that no cell sets."""
    study = left.study
    if not study_task.metrics or any(protocol(study, study_task, where)):
        return
    asked = {
        name: key
        for name, key in study_task.measured_with.items()
        if all(name in needed for needed in selection.needs(study.select))
    }
    for name, key in asked.items():
        given = [{**study.fixed, **cell} for cell in cells_of(study)]
        configs = [_resolved(study, study_task, cell) for cell in given]
        if key in (left.lost or ()) or any(config.get(key) for config in (*configs, *given)):
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


def _resolved(study: Study, study_task: Task, cell: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return study_task.resolve({**study.fixed, **cell})
    except Exception:  # a value of a wrong type may raise anything; `cells` reports it
        return {}


def _blocks(study: Study, where: Located, unread: Sequence[str]) -> Iterator[Problem]:
    """Blocks that are no factors; those in `unread` are some of which the values are not known."""
    known = [name for name in (*study.factors, *unread) if name != study.compared]
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


def _labels(
    study: Study, study_task: Task, where: Located, unread: Iterable[Any]
) -> Iterator[Problem]:
    """Labels of values that the study does not have, and labels that do not tell values apart.

    `unread` has values that it has as well, but which could not be read.
    """
    if not study.labels or cell_count(study) > size.MOST_CELLS:
        return  # what is too large, or has so many wrong values, is told
    given = {
        str(one) for value in unread for one in (value if isinstance(value, list) else [value])
    }
    given |= {str(value) for values in study.grid.values() for value in values}
    given |= {str(value) for value in study.fixed.values()}
    for cell in cells_of(study):
        config = _resolved(study, study_task, cell)
        given |= {str(config[key]) for key in study.factors if key in config}
    first: dict[str, str] = {}
    for value, label in study.labels.items():
        if value not in given:
            yield where.problem(
                ("labels", value),
                f"no factor of the study has this value; {did_you_mean(value, given)}",
            )
        if first.setdefault(label, value) != value or (label in given and label != value):
            yield where.problem(
                ("labels", value), f"another value is called '{label}' too; give it its own"
            )


def _baseline(study: Study, study_task: Task, where: Located, *, whole: bool) -> Iterator[Problem]:
    """What is wrong with the baseline; `whole`: whether all values that are compared are known."""
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
    if not wrong and not whole:
        asked = Asked(study_task, study_task.problems)
        wrong = next(iter(asked.alone(compared, study.baseline, None)), None)
    if wrong:
        yield where.problem(("baseline",), wrong)
        return
    if not whole:  # what is wrong there may have been meant to be the baseline
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
