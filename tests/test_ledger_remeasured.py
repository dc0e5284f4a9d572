"""What is measured later is joined to what a record measured: the last of it counts, and nothing else moves."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep.errors import LedgerError
from htsweep.ledger import Ledger, Record, Store, remeasured

NUMBER = st.floats(allow_nan=False)
ADDED = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.sampled_from(["x", "y", "own"]), NUMBER),
    max_size=12,
)


def record(trial, steps, **more):
    return Record(trial, "trial", "done", "toy", "{}", 0, steps=steps, **more)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@settings(max_examples=40)
@given(ADDED, st.booleans(), st.booleans())
def test_the_last_number_counts_whatever_is_merged(tmp_path_factory, added, compact, merge):
    store = Store(tmp_path_factory.mktemp("ledger"))
    ledger = Ledger(store)
    names = {}
    expected = {}
    for trial in "ab":
        rows = [{"step": step, "own": float(step), "curve": [1.0, step]} for step in range(3)]
        names[trial] = ledger.append(record(trial, 3), rows)
        expected |= {(trial, row["step"]): {"own": row["own"]} for row in rows}
    for trial, step, column, value in added:
        remeasured.add(
            store, [{"record": names[trial], "trial": trial, "step": step, column: value}]
        )
        expected[trial, step][column] = value
    if compact:
        ledger.compact()
    if merge:
        remeasured.merge(store)
    measured = ledger.measurements().to_pylist()
    assert [(row["trial"], row["step"]) for row in measured] == list(expected)
    for row in measured:
        numbers = {
            name: value
            for name, value in row.items()
            if name in ("own", "x", "y") and value is not None
        }
        assert numbers == expected[row["trial"], row["step"]]
        assert row["curve"] == [1.0, row["step"]]
    assert ledger.measurements(kind="lists").column_names == ["trial", "step", "curve"]
    assert set(ledger.measurements(["x"]).column_names) <= {"trial", "step", "x"}
    fresh = {
        (row["trial"], step["step"]): {key: step[key] for key in step if key in ("own", "x", "y")}
        for row, steps in ledger.fresh(set())
        for step in steps
    }
    assert fresh == expected
    assert len(list(store.list(remeasured.FOLDER))) <= (remeasured.MANY if merge else len(added))


def test_what_was_measured_of_an_earlier_end_is_not_that_of_a_later_one(store):
    ledger = Ledger(store)
    first = ledger.append(record("a", 1, attempt=1), [{"step": 0, "own": 1.0}])
    remeasured.add(store, [{"record": first, "trial": "a", "step": 0, "x": 5.0}])
    assert ledger.measurements().to_pylist() == [{"trial": "a", "step": 0, "own": 1.0, "x": 5.0}]
    for name in (f"trials/{first}.parquet", f"measurements/{first}.parquet"):
        store.delete(name)
    ledger.append(record("a", 1, attempt=2), [{"step": 0, "own": 2.0}])
    assert Ledger(store).measurements().to_pylist() == [{"trial": "a", "step": 0, "own": 2.0}]


def test_the_digest_of_a_record_changes_with_what_is_added(store):
    ledger = Ledger(store)
    names = [ledger.append(record(trial, 1), [{"step": 0, "own": 1.0}]) for trial in "ab"]
    assert ledger.later() == {}
    seen = []
    for value in (1.0, 2.0):
        remeasured.add(store, [{"record": names[0], "trial": "a", "step": 0, "x": value}])
        seen.append(ledger.later()[names[0]])
    assert len(set(seen)) == 2
    assert names[1] not in ledger.later()
    later = {row["trial"]: row["later"] for row, _ in ledger.fresh(set())}
    assert later == {"a": seen[1], "b": ""}


def test_a_merge_that_dies_before_it_deletes_loses_and_changes_nothing(store, monkeypatch):
    ledger = Ledger(store)
    name = ledger.append(record("a", 1), [{"step": 0, "own": 1.0}])
    for value in range(12):
        remeasured.add(store, [{"record": name, "trial": "a", "step": 0, f"c{value % 4}": value}])
    before = ledger.measurements().to_pylist()

    def dies(self, name):
        raise LedgerError("the power is gone")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "delete", dies)
        with pytest.raises(LedgerError):
            remeasured.merge(store)
    assert ledger.measurements().to_pylist() == before
    assert remeasured.merge(store) >= 12
    assert ledger.measurements().to_pylist() == before
    remeasured.add(store, [{"record": name, "trial": "a", "step": 0, "c0": -1.0}])
    assert ledger.measurements().to_pylist()[0]["c0"] == -1.0


def test_what_is_no_such_object_is_set_aside(store, tmp_path):
    ledger = Ledger(store)
    name = ledger.append(record("a", 1), [{"step": 0, "own": 1.0}])
    remeasured.add(store, [{"record": name, "trial": "a", "step": 0, "x": 1.0}])
    for other in ("all-1-x.parquet", "all-2-y.parquet", "notes.txt"):
        (tmp_path / "remeasured" / other).write_bytes(b"no parquet")
    assert ledger.measurements().to_pylist() == [{"trial": "a", "step": 0, "own": 1.0, "x": 1.0}]


def test_the_order_of_rows_stays(store):
    table = pa.table({"record": ["r2", "r1", "r2"], "trial": ["b", "a", "b"], "step": [5, 0, 1]})
    remeasured.add(
        store,
        [
            {"record": "r1", "trial": "a", "step": 0, "x": 1.0},
            {"record": "r2", "trial": "b", "step": 1, "x": 2.0},
            {"record": "r3", "trial": "c", "step": 1, "x": 3.0},
        ],
    )
    found = remeasured.joined(store, table)
    assert found.column("x").to_pylist() == [None, 1.0, 2.0]
    assert found.select(table.column_names).equals(table)
