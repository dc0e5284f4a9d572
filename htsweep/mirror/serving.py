"""The MLflow UI on the results' database, for this machine alone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence

from mlflow.tracking import MlflowClient

from htsweep.errors import HtsweepError
from htsweep.mirror.copying import absolute, database_of
from htsweep.mirror.view import TAG, link

HOST = "127.0.0.1"
START_SECONDS = 90.0


def ui(uri: str, port: int = 5000, tell: Callable[[str], None] = print) -> int:
    """The exit code of an MLflow UI that runs until Ctrl-C; tells its address, and each study's chart, once it answers."""
    chosen = free_port(port)
    with serve(uri, chosen) as server:
        try:
            wait_for(server, chosen)
            for line in told(uri, port, chosen):
                tell(line)
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()


def serve(uri: str, port: int) -> subprocess.Popen[bytes]:
    """The server's process, on 127.0.0.1; it answers after some seconds, see `wait_for`.

    Raises:
        HtsweepError: there is no database at `uri` yet.
    """
    uri, database = absolute(uri), database_of(uri)
    words = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--host", HOST, "--port", str(port),
             "--workers", "1"]
    if database is not None:
        if not database.exists():
            raise HtsweepError(f"there is no MLflow database at {database}: `htsweep launch STUDY` makes one, and so does "
                               f"`htsweep mirror STUDY`; --results names another folder")
        words += ["--artifacts-destination", str(database.parent / "mlartifacts")]
    # No job runner: it is for judging language models, starts processes of its own, and writes where it likes.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return subprocess.Popen(words, env=environment, cwd=None if database is None else database.parent,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    """Returns once the server answers.

    Raises:
        HtsweepError: it ended, or did not answer in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    how = "did not answer in time" if server.poll() is None else f"ended with code {server.returncode}"
    raise HtsweepError(f"the MLflow server {how}; `{' '.join(map(str, _words(server)))}` says why")


def free_port(wanted: int) -> int:
    """`wanted` where nobody has it, else a port that is free."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise HtsweepError(f"no port is free on {HOST}")


def told(uri: str, wanted: int, port: int) -> list[str]:
    """What a person needs to know: the address, each study's chart, and how to look from another machine."""
    server = f"http://{HOST}:{port}"
    lines = [f"MLflow UI: {server}" + (f" (port {wanted} is taken)" if port != wanted else "") + ", Ctrl-C ends it"]
    for experiment in MlflowClient(absolute(uri)).search_experiments():
        if TAG in experiment.tags:
            lines.append(f"{experiment.name}, seen against missing: {link(server, experiment.experiment_id)}")
    lines += [
        "A chart holds the runs that the list has loaded, 100 at first: `Load more` at its end fetches the rest.",
        f"From another machine: ssh -L {port}:{HOST}:{port} THIS-MACHINE, then the same address there.",
        "To serve others without ssh (nobody is asked for a password): mlflow server "
        f"--backend-store-uri {absolute(uri)} --host 0.0.0.0 --port {port} --allowed-hosts 'NAME:{port}', with the name "
        "that their browsers use; MLflow refuses every other with 403 Invalid Host header.",
    ]
    return lines


def _words(server: subprocess.Popen[bytes]) -> Sequence[str]:
    return list(map(str, server.args)) if isinstance(server.args, Sequence) else [str(server.args)]
