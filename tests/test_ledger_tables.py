"""The ledger returns what it was given, whatever dies in between."""

from pathlib import Path

import ledgered
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledgered import record, rows

from htsweep.errors import LedgerError
from htsweep.ledger import Ledger, Store, tables


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return ledgered.ledger(tmp_path)


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


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    return ledgered.filled(ledger)


def test_what_other_trials_measured_is_no_column(filled: Ledger) -> None:
    filled.append(record("other", steps=1), [{"step": 0, "y": 1.0}])
    filled.compact()
    table = filled.trials()
    mine = table.filter(pc.equal(table.column("trial"), "t0"))
    assert filled.measurements(trials=mine).column_names == ["trial", "step", "x"]


def test_columns_are_read_alone(filled: Ledger) -> None:
    assert filled.measurements(["x", "absent"]).column_names == ["trial", "step", "x"]
