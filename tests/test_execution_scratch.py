"""Temporary folders go with their process, however it ends, and sockets have room in them."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from htsweep.errors import ResourceError
from htsweep.execution import scratch
from htsweep.execution.scratch import Scratch

HOLDER = """
import sys, time
from pathlib import Path
from htsweep.execution.scratch import Scratch
held = Scratch()
(held.path / "content").write_text("x")
print(held.path, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A TMPDIR of the test's own."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def holder() -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_folder_goes_with_its_object(own_tmp: Path) -> None:
    held = Scratch()
    (held.path / "inside").mkdir()
    assert held.path.parent == own_tmp
    held.close()
    held.close()
    assert list(own_tmp.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_nothing_else(own_tmp: Path) -> None:
    killed, abandoned = holder()
    alive, held = holder()
    foreign = own_tmp / "htsweep-not-ours"
    foreign.mkdir()
    killed.kill()
    killed.wait()
    try:
        assert abandoned in scratch.remove_abandoned()
        assert not abandoned.exists()
        assert (held / "content").read_text() == "x"
        assert foreign.exists()
        assert held not in scratch.remove_abandoned()
    finally:
        alive.kill()
        alive.wait()


def test_a_socket_has_room_where_tmpdir_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("a-slurm-job-" * 6)
    long.mkdir()
    monkeypatch.setenv("TMPDIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", None)
    socket = "session/sockets/plasma_store"
    folder = scratch.with_room_for(socket)
    assert len(f"{folder}/{scratch.PREFIX}12345678/{socket}") <= scratch.LONGEST_SOCKET
    assert scratch.with_room_for("s").is_dir()


def test_no_room_anywhere_is_told_with_the_remedy() -> None:
    with pytest.raises(ResourceError, match="set TMPDIR to such a folder"):
        scratch.with_room_for("x" * 108)


def test_a_folder_that_cannot_be_made_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"cannot hold a temporary folder.*TMPDIR"):
        Scratch(tmp_path / "absent")
