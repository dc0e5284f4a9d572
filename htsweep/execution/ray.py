"""Runs trials on Ray: on a local one of its own, or on a cluster. The launch's side; its process is htsweep/execution/driver.py.

The process that uses Ray is a child of the launch. Where it is lost, with Ray's control store say,
the launch says so, starts another, and submits again what had not ended.
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
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, final

from htsweep import errors
from htsweep.errors import ExecutorLost, HtsweepError
from htsweep.execution import scratch
from htsweep.execution.executor import Died, Ended, Event, Notice, Returned, Started
from htsweep.execution.machine import cores, gpus
from htsweep.execution.registry import Options
from htsweep.execution.scratch import Scratch
from htsweep.execution.work import Outcome, Work, to_json
from htsweep.execution.worker import environment

SILENT_SECONDS = 300.0
"""Ray's process tells every second that it lives; after so long a silence it counts as lost."""
START_SECONDS = 60.0
"""After so long without Ray the user is told what is waited for; and again after each such time."""
ORPHAN_SECONDS = 5.0
"""Workers outlive a Ray that is lost for a moment, and what they end counts: it is not to be run
again.
"""
LOSSES = 3
"""So often in a row, without a trial that ends in between, Ray is started anew."""
AHEAD = 200
"""The most jobs that wait inside Ray for a slot: what an autoscaler can see."""
SOCKET = "session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store"
"""The longest path under Ray's folder to which it binds a socket."""
PROGRAM = "import sys; from htsweep.execution.driver import main; sys.exit(main())"
"""Not by `-m`: Ray finds what it sends to its workers by the name of the module, which would be
__main__.
"""
_QUIET = {
    # A local worker has the launch's interpreter, files and packages. Under `uv run`, Ray would
    # pack the working folder and start each worker by `uv run` in a copy of it.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A snapshot of Tune's own state would be rewritten whole, 10 KB a trial, for nothing.
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_THRESHOLD_S": "1000",
    "TUNE_MAX_PENDING_TRIALS_PG": str(2 * AHEAD),
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def on_ray(options: Options) -> Ray:
    """Trials are placed by Ray Tune, on a local Ray, or on the cluster at `--address`."""
    if options.address is None:  # a cluster is asked what it has once it answers
        options.require_this_machine()
    return Ray(options.cpu, options.gpu, options.address)


@final
class Ray:
    """An executor whose trials are placed by Ray Tune."""

    def __init__(self, cpu: float, gpu: float, address: str | None = None) -> None:
        """An executor for trials that take `cpu` cores and `gpu` GPUs; Ray starts when the context is entered.

        Args:
            cpu: cores of a trial.
            gpu: GPUs of a trial, or a fraction of one.
            address: of a cluster, as `ray.init` takes it; None: a local Ray of its own, gone with
                this executor.
        """
        self._resources = {"cpu": cpu, "gpu": gpu}
        self._address = address
        self._slots: int | None = None
        self._waiting: dict[str, Work] = {}
        self._running: dict[str, Work] = {}
        self._losses = 0
        self._stopped = False
        self._driver: _Driver | None = None

    def __enter__(self) -> Self:
        scratch.remove_abandoned()
        self._driver = _Driver(self._resources, self._address)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._driver is None:
            return
        if self._running or self._waiting:  # an error of the launch's own
            self.stop()
        self._driver.close(keep=isinstance(error, ExecutorLost))

    @property
    def slots(self) -> int:
        """How many trials run at once; 1 until Ray has started."""
        return self._slots or 1

    def room(self) -> int:
        """How many more jobs may wait inside Ray, so that no slot is left idle and an autoscaler sees what is to come."""
        if self._slots is None or self._stopped:
            return 0
        return max(2 * self._slots, AHEAD) - len(self._waiting)

    def submit(self, work: Work) -> None:
        """Hands the work to Ray."""
        assert self._driver is not None, "an executor runs inside its context"
        self._waiting[work.job.trial] = work
        self._driver.send({"do": "run", "trial": work.job.trial, "work": to_json(work)})

    def events(self, seconds: float) -> Iterator[Event]:
        """What Ray's process told since the last call."""
        assert self._driver is not None, "an executor runs inside its context"
        for message in self._driver.messages(seconds):
            yield from self._event(message)
        if self._driver.lost:
            yield from self._recover(self._driver.lost)

    def started(self) -> int:
        """Waits until Ray has started, and returns how many trials it runs at once.

        Raises:
            HtsweepError: it does not start, or has not what a trial takes.
        """
        assert self._driver is not None, "an executor runs inside its context"
        while self._slots is None:
            for message in self._driver.messages(1.0):
                for _ in self._event(message):
                    pass
            if self._driver.lost:
                msg = f"Ray did not start: {self._driver.lost}"
                raise ExecutorLost(msg)
        return self._slots

    def stop(self) -> None:
        """Ends all trials, and Ray."""
        self._stopped = True
        if self._driver is not None and self._slots is not None:
            self._driver.send({"do": "stop"})

    def _event(self, message: Mapping[str, Any]) -> Iterator[Event]:
        kind, trial = message["event"], message.get("trial", "")
        if kind == "slots":
            self._slots = message["slots"]
        elif kind == "started":
            if trial in self._waiting:
                self._running[trial] = self._waiting.pop(trial)
                yield Started(trial)
        elif kind in ("ended", "died", "returned"):
            self._running.pop(trial, self._waiting.pop(trial, None))
            if kind == "ended":
                self._losses = 0
                yield Ended(trial, Outcome(**message["outcome"]))
            else:
                yield (
                    Died(trial, message["why"])
                    if kind == "died"
                    else Returned(trial, message["again"])
                )
        elif kind == "notice":
            yield Notice(message["text"])
        elif kind == "refused":
            raise getattr(errors, message["kind"], HtsweepError)(message["text"])

    def _recover(self, why: str) -> Iterator[Event]:
        """Another Ray in place of the one that is lost; what had not ended is returned, to be submitted again."""
        assert self._driver is not None
        unfinished = [*self._running, *self._waiting]
        self._running, self._waiting = {}, {}
        if self._stopped:
            for trial in unfinished:
                yield Returned(trial, again=False)
            return
        self._losses += 1
        where = "the local Ray" if self._address is None else f"the Ray cluster at {self._address}"
        if self._losses > LOSSES:
            msg = (
                f"{where} was lost {self._losses} times in a row: {why}. Nothing that has ended is "
                "lost, and the next launch "
                f"goes on from here; logs: {self._driver.logs}"
            )
            raise ExecutorLost(msg)
        yield Notice(
            f"{where} was lost: {why}. Starting {'another' if self._address is None else 'over'}; "
            "what has ended "
            f"counts, and {len(unfinished)} trials are submitted again"
        )
        self._driver.close()
        time.sleep(ORPHAN_SECONDS)
        self._slots = None
        self._driver = _Driver(self._resources, self._address)
        for trial in unfinished:
            yield Returned(trial, again=True)


@final
class _Driver:
    """Ray's process, its pipes, and the folder that it writes to."""

    def __init__(self, resources: Mapping[str, float], address: str | None) -> None:
        self.lost = ""
        """Why the process is of no more use; "" while it is."""
        self._scratch = Scratch(scratch.with_room_for(SOCKET))
        self._log = self._scratch.path / "driver.log"
        self._ray_logs = ""
        self._heard = b""
        self._spoke = self._noticed = time.monotonic()
        commands, sends = os.pipe()
        hears, events = os.pipe()
        self._sends: BinaryIO = os.fdopen(sends, "wb")
        self._hears: BinaryIO = os.fdopen(hears, "rb", buffering=0)
        words = [sys.executable, "-c", PROGRAM, str(commands), str(events)]
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C is for the launch, which then has Ray end its trials.
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                pass_fds=(commands, events),
                env=self._environment(resources, address),
            )
        os.close(commands)
        os.close(events)

    @property
    def logs(self) -> str:
        """Where Ray's logs are, and those of the process itself."""
        return ", ".join(filter(None, [self._ray_logs, str(self._log)]))

    def send(self, command: Mapping[str, Any]) -> None:
        """Tells the process what to do."""
        with contextlib.suppress(BrokenPipeError):  # it has just ended, as `messages` will tell
            self._sends.write(json.dumps(command, default=dict).encode() + b"\n")
            self._sends.flush()

    def messages(self, seconds: float) -> Iterator[dict[str, Any]]:
        """What the process told; waits up to `seconds` for the first line."""
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
                if message["event"] != "alive":
                    yield message
        yield from self._silence()

    def close(self, keep: bool = False) -> None:
        """Ends the process, and Ray with it; with `keep`, the logs stay until the next launch."""
        self.send({"do": "finish"})
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
        """What a silence of the process means."""
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
        """Why the process ended, as far as it is known."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(10)
        lines = [
            line.strip()
            for line in self._log.read_text(errors="replace").splitlines()
            if line.strip()
        ]
        said = f": {lines[-1][:300]}" if lines else ""
        return f"its process ended with code {self._process.poll()}{said}"

    def _environment(self, resources: Mapping[str, float], address: str | None) -> dict[str, str]:
        folder = self._scratch.path
        (folder / "tune").mkdir()
        options = {
            **resources,
            "address": address,
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
            "HTSWEEP_RAY": json.dumps(options),
        }


def _token(folder: Path) -> dict[str, str]:
    """What makes a local Ray ask for a token of its own; Ray's own choice is to write one to the home folder."""
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
