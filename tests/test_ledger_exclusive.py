"""Of many that create one object, one succeeds, in a folder and on an object store."""

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pyarrow.fs as fs
import pytest

from htsweep import remote
from htsweep.errors import LedgerError
from htsweep.ledger import Store, exclusive
from htsweep.ledger.exclusive import create, created


@pytest.fixture(params=["folder", "objects", "no links"])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Store]:
    """Makes a store of the kind, the same place each time."""
    if request.param == "objects":
        streams = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
        opened = SimpleNamespace(from_uri=lambda uri: (streams, "r"))
        monkeypatch.setattr(remote, "fs", SimpleNamespace(**{**vars(fs), "FileSystem": opened}))
        return lambda: Store("far://r")
    if request.param == "no links":

        def refused(source: object, target: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", refused)
    return lambda: Store(tmp_path / "r")


def test_of_many_at_once_one_succeeds_and_all_read_what_it_wrote(
    place: Callable[[], Store],
) -> None:
    def attempt(number: int) -> tuple[bool, bytes | None]:
        own = place()
        won = create(own, "leases/a/x.0", b"%d" % number)
        return won, created(own, "leases/a/x.0")

    assert created(place(), "leases/a/x.0") is None
    with ThreadPoolExecutor(4) as pool:
        tried = list(pool.map(attempt, range(4)))
    assert sum(won for won, _ in tried) == 1
    winner = next(b"%d" % number for number, (won, _) in enumerate(tried) if won)
    assert created(place(), "leases/a/x.0") == winner
    assert create(place(), "leases/a/x.0", b"late") is False
    assert created(place(), "leases/a/x.0") == winner


def test_an_answer_that_the_network_lost_is_no_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NFS repeats a call whose answer it did not get, and then hears that the file exists."""
    real = os.link

    def repeated(source: Path, target: Path) -> None:
        real(source, target)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))

    monkeypatch.setattr(os, "link", repeated)
    assert create(Store(tmp_path), "x.0", b"") is True


def test_one_that_was_killed_while_it_tried_does_not_block_the_others_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exclusive, "STALE_SECONDS", 0.5)
    streams = fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())
    opened = SimpleNamespace(from_uri=lambda uri: (streams, "r"))
    monkeypatch.setattr(remote, "fs", SimpleNamespace(**{**vars(fs), "FileSystem": opened}))
    far = Store("far://r")
    far.write("x.0/try-killed", b"")
    assert create(far, "x.0", b"mine") is True
    assert created(far, "x.0") == b"mine"


def test_a_folder_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text("a file")
    with pytest.raises(LedgerError, match=r"leases/x\.0 cannot be written"):
        create(Store(tmp_path), "leases/x.0", b"")
