"""Injects faults into launches, each for real, and checks that nothing is lost, doubled or changed.

    uv run python benchmarks/faults.py --list
    uv run python benchmarks/faults.py two-launches drain head-lost

Each fault runs a study of twelve trials and two stages, disturbs it, launches again where the
promise says so, and fails unless every trial is done once and has, bit for bit, the numbers of an
undisturbed launch. docs/reliability.md has the table of what was measured."""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faults_kills
import faults_storage
import kills
from faulting import PROGRAMS, Cluster, Scene, cluster, end_launches, wait

FAULTS: dict[str, Callable[[Path], str]] = {}
"""Name -> what plays the fault in a folder, and returns what was measured."""


def fault(name: str) -> Callable[[Callable[[Path], str]], Callable[[Path], str]]:
    def register(play: Callable[[Path], str]) -> Callable[[Path], str]:
        FAULTS[name] = play
        return play

    return register


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="FAULT", help="default: all")
    parser.add_argument("--list", action="store_true", help="print the faults' names")
    given = parser.parse_args()
    unknown = set(given.names) - set(FAULTS)
    if unknown:
        parser.error(f"no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    if given.list:
        print("\n".join(f"{name}: {' '.join(FAULTS[name].__doc__.split())}" for name in FAULTS))
        return
    failed = []
    for name in given.names or FAULTS:
        # A short path: Ray's sockets are below it.
        folder = Path(tempfile.mkdtemp(prefix="ft-", dir="/tmp"))
        began = time.monotonic()
        try:
            figure = FAULTS[name](folder)
        except AssertionError as error:
            figure = f"FAILED: {error}"
            failed.append(name)
        finally:
            end_launches()
            shutil.rmtree(folder, ignore_errors=True)
        print(f"{name}: {figure} ({time.monotonic() - began:.0f} s)", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


@fault("two-launches")
def two_launches(folder: Path) -> str:
    """Three launches share the study with --join; one is killed by SIGKILL in the middle."""
    scene = Scene(folder / "s", trials=24, seconds=1.0)
    three = [scene.launch("--on", "inline", "--join") for _ in range(3)]
    scene.wait_for(6)
    three[0].kill()
    three[0].communicate()
    said = scene.finish(*three[1:])
    ends = scene.check()
    shares = re.findall(r"ran (\d+) trials", said)
    assert not ends["run twice"], "a trial was run twice"
    assert not [path for path in (scene.results / "leases").rglob("*") if path.is_file()]
    return f"the two that lived ran {' and '.join(shares)} of 24 trials, none twice"


@fault("clock-skew")
def clock_skew(folder: Path) -> str:
    """Two launches with --join, one with clocks an hour late (libfaketime), in other namespaces of
    process ids, so that only signs of life tell whether the other lives; a third that does not join
    is refused."""
    scene = Scene(folder / "s", trials=24, seconds=4.0)
    apart = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    first = scene.launch("--on", "inline", "--join", before=apart)
    late, early = ({"LD_PRELOAD": _faketime(), "FAKETIME": skew} for skew in ("-1h", "+1h"))
    second = scene.launch("--on", "inline", "--join", before=apart, **late)
    scene.wait_for(4)
    third = scene.launch("--on", "inline", before=apart, **early)
    refused = scene.finish(third, code=2)
    assert "is being launched by" in refused, refused
    said = scene.finish(first, second)
    ends = scene.check()
    shares = re.findall(r"ran (\d+) trials", said)
    assert not ends["run twice"], "a trial was run twice"
    return f"they ran {' and '.join(shares)} of 24 trials, none twice; the third was refused"


def _faketime() -> str:
    """The library that gives a process another time."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "no libfaketime; install Debian's package faketime"
    return str(found[0])


@fault("silent-launch")
def silent_launch(folder: Path) -> str:
    """Two launches with --join in other namespaces of process ids; one is stopped (SIGSTOP) for so
    long that it counts as dead, and goes on later."""
    scene = Scene(folder / "s", seconds=2.0)
    apart = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    first = scene.launch("--on", "inline", "--join", before=apart)
    second = scene.launch("--on", "inline", "--join", before=apart)
    scene.wait_for(4)
    stopped = kills.family(first)
    for one in stopped:
        one.send_signal(signal.SIGSTOP)
    scene.finish(second)
    for one in stopped:
        one.send_signal(signal.SIGCONT)
    first.communicate(timeout=300)
    ends = scene.check()
    return f"the other took over; {ends['run twice']} trial run twice, each counted once"


@fault("drain")
def drain(folder: Path) -> str:
    """Ray is told that a node ends in 60 s (`ray drain-node`), as for a spot notice."""

    def told(ray: Cluster) -> None:
        words = ["drain-node", "--address", ray.address, "--node-id", ray.ids()["n1"]]
        words += ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
        words += ["--deadline-remaining-seconds", "60"]
        subprocess.run([str(PROGRAMS / "ray"), *words], check=True, capture_output=True)

    return _leaving(folder, told)


@fault("sigterm")
def sigterm(folder: Path) -> str:
    """SIGTERM of a node's `ray start --block`, which then drains for up to 30 s."""
    return _leaving(folder, lambda ray: ray.nodes["n1"].process.terminate())


def _leaving(folder: Path, told: Callable[[Cluster], None]) -> str:
    """Has a node of two end after a notice, while trials of 20 s run there."""
    scene = Scene(folder / "s", seconds=20.0)
    with cluster(folder / "r", "n1", "n2") as ray:
        launch = scene.launch("--address", ray.address)
        scene.wait_for(2)  # the stages; then trials fill all four slots
        time.sleep(8)
        began = time.monotonic()
        told(ray)
        wait("the node to end", lambda: "n1" not in ray.ids())
        gone = time.monotonic() - began
        said = scene.finish(launch)
        ends = scene.check()
    assert "drains" in said, said
    assert scene.resumed(), "no trial went on from its saved state"
    assert not ends["failed"], "an attempt was used up"
    steps = ", ".join(map(str, scene.resumed()))
    return f"node idle and gone after {gone:.0f} s; trials went on from step {steps} of 10"


@fault("partition")
def partition(folder: Path) -> str:
    """A node's processes all stop (SIGSTOP) until Ray has given it up, and then go on."""
    scene = Scene(folder / "s", seconds=6.0)
    with cluster(folder / "r", "n1", "n2") as ray:
        launch = scene.launch("--address", ray.address)
        scene.wait_for(2)
        time.sleep(4)
        began = time.monotonic()
        ray.nodes["n1"].signal(signal.SIGSTOP)
        wait("Ray to give the node up", lambda: "n1" not in ray.ids())
        gone = time.monotonic() - began
        ray.nodes["n1"].signal(signal.SIGCONT)
        said = scene.finish(launch)
        ends = scene.check()
    assert "a node of the cluster ended" in said, said
    return f"given up after {gone:.0f} s; {ends['run twice']} trials run twice, each counted once"


@fault("head-lost")
def head_lost(folder: Path) -> str:
    """All nodes of a cluster are killed, the head first; launched again on a new cluster."""
    scene = Scene(folder / "s", seconds=3.0)
    with cluster(folder / "r", "n1") as ray:
        launch = scene.launch("--address", ray.address)
        scene.wait_for(5)
    before = scene.ended()
    launch.kill()
    launch.communicate()
    with cluster(folder / "q", "n1") as ray:
        scene.finish(scene.launch("--address", ray.address))
    ends = scene.check()
    return f"{before} records before, the rest after; {ends['run twice']} trials run twice"


@fault("no-nodes")
def no_nodes(folder: Path) -> str:
    """An autoscaler that never delivers; then a launch elsewhere."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    from autoscaled import autoscaling

    scene = Scene(folder / "s", seconds=0.1)
    # A node type of four cores, of which a limit of no node is ever started.
    with autoscaling(folder, {"four": {"CPU": 4}}, most=0) as address:
        began = time.monotonic()
        process = scene.launch("--address", address, "--wait-for-nodes", "0.5")
        said = scene.finish(process, code=2)
        waited = time.monotonic() - began
    scene.finish(scene.launch("--on", "inline"))
    scene.check()
    reason = next(line for line in said.splitlines() if "node" in line)
    return f"ended after {waited:.0f} s with exit code 2: {reason[:100]}"


FAULTS |= {
    **faults_kills.FAULTS,
    "disk-full": faults_storage.disk_full,
    "bucket": faults_storage.bucket,
    "slots": faults_storage.slots,
}

if __name__ == "__main__":
    main()
