"""`htsweep plan --measure` for a study that says `auto`: times each way, and keeps the fastest."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from htsweep.errors import HtsweepError
from htsweep.execution.conditions import conditions_of
from htsweep.execution.ending import device_of
from htsweep.execution.isolation import fresh
from htsweep.execution.workspace import Workspace
from htsweep.ledger import Store
from htsweep.planning import task
from htsweep.planning.jobs import Job, seed_for
from htsweep.planning.plan import Sweep
from htsweep.results import Results
from htsweep.results.chosen import Choice, add, undecided

SECONDS = "seconds/"


def decide(results: Results) -> list[str]:
    """Measures what is not measured yet, adds it to the record, and returns what to print.

    All cells of a shape get one way, which each of them accepts.
    """
    planned, study = results.full_plan, results.study
    timed, left = planned.task.timed, undecided(planned)
    if not left:
        return []
    found: dict[str, Choice] = {}
    for shape, sweeps in left.items():
        _, config = timed.measured(sweeps[0].base)
        ways = list(_accepted(results, sweeps))
        sys.stderr.write(f"measuring {timed.key} of {shape}: {', '.join(ways)}\n")
        took = _measured(results, timed.task, {**config, "ways": ways})
        if not took:
            raise HtsweepError(
                f"{timed.key} of {shape} cannot be measured here: no way to compute ran (see "
                "above); measure on a machine that can run the trials, or leave it out"
            )
        chosen = timed.fastest(took)
        found[shape] = Choice(
            chosen,
            _device(study.resources.gpu > 0),
            {way: 1e3 * seconds for way, seconds in took.items()},
            config.get("batch_size"),
        )
    add(study, results.store, found)
    entries = ", ".join(f"{shape}={choice.way}" for shape, choice in found.items())
    return [
        *(f"{timed.key} {choice.line(shape)}" for shape, choice in found.items()),
        f"kept in {results.location}. To write it into the study, so that it goes where that goes:",
        f"fixed: {{{timed.key}: [{entries}]}}",
    ]


def _accepted(results: Results, sweeps: list[Sweep]) -> Iterator[str]:
    """The ways that every cell of a shape accepts."""
    of, timed = results.full_plan.task, results.full_plan.task.timed
    for way in timed.ways:
        configs = (of.resolve({**sweep.base, timed.key: way}) for sweep in sweeps)
        if not any(of.problems(config) for config in configs):
            yield way


def _measured(results: Results, name: str, config: Mapping[str, Any]) -> dict[str, float]:
    """Seconds of a step for each way that this machine can take."""
    conditions = conditions_of(results.study, results.location)
    threads, device = max(1, int(conditions.cpu)), device_of(conditions)
    with tempfile.TemporaryDirectory(prefix="htsweep-measure-") as folder:
        job = Job("speed", "trial", name, config, 0)
        space = Workspace(job, Store(folder), {}, list, device=device, threads=threads)
        took: dict[str, float] = {}
        with fresh(seed_for(0, "process"), threads, device, conditions.paths):
            for row in task.find(name).run(config, space):
                took |= {
                    way.removeprefix(SECONDS): value
                    for way, value in row.items()
                    if way.startswith(SECONDS)
                }
    return took


def _device(gpu: bool) -> str:
    """The name of the device that was measured on."""
    if gpu:
        with suppress(OSError, subprocess.SubprocessError, IndexError):
            asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
            text = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
            return text.stdout.splitlines()[0].strip()
        return "a GPU whose name is not known"
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return f"CPU of {platform.machine()} {platform.system()}"
