"""The ledger returns what it was given, whatever dies in between."""

from pathlib import Path
from types import SimpleNamespace

import pyarrow.compute as pc
import pyarrow.fs as fs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep.errors import LedgerError
from htsweep.ledger import Lease, Ledger, Record, Store, objects, store, tables


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Store(tmp_path))


def record(
    trial: str, status: str = "done", attempt: int = 1, steps: int = 0, **more: object
) -> Record:
    return Record(trial, "trial", status, "toy", "{}", 0, attempt=attempt, steps=steps, **more)  # type: ignore[arg-type]


def rows(ledger: Ledger) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = {}
    for row in ledger.measurements().to_pylist():
        found.setdefault(str(row.pop("trial")), []).append(
            {key: value for key, value in row.items() if value is not None}
        )
    return found


NUMBERS = st.floats(allow_nan=False)
ROW = st.dictionaries(st.sampled_from(["test/a", "b", "validation/c"]), NUMBERS)
CURVES = st.dictionaries(st.just("curve"), st.lists(NUMBERS, max_size=4))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.tuples(ROW, CURVES), max_size=3), min_size=1, max_size=6),
    st.integers(0, 6),
)
def test_it_returns_what_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, trials: list, compact_after: int
) -> None:
    ledger = Ledger(Store(tmp_path_factory.mktemp("ledger")))
    given_rows = {}
    for index, measured in enumerate(trials):
        steps = [{"step": step, **row, **curve} for step, (row, curve) in enumerate(measured)]
        ledger.append(record(f"t{index}", steps=len(steps)), steps)
        if steps:
            given_rows[f"t{index}"] = steps
        if index == compact_after:
            ledger.compact()
    assert rows(ledger) == given_rows
    ledger.compact()
    assert rows(ledger) == given_rows
    assert ledger.trials().num_rows == len(trials)


def test_the_end_that_counts_is_the_best_and_then_the_last(ledger: Ledger) -> None:
    ledger.append(record("a", "failed", 1), [])
    ledger.append(record("a", "done", 2, 1), [{"step": 0, "x": 2.0}])
    ledger.append(record("a", "failed", 3), [])
    ledger.append(record("b", "failed", 1), [])
    ledger.append(record("b", "failed", 2, reason="again"), [])
    found = {row["trial"]: row for row in ledger.trials().to_pylist()}
    assert (found["a"]["status"], found["a"]["attempt"]) == ("done", 2)
    assert (found["b"]["attempt"], found["b"]["reason"]) == (2, "again")
    assert ledger.trials(every=True).num_rows == 5
    assert rows(ledger) == {"a": [{"step": 0, "x": 2.0}]}


def test_the_same_record_twice_is_one(ledger: Ledger) -> None:
    one = record("a", steps=1)
    assert ledger.append(one, [{"step": 0, "x": 1.0}]) == ledger.append(
        one, [{"step": 0, "x": 1.0}]
    )
    assert ledger.trials(every=True).num_rows == 1


def test_measurements_without_their_trial_do_not_count(ledger: Ledger) -> None:
    """A worker that dies between its two objects."""
    name = ledger.append(record("a", steps=1), [{"step": 0, "x": 1.0}])
    ledger.store.delete(f"trials/{name}.parquet")
    assert ledger.trials().num_rows == 0
    assert rows(ledger) == {}


def test_an_object_that_was_half_written_does_not_count(ledger: Ledger) -> None:
    name = ledger.append(record("a", steps=1), [{"step": 0, "x": 1.0}])
    ledger.append(record("b"), [])
    data = ledger.store.read(f"trials/{name}.parquet")
    ledger.store.write(f"trials/{name}.parquet", data[: len(data) // 2])
    assert ledger.trials(["trial"]).to_pylist() == [{"trial": "b"}]


def test_lost_measurements_are_an_error_not_a_gap(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = ledger.append(record("a", steps=1), [{"step": 0, "x": 1.0}])
    ledger.store.delete(f"measurements/{name}.parquet")
    monkeypatch.setattr(tables.time, "sleep", lambda seconds: None)
    with pytest.raises(LedgerError, match="only some"):
        ledger.measurements()


class Died(Exception):
    pass


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    for index in range(5):
        ledger.append(
            record(f"t{index}", steps=2),
            [{"step": step, "x": float(index + step)} for step in range(2)],
        )
    return ledger


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


def test_what_other_trials_measured_is_no_column(filled: Ledger) -> None:
    filled.append(record("other", steps=1), [{"step": 0, "y": 1.0}])
    filled.compact()
    table = filled.trials()
    mine = table.filter(pc.equal(table.column("trial"), "t0"))
    assert filled.measurements(trials=mine).column_names == ["trial", "step", "x"]


def test_a_compaction_under_the_reading_hides_nothing(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another launch compacts between the listing and the reading."""
    other, real, left = Ledger(filled.store), objects.ends, [1]
    before = rows(other)

    def slow(store: Store, name: str) -> object:
        if left:
            left.pop()
            other.compact()
        return real(store, name)

    tables._LATEST.clear()
    monkeypatch.setattr(objects, "ends", slow)
    assert filled.trials().num_rows == 5
    assert rows(filled) == before


def test_columns_are_read_alone(filled: Ledger) -> None:
    assert filled.measurements(["x", "absent"]).column_names == ["trial", "step", "x"]


def test_a_store_that_is_no_local_folder(
    filled: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of an object store: only streams and listings."""
    streams = fs.SubTreeFileSystem(str(tmp_path.parent), fs.LocalFileSystem())
    opened = SimpleNamespace(from_uri=lambda uri: (streams, tmp_path.name))
    monkeypatch.setattr(store, "fs", SimpleNamespace(**{**vars(fs), "FileSystem": opened}))
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
