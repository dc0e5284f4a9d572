"""A study, a Ray of several nodes on this machine, and what a fault must leave untouched."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

import htsweep
from htsweep.ledger import Ledger, Store

TASK = """
import json, os, time

def source(config, workspace):
    time.sleep(0.3)
    (workspace.output / "model.json").write_text(json.dumps(workspace.seed("source") % 1000))
    yield {"step": 0, "train/loss": 1.0}

def adapt(config, workspace):
    model = json.loads((workspace.artifact("source") / "model.json").read_text())
    kept = workspace.load()
    first = json.loads(kept) + 1 if kept else 0
    print("from step", first, "on", os.environ.get("NODE", "the launch's machine"))
    for step in range(first, 10):
        time.sleep(config["seconds"] / 10)
        yield {"step": step, "test/overall_accuracy": (model + step * config["x"]) / 1000}
        workspace.save(lambda: json.dumps(step).encode())

adapt.stages = lambda config: {"source": (__name__ + ":source", {})}
"""
PROGRAMS = Path(sys.executable).parent
# Ray asks for a token; nodes, launches and this process share one.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
LAUNCHES: list[subprocess.Popen[str]] = []
"""All launches that were started."""


class Scene:
    """A study with its undisturbed numbers, in a folder of its own."""

    def __init__(self, folder: Path, trials: int = 12, seconds: float = 2.0) -> None:
        folder.mkdir(parents=True)
        self.folder, self.results = folder, folder / "results"
        (folder / "fault_task.py").write_text(TASK)
        values = ", ".join(str(x + 1) for x in range(trials // 2))
        self.path = folder / "study.yaml"
        text = f"study: fault\ntask: fault_task:adapt\ngrid: {{x: [{values}]}}\nrepetitions: 2\n"
        self.path.write_text(f"{text}fixed: {{seconds: {seconds}}}\n")
        self.trials = trials
        # What is measured does not depend on the time that it takes, which is part of the config.
        self._quick = htsweep.read(self.path, ["fixed.seconds=0"])
        htsweep.launch(self._quick, str(folder / "whole"), on="inline", mirror=None)

    def launch(
        self, *words: str, results: str = "", before: tuple[str, ...] = (), **more: str
    ) -> subprocess.Popen[str]:
        """Starts a launch whose output is read later."""
        process = subprocess.Popen(
            [
                *before,
                str(PROGRAMS / "htsweep"),
                "launch",
                str(self.path),
                "--no-mirror",
                *("--results", results or str(self.results)),
                *words,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", **more},
        )
        LAUNCHES.append(process)
        return process

    def finish(self, *processes: subprocess.Popen[str], code: int = 0) -> str:
        """Waits for launches; what they said."""
        said = ""
        for process in processes:
            out, _ = process.communicate(timeout=900)
            assert "Traceback" not in out, out
            assert process.returncode == code, f"exit code {process.returncode}:\n{out}"
            said += out
        return said

    def ended(self) -> int:
        """How many records there are, as far as they are not merged."""
        return len(list((self.results / "trials").glob("*.parquet")))

    def wait_for(self, records: int) -> None:
        wait(f"{records} records", lambda: self.ended() >= records)

    def rows(self, results: str = "") -> list[dict[str, object]]:
        """All ends of trials and stages."""
        rows: list[dict[str, object]] = (
            Ledger(Store(results or self.results)).trials(every=True).to_pylist()
        )
        return rows

    def check(self, results: str = "") -> Counter[str]:
        """Fails if a trial is lost, counts twice or has other numbers; the ends by status."""
        study = htsweep.read(self.path)
        own = htsweep.trials(study, results or str(self.results))
        assert list(own["status"]) == ["done"] * self.trials, "a trial is lost"
        assert own["trial"].is_unique, "a trial counts twice"
        keys = ["x", "repetition", "step"]
        column = "test/overall_accuracy"

        def numbers(one: object, where: str) -> list[tuple[object, ...]]:
            frame = htsweep.measurements(one, where).sort_values(keys)
            return list(frame[[*keys, column]].itertuples(index=False, name=None))

        whole = numbers(self._quick, str(self.folder / "whole"))
        assert numbers(study, results or str(self.results)) == whole, "numbers differ"
        rows = self.rows(results)
        twice = Counter(row["trial"] for row in rows if row["status"] == "done")
        return Counter(
            {
                **Counter(str(row["status"]) for row in rows),
                "run twice": sum(count > 1 for count in twice.values()),
            }
        )

    def resumed(self) -> list[int]:
        """The steps from which trials went on, according to their logs."""
        steps = []
        for log in (self.results / "logs").glob("*.txt"):
            words = [line.split() for line in log.read_text().splitlines()]
            steps += [int(line[2]) for line in words if line[:2] == ["from", "step"]]
        return sorted(step for step in steps if step)


class Node:
    """One `ray start --block`, with all that it starts."""

    def __init__(
        self,
        folder: Path,
        *words: str,
        before: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._output = (folder / "start.log").open("wb")
        self.process = subprocess.Popen(
            [
                *before,
                *(str(PROGRAMS / "ray"), "start", "--block"),
                *("--object-store-memory=80000000", "--disable-usage-stats"),
                *words,
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            env={**os.environ, "NODE": folder.name, **(environment or {})},
            start_new_session=True,
        )

    def family(self) -> list[psutil.Process]:
        """The node's processes, known by a variable that they inherit."""
        found = []
        for one in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if one.environ().get("FAULT_NODE") == str(self.folder):
                    found.append(one)
        return found

    def signal(self, number: int) -> None:
        for one in self.family():
            with contextlib.suppress(psutil.Error):
                one.send_signal(number)

    def kill(self) -> None:
        """Ends the node as a power failure does."""
        for _ in range(3):
            for one in self.family():
                with contextlib.suppress(psutil.Error):
                    one.kill()
        self.process.wait()
        self._output.close()


class Cluster:
    """A head without cores, and nodes that come and go."""

    def __init__(self, folder: Path, ip: str = "127.0.0.1", **environment: str) -> None:
        # Ray's sockets need a short path.
        self.folder = folder
        self.address = f"{ip}:{free_port()}"
        self._environment = environment
        self.nodes: dict[str, Node] = {}
        port = self.address.rpartition(":")[2]
        words = ("--head", f"--port={port}", "--num-cpus=0", "--include-dashboard=false")
        self._started("head", lambda: listens(self.address) and "head" in self.ids(), ip, *words)

    def add(self, name: str, *words: str, ip: str = "127.0.0.1", **given: object) -> Node:
        """Starts a node and returns once Ray lists it."""
        words = (f"--address={self.address}", *(words or ("--num-cpus=2",)))
        self._started(name, lambda: name in self.ids(), ip, *words, **given)
        return self.nodes[name]

    def ids(self) -> dict[str, str]:
        """Node's name -> its id, of the nodes that live."""
        code = (
            "import sys, json, ray; ray.init(address=sys.argv[1], log_to_driver=False, "
            "logging_level='ERROR'); print(json.dumps({n['Labels'].get('name', ''): n['NodeID'] "
            "for n in ray.nodes() if n['Alive']}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, self.address], capture_output=True, text=True, check=False
        )
        # Ray may print lines of its own.
        told = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return dict(json.loads(told[0])) if done.returncode == 0 and told else {}

    def end(self) -> None:
        for node in self.nodes.values():
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started(
        self, name: str, there: Callable[[], bool], ip: str, *words: str, **given: Any
    ) -> None:
        """Starts a node; on a busy machine, Ray may give up its start after 30 s, so again."""
        for _ in range(5):
            self._start(name, ip, *words, **given)
            node = self.nodes[name]
            while node.process.poll() is None:
                if there():
                    return
                time.sleep(0.5)
            node.kill()
        raise AssertionError((node.folder / "start.log").read_text()[-2000:])

    def _start(
        self,
        name: str,
        ip: str,
        *words: str,
        before: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        folder = self.folder / name
        more = {"FAULT_NODE": str(folder), **self._environment, **(environment or {})}
        words = (*words, f"--temp-dir={folder}", f"--node-ip-address={ip}", f"--labels=name={name}")
        self.nodes[name] = Node(folder, *words, before=before, environment=more)


@contextlib.contextmanager
def cluster(folder: Path, *nodes: str, **given: str) -> Iterator[Cluster]:
    """A cluster with nodes of two cores each."""
    made = Cluster(folder, **given)
    try:
        for name in nodes:
            made.add(name)
        yield made
    finally:
        made.end()


def end_launches() -> None:
    """Ends what a fault that failed has left."""
    for process in LAUNCHES:
        if process.poll() is None:
            process.kill()
            process.communicate()
    LAUNCHES.clear()


def wait(what: str, until: Callable[[], bool], seconds: float = 900.0) -> None:
    over = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < over, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.3)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
