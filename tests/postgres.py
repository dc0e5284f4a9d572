"""A PostgreSQL of its own, for tests of a mirror there: a folder, a port, and no rights of root."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

USER, PASSWORD, DATABASE = "htsweep", "planted-password-of-the-database", "postgres"
ACCOUNT = "postgres"
"""Who runs the server if the tests run as root, as whom PostgreSQL does not start."""
START_SECONDS = 120.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # What is written need not outlive the machine.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
}


def programs() -> Path | None:
    """The folder of `initdb` and `postgres`; None if PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    # Debian keeps them out of the search path, a folder a version.
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    return newest[-1].parent if newest else None


def _version(path: Path) -> int:
    number = path.parts[-3]
    return int(number) if number.isdigit() else 0


class Postgres:
    """A database that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        """Makes the database in an empty folder; nothing runs yet."""
        self._programs = programs()
        assert self._programs is not None, "PostgreSQL is not installed"
        self._folder, self.port = folder, _free_port()
        self._as: dict[str, Any] = {"cwd": folder}
        if os.geteuid() == 0:
            shutil.chown(folder, ACCOUNT, ACCOUNT)
            self._as |= {"user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
        password = folder / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            shutil.chown(password, ACCOUNT)
        words = ["-D", str(folder / "data"), "-U", USER, f"--pwfile={password}", "--no-sync"]
        subprocess.run(
            [self._programs / "initdb", *words, "-A", "scram-sha-256", "--locale=C", "-E", "UTF8"],
            check=True,
            capture_output=True,
            **self._as,
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """The tracking URI, with its password."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> None:
        """Starts the server, and waits until it takes connections."""
        import psycopg

        assert self._programs is not None
        settings = [word for pair in SETTINGS.items() for word in ("-c", "=".join(pair))]
        words = [self._programs / "postgres", "-D", self._folder / "data", "-p", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*words, *settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self._as
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(self.uri).close()
                return
            except psycopg.OperationalError:
                said = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
                assert self._process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.05)

    def stop(self) -> None:
        """Ends the server and its connections."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)  # "fast": it does not wait for clients
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL, which is ended and removed after the block."""
    folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="htsweep-postgres-"))
    made: Postgres | None = None
    try:
        made = Postgres(folder)
        made.start()
        yield made
    finally:
        if made is not None:
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
