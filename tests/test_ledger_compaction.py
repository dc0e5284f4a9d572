"""Small objects become few, and no trial is lost while they do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import ledgered
import pyarrow.parquet as pq
import pytest
from ledgered import record, rows

from htsweep.ledger import Ledger, Record, Store, compaction, objects, tables
from htsweep.ledger.compaction import Part, grouped


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledgered.ledger(tmp_path)


class Died(Exception):
    pass


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    return ledgered.filled(ledger)


@pytest.mark.parametrize("operation", range(14))
def test_compaction_may_die_at_any_operation(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch, operation: int
) -> None:
    before, left = rows(filled), operation

    def dying(name: str) -> object:
        real = getattr(Store, name)

        def call(self: Store, target: str, *rest: bytes) -> None:
            nonlocal left
            if "leases/" not in target:
                if left == 0:
                    if rest:  # dies half way through the bytes
                        real(self, target, rest[0][: len(rest[0]) // 2])
                    raise Died
                left -= 1
            real(self, target, *rest)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", dying("write"))
        patch.setattr(Store, "delete", dying("delete"))
        try:
            filled.compact()
        except Died:
            pass
        else:
            assert operation >= 12, "5 trials compact in 2 writes and 10 deletions"
    assert rows(filled) == before
    filled.append(record("late", steps=1), [{"step": 0, "x": 9.0}])
    filled.compact()
    filled.compact()
    assert rows(filled) == {**before, "late": [{"step": 0, "x": 9.0}]}
    # An object that was left half written is none of the ledger's, and stays.
    assert len([name for name in filled.records() if objects.ends(filled.store, name)]) == 1


def test_compaction_keeps_the_ledger_small(filled: Ledger) -> None:
    assert filled.compact() == 5
    assert len(filled.store.list("trials")) == len(filled.store.list("measurements")) == 1
    assert filled.compact() == 0


def test_a_compaction_under_the_reading_hides_nothing(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another launch compacts between the listing and the reading."""
    other, real, left = Ledger(filled.store), objects.ends, [1]
    before = rows(other)

    def slow(store: Store, name: str, *gone: set[str]) -> object:
        if left:
            left.pop()
            other.compact()
        return real(store, name, *gone)

    tables._LATEST.clear()
    monkeypatch.setattr(objects, "ends", slow)
    assert filled.trials().num_rows == 5
    assert rows(filled) == before


def part(name: str, columns: str, rows: int) -> Part:
    return Part((name,), frozenset(columns), rows, rows * len(columns))


def test_what_is_alike_becomes_one_object_and_wide_tables_stay_apart() -> None:
    few = [part("a", "xy", 10), part("b", "xy", 5), part("c", "z", 3), part("d", "", 0)]
    assert [sorted(group.names) for group in grouped(few)] == [["a", "b", "c", "d"]]
    many = 10**7
    apart = [
        part("a", "ab", many),
        part("b", "ab", many),
        part("c", "cd", many),
        part("d", "ef", many),
        part("e", "g", 3),
    ]
    groups = grouped(apart)
    # Of a, b, c and d together two cells in three would be empty.
    assert [sorted(group.names) for group in groups] == [["a", "b", "c"], ["d", "e"]]
    assert [(group.rows, len(group.columns)) for group in groups] == [(3 * many, 4), (many + 3, 3)]


def test_trials_that_each_measure_their_own_names_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "SMALL", 1000)
    ledger = Ledger(Store(tmp_path))
    for trial in range(20):
        ledger.append(
            Record(f"t{trial:02}", "trial", "done", "toy", "{}", 0, steps=1),
            [{"step": 0, **{f"image {trial} {index}": 1.0 for index in range(100)}}],
        )
    before = ledger.measurements().to_pylist()
    ledger.compact()
    sizes = [pq.read_metadata(path) for path in (tmp_path / "measurements").iterdir()]
    assert 1 < len(sizes) < 20
    assert all(size.num_rows * size.num_columns <= 1000 for size in sizes), (
        "10 rows of 1,000 columns each would be 10,000"
    )
    assert ledger.compact() == 0
    assert ledger.measurements().to_pylist() == before


def test_unfinished_files_of_killed_writers_are_removed_after_a_day(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = filled.store.folder
    assert root is not None

    def killed(partial: Path, target: object) -> None:
        raise KeyboardInterrupt

    for name in ("artifacts/t1/0123-model", "leases/study-s/1.json"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed)
            patch.setattr(Path, "unlink", lambda path: None)  # a killed process tidies nothing
            with pytest.raises(KeyboardInterrupt):
                filled.store.write(name, b"half of a model")
    old, young = sorted(root.rglob("*.part"))
    kept = root / "artifacts" / "t1" / "0123-finished.part"
    kept.write_bytes(b"a task's own file")
    for path, days in ((old, 1.1), (young, 0.9), (kept, 2)):
        then = time.time() - days * 86_400
        os.utime(path, (then, then))
    before = rows(filled)
    filled.compact()
    assert sorted(root.rglob("*.part")) == [kept, young]
    assert rows(filled) == before


@pytest.mark.parametrize("merged", [True, False])
def test_what_is_new_is_read_in_parts_and_again_after_an_error(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch, merged: bool
) -> None:
    """A follower that stops in between gets the rest later, and nothing twice."""
    whole = sorted((row["record"], measured) for row, measured in filled.fresh(set()))
    assert len(whole) > 4
    monkeypatch.setattr(tables, "AT_ONCE", 2)
    if merged:
        filled.compact()
        assert len(filled.records()) == 1
    seen: set[str] = set()
    coming = filled.fresh(seen)
    got = [next(coming) for _ in range(3)]
    coming.close()
    got += filled.fresh(seen)
    assert sorted((row["record"], measured) for row, measured in got) == whole
    assert list(filled.fresh(seen)) == []
    assert filled.records() <= seen


def test_what_is_merged_is_read_from_there_and_removed_later(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, single, read = rows(filled), filled.records(), []
    assert filled.merge() == 5
    whole = Store.read
    monkeypatch.setattr(Store, "read", lambda self, name: read.append(name) or whole(self, name))
    assert rows(filled) == before
    assert not [name for name in read if any(one in name for one in single)]
    assert len(list(filled.fresh(set()))) == 5
    [merged] = filled.records() - single
    filled.append(record("t9"), [])
    assert filled.compact() == 7  # the five, and what was merged with the new one
    assert len(filled.records()) == 1
    assert merged not in filled.records()
    assert rows(filled) == before


def test_who_read_before_another_s_merge_loses_nothing(tmp_path: Path, filled: Ledger) -> None:
    before = rows(filled)
    stale = tables._LATEST[filled.store.uri]
    for also in (None, record("t9")):
        if also is not None:
            filled.append(also, [])
        filled.merge()
        tables._LATEST[filled.store.uri] = stale
        filled.compact()
        stale = tables._LATEST[filled.store.uri]
        assert rows(filled) == before
        filled.compact()
        assert rows(filled) == before
    assert len(filled.records()) == 1


def test_a_damaged_merge_keeps_the_objects_that_it_was_made_of(filled: Ledger) -> None:
    before = rows(filled)
    filled.merge()
    [path] = (Path(filled.store.uri) / "measurements").glob("all-*")
    path.write_bytes(b"broken")
    filled.compact()
    tables._LATEST.clear()
    assert rows(filled) == before
