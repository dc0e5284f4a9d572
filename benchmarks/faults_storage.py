"""The faults of benchmarks/faults.py that concern disks, buckets and very many slots."""

from __future__ import annotations

import contextlib
import heapq
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self
from urllib.request import Request, urlopen

from faulting import Scene, cluster, free_port, listens, wait

TESTS = str(Path(__file__).resolve().parents[1] / "tests")
SLOTS = 1000


class Slots:
    """An executor with a thousand slots, whose trials take a second and are computed at its end."""

    slots = SLOTS
    elsewhere = False

    def __init__(self) -> None:
        self._ends: list[tuple[float, int, Any]] = []
        self._count = 0
        self.most = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.write(f"at most {self.most} slots were busy\n")

    def room(self) -> int:
        return SLOTS - len(self._ends)

    def submit(self, work: Any) -> None:
        self._count += 1
        heapq.heappush(self._ends, (time.monotonic() + random.uniform(1, 3), self._count, work))
        self.most = max(self.most, len(self._ends))

    def events(self, seconds: float) -> Iterator[Any]:
        from htsweep.execution import trial
        from htsweep.execution.executor import Ended, Started

        if not self._ends or self._ends[0][0] > time.monotonic():
            time.sleep(min(seconds, 0.05))
            return
        _, _, work = heapq.heappop(self._ends)
        yield Started(work.job.trial)
        yield Ended(work.job.trial, trial.run(work))

    def stop(self) -> None:
        self._ends.clear()


def thousand(options: object) -> Slots:
    """The executor for `launch --on`."""
    return Slots()


def slots(folder: Path) -> str:
    """A thousand slots in which 1,400 trials and two stages take 1 to 3 s each (not Ray's: a
    stand-in executor in the launch's process); the launch is killed once, and launched again."""
    scene = Scene(folder / "s", trials=1400, seconds=0.0)
    here = str(Path(__file__).resolve().parent)
    words = ("--on", "faults_storage:thousand")
    first = scene.launch(*words, PYTHONPATH=here)
    scene.wait_for(200)
    first.kill()
    first.communicate()
    began = time.monotonic()
    said = scene.finish(scene.launch(*words, PYTHONPATH=here))
    took = time.monotonic() - began
    scene.check()
    ran, most = re.search(r"ran (\d+) trials", said), re.search(r"at most (\d+) slots", said)
    assert ran
    assert most
    return f"after the kill {ran[1]} trials in {took:.0f} s, up to {most[1]} slots busy"


def disk_full(folder: Path) -> str:
    """The disk of one node's cache (a tmpfs) is full from the start; the node then gets room."""
    scene = Scene(folder / "s", seconds=1.0)
    small = folder / "small"
    small.mkdir()
    _run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small))
    try:
        with contextlib.suppress(OSError), (small / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(bytes(4096))
        with cluster(folder / "r", "n1") as ray:
            ray.add("n2", environment={"HTSWEEP_CACHE": str(small / "cache")})
            first = scene.launch("--address", ray.address)
            said, _ = first.communicate(timeout=600)
            assert "Traceback" not in said, said
            code = first.returncode
            (small / "filler").unlink()
            if code:
                scene.finish(scene.launch("--address", ray.address))
        ends = scene.check()
        assert code == 2, "the launch did not stop"
        assert not ends["failed"], "an attempt was used up"
    finally:
        _run("umount", "-l", str(small))
    line = next((one for one in said.splitlines() if str(small) in one), "")
    return f"exit code {code}, no attempt failed, then all done: {line[:200]}"


def bucket(folder: Path) -> str:
    """S3 (moto's server) behind a proxy that answers 10 % of the calls with HTTP 500, half of them
    after they took effect; two launches with --join share the study."""
    sys.path.insert(0, TESTS)
    from faulty import Faults, faulty

    scene = Scene(folder / "s", seconds=1.0)
    port = free_port()
    log = (folder / "moto.log").open("wb")
    server = subprocess.Popen(
        [str(Path(sys.executable).parent / "moto_server"), "-p", str(port)], stdout=log, stderr=log
    )
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
    }
    try:
        wait("moto", lambda: listens(f"127.0.0.1:{port}"))
        urlopen(Request(f"http://127.0.0.1:{port}/bucket", method="PUT")).close()
        with faulty(f"127.0.0.1:{port}", Faults(error=0.05, lost=0.05)) as proxy:
            where = f"s3://bucket/results?endpoint_override={proxy.address}&scheme=http"
            two = [scene.launch("--on", "inline", "--join", results=where) for _ in range(2)]
            said = scene.finish(*two)
            ends = scene.check(where)
            counts = dict(proxy.counts)
    finally:
        server.kill()
        server.wait()
        log.close()
    shares = re.findall(r"ran (\d+) trials", said)
    assert not ends["run twice"], "a trial was run twice"
    return f"{counts}; they ran {' and '.join(shares)} of 12 trials, none twice"


def _run(*words: str) -> None:
    subprocess.run(words, check=True)
