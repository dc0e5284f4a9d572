"""Early stopping: at a rung, a certain step, only the best trials go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from htsweep.execution.work import Conditions
from htsweep.ledger import Store
from htsweep.planning import halving
from htsweep.planning.jobs import Job

MOST_RUNGS = 24


def rungs_of(job: Job, conditions: Conditions) -> list[int]:
    """The steps at which the trial is compared with others, in order; none for a stage."""
    if conditions.first_rung is None or job.kind != "trial":
        return []
    return [conditions.first_rung * conditions.eta**power for power in range(MOST_RUNGS)]


def survives(
    job: Job, conditions: Conditions, store: Store, rung: int, *, row: Mapping[str, Any]
) -> bool:
    """Whether the trial goes on past a rung; also leaves its values there for other trials.

    The values are part of the object's name, so that one listing shows them all, with no actor, no
    lock, and nothing to restore.
    """
    folder = f"rungs/{job.sweep}/{job.repetition}/{rung}"
    others = {}
    for entry in store.list(folder):
        trial, _, text = entry.name.rpartition("/")[2].partition("~")
        others[trial] = tuple(map(float, text.split(",")))
    values = tuple(float(row[metric]) for metric, _ in conditions.objectives)
    others.pop(job.trial, None)
    store.write(f"{folder}/{job.trial}~{','.join(map(repr, values))}", b"")
    directions = [direction for _, direction in conditions.objectives]
    return halving.survives(values, list(others.values()), directions, conditions.eta)


def missing_objectives(conditions: Conditions, row: Mapping[str, Any]) -> list[str]:
    """The objectives for which a row has no number."""
    return [metric for metric, _ in conditions.objectives if not isinstance(row.get(metric), float)]
