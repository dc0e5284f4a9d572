"""The head of a Ray with a job server on 127.0.0.1, which is ended with all that it started, by their ids alone."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from autoscaled import free_port, raylets

START = """\
import sys
from ray._private import services
from ray.scripts.scripts import main
start = services.start_ray_process
def begin(command, process, *given, **named):
    more = ["--modules-to-load=JobHead,NodeHead"] if process == "dashboard" else []
    return start([*command, *more], process, *given, **named)
services.start_ray_process = begin
sys.argv[0] = "ray"
main()
"""
"""`ray start`, but of the nine parts of its dashboard, each a process, those that jobs need alone."""
PATIENCE = 200


@dataclass(frozen=True)
class Head:
    """A head that answers."""

    url: str
    """Of its job server."""
    metrics: str
    """Where Prometheus finds its counts."""


@contextlib.contextmanager
def job_server() -> Iterator[Head]:
    """A head of two cores, and a GPU that it does not have, whose token is in the environment of this process."""
    folder = Path(tempfile.mkdtemp(prefix="jobs", dir="/tmp"))
    port, metrics = free_port(), free_port()
    (folder / "token").touch(0o600)
    (folder / "token").write_text(secrets.token_hex(32))
    words = [
        *(sys.executable, "-c", START, "start", "--head", "--block", "--port=0", "--num-cpus=2"),
        "--num-gpus=1",  # which is not there
        *(f"--temp-dir={folder}", "--include-dashboard=true", "--dashboard-host=127.0.0.1"),
        *(f"--dashboard-port={port}", "--dashboard-agent-listen-port=0"),
        *("--node-ip-address=127.0.0.1", "--min-worker-port=0", "--max-worker-port=0"),
        *(f"--metrics-export-port={metrics}", "--object-store-memory=80000000"),
    ]
    settings = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_metrics_report_interval_ms": "500",
        # On a busy machine, processes take long to start.
        "RAY_DASHBOARD_STARTUP_TIMEOUT_S": str(PATIENCE),
        "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": str(PATIENCE),
        "PATH": "/usr/bin:/bin",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
        with (folder / "said").open("w") as said:
            started = subprocess.Popen(
                words, stdout=said, stderr=said, env={**os.environ, **settings}
            )
        try:
            url, over = f"http://127.0.0.1:{port}", time.monotonic() + PATIENCE
            # Its server answers before Ray has found all of it well, and may then end again.
            while not (_is_up(folder / "said") and _answers(url)):
                assert started.poll() is None, (folder / "said").read_text()
                assert time.monotonic() < over, (folder / "said").read_text()
                time.sleep(0.1)
            yield Head(url, f"http://127.0.0.1:{metrics}/metrics")
        finally:
            family = set(raylets(folder))
            with contextlib.suppress(psutil.NoSuchProcess):
                family |= set(psutil.Process(started.pid).children(recursive=True))
            started.terminate()
            for one in psutil.wait_procs(list(family), timeout=3)[1]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
            started.wait(20)
            shutil.rmtree(folder, ignore_errors=True)


def _is_up(said: Path) -> bool:
    return "Ray runtime started" in said.read_text()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/api/version", timeout=10) as answer:
            return bool(answer.read())
    except urllib.error.HTTPError as error:
        return error.code == 401  # it asks for the token
    except OSError:
        return False
