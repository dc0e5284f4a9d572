"""What the ledger has of a plan, and which of its trials have failed; pure.

This is the one definition for `plan`, `status` and `launch`. A trial has failed if its end that
counts in the ledger is a failure, or if it has no end and a stage that it needs has failed: then it
could not run, and is *blocked*. It makes no difference whether that was in this launch or an
earlier one, or how often it was tried. The next launch runs again what has failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from htsweep.planning.jobs import with_inner
from htsweep.planning.plan import Plan, Point
from htsweep.planning.roster import Roster

Repetitions = Mapping[str, frozenset[int]]
"""The id of a point or of a stage -> repetitions."""


@final
@dataclass(frozen=True)
class Ended:
    """What the ledger has of a plan."""

    counts: Mapping[str, int]
    """Ended trials by status: `done`, `stopped`, `failed`."""
    blocked: int
    """Trials without an end, because a stage that they need has failed; 0 for a plan that is too
    large to be listed.
    """
    repetitions: Repetitions
    """Point -> the repetitions in which its trial needs no further run."""
    sweeps: Mapping[str, str]
    """Point -> the first of its sweeps."""
    stages: Repetitions
    """Stage -> the repetitions in which it is done."""
    failed_stages: Repetitions
    """Stage -> the repetitions in which it has failed."""

    @property
    def over(self) -> int:
        """How many trials need no further run."""
        return self.counts["done"] + self.counts["stopped"]

    @property
    def failed(self) -> int:
        """How many trials have failed, including blocked ones."""
        return self.counts["failed"] + self.blocked

    @classmethod
    def of(cls, planned: Plan, recorded: Iterable[Mapping[str, Any]]) -> Ended:
        """What a ledger has of the plan; `recorded`: its trials, each with the end that counts."""
        counts = {"done": 0, "stopped": 0, "failed": 0}
        over: dict[str, set[int]] = {}
        ended: dict[str, set[int]] = {}
        stages: dict[str, set[int]] = {}
        failed: dict[str, set[int]] = {}
        sweeps: dict[str, str] = {}
        begun: Counter[tuple[str, int]] = Counter()
        for row, points in Roster(planned).own(recorded):
            repetition = row["repetition"]
            if not points:
                (failed if row["status"] == "failed" else stages).setdefault(
                    row["point"], set()
                ).add(repetition)
                continue
            point = points[0]
            counts[row["status"]] += 1
            sweeps.setdefault(point.id, point.sweep)
            ended.setdefault(point.id, set()).add(repetition)
            begun[point.sweep, repetition] += 1
            if row["status"] != "failed":
                over.setdefault(point.id, set()).add(repetition)
        blocked = _blocked(planned, failed, ended, begun) if failed else 0
        return cls(counts, blocked, _frozen(over), sweeps, _frozen(stages), _frozen(failed))


def _blocked(
    planned: Plan,
    failed: Mapping[str, set[int]],
    ended: Mapping[str, set[int]],
    begun: Mapping[tuple[str, int], int],
) -> int:
    """The number of trials that have no end and need a stage that has failed.

    The points of an adaptive sampler are not known; they need what the base of their sweep needs.
    """

    def broken(point: Point) -> set[int]:
        """The repetitions in which a stage that the point needs has failed."""
        stages = {stage.point for stage in with_inner(planned.needs(point).values())}
        return {
            failed_repetition
            for stage in stages
            for failed_repetition in failed.get(stage, ())
            if failed_repetition < planned.study.repetitions
        }

    if planned.adaptive:
        return sum(
            planned.sizes[sweep.id] - begun[sweep.id, repetition]
            for sweep in planned.sweeps
            for repetition in broken(planned.point(sweep, 0, {}))
        )
    return (
        sum(len(broken(point) - ended.get(point.id, set())) for point in planned.distinct())
        if planned.exact
        else 0
    )


def _frozen(sets: Mapping[str, set[int]]) -> Repetitions:
    return {name: frozenset(those) for name, those in sets.items()}
