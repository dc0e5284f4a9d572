"""`htsweep rerun`: one trial again, in this process and with its output on the terminal."""

from __future__ import annotations

import json
import math
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from htsweep.commands import given
from htsweep.errors import HtsweepError, did_you_mean
from htsweep.execution.conditions import conditions_of
from htsweep.execution.ending import device_of
from htsweep.execution.isolation import fresh
from htsweep.execution.measured import Measured, undefined
from htsweep.execution.trial import Diverged
from htsweep.execution.workspace import Workspace
from htsweep.planning import task
from htsweep.planning.jobs import Job, seed_for
from htsweep.planning.roster import COLUMNS, Roster
from htsweep.results import Results

FAILED = 3


def rerun(results: Results, name: str, tell: Callable[[str], None], *, debug: bool = False) -> int:
    """Runs a trial or a stage again from its beginning, and returns 0, or 3 if it failed.

    With the same seeds and stages as in a launch, so that it fails in the same way. Nothing is
    recorded: to count, it has to run in a launch.

    Args:
        results: of the study.
        name: the trial's id, or its beginning.
        tell: called with each line on what it measures.
        debug: opens Python's debugger where it fails.

    Raises:
        HtsweepError: the study has no such trial, or several; or one of its stages is not made yet.
    """
    job, artifacts = _found(results, name)
    conditions = conditions_of(results.study, results.location)
    for path in conditions.paths:
        if path not in sys.path:
            sys.path.append(path)
    threads, device = max(1, int(conditions.cpu)), device_of(conditions)
    measured = Measured(job.config)
    space = Workspace(
        job,
        results.store,
        artifacts,
        lambda: measured.rows,
        device=device,
        threads=threads,
        save_seconds=math.inf,
    )
    tell(f"{job.kind} {job.trial}, repetition {job.repetition}, on {device}: {_told(job.config)}")
    try:
        with fresh(seed_for(job.repetition, "process"), threads, device, conditions.paths):
            for raw in task.find(job.task).run(job.config, space):
                row = measured.take(raw)
                tell(_told(row))
                bad = undefined(row)
                if bad:
                    raise Diverged(f"{', '.join(bad)} is NaN at step {row['step']}")
    except Exception as error:
        sys.stderr.write("".join(traceback.format_exception(error)))
        if debug:
            import pdb

            pdb.post_mortem(error.__traceback__)
        tell(f"failed after {len(measured.rows)} steps; nothing is recorded")
        return FAILED
    tell(
        f"done, with {len(measured.rows)} steps; nothing is recorded. To run it for good: "
        f"{given(results.study, results.location).launch()}"
    )
    return 0


def _found(results: Results, name: str) -> tuple[Job, dict[str, Mapping[str, str]]]:
    """The job, and the artifacts of the stages that it needs."""
    made: dict[str, Mapping[str, str]] = {}
    jobs: dict[str, Job] = {}
    for planned in filter(None, (results.full_plan, results.score_plan)):
        for row, _ in Roster(planned).own(results.rows([*COLUMNS, "artifact"])):
            if row["status"] == "done" and row["artifact"]:
                made[row["trial"]] = json.loads(row["artifact"])
            jobs[row["trial"]] = Job(
                row["trial"],
                row["kind"],
                row["task"],
                json.loads(row["config"]),
                row["repetition"],
                json.loads(row["stages"] or "{}"),
                row["sweep"],
                row["point"],
                row["point_index"],
            )
        for point, repetition, trial in planned.trials() if planned.exact else ():
            if trial.startswith(name):
                jobs.setdefault(trial, planned.job(point, repetition))
    same = [trial for trial in jobs if trial.startswith(name)] if name else []
    if len(same) != 1:
        raise HtsweepError(
            f"{len(same)} trials begin with '{name}': {', '.join(same[:5])}; give more of the id"
            if same
            else f"study '{results.study.name}' has no trial '{name}'; {did_you_mean(name, jobs)}. "
            f"What failed: {given(results.study, results.location).verb('status')}"
        )
    job = jobs[same[0]]
    lacking = [stage for stage, trial in job.stages.items() if trial not in made]
    if lacking:
        raise HtsweepError(
            f"trial {job.trial} needs {', '.join(lacking)}, which is not made yet. To make it: "
            f"{given(results.study, results.location).launch()}"
        )
    return job, {stage: made[trial] for stage, trial in job.stages.items()}


def _told(values: Mapping[str, Any]) -> str:
    """`step=1 test/seen_accuracy=0.98`, without lists."""
    return " ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in values.items()
        if not isinstance(value, list | tuple | dict)
    )
