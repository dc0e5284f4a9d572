"""A name is claimed by one launch at a time, and what a dead one claimed goes to one other."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from htsweep.ledger import Lease, Store, claims, lease
from htsweep.ledger.claims import Claims

CLAIM = """
import sys, time
from htsweep.ledger import Lease, Store
from htsweep.ledger.claims import Claims
store = Store(sys.argv[1])
own = Lease(store, "study-s", shared=True)
assert own.take() is None
print(Claims(store, own).take("t"), flush=True)
time.sleep(60)
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Claims]:
    yield from _claims(tmp_path)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Claims]:
    yield from _claims(tmp_path)


def _claims(folder: Path) -> Iterator[Claims]:
    held = Lease(Store(folder), "study-s", shared=True)
    assert held.take() is None
    yield Claims(Store(folder), held)
    held.release()


def test_a_name_is_claimed_once_until_it_is_freed(own: Claims, other: Claims) -> None:
    assert own.take("a") == 0
    assert own.take("a") == 0
    assert other.take("a") is None
    assert other.take("b") == 0
    assert own.take("b") is None
    own.release(done=set())
    assert other.take("a") == 2  # after the claim, and the note that it is free
    assert own.take("a") is None


def test_what_is_done_is_not_freed(own: Claims, other: Claims) -> None:
    """Its record may be listed late, so that the other must not believe that it can run it."""
    own.take("a")
    own.release(done={"a"})
    assert other.take("a") is None


def test_what_a_killed_launch_claimed_goes_to_one_other_once_its_workers_are_gone(
    tmp_path: Path, own: Claims, other: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIM, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    assert own.take("t") is None
    process.kill()
    process.communicate()
    monkeypatch.setattr(claims, "ORPHAN_SECONDS", 3600.0)
    own._judged.clear()
    assert own.take("t") is None
    monkeypatch.setattr(claims, "ORPHAN_SECONDS", 0.0)
    own._judged.clear()
    with ThreadPoolExecutor(2) as pool:
        taken = list(pool.map(lambda claims: claims.take("t"), [own, other]))
    assert sorted(taken, key=str) == [1, None]
    other._own.release()
    own.clear()  # the last one removes what the dead have left, too
    left = [path.name for path in (tmp_path / "leases").rglob("*") if path.is_file()]
    assert left == [Path(own._own.object).name]


def test_a_launch_elsewhere_is_dead_when_it_was_seen_to_do_nothing_for_a_while(
    tmp_path: Path, own: Claims, other: Claims, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before, whatever the times of its objects say."""
    assert other.take("a") == 0
    monkeypatch.setattr(lease, "_place", lambda: "another kernel")
    then = 1_000_000_000.0
    os.utime(tmp_path / other._own.object, (then, then))
    assert own.take("a") is None
    monkeypatch.setattr(lease, "STALE_SECONDS", 0.0)
    own._judged.clear()
    assert own.take("a") == 1


def test_values_are_those_of_the_first(own: Claims, other: Claims) -> None:
    assert own.agreed("s.0") is None
    assert own.agree("s.0", {"x": 0.1 + 0.2}) == {"x": 0.1 + 0.2}
    assert other.agree("s.0", {"x": 1}) == {"x": 0.1 + 0.2}
    assert other.agreed("s.0") == {"x": 0.1 + 0.2}


def test_the_last_launch_removes_what_claims_have_left(
    tmp_path: Path, own: Claims, other: Claims
) -> None:
    own.take("a")
    own.agree("s.0", {})
    own.clear()
    assert (tmp_path / "leases" / "claims" / "a.0").exists()
    other._own.release()
    own.clear()
    assert [path.name for path in (tmp_path / "leases").iterdir()] == ["study-s"]
