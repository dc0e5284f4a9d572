"""The cost of runs that differ in what they take: each from past runs on a device like its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from htsweep.execution import machine
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.cost import run_of
from htsweep.results.estimate import estimate
from htsweep.results.foreseen import Foreseen
from htsweep.results.room import Machine, Room
from htsweep.study.resources import Amount


def room(*machines: tuple[float, float], given: int | None = None) -> Room:
    return Room([Machine(cores, gpus) for cores, gpus in machines], given)


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
    both = [(small, 10), (large, 5)]
    # Two GPUs hold four at half of one each; ten cores ten trials.
    assert foreseen.wall(both, room((10, 2))) == pytest.approx(max(600 / 10 + 360, 900) / 3600)
    assert foreseen.wall(both, room((2, 2))) == pytest.approx((600 + 3600) / 2 / 3600)
    assert foreseen.wall(both, room((10, 0))) is None
    assert foreseen.wall([(small, 10)], room((10, 0))) == pytest.approx(60 / 3600)
    assert foreseen.wall(both, room((1, 0), given=6)) == pytest.approx(720 / 3600)
    assert foreseen.wall(both, room((1, 0), given=3)) == pytest.approx(4200 / 3 / 3600)
    assert Foreseen([], study, planned.task).wall(both, room((10, 2))) is None


@pytest.mark.parametrize(
    ("amount", "cores", "gpus", "slots"),
    [
        ({}, 4, 0, 4),
        ({"cpu": 3}, 4, 0, 1),
        ({"cpu": 8}, 4, 0, 1),
        ({"gpu": 1}, 4, 0, 0),
        ({"gpu": 1}, 16, 2, 2),
        ({"gpu": 0.4}, 16, 2, 4),
        ({"gpu": 0.1}, 16, 2, 16),
        ({"gpu": "auto"}, 16, 2, 2),
    ],
)
def test_a_machine_has_room_for_so_many(amount: Any, cores: int, gpus: int, slots: int) -> None:
    assert room((cores, gpus)).slots([Amount(**amount)]) == slots
    assert room((cores, gpus), given=7).slots([Amount(**amount)]) == 7


def test_a_run_takes_one_node_of_a_cluster() -> None:
    nodes = room((8, 0), (8, 1), (2, 2))
    assert nodes.slots([Amount(cpu=3)]) == 2 + 2
    assert nodes.slots([Amount(cpu=2, gpu=0.5)]) == 0 + 2 + 1
    assert nodes.slots([Amount(cpu=3), Amount(cpu=1, gpu=1)]) == 0 + 1 + 2
    assert nodes.slots([]) == 18
    large, small = Amount(cpu=2, gpu=1), Amount(cpu=1)
    # Three GPUs, but the third node has the cores for one of them; all cores take the small ones.
    hours = nodes.hours([(large, 3600, 6), (small, 360, 180)])
    assert hours == pytest.approx(max(6 / (4 + 4 + 1) + 180 * 0.1 / 18, 6 / 3, 1))


@pytest.mark.parametrize(
    ("gpus", "slots", "told"),
    [
        (4, None, "1.67 GPU hours, about 1.7 h on the 2 slots of this machine (from"),
        (0, 8, "1.67 GPU hours, about 25.0 min on 8 slots (from"),
        (0, None, "1.67 GPU hours; no GPU here: htsweep plan "),
    ],
)
def test_a_plan_tells_gpu_hours_and_how_long_it_takes(
    study_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpus: int,
    slots: int | None,
    told: str,
) -> None:
    monkeypatch.setattr(machine, "gpus", lambda: gpus)
    monkeypatch.setattr(machine, "cores", lambda: 2)
    text = "task: toy\ngrid: {x: [0.1, 0.5]}\nrepetitions: 10\nresources: {gpu: 0.5}\n"
    results = Results(read(study_file(text)), str(tmp_path / "results"))
    past = [
        {
            "kind": "trial", "task": "toy", "status": "done", "point": point.id, "config": "{}",
            "stages": "{}", "seconds": 600.0, "gpu": 0.5, "ended": 0.0, "device": "cuda:0",
        }
        for point in results.plan.points
    ]  # fmt: skip
    line = next(
        line for line in estimate(results, past, Room.here(slots)).lines() if line[:4] == "cost"
    )
    assert line.startswith(f"cost    3.3 h of one slot, {told}")
