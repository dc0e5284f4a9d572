"""How many trials share a GPU: what a probe runs, when it stops, and what follows."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from htsweep.execution import gpu_probe, worker
from htsweep.execution.gpu_probe import (
    CONTEXT_BYTES,
    Probe,
    Runs,
    Short,
    gpu_facts,
    probed,
    shortened,
)
from htsweep.execution.work import Conditions

GIB = 2**30


def gpu(peak_gib: float, *, busy: float, holds: int = 99) -> tuple[list[int], object]:
    """A `Measure` of trials of 10 s that each keep a GPU busy for a share of their time alone."""
    asked: list[int] = []

    def measure(at_once: int) -> Runs:
        asked.append(at_once)
        if at_once > holds:
            return Runs(at_once, 3.0, 0, "out_of_memory: OutOfMemoryError: CUDA out of memory")
        return Runs(at_once, 10.0 * max(1.0, at_once * busy), int(peak_gib * GIB))

    return asked, measure


@pytest.mark.parametrize(
    ("peak", "busy", "holds", "total", "tried", "count"),
    [
        (0.5, 0.1, 99, 80, [1, 2, 4, 8], 8),  # small trials that leave a GPU idle
        (0.5, 0.3, 99, 80, [1, 2, 4, 8], 4),  # from four on they wait for each other
        (0.5, 1.0, 99, 80, [1, 2], 1),  # one keeps it busy
        (10.0, 0.1, 99, 40, [1, 2], 2),  # four need 52 GiB
        (40.0, 0.1, 99, 40, [1], 1),
        (0.5, 0.1, 3, 80, [1, 2, 4], 2),  # memory ran out though there seemed to be room
        (0.5, 0.1, 0, 80, [1], 1),  # it fails even alone
    ],
)
def test_more_at_once_while_they_fit_and_are_faster(
    peak: float, busy: float, holds: int, total: int, tried: list[int], count: int
) -> None:
    asked, measure = gpu(peak, busy=busy, holds=holds)
    probe = probed(measure, {"task": "t"}, "A100", total * GIB)  # type: ignore[arg-type]
    assert asked == tried
    assert probe.count == count
    assert Probe.of({**probe.values(), "shape": dict(probe.shape)}) == probe


def test_a_margin_is_kept() -> None:
    """Two of exactly half the memory do not fit: allocations leave gaps, and each process has a context."""
    each = 20 * GIB - CONTEXT_BYTES
    asked, measure = gpu(each / GIB, busy=0.1)
    probed(measure, {"task": "t"}, "A100", 40 * GIB)  # type: ignore[arg-type]
    assert asked == [1]


def test_a_probe_says_what_it_found() -> None:
    runs = (Runs(1, 10.0, 2 * GIB), Runs(2, 10.0, 2 * GIB), Runs(4, 16.0, 2 * GIB))
    probe = Probe({"task": "t"}, "NVIDIA A100-SXM4-40GB", 40 * GIB, runs, mps=True)
    assert str(probe) == (
        "1/4 of a NVIDIA A100-SXM4-40GB (2.0 of 40 GiB each, 2.5 times as fast as one at a time, "
        "with MPS)"
    )


def test_a_short_config_repeats_each_part_little() -> None:
    short = shortened("holistic_transfer", {"epochs": 100, "source_epochs": 50, "batch_size": 32})
    assert (short["epochs"], short["source_epochs"], short["batch_size"]) == (4, 4, 32)


def test_short_trials_run_at_once_in_processes_that_are_started_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[object] = []

    class Started(subprocess.Popen[bytes]):
        def __init__(self, *words: Any, **options: Any) -> None:
            started.append(self)
            super().__init__(*words, **options)

    monkeypatch.setattr(worker.subprocess, "Popen", Started)
    config = {"seconds": 0.2, "steps": 1}  # 0.4 s each
    runs = Short("toy", config, Conditions("unused"))(2)
    assert (runs.at_once, runs.failed) == (2, "")
    assert runs.seconds >= 0.4
    assert len(started) == 2, "what is timed runs in the processes that ran before"


def test_torch_that_does_not_answer_is_no_usable_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_probe, "FACTS_SECONDS", 0.0)
    facts = gpu_facts()
    assert not facts["usable"]
    assert "timed out" in facts["why"]
