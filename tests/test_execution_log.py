"""A trial's log while the trial runs: on a disk at once, in a bucket every few seconds."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pyarrow.fs as fs
import pytest

from htsweep import remote
from htsweep.execution import log as module
from htsweep.execution.log import Log
from htsweep.ledger import Store


def test_on_a_disk_each_line_is_there_at_once(tmp_path: Path) -> None:
    log = Log(Store(tmp_path), "logs/a-1.txt")
    log.write("one\n")
    assert (tmp_path / "logs" / "a-1.txt").read_text() == "one\n"
    log.end()


def test_elsewhere_a_log_that_grows_is_written_while_the_trial_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    opened = SimpleNamespace(from_uri=lambda uri: (streams, "far"))
    monkeypatch.setattr(remote, "fs", SimpleNamespace(**{**vars(fs), "FileSystem": opened}))
    monkeypatch.setattr(module, "SEND_SECONDS", 0.02)
    (tmp_path / "far" / "logs").mkdir(parents=True)
    path, before = tmp_path / "far" / "logs" / "a-1.txt", threading.active_count()
    log = Log(Store("far://far"), "logs/a-1.txt")
    assert not path.exists()
    log.write("one \ud800\n")
    over = time.monotonic() + 10
    while not path.exists() or path.read_text() != "one \\ud800\n":
        assert time.monotonic() < over
        time.sleep(0.01)
    log.write("two\n")
    log.end()
    assert path.read_text() == "one \\ud800\ntwo\n"
    while threading.active_count() > before:
        assert time.monotonic() < over
        time.sleep(0.01)
