"""Rungs of early stopping at which a trial is not measured."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from htsweep.planning.halving import rungs
from htsweep.planning.task import Task
from htsweep.study.schema import Stop

SHOWN = 5
"""The most measured steps that a message names."""


def problems(
    stop: Stop | None, study_task: Task, config: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """(key of the config, what is wrong) if trials would be compared by what is not measured.

    A trial is compared at its first row at or after a rung, by that row's objectives.
    """
    steps = None if stop is None else study_task.steps(config)
    if stop is None or steps is None:
        return
    measured = set(steps.measured)
    for rung in rungs(stop.first, stop.eta, steps.yielded[-1]):
        at = steps.yielded[bisect_left(steps.yielded, rung)]
        if at not in measured:
            first = [str(step) for step in steps.measured if step][:SHOWN]
            more = ", ..." if len(steps.measured) > SHOWN + 1 else ""
            key = steps.left_out_by
            yield (
                key,
                f"got {config.get(key)!r}, but `stop` compares trials at step {at}, which is then "
                f"not measured: measured are 0, {', '.join(first)}{more}; leave {key} out, or give "
                "`stop` a `first` and an `eta` that lead to these",
            )
            return
