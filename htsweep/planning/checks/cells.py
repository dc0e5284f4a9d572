"""Asks the task what is wrong with the configs of a study, cell by cell and value by value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, final

from htsweep import selection
from htsweep.errors import Problem
from htsweep.planning import spaces
from htsweep.planning.ablation import cells_of
from htsweep.planning.checks import ablation, size, stopping
from htsweep.planning.checks.asking import Asked, Config, Lost
from htsweep.planning.checks.remaining import Recorded, Remaining
from htsweep.planning.dimension import Dimension, Space, text_of
from htsweep.planning.spaces import Spaces
from htsweep.planning.task import Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import CHAIN, Study

MOST_CONFIGS = 20_000
"""The most searched configs about which a task is asked.

It is asked about every cell, since the size of a grid is limited.
"""
MOST_SAID = 20
"""The most problems of one kind that are listed; the others are counted."""


def problems(left: Remaining, study_task: Task, where: Located) -> list[Problem]:
    """Keys that conflict, and searches that are wrong or too large; each once.

    Args:
        left: what is left of the study; of what is not known, nothing is told that depends on it.
        study_task: its task.
        where: the lines of its keys.
    """
    study, search = left.study, left.study.search
    said, asked = _Said(where), _checks(study, study_task)
    unmeasured = Asked(study_task, lambda config: study_task.unmeasured(config).items())
    too_few = _TooFewImages(study, study_task)
    read: list[tuple[Config, Config, Lost]] = []
    cells = 0
    for cell in cells_of(study):
        cells += 1
        given = {**study.fixed, **cell}
        config, wrong, lost = asked.all_about(given, left.lost)
        for key, message in wrong:
            said.add(_place(study, key, cell), message)
        if config is None:
            continue
        read.append((cell, config, lost))
        found = [
            *_empty(study, dict(unmeasured.certain(given, lost, config)[1])),
            *too_few.problems(cell, lost, config),
        ]
        for place, message in found:
            said.add(place, message)
    if search is None:
        return [*said.problems(cells), *size.of_spaces(study, [()] * cells, where)]
    wrong_spaces, searched = _searches(left, study_task, where, read, whole=len(read) == cells)
    sizes: list[Problem] = []
    if not wrong_spaces and not said.of(CHAIN):
        all_spaces = [space for _, space, _ in searched] or [()] * cells
        sizes = list(size.of_spaces(study, all_spaces, where))
    values = () if sizes else _values(study, asked, searched, where)
    return [*said.problems(cells), *wrong_spaces, *sizes, *values]


def _checks(study: Study, study_task: Task) -> Asked:
    """Asks what is wrong with a config."""

    def wrong(config: Config) -> Iterable[tuple[str, str]]:
        study_task.role(config)  # raises ValueError for an answer that is not a role
        return study_task.problems(config) or stopping.problems(study.stop, study_task, config)

    return Asked(study_task, wrong)


def _searches(
    left: Remaining,
    study_task: Task,
    where: Located,
    cells: Sequence[tuple[Config, Config, Lost]],
    *,
    whole: bool,
) -> tuple[list[Problem], list[tuple[Config, Space, Lost]]]:
    """What is wrong with the spaces of the search, and the space of each cell without that.

    Args:
        left: what is left of the study.
        study_task: its task.
        where: the lines of its keys.
        cells: each with its resolved config, and the settings of it that are not known.
        whole: whether these are all that the study has.
    """
    study, search = left.study, left.study.search
    assert search is not None
    recorded, settings = Recorded(where), study_task.settings
    spaces_of = Asked(study_task, lambda config: [(name, "") for name in study_task.spaces(config)])
    found: list[tuple[Config, Lost, list[str]]] = []
    for cell, config, lost in cells:
        given = {**study.fixed, **cell}
        right = lost is not None and not lost
        answered, names = (
            spaces_of.certain(given, lost, config) if right else spaces_of.about(given)
        )
        unsure = None if lost is None else {*lost, *left.gone}
        whole = whole and answered is not None and spaces_of.settled(given, unsure)
        if answered is not None:
            found.append((cell, lost, [name for name, _ in names]))
    used = list(dict.fromkeys(name for _, _, names in found for name in names))
    wrong = list(spaces.check(search, [*spaces.SHARED, *used], settings, recorded))
    unused = [name for name in search.spaces if name not in {*used, *spaces.SHARED}]
    # A method whose name is wrong may be the one that has the space.
    wrong += (
        spaces.unknown(search, used, recorded)
        if whole
        else spaces.check(search, unused, settings, recorded)
    )
    gone = {place[2:] for place in recorded.places}
    kept = {
        name: {key: value for key, value in values.items() if not {(name,), (name, key)} & gone}
        for name, values in search.spaces.items()
    }
    known = Spaces(search.model_copy(update={"spaces": kept}), settings)
    return wrong, [(cell, known.of(names, cell), lost) for cell, lost, names in found]


def _empty(study: Study, unmeasured: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    """Columns by which the study decides, but which a cell cannot measure."""
    for index, objective in enumerate(study.objectives):
        if objective.metric in unmeasured:
            yield (
                ("objectives", index, "metric"),
                f"{objective.metric} is not measured: {unmeasured[objective.metric]}",
            )
    ways = [
        [name for name in needed if name in unmeasured] for needed in selection.needs(study.select)
    ]
    if all(ways):
        yield (
            ("select",),
            f"protocol {study.select} reads {ways[-1][0]}, which is not measured: "
            f"{unmeasured[ways[-1][0]]}",
        )


@final
class _TooFewImages:
    """Finds the first cell with more repetitions than the task has data for."""

    def __init__(self, study: Study, study_task: Task) -> None:
        self._study, self._seen, self._told = study, set[str](), False
        self._asked = Asked(study_task, lambda config: self._most(study_task.evidence(config)))

    def problems(self, cell: Config, lost: Lost, resolved: Config) -> Iterator[tuple[Place, str]]:
        """The problem of this cell, if no other has had one."""
        # Data does not depend on what is compared.
        data = {name: value for name, value in cell.items() if name != self._study.compared}
        if self._told or text_of(data) in self._seen:
            return
        self._seen.add(text_of(data))
        for key, most in self._asked.certain({**self._study.fixed, **cell}, lost, resolved)[1]:
            if key == "repetitions":
                self._told = True
                yield (
                    ("repetitions",),
                    f"got {self._study.repetitions}, but there are test images of their own for "
                    f"{most} repetitions (in "
                    f"{', '.join(f'{name}={text_of(value)}' for name, value in cell.items())}); "
                    "lower it, or make smaller parts by a lower test_share",
                )

    def _most(self, evidence: Any) -> list[tuple[str, str]]:
        most = getattr(evidence, "repetitions", None)
        few = most is not None and self._study.repetitions > most
        return [("repetitions", str(most))] if few else []


def _values(
    study: Study, asked: Asked, searched: Sequence[tuple[Config, Space, Lost]], where: Located
) -> Iterator[Problem]:
    """What the task finds wrong with each value of a search, the others at their defaults.

    A wrong name is found whatever the other values are; of many numbers only the smallest and the
    largest are tried.
    """
    said = _Said(where)
    firsts = {id(space): (cell, space, lost) for cell, space, lost in reversed(searched)}
    left = MOST_CONFIGS
    for cell, space, lost in (*firsts.values(), *searched):
        usual = {
            dimension.key: dimension.default if dimension.has_default else dimension.at(0)
            for dimension in space
        }
        for dimension in space:
            for value in _tried(dimension, study, left // len(space)):
                left -= 1
                config = {**study.fixed, **cell, **usual, dimension.key: value}
                _, wrong = asked.certain(config, lost)
                for key, message in wrong:
                    place = _searched_place(study, key if key in usual else dimension.key)
                    said.add(place or _place(study, key, cell), message)
        if left <= 0:
            break
    return said.problems(0)


def _tried(dimension: Dimension, study: Study, most: int) -> list[Any]:
    """The values to ask a task about: all, but only the ends of more than `most` numbers."""
    listed = (
        dimension.listed
        if study.search is not None and study.search.sampler == "grid"
        else dimension.choices
    )
    values = list(listed or ())
    if len(values) <= most:
        return values
    numbers = [
        value for value in values if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    others = [
        value for value in values if not isinstance(value, int | float) or isinstance(value, bool)
    ]
    return [*({min(numbers), max(numbers)} if numbers else ()), *others[:most]]


def _searched_place(study: Study, key: str) -> Place | None:
    """The searched parameter's place in the study; None if the study does not name it."""
    given = study.search.spaces if study.search else {}
    name, _, parameter = key.partition(".")
    if key in given.get(spaces.EVERY, {}):
        return ("search", "spaces", spaces.EVERY, key)
    return ("search", "spaces", name, parameter) if parameter in given.get(name, {}) else None


def _place(study: Study, key: str, cell: Mapping[str, Any]) -> Place:
    if key in study.grid and (study.ablate is None or cell[key] in study.grid[key]):
        return ("grid", key)
    if study.ablate is not None and key in study.ablate.keys:
        return ablation.place(study.ablate, key, cell)
    return ("fixed", key) if key in study.fixed else ("grid",)


@final
class _Said:
    """Collects messages: each once, with the place where it first came up and how often it did."""

    def __init__(self, where: Located) -> None:
        self._where = where
        self._found: dict[str, tuple[Place, int]] = {}

    def of(self, key: str) -> bool:
        """Whether there is a message on this key of the grid, or on this setting."""
        return any(key in place for place, _ in self._found.values())

    def add(self, place: Place, message: str) -> None:
        """Adds a message."""
        first, count = self._found.get(message, (place, 0))
        self._found[message] = first, count + 1

    def problems(self, cells: int) -> Iterator[Problem]:
        """The problems, at most `MOST_SAID` of each place, of `cells` cells checked."""
        places: dict[Place, list[tuple[str, int]]] = {}
        for message, (place, count) in self._found.items():
            places.setdefault(place, []).append((message, count))
        for place, messages in places.items():
            for message, count in messages[:MOST_SAID]:
                often = f" (in {count:,} of {cells:,} cells)" if 1 < count < cells else ""
                yield self._where.problem(place, message + often)
            if len(messages) > MOST_SAID:
                yield self._where.problem(
                    place, f"and {len(messages) - MOST_SAID:,} more problems with this key"
                )
