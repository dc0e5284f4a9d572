"""Clusters whose workers come by autoscaling: from none to some and back, and what is refused."""

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from autoscaled import autoscaling, nodes

from htsweep.errors import ResourceError
from htsweep.execution import ray_internals, ray_nodes
from htsweep.execution.ray_nodes import Nodes, NodeType
from htsweep.ledger import Ledger, Store

HTSWEEP = str(Path(sys.executable).parent / "htsweep")
ONE = {"CPU": 1.0, "GPU": 0.0}
GPU = {"CPU": 1.0, "GPU": 1.0}
SMALL = NodeType("small", {"CPU": 2}, 4)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what Ray says of its nodes, its autoscaler's types, and whether that finds the demand impossible."""

    def set_up(
        nodes: list[dict[str, float]],
        types: list[NodeType] | None,
        *,
        autoscales: bool = True,
        impossible: bool = False,
    ) -> None:
        monkeypatch.setattr(ray_nodes, "living", lambda: nodes)
        monkeypatch.setattr(ray_nodes, "_autoscaler", lambda: (autoscales, types))
        monkeypatch.setattr(ray_internals, "demand_is_impossible", lambda tasks: impossible)

    return set_up


def test_a_node_that_fits_needs_no_waiting(cluster: Any) -> None:
    cluster([{"CPU": 4.0}], [])
    found = Nodes([ONE])
    assert found.begin() == ""
    assert found.slots == 4
    assert found.overdue() == ""


def test_slots_are_counted_node_by_node(cluster: Any) -> None:
    cluster([{"CPU": 1.5}, {"CPU": 1.5}, {}], [])
    assert Nodes([ONE]).slots == 2
    assert Nodes([{"CPU": 2.0, "GPU": 0.0}]).slots == 1  # none fits yet
    cluster([{"CPU": 8.0, "GPU": 1.0}], [])
    assert Nodes([{"CPU": 1.0, "GPU": 0.25}]).slots == 4


@pytest.mark.parametrize(
    ("types", "words"),
    [
        ([SMALL], "the autoscaler, which can start small (CPU 2, at most 4), for at most 30 min"),
        ([NodeType("any", {}, 3)], "any (resources unknown, at most 3)"),
        (None, "the autoscaler, whose node types are not known here"),
    ],
)
def test_what_may_come_is_waited_for(
    cluster: Any, types: list[NodeType] | None, words: str
) -> None:
    cluster([{}], types)
    said = Nodes([ONE]).begin()
    assert "no node has CPU 1 yet" in said
    assert words in said


def test_what_no_node_type_offers_is_refused_at_once(cluster: Any) -> None:
    cluster([{}], [SMALL])
    with pytest.raises(ResourceError, match=r"gpu 1 \(the largest node has 0\).*start none"):
        Nodes([GPU]).begin()
    with pytest.raises(ResourceError, match="gpu 1"):  # waiting would not help
        Nodes([GPU], 60).begin()
    with pytest.raises(ResourceError, match="gpu 1"):  # one of two shapes
        Nodes([ONE, GPU]).begin()


def test_without_an_autoscaler_only_who_asks_waits(cluster: Any) -> None:
    cluster([{}], [], autoscales=False)
    with pytest.raises(ResourceError, match=r"none can be had.*--wait-for-nodes MINUTES"):
        Nodes([ONE]).begin()
    assert "a node that joins by hand" in Nodes([ONE], 5).begin()


def test_waiting_ends(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(ray_nodes.time, "monotonic", lambda: now[0])
    cluster([{}], [SMALL])
    found = Nodes([ONE], 2)
    found.begin()
    now[0] += 119
    assert found.overdue() == ""
    cluster([{"CPU": 2.0}], [SMALL])  # a node came, and is lost again
    assert found.overdue() == ""
    cluster([{}], [SMALL])
    now[0] += 119
    assert found.overdue() == ""
    now[0] += 2
    assert "no node with CPU 1 came within 2 min" in found.overdue()


def test_an_autoscaler_that_finds_it_impossible_is_believed_after_a_while(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under KubeRay, whose node types are not known."""
    now = [1000.0]
    monkeypatch.setattr(ray_nodes.time, "monotonic", lambda: now[0])
    cluster([{}], None, impossible=True)
    found = Nodes([GPU])
    found.begin()
    assert found.overdue() == ""
    now[0] += ray_nodes.REFUSED_SECONDS
    assert "its autoscaler can start none" in found.overdue()


def test_of_several_shapes_those_that_wait_decide(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials without a GPU are done; those that wait for one do not wait for ever."""
    now = [1000.0]
    monkeypatch.setattr(ray_nodes.time, "monotonic", lambda: now[0])
    cluster([{"CPU": 2.0}], None)
    found = Nodes([ONE, GPU], 2)
    assert "no node has CPU 1 GPU 1 yet" in found.begin()
    now[0] += 121
    assert found.overdue([ONE, GPU]) == ""  # some can run
    now[0] += 121
    assert "no node with CPU 1 GPU 1 came within 2 min" in found.overdue([GPU])


def test_a_type_of_gpu_is_asked_for_by_name(cluster: Any) -> None:
    a100 = {**GPU, "accelerator_type:A100": 0.001}
    cluster([{"CPU": 8.0, "GPU": 2.0, "accelerator_type:A100": 1.0}], [])
    assert Nodes([a100]).slots == 2
    cluster([{"CPU": 8.0, "GPU": 1.0, "accelerator_type:T4": 1.0}], [], autoscales=False)
    with pytest.raises(ResourceError, match=r"a GPU of type A100 \(the nodes have T4\)"):
        Nodes([a100]).begin()
    # A configuration need not say which type its nodes have; one that does is believed.
    cluster([{}], [NodeType("gpus", {"CPU": 4, "GPU": 1}, 2)])
    assert "no node has CPU 1 GPU 1 A100 yet" in Nodes([a100]).begin()
    cluster([{}], [NodeType("gpus", {"CPU": 4, "GPU": 1, "accelerator_type:T4": 1}, 2)])
    with pytest.raises(ResourceError, match=r"type A100 \(the nodes have T4\)"):
        Nodes([a100]).begin()


# -- a real autoscaler


# The autoscaler v1 is as slow to test and is read by the same task on the head: v2 is what
# `ray up` starts.
@pytest.fixture(params=["v2"])
def from_zero(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Path]]:
    """The address and folder of a Ray whose head has no core and which may start four nodes of two."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    # Short: the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as place:
        folder = Path(place)
        with autoscaling(folder, {"small": {"CPU": 2}}, v2=request.param == "v2") as address:
            yield address, folder


def launched(study: Path, results: Path, address: str, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [
            *(HTSWEEP, "launch", str(study), "--results", str(results), "--no-mirror"),
            *("--address", address, *words),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=400,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_from_no_worker_to_some_and_back(
    study_file: Callable[..., Path], tmp_path: Path, from_zero: tuple[str, Path]
) -> None:
    address, folder = from_zero
    path = study_file("task: toy\ngrid: {x: [0.1, 0.5]}\nrepetitions: 2\nfixed: {seconds: 2}\n")
    code, said = launched(path, tmp_path / "results", address, "--set", "resources.gpu=1")
    assert code == 2, said
    assert "gpu 1 (the largest node has 0)" in said
    assert nodes(folder) == 1
    most, over = [0], threading.Event()

    def count() -> None:
        while not over.wait(0.3):
            most[0] = max(most[0], nodes(folder))

    watcher = threading.Thread(target=count)
    watcher.start()
    code, said = launched(path, tmp_path / "results", address)
    over.set()
    watcher.join()
    assert code == 0, said
    assert "waiting for the autoscaler, which can start small (CPU 2, at most 4)" in said
    rows = Ledger(Store(tmp_path / "results")).trials(every=True).to_pylist()
    assert [(row["status"], row["reason"]) for row in rows] == [("done", None)] * 4, said
    assert most[0] == 3  # the head, and two nodes of two cores for four trials
    deadline = time.monotonic() + 60
    while nodes(folder) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.5)
