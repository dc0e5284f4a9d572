"""Which trials have failed: one definition for `plan`, `status` and `launch`; pure.

A trial has failed if the end of it that counts in the ledger is a failure, or if it has no end and a stage that it needs
has failed: then it could not run, and is *blocked*. Whether that was in this launch or in an earlier one makes no
difference, nor does how often it was tried. What has failed is run again by the next launch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from htsweep.planning import Plan


def failed_stages(rows: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The stages of which the end that counts is a failure; `rows` are the ledger's, with `trial`, `kind` and `status`."""
    return frozenset(row["trial"] for row in rows if row["kind"] == "stage" and row["status"] == "failed")


def blocked(planned: Plan, rows: Sequence[Mapping[str, Any]]) -> int:
    """The number of trials of the plan that have no end, and need a stage that has failed.

    Args:
        planned: the plan; that of an adaptive sampler does not know its points: they need what the sweep's base needs.
        rows: the ledger's, the end of each trial that counts, with `trial`, `kind`, `status`, `sweep`, `point_index` and
            `repetition`.
    """
    failed = failed_stages(rows)
    if not failed:  # as nearly always: the trials need not be looked at one by one
        return 0
    if not planned.adaptive:
        ended = {row["trial"] for row in rows}
        return sum(trial not in ended and not failed.isdisjoint(planned.stages([(point, repetition)]))
                   for point, repetition, trial in planned.trials())
    count = 0
    for sweep in planned.sweeps:
        base = planned.point(sweep, 0, {})
        for repetition in range(planned.study.repetitions):
            if not failed.isdisjoint(planned.stages([(base, repetition)])):
                ended = {row["trial"] for row in proposed(planned, rows)
                         if row["sweep"] == sweep.id and row["repetition"] == repetition}
                count += planned.sizes[sweep.id] - len(ended)
    return count


def proposed(planned: Plan, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The `rows` that are trials of a plan whose points an adaptive sampler proposes."""
    sizes = planned.sizes
    return [row for row in rows if row["kind"] == "trial" and row["repetition"] < planned.study.repetitions
            and row["point_index"] < sizes.get(row["sweep"], 0)]
