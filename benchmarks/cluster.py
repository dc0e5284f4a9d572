"""What a cluster costs: dispatch to many slots, and nodes that come and go.

    uv run python benchmarks/cluster.py dispatch [--slots 8] [--trials 400] [--seconds 0.05]
    uv run python benchmarks/cluster.py scale [--nodes 2] [--times 1] [--seconds 5]

Each stands beside a bare Ray Tune script: a function that sleeps, silent, which may reuse its
actors. Slots are virtual: a Ray on this machine that claims more cores than there are, which suits
trials that sleep. A slot takes two processes, 150 MiB together; the bare script's takes one.
`--only htsweep` or `--only bare` runs one of the two. `scale` has Ray's own autoscaler start and
end nodes, which are processes here. Many trials in a bucket: benchmarks/many.py.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]
import machine  # noqa: E402
import spent  # noqa: E402
from autoscaled import autoscaling, raylets  # noqa: E402

from htsweep.ledger import Ledger, Store  # noqa: E402

BARE = """\
import json, sys, time
import ray
from ray import tune
address, count, seconds, out = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
def sleeps(config):
    began = time.time()
    time.sleep(seconds)
    tune.report({"began": began, "ended": time.time()})
ray.init(address=address, log_to_driver=False, logging_level="ERROR")
done = tune.Tuner(
    tune.with_resources(sleeps, {"cpu": 1}),
    param_space={"number": tune.grid_search(list(range(count)))},
    run_config=tune.RunConfig(storage_path=out, verbose=0),
    tune_config=tune.TuneConfig(reuse_actors=True),
).fit()
rows = [[each.metrics["began"], each.metrics["ended"]] for each in done if each.metrics]
print(json.dumps(rows))
"""
QUIET = {
    "RAY_AUTH_MODE": "disabled",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # On a busy machine a node would give up before its parts have started.
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
}
HTSWEEP = str(Path(sys.executable).parent / "htsweep")
Spans = Sequence[tuple[float, float]]
"""When each trial began and ended, in unix seconds."""


def bare(address: str, count: int, seconds: float, folder: Path) -> Spans:
    """The trials of a bare Tune script, which runs in a process of its own."""
    words = [sys.executable, "-c", BARE, address, str(count), str(seconds), str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the bare script failed:\n{done.stderr[-3000:]}")
    return [tuple(row) for row in json.loads(done.stdout.strip().splitlines()[-1])]


def ours(address: str, count: int, seconds: float, folder: Path, *, more: str = "") -> Spans:
    """The trials of a launch; prints every attempt that failed."""
    folder.mkdir(parents=True, exist_ok=True)
    study = folder / "cluster.yaml"
    study.write_text(
        f"task: toy\nfixed: {{steps: 0, seconds: {seconds}}}\nrepetitions: {count}\n{more}"
    )
    words = [HTSWEEP, "launch", str(study), "--results", str(folder / "results"), "--no-mirror"]
    done = subprocess.run(
        [*words, "--address", address], capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:])
    rows = Ledger(Store(folder / "results")).trials(every=True).to_pylist()
    for row in rows:
        if row["status"] == "failed":
            print(f"  FAILED attempt {row['attempt']} of {row['trial']}: {row['reason']}")
            print(f"  {(row['error'] or '')[-2000:]}")
    return [(row["started"], row["ended"]) for row in rows if row["status"] == "done"]


def busy(spans: Spans, slots: int) -> tuple[float, float]:
    """The share of slots that are busy, and trials a second, between the first and last fill.

    The window opens when as many trials have begun as there are slots, and ends when fewer than
    that are left to begin.
    """
    starts = sorted(began for began, _ in spans)
    opens, ends = starts[slots - 1], starts[-1]
    inside = sum(max(0.0, min(end, ends) - max(began, opens)) for began, end in spans)
    begun = sum(opens < began <= ends for began, _ in spans)
    return inside / (slots * (ends - opens)), begun / (ends - opens)


@contextlib.contextmanager
def a_ray(slots: int) -> Iterator[tuple[str, Path]]:
    """The address of a Ray whose one node claims `slots` cores, and a folder for results."""
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        folder = Path(temporary)
        (folder / "r").mkdir()
        with autoscaling(folder / "r", cores=slots) as address:
            yield address, folder


def dispatch(slots: int, trials: int, seconds: float, only: Sequence[str]) -> None:
    """Prints which share of the slots is busy, and the processor time that a trial takes."""
    for name in only:
        with a_ray(slots) as (address, folder):
            watch = spent.Spent(0.5)
            spans = RUN[name](address, trials, seconds, folder / "results")
            watch.end()
        share, rate = busy(spans, slots)
        starts = sorted(began for began, _ in spans)
        # Actors have started, and what a launch does once is over, when a quarter has begun.
        opens, ends = starts[len(starts) // 4], starts[-slots]
        begun = sum(opens < began <= ends for began in starts)
        print(
            f"{name}: {len(spans)} trials of {seconds:g} s on {slots} slots: {100 * share:.0f} % "
            f"of slots busy, {rate:.1f} trials/s, where slots that never wait would start "
            f"{slots / seconds:.0f}; load {os.getloadavg()[0]:.0f}\n"
            f"  {spent.said(watch.between(opens, ends), begun)}",
            flush=True,
        )


def looking(address: str) -> Callable[[], Any]:
    """A function that returns what the control store says of nodes and demand."""
    from ray._raylet import GcsClient
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply

    client = GcsClient(address=address)

    def look() -> Any:
        reply = GetClusterStatusReply()
        with contextlib.suppress(Exception):  # the head is busy
            reply.ParseFromString(client.get_cluster_status(timeout_s=5))
        return reply.cluster_resource_state

    return look


def alive(state: Any) -> int:
    """How many nodes there are, the head and those that drain included."""
    from ray.core.generated.autoscaler_pb2 import NodeStatus

    return sum(node.status != NodeStatus.DEAD for node in state.node_states)


def ready(address: str, count: int) -> None:
    """Waits until as many nodes have come."""
    look, deadline = looking(address), time.monotonic() + 120
    while alive(look()) < count:
        if time.monotonic() > deadline:
            sys.exit("the head did not start, or has ended, within two minutes")
        time.sleep(0.2)


class Watched:
    """When a cluster first has demand, all its nodes, and none again, in seconds from a start."""

    def __init__(self, address: str, most: int) -> None:
        self.demand = self.whole = self.empty = 0.0
        self._address, self._most = address, most
        self._began, self._over = time.time(), threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        look = looking(self._address)
        while not self._over.wait(0.1):
            state, now = look(), time.time()
            waits = state.pending_resource_requests or state.pending_gang_resource_requests
            workers = alive(state) - 1
            if waits and not self.demand:
                self.demand = now
            if workers >= self._most and not self.whole:
                self.whole = now
            if self.whole and workers <= 0 and not self.empty:
                self.empty = now

    def end(self, spans: Spans) -> dict[str, float]:
        """The times, once the cluster is empty again."""
        deadline = time.monotonic() + (180 if spans else 0)
        while not self.empty and time.monotonic() < deadline:
            time.sleep(0.2)
        self._over.set()
        self._thread.join()
        if not spans:
            sys.exit("no trial ended")
        first, last = min(began for began, _ in spans), max(end for _, end in spans)
        return {
            "first demand": self.demand - self._began,
            "all nodes": self.whole - self._began,
            "first trial": first - self._began,
            "last end": last - self._began,
            "idle to no node": self.empty - last,
        }


def scale(count: int, times: int, seconds: float, only: Sequence[str]) -> None:
    """Prints when nodes of two cores came and went, for enough trials to need `count` of them."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in only}
    for number in range(times):
        for name in only if number % 2 == 0 else reversed(only):
            with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
                folder = Path(temporary)
                (folder / "r").mkdir()
                types = {"small": {"CPU": 2}}
                with autoscaling(folder / "r", types, most=count, v2=True) as address:
                    ready(address, 1)
                    watched = Watched(address, count)
                    spans = RUN[name](address, 4 * count, seconds, folder / "results")
                    times_of = watched.end(spans)
                    left = len(raylets(folder / "r"))
            found[name].append(times_of)
            said = ", ".join(f"{key} {value:.1f} s" for key, value in times_of.items())
            print(f"{name}: {said}; load {os.getloadavg()[0]:.0f}; {left} processes", flush=True)
    if len(only) < 2:
        return
    for key in found["htsweep"][0]:
        ours_, theirs = (statistics.median(each[key] for each in found[name]) for name in only)
        print(f"median of {times}, {key}: {ours_:.1f} s, bare {theirs:.1f} s: {ours_ / theirs:.2f}")


RUN = {"htsweep": ours, "bare": bare}


def main() -> None:
    """Runs one of the two."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["dispatch", "scale"])
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--only", choices=[*RUN])
    chosen = parser.parse_args()
    os.environ.update(QUIET)
    # What has been started is ended, also if this is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(machine.said(), flush=True)
    only = [chosen.only] if chosen.only else [*RUN]
    if chosen.what == "dispatch":
        dispatch(chosen.slots, chosen.trials, chosen.seconds or 0.05, only)
    else:
        scale(chosen.nodes, chosen.times, chosen.seconds or 5.0, only)


if __name__ == "__main__":
    main()
