"""Whatever tasks yield, and whatever else lies in the results: every verb works, and gives back what was given.

The tasks' rows, and the objects beside the ledger's own, are drawn by Hypothesis; HTSWEEP_FUZZ=10
draws ten times as many."""

from __future__ import annotations

import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import htsweep
from htsweep import results
from htsweep.cli.status import status
from htsweep.launching import launch
from htsweep.ledger import Ledger, Record, Store, names, objects, tables
from htsweep.ledger.objects import KEYS
from htsweep.ledger.record import SCHEMA
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.results import Results
from htsweep.results.estimate import estimate
from htsweep.study.schema import Study

MORE = int(os.environ.get("HTSWEEP_FUZZ", "1"))
FUZZ = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
"""What fails is not made smaller, which would take minutes: rows and acts are few, and are printed.
"""


class Mute:
    """A value that says nothing of itself."""

    def __repr__(self) -> str:
        msg = "no"
        raise RuntimeError(msg)

    def __float__(self) -> float:
        msg = "no"
        raise RuntimeError(msg)


WORDS = [
    "test/seen_accuracy",
    "test/missing_accuracy",
    "validation/seen_accuracy",
    "validation/loss",
    "test/curve_seen",
    "test/curve_missing",
    "seconds",
    "epoch",
    "train/loss",
    "Train/loss",
    "score",
    "value",
    "self",
    "order",
    "mean",
    "low",
    "front",
    "pair",
    "a n",
    "a",
    'q"uote',
    "a.b",
    "a b",
    "x[]",
    "\u00e9",
    "e\u0301",
    "a\\b",
    "../up",
    "/",
    "%s",
    "{0}",
    "null",
]
KEPT = sorted({*names.RESERVED, *SCHEMA.names, "Status", "lr", "LR"})
NAMES = st.sampled_from(WORDS) | st.sampled_from(KEPT) | st.text(max_size=8)
NUMBERS = (
    st.floats()
    | st.integers()
    | st.integers(-(10**400), 10**400)
    | st.booleans()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.sampled_from(
        [np.float32(0.1), np.int64(3), np.bool_(True), np.array(0.5), np.float64("inf")]
    )
)
VALUES = (
    NUMBERS
    | st.lists(st.floats() | st.integers(), max_size=3)
    | st.lists(st.lists(st.floats(), max_size=2), max_size=2)
    | st.sampled_from(
        [
            None,
            "high",
            "0.5",
            b"1",
            1 + 2j,
            np.complex64(1j),
            np.ones(2),
            np.ones((1, 1)),
            {},
            set(),
            Mute(),
            pd.NA,
            pd.NaT,
            np.datetime64("2026-01-01"),
            [None],
            ["1"],
            (1, 2),
            range(2),
        ]
    )
)
STEPS = st.integers(0, 4) | st.sampled_from(
    [
        0.5,
        1.0,
        np.int32(2),
        np.float64(3.0),
        -1,
        2**63,
        10**30,
        True,
        "1",
        None,
        math.nan,
        math.inf,
        Decimal(2),
        Fraction(3, 2),
        Mute(),
    ]
)
ROWS = st.lists(
    st.builds(
        lambda step, row: {"step": step, **row}, STEPS, st.dictionaries(NAMES, VALUES, max_size=3)
    )
    | st.sampled_from(
        [
            3,
            None,
            {},
            {"a": 1.0},
            {"step": 0, 3: 1.0},
            {"step": 0, None: 1.0},
            {"step": 0, b"a": 1.0},
        ]
    ),
    max_size=5,
)
GOOD = st.lists(  # rows of which most are kept
    st.builds(
        lambda step, row: {"step": step, **row},
        st.integers(0, 5),
        st.dictionaries(
            st.sampled_from([*WORDS[:9], "curve"]),
            st.floats(0, 1) | st.lists(st.floats(0, 1), max_size=3),
            max_size=4,
        ),
    ),
    max_size=6,
).map(lambda rows: sorted(rows, key=lambda row: row["step"]))

# -- what tasks yield
# ----------------------------------------------------------------------------------------------------------


YIELDED: dict[tuple[str, int], Sequence[Any]] = {}
"""What the trials yield, by study and learning rate."""


def yielding(config: Mapping[str, Any], workspace: Any) -> Iterator[Any]:
    """A task."""
    yield from YIELDED[config["who"], config["lr"]]


def study(folder: Path, who: str, repetitions: int = 1) -> Study:
    path = folder / f"{who}.yaml"
    path.write_text(
        f"study: {who}\ntask: {__name__}:yielding\ngrid: {{lr: [1, 2]}}\nfixed: {{who: {who}}}\n"
        f"repetitions: {repetitions}\n"
    )
    return read(path)


def joined(rows: Sequence[Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """What rows say of each step."""
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        kept = found.setdefault(int(row["step"]), {})
        for name, value in row.items():
            if name != "step" and value is not None:
                kept[name] = (
                    [float(one) for one in value]
                    if isinstance(value, list | tuple) or np.ndim(value)
                    else float(value)
                )
    return found


def kept(study: Study, folder: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """What the ledger says of each step of each trial, by its learning rate."""
    frame = results.measurements(study, str(folder))
    found: dict[str, dict[int, dict[str, Any]]] = {}
    first = frame.columns.get_loc("step") + 1
    for row in frame.to_dict("records"):
        step = found.setdefault(row["lr"], {}).setdefault(row["step"], {})
        for name in frame.columns[first:]:
            value = row[name]
            if isinstance(value, np.ndarray):
                step[str(name)] = value.tolist()
            elif value is not None and not (isinstance(value, float) and math.isnan(value)):
                step[str(name)] = value
    return found


def plain(found: dict[int, dict[str, Any]]) -> str:
    """To compare: NaN equals itself, numbers that are not there are left out, lists are told from numbers by their name."""
    return repr(
        {
            step: {
                name: value
                for name, value in sorted(row.items(), key=str)
                if not (isinstance(value, float) and math.isnan(value))
            }
            for step, row in found.items()
        }
    )


@settings(FUZZ, max_examples=25 * MORE)
@given(rows=ROWS | GOOD, more=GOOD)
def test_what_a_task_yields_is_kept_as_it_was_or_fails_its_trial_and_no_other_study(
    tmp_path_factory: pytest.TempPathFactory, rows: list, more: list
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    YIELDED.update(
        {("odd", 1): rows, ("odd", 2): more, ("sound", 1): SOUND[1], ("sound", 2): SOUND[2]}
    )
    odd, sound = study(folder, "odd"), study(folder, "sound")
    launched(odd, folder / "r")
    launched(sound, folder / "r")
    assert {lr: plain(found) for lr, found in kept(sound, folder / "r").items()} == {
        lr: plain(joined(SOUND[lr])) for lr in (1, 2)
    }
    ends = results.trials(odd, str(folder / "r")).set_index("lr")
    there = results.measurements(odd, str(folder / "r"))
    assert sorted(ends.index) == [1, 2]
    for lr, given_rows in ((1, rows), (2, more)):
        # Of this trial alone: where the other one measured lists under the name of a number, both
        # have names of their own.
        mine = Ledger(Store(folder / "r"))
        table = mine.trials()
        trial = table.filter(pa.compute.equal(table.column("trial"), ends.loc[lr, "trial"]))
        found: dict[int, dict[str, Any]] = {}
        for row in mine.measurements(trials=trial).to_pylist():
            found[row["step"]] = {
                name: value for name, value in row.items() if name not in KEYS and value is not None
            }
        if ends.loc[lr, "status"] == "done":
            assert plain(found) == plain(joined(given_rows))
        else:
            assert ends.loc[lr, "reason"].isprintable()
            assert plain(found) in {
                plain(joined(given_rows[:count]))
                for count in range(len(given_rows) + 1)
                if all(_sound(row) for row in given_rows[:count])
            }
    assert len(there) == ends["steps"].sum()


def _sound(row: Any) -> bool:
    try:
        joined([row])
    except Exception:
        return False
    return True


SOUND = {
    1: [
        {"step": 0, "validation/accuracy": 0.25, "test/curve_seen": 0.5},
        {"step": 1, "validation/accuracy": 0.5},
    ],
    2: [
        {"step": 0, "validation/accuracy": 0.75, "test/curve_seen": 1.0},
        {"step": 1, "validation/accuracy": 0.125},
    ],
}


def launched(one: Study, place: Path) -> None:
    """Launches without a report, which takes longer than these trials."""
    with mock.patch("htsweep.launching.Report.make"):
        launch(one, str(place), on="inline", mirror=None)


@settings(FUZZ, max_examples=8 * MORE)
@given(rows=GOOD | ROWS, more=GOOD)
def test_every_verb_works_on_what_tasks_have_yielded(
    tmp_path_factory: pytest.TempPathFactory, rows: list, more: list
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    YIELDED.update(
        {("odd", 1): rows, ("odd", 2): more, ("sound", 1): SOUND[1], ("sound", 2): SOUND[2]}
    )
    for who in ("odd", "sound"):
        verbs(study(folder, who, repetitions=2), folder)


def verbs(one: Study, folder: Path) -> None:
    """Every verb on a study: launch with its report, plan, status, report, query, export, compare."""
    place = str(folder / "r")
    launch(one, place, on="inline", mirror=None)
    assert estimate(Results(one, place)).trials == 4
    assert status(Results(one, place)).left == 0
    assert build.tell(Results(one, place))
    assert set(htsweep.query(one, "SELECT lr FROM trials", place)["lr"]) == {1, 2}
    measured = htsweep.query(one, "SELECT * FROM measurements", place)
    assert len(measured) == len(results.measurements(one, place))
    htsweep.query(one, "SELECT * FROM points, chosen", place)
    build.export(Results(one, place), folder / "out", "parquet,csv,json")
    exported = pd.read_parquet(folder / "out" / "measurements.parquet")
    frame = results.measurements(one, place)
    assert exported.columns.tolist() == frame.columns.tolist()
    for row, again in zip(
        frame.to_dict("records"),
        json.loads((folder / "out" / "measurements.json").read_text()),
        strict=True,
    ):
        assert list(row) == list(again)
    read_back = (
        pd.read_csv(folder / "out" / "measurements.csv", keep_default_na=False)
        if len(frame.columns)
        else frame
    )
    assert len(read_back) == len(frame)
    launched(one, folder / "again")
    same = htsweep.compare(one, results=place, results_b=folder / "again")
    assert same.equal == same.matched == 4


# -- what else lies in the results
# -----------------------------------------------------------------------------------------------

KINDS = [
    pa.string(),
    pa.int64(),
    pa.float64(),
    pa.bool_(),
    pa.list_(pa.float64()),
    pa.list_(pa.string()),
    pa.null(),
    pa.binary(),
    pa.struct([("a", pa.int64())]),
    pa.dictionary(pa.int32(), pa.string()),
    pa.timestamp("ns"),
    pa.decimal128(10, 2),
    pa.int8(),
    pa.large_string(),
    pa.float32(),
    pa.list_(pa.int64(), 2),
    pa.map_(pa.string(), pa.int64()),
]
CELLS: dict[pa.DataType, list[Any]] = {
    pa.string(): ["a", "done", "{}", "t0", "", None],
    pa.int64(): [0, 1, -1, 2**62, None],
    pa.float64(): [0.5, math.nan, None],
    pa.bool_(): [True, None],
    pa.list_(pa.float64()): [[], [0.5], None],
    pa.list_(pa.string()): [["a"], None],
    pa.null(): [None],
    pa.binary(): [b"\xff", None],
    pa.struct([("a", pa.int64())]): [{"a": 1}, None],
    pa.dictionary(pa.int32(), pa.string()): ["a", None],
    pa.timestamp("ns"): [0, None],
    pa.decimal128(10, 2): [Decimal("0.25"), None],
    pa.int8(): [0, 1, None],
    pa.large_string(): ["a", None],
    pa.float32(): [0.5, None],
    pa.list_(pa.int64(), 2): [[1, 2], None],
    pa.map_(pa.string(), pa.int64()): [[("a", 1)], None],
}
COLUMNS = st.sampled_from([*SCHEMA.names, "step", "x", "x[]", "curve", "new column", ""])


@st.composite
def parquet(draw: st.DrawFn) -> bytes:
    """A Parquet file of any columns, some called like the ledger's."""
    count = draw(st.integers(0, 3))
    arrays, fields = [], []
    for name in draw(st.lists(COLUMNS, max_size=6)):
        own = name in SCHEMA.names and draw(st.booleans())
        kind = SCHEMA.field(name).type if own else draw(st.sampled_from(KINDS))
        cells = draw(st.lists(st.sampled_from(CELLS[kind]), min_size=count, max_size=count))
        array = pa.array([None] * count, kind) if kind == pa.null() else pa.array(cells, kind)
        arrays.append(array)
        fields.append(pa.field(name, kind))
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), sink)
    return sink.getvalue()


FOREIGN = parquet() | st.sampled_from(
    [b"", b"PAR1", b"PAR1PAR1", b"text\n", b"\x00" * 100, b"PAR1" + b"\xff" * 50 + b"PAR1"]
)
PLACES = st.sampled_from(
    [
        "trials/{}.parquet",
        "measurements/{}.parquet",
        "trials/all-{}.parquet",
        "measurements/all-{}.parquet",
        "trials/t0-{}.parquet",
        "trials/{}",
        "trials/{}.txt",
        "trials/{}.parquet/inside.parquet",
        "trials/.{}.parquet",
        "measurements/{}/x.parquet",
    ]
)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), GOOD),
        st.tuples(st.just("compact"), st.none()),
        st.tuples(st.just("foreign"), st.tuples(PLACES, FOREIGN)),
        st.tuples(st.just("copy"), st.integers(0, 9)),
        st.tuples(st.just("older"), GOOD),
        st.tuples(st.just("newer"), GOOD),
        st.tuples(st.just("torn"), st.tuples(GOOD, st.floats(0, 1))),
        st.tuples(st.just("broken"), GOOD),
    ),
    max_size=9,
)


@settings(FUZZ, max_examples=60 * MORE)
@given(ACTS)
def test_the_ledger_gives_back_what_it_was_given_whatever_lies_beside_it(
    tmp_path_factory: pytest.TempPathFactory, acts: list
) -> None:
    """Older versions lack columns, newer ones have more; files may be torn, copied, foreign, or folders."""
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger(Store(folder))
    whole: dict[str, list[dict[str, Any]]] = {}
    for number, (act, how) in enumerate(acts):
        trial = f"t{number}"
        if act == "append":
            whole[trial] = appended(ledger, trial, how)
        elif act == "compact":
            ledger.compact()
        elif act == "foreign":
            path = folder / how[0].format(number)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(how[1])
        elif act == "copy":
            there = sorted((folder / "trials").glob("t*.parquet"))
            if there and there[how % len(there)].is_file():
                copied = there[how % len(there)]
                (folder / "trials" / f"copy{number}.parquet").write_bytes(copied.read_bytes())
        elif act == "older":
            whole[trial] = appended(ledger, trial, how)
            rewritten(
                folder,
                trial,
                lambda table: table.drop_columns(
                    ["device", "attempt", "stages", "gpu", "dirty", "log"]
                ),
            )
        elif act == "newer":
            whole[trial] = appended(ledger, trial, how)
            rewritten(folder, trial, lambda table: table.append_column("next", pa.array([1.5])))
        elif act == "torn":
            appended(ledger, trial, how[0])
            [path] = (folder / "trials").glob(f"{trial}-*.parquet")
            data = path.read_bytes()
            path.write_bytes(data[: int(how[1] * (len(data) - 1))])
        elif act == "broken" and how:
            appended(ledger, trial, how)
            [path] = (folder / "measurements").glob(f"{trial}-*.parquet")
            path.write_bytes(b"broken")
        given_back(ledger, whole)
    objects._SAID.clear()
    tables._LATEST.clear()
    given_back(ledger, whole)
    ledger.compact()
    given_back(ledger, whole)
    list(ledger.fresh(set()))
    assert {path.name for path in (folder / "trials").rglob("*.txt")} == {
        f"{number}.txt"
        for number, (act, how) in enumerate(acts)
        if act == "foreign" and how[0].endswith("}.txt")
    }


def appended(ledger: Ledger, trial: str, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What one trial measured, as the ledger took it: numbers and lists of one name are both kept."""
    steps: dict[int, dict[str, Any]] = {row["step"]: {} for row in rows}
    for row in rows:
        steps[row["step"]].update(row)
    measured = list(steps.values())
    ledger.append(Record(trial, "trial", "done", "fuzz", "{}", 0, steps=len(measured)), measured)
    return measured


def rewritten(folder: Path, trial: str, change: Any) -> None:
    """Has another version have written a trial's end."""
    [path] = (folder / "trials").glob(f"{trial}-*.parquet")
    pq.write_table(change(pq.read_table(path)), path)


def given_back(ledger: Ledger, whole: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    table = ledger.trials()
    listed = table.column("trial").to_pylist()
    assert set(whole) <= set(listed)
    assert len(listed) == len(set(listed))
    for trial, rows in whole.items():
        mine = table.take([listed.index(trial)])
        assert (mine["attempt"][0].as_py(), mine["gpu"][0].as_py(), mine["stages"][0].as_py()) == (
            1,
            0.0,
            "{}",
        )
        found = ledger.measurements(trials=mine).to_pylist()
        expected = [
            {
                **{
                    f"{name}[]" if isinstance(value, list) and _mixed(name, rows) else name: value
                    for name, value in row.items()
                },
                "trial": trial,
            }
            for row in sorted(rows, key=lambda row: row["step"])
        ]
        assert [
            {name: value for name, value in row.items() if value is not None} for row in found
        ] == expected
        lists = ledger.measurements(trials=mine, kind="lists").to_pylist()
        assert [
            sorted(name for name, value in row.items() if value is not None) for row in lists
        ] == [
            sorted(
                ["trial", "step", *(name for name, value in row.items() if isinstance(value, list))]
            )
            for row in sorted(rows, key=lambda row: row["step"])
        ]


def _mixed(name: str, rows: Sequence[Mapping[str, Any]]) -> bool:
    return any(isinstance(row.get(name), float) for row in rows)
