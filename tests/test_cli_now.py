"""What runs now, as `status` tells it, and `status --watch`."""

from __future__ import annotations

from pathlib import Path

from ledgers import toy

from htsweep.cli.now import launch_lines
from htsweep.cli.status import status
from htsweep.execution.load import Gpu, Load, Node
from htsweep.execution.pulse import Beat, Running
from htsweep.ledger import Store
from htsweep.results import Results

GIB = 10**9
LOAD = Load(8, 3.25, 12 * GIB, 64 * GIB, (Gpu("H100", 0.85, 30 * GIB, 80 * GIB),), 0.0)
RUNNING = tuple(Running(f"t{number}", f"x={number}, repetition 0", 40.0) for number in range(3))


def beat(**changes: object) -> Beat:
    nodes = (Node("gpu-1", ("t0", "t1"), LOAD), Node("gpu-2"))
    values = {
        "host": "head",
        "pid": 7,
        "since": 0.0,
        "at": 100.0,
        "slots": 4,
        "total": 9,
        "done": 1,
        "failed": 0,
        "left": 8,
        "eta": 120.0,
        "running": RUNNING,
        "count": 3,
        "nodes": nodes,
    }
    return Beat(**{**values, **changes})  # type: ignore[arg-type]


def test_a_launch_is_told_node_by_node() -> None:
    assert list(launch_lines(beat())) == [
        "launch  process 7 on head, for 1.7 min: 3 running in 4 slots, about 2.0 min left",
        "node    gpu-1: 2 running; load 3.2 of 8 cores, memory 12.0 of 64.0 GB; GPU 0 (H100) "
        "85% busy, 30.0 of 80.0 GB",
        "        t0 (x=0, repetition 0) for 60 s",
        "        t1 (x=1, repetition 0) for 60 s",
        "node    gpu-2: 0 running",
        "        1 whose node has not said so yet",
        "        t2 (x=2, repetition 0) for 60 s",
    ]


def test_a_launch_that_waits_says_for_what() -> None:
    waits = beat(running=(), count=0, nodes=(), eta=None, said="no node has GPU 1 yet")
    assert list(launch_lines(waits)) == [
        "launch  process 7 on head, for 1.7 min: 0 running in 4 slots",
        "        no node has GPU 1 yet",
    ]
    assert next(launch_lines(beat(silent=70.0))).endswith("; silent for 70 s")


def test_of_many_trials_and_nodes_some_are_named() -> None:
    many = tuple(Running(f"t{number}", "x", 0.0) for number in range(300))
    nodes = tuple(Node(f"n{number}", (f"t{number}",)) for number in range(100))
    lines = list(launch_lines(beat(running=many, count=300, nodes=nodes)))
    assert len(lines) < 90
    assert "        and 68 more nodes" in lines
    assert lines[-1] == "        and 192 more"


def test_what_a_launch_that_has_ended_said_is_not_shown(tmp_path: Path) -> None:
    study = toy(tmp_path / "study")
    Store(tmp_path).write("running/study/a.json", b"{}")
    assert status(Results(study, str(tmp_path))).launches == ()
