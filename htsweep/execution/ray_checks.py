"""Whether trials can run on a node of a cluster: asked once a node, before its first trial.

A worker on the node says what it finds there, and writes a small object to the results. The process
of the launch that uses Ray reads that object and answers, and only then does a trial start.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import ray

from htsweep.errors import LedgerError
from htsweep.execution import disk, ray_internals
from htsweep.execution.gpu_probe import gpu_facts
from htsweep.ledger import Store

SEEN_SECONDS = 10.0
"""How long an object that a node has written may take to show here."""
ANSWER_SECONDS = 120.0
POLL_SECONDS = 0.2
FINE = "fine"
GPU_DEVICES = ("nvidia[0-9]*", "kfd", "dxg")
"""The devices in /dev of NVIDIA's, AMD's and Windows' drivers."""


def admitted(results: str, gpu: float) -> bool:
    """Whether trials may run on this node; waits for the answer of the launch.

    Trials with and without a GPU are asked for apart, since a node may serve only one of them.
    """
    node = f"{ray.get_runtime_context().get_node_id()}-{'gpu' if gpu > 0 else 'cpu'}"
    answer = f"answer/{node}"
    if not ray_internals.told(answer):
        ray_internals.tell(f"facts/{node}", json.dumps(_facts(node, results, gpu)))
    over = time.monotonic() + ANSWER_SECONDS
    while not (word := ray_internals.told(answer)) and time.monotonic() < over:
        time.sleep(POLL_SECONDS / 4)
    return word == FINE


def answer(
    refuse: Callable[[str], None], note: Callable[[str], None], over: threading.Event
) -> None:
    """Answers the nodes until `over`: a node is fine, or the launch ends with the reason.

    Args:
        refuse: is given why no trial can run on a node.
        note: is given what a user should know of a node.
        over: set once no more nodes come.
    """
    answered: set[str] = set()
    while not over.wait(POLL_SECONDS):
        for name in ray_internals.words("facts/"):
            node = name.rpartition("/")[2]
            if node in answered:
                continue
            answered.add(node)
            facts = json.loads(ray_internals.told(name))
            reason = _problem(facts)
            if not reason and facts["program"] != _program():
                note(
                    f"{facts['host']} has the same version of htsweep, but its files differ from "
                    "those here; what its trials measure may differ too"
                )
            ray_internals.tell(f"answer/{node}", reason or FINE)
            if reason:
                refuse(reason)


def missing(paths: Sequence[str]) -> str:
    """Why a trial cannot run here that reads the paths, which the launch's machine has; or ""."""
    lacking = [path for path in paths if not Path(path).exists()]
    if not lacking:
        return ""
    return (
        f"{platform.node()} has no {' and no '.join(lacking[:3])}, which the study names and the "
        "machine of the launch has. Put it at the same path on every node, such as by a file "
        "system that all mount, or beside the study file if it is small"
    )


def _facts(node: str, results: str, gpu: float) -> dict[str, Any]:
    """What a worker finds on its node."""
    wrong, name = "", f"probes/{node}"
    try:
        Store(results).write(name, node.encode())
    except LedgerError as error:
        wrong = str(error)
    address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    return {
        "host": f"{platform.node()} ({address})",
        "version": _version(),
        "program": _program(),
        "results": results,
        "probe": name,
        "wrong": wrong,
        "full": disk.full(),
        "no_gpu": _no_gpu() if gpu > 0 else "",
    }


def _no_gpu() -> str:
    """Why no trial can use a GPU of this machine; "" if one can."""
    if not any(True for pattern in GPU_DEVICES for _ in Path("/dev").glob(pattern)):
        return "it has no device of one in /dev: its driver is not installed"
    gpu = gpu_facts()
    return "" if gpu["usable"] else str(gpu["why"])


def _problem(facts: Mapping[str, Any]) -> str:
    """Why no trial can run on a node; "" if one can."""
    host = facts["host"]
    if facts["version"] != _version():
        return (
            f"{host} has htsweep {facts['version']}, but this launch has {_version()}: their "
            "numbers would not be comparable. Install one version on all nodes, then launch again"
        )
    if facts["wrong"]:
        return f"{host} cannot write to the results: {facts['wrong']}"
    if facts["full"]:
        return f"{host} has no room for what a trial writes: {facts['full']}; then launch again"
    if facts["no_gpu"]:
        return (
            f"{host} offers Ray a GPU, but {facts['no_gpu']}; no trial could use it. Correct that, "
            "or start its Ray with --num-gpus=0"
        )
    store, over = Store(facts["results"]), time.monotonic() + SEEN_SECONDS
    while time.monotonic() < over:
        try:
            if store.read(facts["probe"]).decode() == facts["probe"].rpartition("/")[2]:
                store.delete(facts["probe"])
                return ""
        except FileNotFoundError:
            time.sleep(POLL_SECONDS)
    return (
        f"what {host} writes to the results, {store.uri}, does not show here: the folder is on a "
        "disk of its own there, so that the launch would see no result. Give --results a folder on "
        "a file system that all nodes mount, or a bucket such as s3://BUCKET/results"
    )


def _version() -> str:
    try:
        return version("htsweep")
    except PackageNotFoundError:
        return "unknown"


@functools.cache
def _program() -> str:
    """A hash of the installed program's files."""
    root = Path(__file__).resolve().parents[2]
    files = sorted([*root.glob("htsweep/**/*.py"), *root.glob("tasks/**/*.py")])
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
