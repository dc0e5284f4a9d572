"""A name is held by one at a time, and what the dead held is free."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from htsweep.errors import LedgerError
from htsweep.ledger import Lease, Store, lease

HOLD = (
    "import sys, time; from htsweep.ledger import *; held = Lease(Store(sys.argv[1]), sys.argv[2]);"
    "print(held.take() is None, flush=True); time.sleep(60)"
)


def test_one_holds_and_the_second_learns_who(tmp_path: Path) -> None:
    first, second = Lease(Store(tmp_path), "study-a", "first"), Lease(Store(tmp_path), "study-a")
    assert first.take() is None
    holder = second.take()
    assert holder is not None
    assert (holder["pid"], holder["about"]) == (os.getpid(), "first")
    other = Lease(Store(tmp_path), "study-b")
    assert other.take() is None
    first.release()
    assert second.take() is None
    second.release()
    other.release()
    assert list((tmp_path / "leases").iterdir()) == []


def test_what_a_killed_process_held_is_free(tmp_path: Path) -> None:
    with holding(tmp_path, "x") as process:
        process.kill()
        process.wait()
    mine = Lease(Store(tmp_path), "x")
    assert mine.holder() is None
    assert mine.take() is None
    assert mine.after_death
    mine.release()


def test_a_process_that_has_ended_holds_nothing_though_nobody_has_waited_for_it(
    tmp_path: Path,
) -> None:
    """A container whose first process looks after no others: what was killed stays there as a zombie."""
    with holding(tmp_path, "x") as process:
        process.kill()
        deadline = time.monotonic() + 10
        while Path(f"/proc/{process.pid}/stat").read_text().split()[2] != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.01)
        mine = Lease(Store(tmp_path), "x")
        assert mine.take() is None
        mine.release()


def test_many_at_once_never_hold_together(tmp_path: Path) -> None:
    code = (
        "import sys, time; from htsweep.ledger import *; lease = Lease(Store(sys.argv[1]), 'x');"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()));"
        "got = lease.take() is None; print(got, flush=True); time.sleep(3 if got else 0)"
    )
    at = str(time.time() + 1.5)
    many = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), at], stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    held = [process.communicate()[0].strip() for process in many]
    assert held.count("True") == 1


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Has this process stand in another container from now on: same host's name, same kernel, other process ids."""
    return lambda: monkeypatch.setattr(lease, "_place", lambda: "boot pid:[2]")


def test_of_a_holder_elsewhere_only_its_silence_tells(
    tmp_path: Path, elsewhere: Callable[[], Any]
) -> None:
    """Its process id may be nobody's here, or someone else's: neither makes it dead or alive."""
    first = Lease(Store(tmp_path), "x")
    assert first.take() is None
    elsewhere()
    second = Lease(Store(tmp_path), "x")
    assert second.take() is not None
    first.release()
    for about in ({"pid": 999_999_999}, {"pid": os.getpid(), "born": "another time"}):
        write(tmp_path, "x", place="boot pid:[1]", **about)
        assert second.take() is not None
        silent(tmp_path, "x")
        assert second.holder() is None
        assert second.take() is None
        second.release()


def test_a_lease_of_an_earlier_version_counts_until_it_is_silent(tmp_path: Path) -> None:
    write(tmp_path, "x", pid=999_999_999, born="1")
    mine = Lease(Store(tmp_path), "x")
    assert mine.take() is not None
    silent(tmp_path, "x")
    assert mine.take() is None
    mine.release()


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("unshare") is None, reason="namespaces are Linux's"
)
def test_two_containers_with_one_host_name(tmp_path: Path) -> None:
    """Each process is the first of its own namespace, so that both have the id 1."""
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        apart = ["unshare", "--map-root-user", *apart[1:]]
        if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
            pytest.skip(
                "this machine makes no namespaces; the test with a pretended place holds the rule"
            )
    with holding(tmp_path, "x", *apart):
        code = "import sys; from htsweep.ledger import *; print(Lease(Store(sys.argv[1]), 'x').take() is None)"
        done = subprocess.run(
            [*apart, sys.executable, "-c", code, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == "False"
        assert Lease(Store(tmp_path), "x").holder() is not None


def test_one_that_cannot_be_read_counts_until_it_is_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "x")
    real = Store.read

    def refused(self: Store, name: str) -> bytes:
        if "theirs" in name:
            msg = f"{name} cannot be read: Permission denied"
            raise LedgerError(msg)
        return real(self, name)

    monkeypatch.setattr(Store, "read", refused)
    mine = Lease(Store(tmp_path), "x")
    holder = mine.take()
    assert holder is not None
    assert "belongs to another user" in holder["about"]
    silent(tmp_path, "x")
    assert mine.take() is None
    mine.release()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"since": "x"}', '{"since": 1, "pid": [1], "place": 3}', "\0", "{"]
)
def test_whatever_lies_there_counts_until_it_is_silent(tmp_path: Path, content: str) -> None:
    write(tmp_path, "x")
    (tmp_path / "leases" / "x" / "theirs.json").write_text(content)
    mine = Lease(Store(tmp_path), "x")
    assert mine.take() is not None
    silent(tmp_path, "x")
    assert mine.take() is None
    mine.release()


@pytest.mark.parametrize("hours", [-1.0, 1.0])
def test_clocks_that_differ_by_an_hour_make_nobody_dead(
    tmp_path: Path, elsewhere: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, hours: float
) -> None:
    """Some file systems take an object's time from the machine that writes it."""
    first = Lease(Store(tmp_path), "x")
    assert first.take() is None
    elsewhere()
    then = time.time() + hours * 3600
    os.utime(tmp_path / first.object, (then, then))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * hours * 3600)
    second = Lease(Store(tmp_path), "x")
    assert second.take() is not None
    assert second.holder(sure=True) is not None
    first.check()
    first.release()


def test_a_holder_elsewhere_is_watched_and_its_next_beat_shows_that_it_lives(
    tmp_path: Path, elsewhere: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.3)
    monkeypatch.setattr(lease, "STALE_SECONDS", 1.5)
    first = Lease(Store(tmp_path), "x")
    assert first.take() is None
    elsewhere()
    told: list[str] = []
    holder = Lease(Store(tmp_path), "x").take(told.append)
    assert holder is not None
    assert holder["pid"] == os.getpid()
    assert len(told) == 1
    assert "counts as dead after 1.5 s without a sign of life" in told[0]
    first.release()


def test_a_silent_holder_elsewhere_is_dead_after_a_while_by_ones_own_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.6)
    write(tmp_path, "x", place="boot pid:[1]")
    mine = Lease(Store(tmp_path), "x")
    assert mine.take() is not None
    began = time.monotonic()
    assert mine.take(lambda text: None) is None
    assert time.monotonic() - began >= 0.5
    assert mine.after_death
    mine.release()


def test_shared_ones_stand_beside_each_other_and_no_other_does(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first, second = Lease(store, "x", shared=True), Lease(store, "x", shared=True)
    assert first.take() is None
    assert second.take() is None
    holder = Lease(store, "x").take()
    assert holder is not None
    assert holder["shared"] is True
    first.release()
    second.release()
    alone = Lease(store, "x")
    assert alone.take() is None
    assert first.take() is not None
    alone.release()


def test_a_holder_whose_lease_is_gone_is_told_and_does_not_take_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 0.01)
    first, second = Lease(Store(tmp_path), "x"), Lease(Store(tmp_path), "x")
    assert first.take() is None
    first.check()
    shutil.rmtree(tmp_path / "leases")
    assert second.take() is None
    time.sleep(0.1)
    second.check()
    with pytest.raises(
        LedgerError, match=r"leases/x/\w+\.json is gone: another launch took this one for dead"
    ):
        first.check()
    first.release()
    second.release()


class holding:
    """Another process that holds a lease, ended with the block."""

    def __init__(self, folder: Path, name: str, *words: str) -> None:
        self._words = [*words, sys.executable, "-c", HOLD, str(folder), name]

    def __enter__(self) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "True\n"
        return self._process

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


def write(folder: Path, name: str, **about: Any) -> None:
    """A lease of somebody else's."""
    path = folder / "leases" / name / "theirs.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"host": "h", "pid": 1, "since": time.time() - 60, "about": "", **about})
    )


def silent(folder: Path, name: str) -> None:
    """Has the holder have said nothing for three hours, which no two clocks differ by."""
    then = time.time() - 3 * 3600
    os.utime(folder / "leases" / name / "theirs.json", (then, then))
