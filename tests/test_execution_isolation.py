"""What a trial changes for its whole process is put back, or is told as lasting."""

import decimal
import gc
import importlib.util
import json
import locale
import logging
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from htsweep.execution import isolation


@pytest.fixture(autouse=True)
def nothing_lasts() -> Iterator[None]:
    isolation.take_lasting()
    yield
    isolation.take_lasting()


def after(change: Callable[[], Any], own: tuple[str, ...] = ()) -> list[str]:
    """What lasts of a change that a trial makes."""
    with isolation.fresh(1, 1, "cpu", own) as lasting:
        change()
    assert isolation.take_lasting() == lasting
    assert isolation.take_lasting() == []
    return lasting


def ignore_warnings() -> None:
    warnings.simplefilter("ignore")


def basic_logging() -> None:
    logging.basicConfig(level=logging.DEBUG, force=True)
    logging.disable(logging.CRITICAL)


STATES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "folder": (lambda: os.chdir("/"), os.getcwd),
    "environment": (
        lambda: os.environ.update(TZ="Asia/Tokyo", A="1"),
        lambda: (dict(os.environ), time.localtime().tm_zone),
    ),
    "arguments": (lambda: sys.argv.append("x"), lambda: list(sys.argv)),
    "module path": (lambda: sys.path.insert(0, "/nowhere"), lambda: list(sys.path)),
    "umask": (lambda: os.umask(0o7), isolation._read_umask),
    "recursion": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "switches": (lambda: sys.setswitchinterval(0.5), sys.getswitchinterval),
    "garbage": (gc.disable, gc.isenabled),
    "soft limit": (
        lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        ),
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    ),
    "locale": (
        lambda: locale.setlocale(locale.LC_NUMERIC, "C.UTF-8"),
        lambda: locale.setlocale(locale.LC_ALL),
    ),
    "decimals": (
        lambda: setattr(decimal.getcontext(), "prec", 3),
        lambda: decimal.getcontext().prec,
    ),
    "handler": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGTERM),
    ),
    "timer": (
        lambda: signal.setitimer(signal.ITIMER_VIRTUAL, 100),
        lambda: signal.getitimer(signal.ITIMER_VIRTUAL)[0],
    ),
    "logging": (
        basic_logging,
        lambda: (list(logging.root.handlers), logging.root.level, logging.root.manager.disable),
    ),
    "warnings": (ignore_warnings, lambda: list(warnings.filters)),
    "numpy errors": (lambda: np.seterr(all="raise"), np.geterr),
    "numpy prints": (lambda: np.set_printoptions(precision=2), np.get_printoptions),
    "affinity": (
        lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        lambda: os.sched_getaffinity(0),
    ),
    "stdout": (lambda: setattr(sys, "stdout", None), lambda: sys.stdout),
    "stderr closed": (lambda: setattr(sys, "__stderr__", None), lambda: sys.__stderr__),
    "excepthook": (lambda: setattr(sys, "excepthook", print), lambda: sys.excepthook),
}


@pytest.mark.parametrize("name", STATES)
def test_what_can_be_put_back_is(name: str) -> None:
    change, read = STATES[name]
    before = read()
    assert after(change) == []
    assert read() == before


def test_random_draws_are_those_of_a_new_process() -> None:
    draws = []
    for _ in range(2):
        with isolation.fresh(7, 1, "cpu"):
            draws.append((random.random(), np.random.rand()))
    assert draws[0] == draws[1]


def leave_thread() -> None:
    threading.Thread(target=lambda: RELEASE.wait(20), name="prefetch", daemon=True).start()


RELEASE = threading.Event()


def leave_process() -> None:
    PROCESSES.append(subprocess.Popen(["sleep", "20"]))


PROCESSES: list[subprocess.Popen[bytes]] = []


def block_alarm() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])


def open_files() -> None:
    FILES.extend(open(os.devnull) for _ in range(isolation.LEAKED_FILES + 1))  # noqa: SIM115


FILES: list[Any] = []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (leave_thread, "the thread prefetch still runs"),
        (leave_process, "still runs"),
        (block_alarm, "the signals that are blocked changed"),
        (open_files, "files were left open"),
        (
            lambda: setattr(json, "dumps", lambda *_, **__: "{}"),
            "json.dumps of the standard library was replaced",
        ),
        (
            lambda: setattr(json.JSONEncoder, "default", lambda *_: None),
            "json.encoder.JSONEncoder.default of the standard library",
        ),
        (
            lambda: setattr(time, "time", lambda: 0.0),
            "time.time of the standard library was replaced",
        ),
        (
            lambda: setattr(random, "shuffle", None),
            "random.shuffle of the standard library was replaced",
        ),
    ],
)
def test_what_cannot_be_put_back_is_told(
    change: Callable[[], Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolation, "JOIN_SECONDS", 0.05)
    dumps, default, clock, shuffle = json.dumps, json.JSONEncoder.default, time.time, random.shuffle
    try:
        lasting = after(change)
    finally:
        json.dumps, json.JSONEncoder.default, time.time, random.shuffle = (
            dumps,
            default,
            clock,
            shuffle,
        )
        RELEASE.set()
        for process in PROCESSES:
            process.kill()
            process.wait()
        for file in FILES:
            file.close()
        PROCESSES.clear()
        FILES.clear()
    assert len(lasting) == 1
    assert told in lasting[0]
    assert signal.SIGALRM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    RELEASE.clear()


def test_each_trial_is_compared_with_what_it_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a first trial, and where the process itself replaced a function in between."""
    replace = "time.time of the standard library was replaced"
    original = time.time
    try:
        assert after(lambda: setattr(time, "time", lambda: 0.0)) == [replace]
        assert after(lambda: None) == []
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: 1.0)
            assert after(lambda: None) == []
            assert time.time() == 1.0
            assert after(lambda: setattr(time, "time", original)) == [replace]
            assert time.time() == 1.0
            patch.setattr(time, "made", lambda: 1, raising=False)
            assert after(lambda: setattr(time, "made", lambda: 2)) == [
                "time.made of the standard library was replaced"
            ]
            assert time.made() == 1  # type: ignore[attr-defined]
    finally:
        time.time = original
    assert after(lambda: None) == []
    assert time.time is original


def test_a_lowered_hard_limit_and_a_closed_output_last() -> None:
    """In a process of its own, which they would spoil."""
    code = """
import os, resource, sys
from htsweep.execution import isolation
if os.geteuid() == 0:  # root may raise a limit again
    os.setgid(12345); os.setuid(12345)
with isolation.fresh(1, 1, "cpu") as lasting:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    os.nice(1)
    os.close(1)
print(*lasting, sep="\\n", file=sys.stderr)
os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "the resource limits changed and cannot be put back" in done.stderr
    assert "the scheduling priority changed" in done.stderr
    assert "standard output was closed" in done.stderr


def test_what_a_trial_rebinds_in_the_user_s_own_module_is_put_back(tmp_path: Path) -> None:
    path = tmp_path / "own_lab_module.py"
    path.write_text(
        "COUNT = 0\ndef measure():\n    global COUNT, EXTRA\n    COUNT += 1\n    EXTRA = 1\n    "
        "return COUNT\n"
    )
    spec = importlib.util.spec_from_file_location("own_lab_module", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["own_lab_module"] = module
    try:
        spec.loader.exec_module(module)
        for _ in range(3):
            counts: list[int] = []
            assert (
                after(lambda counts=counts: counts.append(module.measure()), (str(tmp_path),)) == []
            )
            assert counts == [1]
        assert not hasattr(module, "EXTRA")
    finally:
        del sys.modules["own_lab_module"]
