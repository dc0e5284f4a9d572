"""A store in a folder and on other file systems."""

from pathlib import Path
from types import SimpleNamespace

import ledgered
import pyarrow.fs as fs
import pytest
from ledgered import record, rows

from htsweep.ledger import Lease, Ledger, Store, remote


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
