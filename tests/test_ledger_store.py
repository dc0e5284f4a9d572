"""A store in a folder and on other file systems."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ledgered
import pyarrow.fs as fs
import pytest
from ledgered import record, rows

from htsweep import remote
from htsweep.errors import LedgerError
from htsweep.ledger import Lease, Ledger, Store, passing, store, tables


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledgered.ledger(tmp_path)


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    return ledgered.filled(ledger)


def test_a_store_that_is_no_local_folder(
    filled: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of an object store: only streams and listings."""
    streams = fs.SubTreeFileSystem(str(tmp_path.parent), fs.LocalFileSystem())
    opened = SimpleNamespace(from_uri=lambda uri: (streams, tmp_path.name))
    monkeypatch.setattr(remote, "fs", SimpleNamespace(**{**vars(fs), "FileSystem": opened}))
    far = Ledger(Store(f"far://{tmp_path.name}"))
    assert far.store.folder is None
    assert [entry[:2] for entry in far.store.list("trials")] == [
        entry[:2] for entry in filled.store.list("trials")
    ]
    lease, second = Lease(far.store, "x"), Lease(far.store, "x")
    assert lease.take() is None
    assert second.take() is not None
    lease.release()
    far.append(record("far", steps=1), [{"step": 0, "x": 1.0}])
    assert rows(far) == rows(filled)
    far.compact()
    assert rows(far) == rows(filled)


def test_a_folder_is_deleted_with_what_killed_writers_left_in_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write("states/a/1", b"state")
    store.write("states/b/1", b"another's")
    (tmp_path / "states" / "a" / ".0f.part").write_bytes(b"half")
    store.delete_all("states/a")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["1"]
    store.delete_all("states/a")  # that it is gone is no error


@pytest.mark.parametrize("number", passing.PASSING)
def test_a_network_file_system_that_forgets_a_handle_is_asked_again(
    filled: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """What NFS says of a file that another machine has just replaced, at every second call."""
    before, failed = rows(filled), [0]

    def unsteady(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **more: Any) -> Any:
            failed[0] += 1
            if failed[0] % 2:
                raise OSError(number, os.strerror(number), "x")
            return real(*given, **more)

        return call

    monkeypatch.setattr(passing, "PAUSES", (0.0,) * 5)
    monkeypatch.setattr(Path, "read_bytes", unsteady(Path.read_bytes))
    monkeypatch.setattr(Path, "replace", unsteady(Path.replace))
    monkeypatch.setattr(store, "_walk", unsteady(store._walk))
    again = Ledger(Store(tmp_path))
    tables._LATEST.clear()
    assert rows(again) == before
    again.append(record("more", steps=1), [{"step": 0, "x": 1.0}])
    assert again.compact() > 0
    assert rows(again) == {**before, "more": [{"step": 0, "x": 1.0}]}
    assert failed[0] > 10
    assert not list(tmp_path.rglob("*.part"))


def test_a_mounted_bucket_that_cannot_rename_takes_whole_objects(
    filled: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows(filled)

    def refused(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(Path, "replace", refused)
    monkeypatch.setattr(os, "fsync", refused)
    filled.append(record("more", steps=1), [{"step": 0, "x": 1.0}])
    filled.store.write("leases/x/a.json", b"first")
    filled.store.write("leases/x/a.json", b"second")
    assert filled.store.read("leases/x/a.json") == b"second"
    assert rows(filled) == {**before, "more": [{"step": 0, "x": 1.0}]}
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("read_before", [False, True])
def test_listings_that_lag_behind_lose_nothing_and_count_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_before: bool
) -> None:
    """Of a folder that another machine writes to and compacts, an NFS client sees an older state for some seconds."""
    monkeypatch.setattr(tables, "LAGS", (0.0,) * 6)
    here, elsewhere = Ledger(Store(tmp_path)), Ledger(Store(tmp_path))
    for index in range(4):
        elsewhere.append(record(f"t{index}", steps=1), [{"step": 0, "x": float(index)}])
    tables._LATEST.clear()
    if read_before:
        assert here.trials().num_rows == 4
    real, lagging = store._walk, store._walk(str(tmp_path / "trials"), "trials")
    latest = dict(tables._LATEST)
    assert elsewhere.compact() == 4
    elsewhere.append(record("t4", steps=1), [{"step": 0, "x": 4.0}])
    # What this process has read, not the other one.
    tables._LATEST.clear()
    tables._LATEST.update(latest)
    asked = [0]

    def listed(folder: str, prefix: str) -> list[store.Entry]:
        asked[0] += 1
        return lagging if asked[0] <= 3 and prefix == "trials" else real(folder, prefix)

    monkeypatch.setattr(store, "_walk", listed)
    assert here.measurements()["x"].to_pylist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_listing_that_never_catches_up_is_an_error(
    filled: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "LAGS", (0.0, 0.0))
    lagging = store._walk(str(tmp_path / "trials"), "trials")
    filled.compact()
    monkeypatch.setattr(store, "_walk", lambda folder, prefix: lagging)
    tables._LATEST.clear()
    with pytest.raises(LedgerError, match=r"trials lists 5 objects that do not exist \(t0-"):
        filled.measurements()
