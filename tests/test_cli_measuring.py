"""`plan --measure` times short runs of each kind that has none yet, and leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.cli.measuring import measure, room_of
from htsweep.errors import HtsweepError
from htsweep.execution.watch import Silent
from htsweep.launching import launch
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.estimate import estimate

TASK = """\
import time
from tasks.task import Setting

def adapt(config, workspace):
    for epoch in range(config["epochs"]):
        time.sleep(0.1 * config["size"])
        yield {"step": epoch}

adapt.settings = {
    "epochs": Setting(int, 5, low=1, repeats="trial"),
    "size": Setting(int, 1),
    "rate": Setting(float, 0.1),
}
adapt.resolve = lambda config: {"epochs": 5, "size": 1, "rate": 0.1, **config}
"""
STUDY = """\
task: measured_module:adapt
grid: {size: [1, 2], rate: [0.1, 0.2]}
fixed: {epochs: 40}
repetitions: 3
"""


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("htsweep.launching.Report.make", lambda *_: None)


@pytest.fixture
def results(study_file: Callable[..., Path], tmp_path: Path) -> Results:
    study_file(TASK, "measured_module.py")
    return Results(read(study_file(STUDY)), str(tmp_path / "results"))


def test_each_kind_is_timed_twice_and_the_estimate_rests_on_it(
    results: Results, tmp_path: Path
) -> None:
    rows = measure(results, Silent())
    configs = [json.loads(row["config"]) for row in rows]
    ran = sorted((config["size"], config["epochs"]) for config in configs)
    assert ran == [(1, 1), (1, 4), (2, 1), (2, 4)]
    assert not (tmp_path / "results").exists()
    assert estimate(results).compute_hours is None
    slept = [0.1 * config["size"] * config["epochs"] for config in configs]
    assert all(row["seconds"] >= least for row, least in zip(rows, slept, strict=True))
    # With the times of a machine that does nothing else, and takes half a second for each start.
    exact = [{**row, "seconds": 0.5 + least} for row, least in zip(rows, slept, strict=True)]
    found = estimate(results, exact).compute_hours
    assert found is not None
    # 40 epochs of 0.1 s and of 0.2 s, at two rates, three times, and twelve starts.
    assert 3600 * found == pytest.approx(72 + 6)


def test_what_has_run_is_not_timed_again(results: Results) -> None:
    short = {"grid": {"size": [1], "rate": [0.1]}, "fixed": {"epochs": 2}, "repetitions": 1}
    launch(results.study.model_copy(update=short), results.location, on="inline", mirror=None)
    rows = measure(results.reread(), Silent())
    assert {json.loads(row["config"])["size"] for row in rows} == {2}


def test_slots_and_a_cluster_both_say_how_much_room_there_is(results: Results) -> None:
    assert room_of(results, None, None) is None
    given = room_of(results, 4, None)
    assert given is not None
    assert given.given == 4
    with pytest.raises(HtsweepError, match=r"--slots 4 and --address auto.*give one of them"):
        room_of(results, 4, "auto")


def test_a_cluster_is_asked_what_its_nodes_have(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = [{"CPU": 8.0, "memory": 1e9}, {"CPU": 2.0, "GPU": 1.0}]
    monkeypatch.setattr(
        "htsweep.execution.ray_process.PROGRAM",
        "import json, os, sys; commands, events = map(int, sys.argv[1:])\n"
        "said = json.loads(os.environ['HTSWEEP_RAY'])\n"
        "assert (said['address'], said['wait']) == ('head:6379', 0)\n"
        f"said = json.dumps({{'event': 'slots', 'slots': 10, 'logs': '/logs', 'had': {nodes}}})\n"
        "os.write(events, (said + chr(10)).encode()); os.fdopen(commands).read()",
    )
    room = room_of(results, None, "head:6379")
    assert room is not None
    assert [(one.cores, one.gpus) for one in room.machines] == [(8, 0), (2, 1)]
    line = next(
        line
        for line in estimate(results, measure(results, Silent()), room).lines()
        if "cost" in line
    )
    assert "on the 10 slots of the cluster at head:6379, as it is now (" in line
