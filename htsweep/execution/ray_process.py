"""The launch's handle on the process that uses Ray: starts it, talks to it, notices its loss.

The process itself is htsweep/execution/driver.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, final

from htsweep.execution import scratch
from htsweep.execution.machine import cores, gpus
from htsweep.execution.scratch import Scratch
from htsweep.execution.shipping import Shipped
from htsweep.execution.work import shape
from htsweep.execution.worker import environment
from htsweep.study.resources import Amount

SILENT_SECONDS = 300.0
"""If Ray's process, which reports every second, is silent for this long, it counts as lost."""
START_SECONDS = 60.0
"""How often the user is informed while Ray has not started."""
AHEAD = 200
"""The most jobs that wait inside Ray for a slot, so that an autoscaler sees the demand."""
FEW = 16
"""The most trials that Tune itself holds while they wait, where more would only cost time.

That is on a local Ray, which cannot grow, if all trials take the same, and no GPU.
"""
SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest path that Ray binds a socket to, relative to its folder."""
PROGRAM = "import sys; from htsweep.execution.driver import main; sys.exit(main())"
"""Ray finds what it sends to workers by module name, which under `-m` would be __main__."""
_QUIET = {
    # A local worker has the launch's interpreter, files and packages. Under `uv run`, Ray would
    # instead pack the working folder and start each worker with `uv run` in a copy of it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # In a job of Ray's job server, the launch sends the study's files again, in place of the job's.
    "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Tune would rewrite a snapshot of its whole state, 10 KB per trial, which nothing reads.
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_THRESHOLD_S": "1000",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@final
@dataclass(frozen=True)
class Cluster:
    """The Ray to use, and what its nodes need; without an address, a local Ray."""

    address: str | None = None
    wait_minutes: float | None = None
    shipped: Shipped | None = None


@final
class RayProcess:
    """Ray's process, its pipes, and the folder that it writes to."""

    def __init__(self, amounts: Sequence[Amount], cluster: Cluster) -> None:
        self.lost = ""
        """Why the process can no longer be used; "" while it can."""
        self._scratch = Scratch(scratch.with_room_for(SOCKET))
        self._log = self._scratch.path / "driver.log"
        self._ray_logs = ""
        self._heard = b""
        self._spoke = self._noticed = time.monotonic()
        commands, sends = os.pipe()
        hears, events = os.pipe()
        self._sends: BinaryIO = os.fdopen(sends, "wb")
        self._hears: BinaryIO = os.fdopen(hears, "rb", buffering=0)
        words = [sys.executable, "-P", "-c", PROGRAM, str(commands), str(events)]
        with self._log.open("wb") as log:
            # A separate session, so that Ctrl-C reaches only the launch, which then has Ray end its
            # trials.
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(commands, events),
                env=self._environment(amounts, cluster),
            )
        os.close(commands)
        os.close(events)

    @property
    def logs(self) -> str:
        """The places of Ray's logs and of the process's own."""
        return ", ".join(filter(None, [self._ray_logs, str(self._log)]))

    def send(self, command: Mapping[str, Any]) -> None:
        """Sends a command to the process."""
        with contextlib.suppress(
            BrokenPipeError
        ):  # it has just ended, which `messages` will report
            self._sends.write(json.dumps(command, default=dict).encode() + b"\n")
            self._sends.flush()

    def messages(self, seconds: float) -> Iterator[dict[str, Any]]:
        """The messages from the process; waits up to `seconds` for the first."""
        if self.lost:
            time.sleep(seconds)
            return
        while select.select([self._hears], [], [], seconds)[0]:
            piece = self._hears.read(65_536)
            if not piece:
                self.lost = self.lost or self._ending()
                return
            seconds = 0.0
            self._spoke = time.monotonic()
            self._heard += piece
            *lines, self._heard = self._heard.split(b"\n")
            for message in map(json.loads, lines):
                if message["event"] == "lost":
                    self.lost = message["why"]
                elif message["event"] == "slots":
                    self._ray_logs = message["logs"]
                if message["event"] != "alive" or "slots" in message:
                    yield message
        yield from self._silence()

    def finish(self) -> None:
        """Tells the process to end, and Ray with it, without waiting for it."""
        if not self._sends.closed:
            self.send({"do": "finish"})

    def close(self, keep: bool = False) -> None:
        """Ends the process, and Ray with it; with `keep`, the logs remain until the next launch."""
        self.finish()
        with contextlib.suppress(BrokenPipeError):
            self._sends.close()
        try:
            self._process.wait(0 if self.lost else 15)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._hears.close()
        if not keep:
            self._scratch.close()

    def _silence(self) -> Iterator[dict[str, Any]]:
        """Yields a notice if Ray takes long to start; marks a process silent for long as lost."""
        now = time.monotonic()
        if not self._ray_logs and now - self._noticed > START_SECONDS:
            self._noticed = now
            yield {
                "event": "notice",
                "text": f"Ray has not started after {now - self._spoke:.0f} s; its logs are below "
                f"{self._scratch.path}, and {self._log} has what it printed",
            }
        if now - self._spoke > SILENT_SECONDS:
            self.lost = f"its process has not answered for {SILENT_SECONDS:g} s"

    def _ending(self) -> str:
        """Why the process ended, as far as known."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        lines = [
            line.strip()
            for line in self._log.read_text(errors="replace").splitlines()
            if line.strip()
        ]
        said = f": {lines[-1][:300]}" if lines else ""
        return f"its process ended with code {self._process.poll()}{said}"

    def _environment(self, amounts: Sequence[Amount], cluster: Cluster) -> dict[str, str]:
        folder, address = self._scratch.path, cluster.address
        (folder / "tune").mkdir()
        ships = cluster.shipped if address is not None else None
        if ships is not None and not ships.needed:
            ships = None
        if ships is not None:
            ships.copy(folder / "ships")
        # Under `gpu: auto`, what a trial takes may change.
        mixed = len(amounts) > 1 or any(amount.gpu for amount in amounts)
        options = {
            "shapes": [
                shape(amount.cpu, amount.gpus, amount.accelerator or "") for amount in amounts
            ],
            "address": address,
            "wait": cluster.wait_minutes,
            "ships": str(folder / "ships") if ships is not None else "",
            "origin": str(ships.folder) if ships is not None else "",
            "cores": cores(),
            "gpus": gpus(),
            "folder": str(folder),
            "storage": str(folder / "tune"),
        }
        quiet = {
            name: value
            for name, value in _QUIET.items()
            if address is None or name not in os.environ
        }
        return {
            **environment(),
            **quiet,
            **({} if address else _token(folder)),
            "TUNE_MAX_PENDING_TRIALS_PG": str(2 * AHEAD if address or mixed else FEW),
            "HTSWEEP_RAY": json.dumps(options),
        }


def _token(folder: Path) -> dict[str, str]:
    """Environment variables that give a local Ray a token of its own.

    By default Ray writes one to the home folder.
    """
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
