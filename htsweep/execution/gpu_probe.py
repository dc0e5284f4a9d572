"""Measures how many trials of one shape a GPU holds, and how many at once are fastest.

`probed` decides what to measure and when to stop; what it calls, `Measure`, is the only part that
needs a GPU: `Short` runs short trials in processes of their own.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, final

from htsweep.execution import shipping
from htsweep.execution.scratch import Scratch
from htsweep.execution.work import Conditions, Outcome, Work
from htsweep.execution.worker import Worker, environment
from htsweep.planning import task
from htsweep.planning.jobs import Job, point_id, stages_of, trial_id

COUNTS = (1, 2, 4, 8)
"""How many trials at once are tried."""
MARGIN = 1.25
"""How much more memory a trial may need than its allocations at their peak, which leave gaps."""
CONTEXT_BYTES = 600 * 2**20
"""What each process takes of a GPU besides its allocations: the CUDA context and its libraries."""
USABLE = 0.95
"""The share of a GPU's memory that trials may fill."""
GAIN = 1.05
"""By which factor more trials at once must be faster in all, or fewer are better."""
REPEATS = 4
"""How often a short trial repeats what others repeat more often, such as epochs."""
FACTS_SECONDS = 120.0


@final
@dataclass(frozen=True)
class Runs:
    """Equal trials that ran at once on one GPU."""

    at_once: int
    seconds: float
    """From the start of the first to the end of the last."""
    peak_bytes: int
    """The most that one of them had allocated, by torch's own count."""
    failed: str = ""
    """Why one of them failed; "" if all were done."""


Measure = Callable[[int], Runs]
"""Runs a number of equal trials at once, and measures them."""


@final
@dataclass(frozen=True)
class Probe:
    """What is known of one shape on one type of GPU."""

    shape: Mapping[str, Any]
    device: str
    total_bytes: int
    runs: tuple[Runs, ...]
    mps: bool = False
    """Whether the GPU was shared by NVIDIA's Multi-Process Service."""
    measured: float = 0.0
    """When, in unix seconds."""

    @property
    def count(self) -> int:
        """How many trials at once are the fastest in all, of those that fit; at least 1."""
        done = [runs for runs in self.runs if not runs.failed]
        best = done[0] if done else None
        for runs in done[1:]:
            assert best is not None
            if runs.at_once / runs.seconds > GAIN * best.at_once / best.seconds:
                best = runs
        return best.at_once if best else 1

    def gain(self) -> float:
        """How many times faster trials are `count` at once than one after another."""
        speeds = {runs.at_once: runs.at_once / runs.seconds for runs in self.runs if runs.seconds}
        return speeds[self.count] / speeds[1] if {1, self.count} <= speeds.keys() else 1.0

    def values(self) -> dict[str, Any]:
        """As JSON can hold it; `of` reads it."""
        return asdict(self)

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Probe:
        """The probe that `values` wrote."""
        known = {each.name: content[each.name] for each in fields(cls) if each.name in content}
        return cls(**{**known, "runs": tuple(Runs(**runs) for runs in content["runs"])})

    def __str__(self) -> str:
        peak = max((runs.peak_bytes for runs in self.runs), default=0) / 2**30
        alone = f"{peak:.1f} of {self.total_bytes / 2**30:.0f} GiB each"
        mps = ", with MPS" if self.mps else ""
        return (
            f"1/{self.count} of a {self.device} ({alone}, {self.gain():.1f} times as fast as one "
            f"at a time{mps})"
        )


def probed(
    measure: Measure, shape: Mapping[str, Any], device: str, total_bytes: int, *, mps: bool = False
) -> Probe:
    """Measures a shape alone and then shared, as long as more fit and are faster in all.

    A trial that failed alone leaves a probe that gives it a whole GPU.
    """
    runs = [measure(1)]
    for count in COUNTS[1:]:
        last = runs[-1]
        each = last.peak_bytes * MARGIN + CONTEXT_BYTES
        if last.failed or count * each > USABLE * total_bytes:
            break
        runs.append(measure(count))
        now = runs[-1]
        if now.failed or now.at_once / now.seconds <= last.at_once / last.seconds:
            break
    return Probe(shape, device, total_bytes, tuple(runs), mps, time.time())


def gpu_facts() -> Mapping[str, Any]:
    """What torch says of this machine's GPU, from a process that ends after it (tasks/gpu.py)."""
    words = [sys.executable, "-m", "tasks.gpu"]
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            timeout=FACTS_SECONDS,
            env=environment(),
        )
        return dict(json.loads(done.stdout.strip().splitlines()[-1]))
    except (subprocess.TimeoutExpired, OSError, ValueError, IndexError) as error:
        return {"usable": False, "why": f"asking torch for it failed: {error}", "name": ""}


@final
class Short:
    """Runs short trials of one config on a GPU of this machine, some at once: a `Measure`."""

    def __init__(self, reference: str, config: Mapping[str, Any], conditions: Conditions) -> None:
        """Makes the config short, and the stages that it needs when it first runs."""
        if conditions.moved is not None:  # what is planned here reads data where it is here
            config = shipping.moved(dict(config), *conditions.moved)
        self._task, self._config = reference, shortened(reference, config)
        self._conditions = replace(conditions, moved=None)
        self._artifacts: dict[str, Mapping[str, Mapping[str, str]]] = {}

    def __call__(self, at_once: int) -> Runs:
        """Runs `at_once` trials, each once before to start its process and its device."""
        with contextlib.closing(Scratch()) as scratch:
            conditions = replace(
                self._conditions,
                results=str(scratch.path / "results"),
                gpu=1.0,
                keep="nothing",
                metrics=(),
                first_rung=None,
                save_seconds=float(10**9),
            )
            try:
                artifacts = self._stages(self._task, self._config, conditions)
            except _Failed as error:
                return Runs(at_once, 0.0, 0, f"a stage failed: {error}")
            work = self._work(self._task, self._config, conditions, artifacts)
            workers = [Worker() for _ in range(at_once)]
            # A process ends with the thread that started it, so threads stay for both rounds.
            with ThreadPoolExecutor(at_once) as threads:
                try:
                    ended = _round(threads, workers, work, first_attempt=1)
                    began = time.perf_counter()
                    if not any(map(_wrong, ended)):
                        # Under attempts of its own, lest the first round's records be taken for it.
                        ended = _round(threads, workers, work, first_attempt=1 + at_once)
                    seconds = time.perf_counter() - began
                finally:
                    for worker in workers:
                        worker.close()
        peak = max(end.values.get("peak_memory_bytes", 0.0) for end in ended)
        return Runs(at_once, seconds, int(peak), next(filter(None, map(_wrong, ended)), ""))

    def _stages(
        self, reference: str, config: Mapping[str, Any], conditions: Conditions
    ) -> dict[str, Mapping[str, str]]:
        """Makes the stages of a config, each after its own, and returns their artifacts."""
        made = {}
        for name, stage in stages_of(task.find(reference), config).items():
            inner = self._stages(stage.task, stage.config, conditions)
            worker = Worker()
            with contextlib.closing(worker):
                work = self._work(stage.task, stage.config, conditions, inner, kind="stage")
                end = worker.run(work)
            if end.status != "done":
                raise _Failed(end.reason)
            made[name] = end.artifact
        return made

    def _work(
        self,
        reference: str,
        config: Mapping[str, Any],
        conditions: Conditions,
        artifacts: Mapping[str, Mapping[str, str]],
        *,
        kind: str = "trial",
    ) -> Work:
        trial = trial_id(point_id(task.find(reference), config), 0)
        return Work(Job(trial, kind, reference, config, 0), conditions, artifacts)


class _Failed(Exception):
    """A short stage failed."""


def shortened(reference: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with the first setting that repeats each part of the work, such as epochs, low."""
    parts: set[str] = set()
    changes: dict[str, Any] = {}
    for key, setting in _settings(reference).items():
        part = getattr(setting, "repeats", "")
        if part and part not in parts:
            parts.add(part)
            if isinstance(config.get(key), int):
                changes[key] = min(REPEATS, config[key])
    return task.find(reference).resolve({**config, **changes})


def _settings(reference: str) -> Mapping[str, Any]:
    """The settings of a task; of a stage, those of the task that it belongs to."""
    for name in (reference, reference.partition(":")[0]):
        with contextlib.suppress(LookupError):
            settings = task.find(name).settings
            if settings is not None:
                return settings
    return {}


def _round(
    threads: Executor, workers: Sequence[Worker], work: Work, *, first_attempt: int
) -> list[Outcome]:
    """Runs the work in all workers at once, each as an attempt of its own."""
    runs = [
        threads.submit(worker.run, replace(work, attempt=attempt))
        for attempt, worker in enumerate(workers, first_attempt)
    ]
    return [run.result() for run in runs]


def _wrong(end: Outcome) -> str:
    return "" if end.status == "done" else str(end.reason)
