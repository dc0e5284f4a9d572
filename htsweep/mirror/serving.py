"""The MLflow UI on the results' database, for this machine alone."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import htsweep.mirror.internals  # noqa: F401  (before MLflow: says what it lacks)

# isort: split
from mlflow.tracking import MlflowClient

from htsweep.commands import Given, quoted, shown
from htsweep.errors import HtsweepError
from htsweep.mirror import address, schema
from htsweep.mirror.copying import OUTAGES, explained
from htsweep.mirror.database import ARTIFACTS
from htsweep.mirror.view import TAG, link

HOST = "127.0.0.1"
START_SECONDS = 90.0


def ui(database: Path, results: str, port: int = 5000, tell: Callable[[str], None] = print) -> int:
    """Runs an MLflow UI on `database` until Ctrl-C, and returns its exit code.

    Reports its address, and each study's chart, once it answers.

    Args:
        database: the file of the results' SQLite database.
        results: as the user named them, for the commands suggested if there is no database.
        port: on 127.0.0.1; another one if it is taken.
        tell: called with each line.

    Raises:
        HtsweepError: there is no database, it cannot be used, or the server does not start.
    """
    if not database.exists():
        launch, mirror = (Given(results=results).verb(verb) for verb in ("launch", "mirror"))
        raise HtsweepError(
            f"there is no MLflow database at {database}. A launch makes one: {launch}\n"
            f"To copy the results of earlier launches: {mirror}"
        )
    uri = address.of_database(database)
    try:
        for note in schema.prepared(database, ours=True):
            tell(note)
    except OUTAGES as error:
        if isinstance(error, HtsweepError) or not _is_usable(uri):
            raise HtsweepError(
                f"MLflow's database cannot be used: {explained(error, uri)}"
            ) from error
        # It can be read but not written.
        tell(f"{explained(error, uri)}. It is shown as it is")
    chosen = free_port(port)
    tell("starting MLflow, which takes some seconds")
    with _ended_by_sigterm(), serve(uri, chosen) as server:
        try:
            wait_for(server, chosen)
            for line in serving_lines(uri, port, chosen):
                tell(line)
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()


def serve(uri: str, port: int) -> subprocess.Popen[bytes]:
    """The server's process, on 127.0.0.1; it answers after some seconds, see `wait_for`."""
    database = address.database_of(uri)
    # -P, so that nothing in the results' folder, where the server runs, shadows a module.
    words = [
        sys.executable,
        "-P",
        "-m",
        "mlflow",
        *server_words(uri),
        "--host",
        HOST,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    # No job runner: it is for judging language models, starts processes of its own, and writes
    # where it likes.
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return subprocess.Popen(
        words,
        env=environment,
        cwd=None if database is None else database.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def server_words(uri: str) -> list[str]:
    """MLflow's arguments for the database and its artifacts: `server --backend-store-uri ...`."""
    path = address.database_of(uri)
    artifacts = (
        []
        if path is None
        else ["--artifacts-destination", address.location(path.parent / ARTIFACTS)]
    )
    return ["server", "--backend-store-uri", shown(uri), *artifacts]


def wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    """Returns once the server answers.

    Raises:
        HtsweepError: it ended, or did not answer in time.
    """
    # No proxy can reach this machine's 127.0.0.1, whatever the environment says of proxies.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with opener.open(f"http://{HOST}:{port}/health", timeout=5):
                return
        except OSError:  # URLError is one
            time.sleep(0.2)
    how = (
        f"did not answer within {START_SECONDS:.0f} s"
        if server.poll() is None
        else f"ended with code {server.returncode}"
    )
    raise HtsweepError(
        f"the MLflow server {how}. To see why, start it by hand: "
        f"{quoted(list(map(str, _words(server))))}"
    )


def free_port(wanted: int) -> int:
    """`wanted` if it is free, else another free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise HtsweepError(f"no port is free on {HOST}")


def serving_lines(uri: str, wanted: int, port: int) -> list[str]:
    """Lines for the user: the address, each study's chart, how to look from another machine."""
    server = f"http://{HOST}:{port}"
    lines = [
        f"MLflow UI: {server}"
        + (f" (port {wanted} is taken)" if wanted not in (0, port) else "")
        + ", Ctrl-C ends it"
    ]
    for experiment in MlflowClient(uri).search_experiments():
        if TAG in experiment.tags:
            lines.append(
                f"{experiment.name}, seen against missing: {link(server, experiment.experiment_id)}"
            )
    shared = quoted(
        [
            "mlflow",
            *server_words(uri),
            "--host",
            "0.0.0.0",
            "--port",
            str(port),
            "--allowed-hosts",
            f"NAME:{port}",
        ]
    )
    lines += [
        "A chart holds the runs that the list has loaded, 100 at first: `Load more` at its end "
        "fetches the rest.",
        "To look from another machine, type this there and open the same address: ssh -L "
        f"{port}:{HOST}:{port} THIS-MACHINE",
        "To serve others without ssh (MLflow asks nobody for a password), put the name that their "
        "browsers use in place of NAME, "
        f"since MLflow refuses every other one with `403 Invalid Host header`: {shared}",
    ]
    return lines


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Treats SIGTERM as Ctrl-C; otherwise the server would outlive the command."""
    # Python accepts signal handlers only in the main thread.
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _is_usable(uri: str) -> bool:
    """Whether MLflow can read the database."""
    try:
        MlflowClient(uri).search_experiments(max_results=1)
    except OUTAGES:
        return False
    return True


def _words(server: subprocess.Popen[bytes]) -> Sequence[str]:
    return list(map(str, server.args)) if isinstance(server.args, Sequence) else [str(server.args)]
