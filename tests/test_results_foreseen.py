"""The cost of runs that differ in what they take: each from past runs on a device like its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.results.cost import run_of
from htsweep.results.foreseen import Foreseen


def test_runs_on_gpus_and_without_are_foreseen_apart(study_file: Callable[..., Path]) -> None:
    path = study_file(
        "task: toy\ngrid: {steps: [10, 20]}\nresources: {when: [{steps: 20, gpu: 0.5}]}\n"
    )
    study = read(path)
    planned = plan(study)
    small, large = (run_of(planned, point) for point in planned.points)

    def row(point: str, seconds: float, gpu: float) -> dict[str, Any]:
        return {
            "kind": "trial", "task": "toy", "status": "done", "point": point, "config": "{}",
            "stages": "{}", "seconds": seconds, "gpu": gpu, "ended": 0.0,
            "device": "cuda:0" if gpu else "cpu",
        }  # fmt: skip

    # The large one once ran without a GPU, which says nothing of how long it takes with one.
    past = [row(small.point, 60, 0), row(large.point, 9000, 0), row(large.point, 720, 0.25)]
    foreseen = Foreseen(past, study, planned.task)
    cost, gpu_hours = foreseen.of([(small, 10), (large, 5)])
    assert cost.hours == pytest.approx((10 * 60 + 5 * 720) / 3600)
    assert gpu_hours == pytest.approx(5 * 720 * 0.5 / 3600)
    assert (cost.runs, cost.unknown) == (15, 0)
    assert Foreseen([], study, planned.task).of([(small, 1)])[1] is None
