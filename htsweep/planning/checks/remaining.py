"""What is left of a study without the values that are known to be wrong, to be checked further.

So that all mistakes are told at once: a wrong value hides none of another key, and what only
follows from it is not told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from htsweep.errors import Problem
from htsweep.planning.dimension import text_of
from htsweep.planning.settings import nearest_key
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
    """A study without its wrong values."""

    study: Study
    gone: Mapping[str, Sequence[str]]
    """Key -> the texts of its values that were left out."""
    lost: frozenset[str] | None
    """The settings that have no value of the study's left; None: not even which is known."""

    def lacks(self, value: Any) -> bool:
        """Whether `value` is one of those that were left out."""
        return any(text_of(value) in texts for texts in self.gone.values())


def remaining(
    study: Study, study_task: Task, wrong: Collection[Place], gone: Collection[Place] = ()
) -> Remaining:
    """What is left of a study.

    Args:
        study: as it was read.
        study_task: its task.
        wrong: the places of values that are known to be wrong.
        gone: the places of what could not be read, and is not in `study`.
    """
    places = {place[:3] if place[:1] == ("grid",) else place[:2] for place in wrong}
    grid: dict[str, list[Any]] = {}
    left_out: dict[str, list[str]] = {}
    for key, values in study.grid.items():
        kept = [
            value
            for index, value in enumerate(values)
            if not {("grid", key), ("grid", key, index)} & places
        ]
        if len(kept) < len(values):
            left_out[key] = [text_of(value) for value in values if value not in kept]
        if kept:
            grid[key] = kept
    fixed = {key: value for key, value in study.fixed.items() if ("fixed", key) not in places}
    left_out |= {key: [text_of(study.fixed[key])] for key in study.fixed if key not in fixed}
    update: dict[str, Any] = {"grid": grid, "fixed": fixed} if left_out else {}
    # Of an ablation with a mistake it is not known which cells it makes, but of what.
    ablate = study.ablate if any(place[0] == "ablate" for place in wrong) else None
    if ablate:
        update["ablate"] = None
    lost = _lost(study_task, {*study.grid, *study.fixed} - {*grid, *fixed}, {*grid, *fixed}, gone)
    if lost is not None and ablate:
        lost |= {*ablate.keys}
    made = study.model_copy(update=update) if update else study
    return Remaining(made, left_out, lost)


def _lost(
    study_task: Task, without: Collection[str], given: Collection[str], gone: Collection[Place]
) -> frozenset[str] | None:
    """The settings that are not known; None if a section is gone of which these are not known.

    Args:
        study_task: the study's task.
        without: the keys that have no value left, or are no keys of the task.
        given: the keys that have one.
        gone: the places of what could not be read.
    """
    sections = [place for place in gone if place[0] in ("grid", "fixed", "ablate")]
    if any(len(place) < 2 or place[0] == "ablate" for place in sections):
        return None
    known = study_task.settings or {}
    keys = {*without, *(str(place[1]) for place in sections)}
    # What a misspelt key is to be is the value of the key that was meant.
    meant = {key if key in known else nearest_key(key, known) for key in keys}
    return frozenset(key for key in meant if key is not None and key not in given)
