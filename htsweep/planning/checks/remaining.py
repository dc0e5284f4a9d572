"""What is left of a study without the values that are known to be wrong, to be checked further.

So that all mistakes are told at once: a wrong value hides none of another key, and what only
follows from it is not told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, final

from htsweep.errors import Problem
from htsweep.planning.dimension import text_of
from htsweep.planning.task import Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import Study


@final
class Recorded(Located):
    """As another `Located`, but remembers the places of the problems."""

    def __init__(self, where: Located) -> None:
        super().__init__(where._parsed, where._overridden, where._origins, where._names)
        self.places: list[Place] = []

    def problem(self, place: Place, message: str) -> Problem:
        """The problem `message` at `place`."""
        self.places.append(place)
        return super().problem(place, message)


@final
@dataclass(frozen=True)
class Remaining:
    """A study without its wrong values, and what may be said of it."""

    study: Study
    task: Task
    gone: tuple[str, ...]
    """The texts of the values that were left out."""
    lost: bool
    """Whether a setting has no value of the study's left, so that its default stands for it."""

    @property
    def changed(self) -> bool:
        """Whether anything was left out."""
        return bool(self.gone) or self.lost

    def lacks(self, value: Any) -> bool:
        """Whether `value` is one of those that were left out."""
        return text_of(value) in self.gone

    def certain(self, problems: Iterable[Problem], names: Iterable[Problem]) -> list[Problem]:
        """The problems that do not follow from what was left out.

        If a setting is at its default in place of what was meant, only problems of single values
        are certain: those that a value has by itself too, and wrong names.

        Args:
            problems: of what is left.
            names: those of them that no value of a setting makes.
        """
        if not self.lost:
            return list(problems)
        sure = {(problem.key, problem.message) for problem in names}
        alone = {
            message
            for key, value in self._values()
            for message in said_alone(self.task, key, value)
        }
        return [
            problem
            for problem in problems
            if problem.message.partition(" (in ")[0] in alone
            or (problem.key, problem.message) in sure
        ]

    def _values(self) -> Iterable[tuple[str, Any]]:
        yield from self.study.fixed.items()
        for key, values in self.study.grid.items():
            yield from ((key, value) for value in values)


def said_alone(study_task: Task, key: str, value: Any) -> list[str]:
    """What the task says of a value when all other settings are at their defaults."""
    try:
        config = study_task.resolve({key: value})
        return [message for at, message in study_task.problems(config) if at == key]
    except (ValueError, LookupError, OSError) as error:
        return [str(error)]
    except Exception:  # a value that the task does not expect may raise anything
        return []


def remaining(
    study: Study, study_task: Task, wrong: Collection[Place], lost: bool = False
) -> Remaining:
    """What is left of a study.

    Args:
        study: as it was read.
        study_task: its task.
        wrong: the places of values that are known to be wrong.
        lost: whether settings were lost already, because a section could not be read.
    """
    places = {place[:3] if place[:1] == ("grid",) else place[:2] for place in wrong}
    grid: dict[str, list[Any]] = {}
    gone: list[str] = []
    for key, values in study.grid.items():
        kept = [
            value
            for index, value in enumerate(values)
            if not {("grid", key), ("grid", key, index)} & places
        ]
        gone += [text_of(value) for value in values if value not in kept]
        if kept:
            grid[key] = kept
    fixed = {key: value for key, value in study.fixed.items() if ("fixed", key) not in places}
    gone += [text_of(value) for key, value in study.fixed.items() if key not in fixed]
    known = study_task.settings or {}
    before, after = {*study.grid, *study.fixed}, {*grid, *fixed}
    lost = lost or any(key in known for key in before - after)
    made = study.model_copy(update={"grid": grid, "fixed": fixed}) if gone else study
    return Remaining(made, study_task, tuple(gone), lost)
