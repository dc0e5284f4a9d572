"""Objects of earlier versions, of later ones, and of nobody: read as far as they are the ledger's, and never lost."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import htsweep
from htsweep import results
from htsweep.errors import LedgerError
from htsweep.launching import launch
from htsweep.ledger import Ledger, Record, Store, objects, tables
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.results import Results
from htsweep.results.estimate import estimate
from htsweep.results.tables import keys
from htsweep.study.schema import Study

OLDER = Path(__file__).parent / "golden" / "older"
"""What an earlier version left of tasks that measured what it should have refused (older_task.py).
"""


@pytest.fixture(autouse=True)
def nothing_said_yet() -> None:
    objects._SAID.clear()
    tables._LATEST.clear()


@pytest.fixture
def older(tmp_path: Path) -> Callable[..., Study]:
    """A study of tests/golden/older, whose results lie in tmp_path / "r"."""
    shutil.copytree(OLDER / "results", tmp_path / "r")
    shutil.copy(OLDER / "older_task.py", tmp_path)

    def of(name: str, values: str = "[1]") -> Study:
        own = name in ("other", "lists", "numbers", "odd")
        text = (
            f"study: s_{name}\ntask: older_task:{name if own else 'named'}\ngrid: {{x: {values}}}\n"
        )
        path = tmp_path / f"{name}.yaml"
        path.write_text(text + ("" if own else f"fixed: {{name: {name}}}\n"))
        return read(path)

    return of


def measured(study: Study, folder: Path) -> list[dict[str, Any]]:
    """What is measured beside the step, row by row."""
    rows = results.measurements(study, str(folder)).to_dict("records")
    return [
        {
            name: getattr(value, "tolist", lambda value=value: value)()
            for name, value in list(row.items())[len(keys(["x"])) :]
        }
        for row in rows
    ]


KEPT: dict[str, list[dict[str, Any]]] = {
    "other": [{"step": 0, "validation/accuracy": 0.25}, {"step": 1, "validation/accuracy": 0.5}],
    "lists": [{"step": 0, "validation/accuracy": 0.5, "per_class": [0.1, 0.9]}],
    "numbers": [{"step": 0, "validation/accuracy": 0.5, "per_class": 0.5}],
    **{
        name: [{"step": 0, "validation/accuracy": 0.5}]
        for name in ("record", "trial", "status", "sweep", "x")
    },
    "odd": [
        {
            "step": 0,
            "validation/accuracy": 0.5,
            "": 1.0,
            "a\nb": 2.0,
            'q"uote': 3.0,
            "Loss": 4.0,
            "loss": 5.0,
            "a.b/c d": 6.0,
            "é": 7.0,
            "self": 9.0,
        }
    ],
}
ASIDE = {
    "record": "the column 'record' in {}/measurements/{}.parquet is set aside: the ledger itself has a column of that name",
    "trial": "the column 'trial' in {}/measurements/{}.parquet is set aside: the ledger itself has a column of that name",
    "odd": "the column 'x[]' in {}/measurements/{}.parquet is set aside: names that end in [] are of lists",
    "status": "the measurement 'status' of study 's_status' is set aside: the study's tables have a column of that name",
    "sweep": "the measurement 'sweep' of study 's_sweep' is set aside: the study's tables have a column of that name",
    "x": "the measurement 'x' of study 's_x' is set aside: the study's tables have a column of that name",
}


@pytest.mark.parametrize("name", KEPT)
def test_what_an_earlier_version_kept_opens_and_says_what_is_set_aside(
    older: Callable[..., Study], tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    study, place = older(name), tmp_path / "r"
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert measured(study, place) == KEPT[name]
    [trial] = results.trials(study, str(place))["trial"]
    record = Ledger(Store(place)).trials().to_pandas().set_index("trial").loc[trial, "record"]
    assert [entry.getMessage() for entry in caplog.records] == (
        [ASIDE[name].format(place, record)] if name in ASIDE else []
    )
    assert estimate(Results(study, str(place))).trials_done == 1
    assert build.tell(Results(study, str(place)))
    assert htsweep.query(study, "SELECT count(*) AS n FROM measurements", str(place))[
        "n"
    ].tolist() == [len(KEPT[name])]


def test_every_study_can_be_launched_on_it_and_nothing_is_lost(
    older: Callable[..., Study], tmp_path: Path
) -> None:
    """Compaction merges what it can; what holds more than it understands stays as it is."""
    before = {
        path.relative_to(tmp_path): path.read_bytes()
        for path in (tmp_path / "r" / "measurements").iterdir()
    }
    done = launch(older("other", "[1, 2]"), str(tmp_path / "r"), on="inline", mirror=None)
    assert (done.agenda.reused, done.agenda.done["trial done"]) == (1, 1)
    for name in KEPT:
        assert measured(older(name), tmp_path / "r") == KEPT[name]
    left = {
        path.relative_to(tmp_path): path.read_bytes()
        for path in (tmp_path / "r" / "measurements").glob("[!a]*")
    }
    assert len(left) == 3  # of record, trial and odd
    assert left.items() <= before.items()
    assert Ledger(Store(tmp_path / "r")).compact() == 0


@pytest.mark.parametrize("name", ["record", "trial"])
def test_what_an_earlier_version_has_merged_opens_too(
    older: Callable[..., Study], tmp_path: Path, name: str
) -> None:
    study = older(name, "[1, 2]")
    assert measured(study, OLDER / f"merged_{name}") == KEPT[name] * 2
    assert build.tell(Results(study, str(OLDER / f"merged_{name}")))


# -- other objects
# ---------------------------------------------------------------------------------------------------------------


def ends(folder: Path, name: str = "t1", **columns: Any) -> None:
    """An object of `trials` with these columns in place of its own; None: without it."""
    record = Record("t1", "trial", "done", "toy", "{}", 0)
    own = {
        **{field: [getattr(record, field)] for field in Record.__dataclass_fields__},
        "record": ["t1-0"],
        **columns,
    }
    (folder / "trials").mkdir(exist_ok=True)
    table = pa.table({field: value for field, value in own.items() if value is not None})
    pq.write_table(table, folder / "trials" / f"{name}.parquet")


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"trial": None}, "it has no column 'trial', so that it holds no trials"),
        ({"record": [None]}, "a row has no 'record'"),
        ({"record": pa.array([None], pa.string())}, "a row has no 'record'"),
        ({"status": None}, "it has no column 'status'"),
        ({"steps": ["many"]}, "its column 'steps' holds string, not int64"),
        ({"config": [{"x": 1}]}, "its column 'config' holds struct"),
        ({"repetition": [None]}, "a row has no 'repetition'"),
        ({"trial": pa.array([b"\xff"], pa.binary())}, "its column 'trial' holds bin"),
        ({"status": ["pruned"]}, "this version does not know trials that end as 'pruned'"),
    ],
)
def test_what_is_no_trial_of_the_ledger_is_set_aside_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, columns: dict[str, Any], why: str
) -> None:
    ends(tmp_path, **columns)
    Ledger(Store(tmp_path)).append(Record("t2", "trial", "done", "toy", "{}", 0), [])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert Ledger(Store(tmp_path)).trials(["trial"]).to_pylist() == [{"trial": "t2"}]
    [entry] = caplog.records
    assert f"{tmp_path}/trials/t1.parquet is set aside: {why}" in entry.getMessage()
    assert Ledger(Store(tmp_path)).compact() == 0
    assert (tmp_path / "trials" / "t1.parquet").exists()


def test_a_column_that_an_earlier_version_lacks_has_its_default(tmp_path: Path) -> None:
    ends(
        tmp_path,
        attempt=None,
        gpu=None,
        stages=None,
        device=None,
        reason=None,
        steps=pa.array([None], pa.int64()),
    )
    [row] = Ledger(Store(tmp_path)).trials().to_pylist()
    assert (
        row["attempt"],
        row["gpu"],
        row["stages"],
        row["device"],
        row["reason"],
        row["steps"],
    ) == (1, 0.0, "{}", "", None, 0)


def test_what_a_later_version_wrote_is_read_and_not_merged(tmp_path: Path) -> None:
    ledger = Ledger(Store(tmp_path))
    ends(tmp_path, later=[1.5])
    for index in range(3):
        ledger.append(Record(f"s{index}", "trial", "done", "toy", "{}", 0), [])
    assert {row["trial"] for row in ledger.trials().to_pylist()} == {"t1", "s0", "s1", "s2"}
    assert ledger.compact() == 3
    assert pq.read_table(tmp_path / "trials" / "t1.parquet")["later"].to_pylist() == [1.5]
    assert {row["trial"] for row in ledger.trials().to_pylist()} == {"t1", "s0", "s1", "s2"}


@pytest.mark.parametrize("place", ["x.parquet", "all-x.parquet"])
@pytest.mark.parametrize("content", [b"", b"text", b"PAR1", b"PAR1" + b"\xff" * 40 + b"PAR1"])
def test_files_of_others_are_let_be(tmp_path: Path, place: str, content: bytes) -> None:
    ledger = Ledger(Store(tmp_path))
    for index in range(3):
        ledger.append(
            Record(f"t{index}", "trial", "done", "toy", "{}", 0, steps=1),
            [{"step": 0, "a": float(index)}],
        )
    for kind in ("trials", "measurements"):
        (tmp_path / kind / place).write_bytes(content)
        (tmp_path / kind / "notes.txt").write_bytes(content)
        (tmp_path / kind / "folder.parquet").mkdir()
        (tmp_path / kind / "link.parquet").symlink_to(tmp_path / kind)
        (tmp_path / kind / "broken.parquet").symlink_to(tmp_path / "nowhere")
    assert ledger.compact() == 3
    assert ledger.measurements()["a"].to_pylist() == [0.0, 1.0, 2.0]
    for kind in ("trials", "measurements"):
        assert (tmp_path / kind / place).read_bytes() == content
        assert len(list((tmp_path / kind).iterdir())) == 6


def test_measurements_of_other_kinds_of_numbers_are_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ends(tmp_path, "t1-0", steps=[1])
    (tmp_path / "measurements").mkdir()
    pq.write_table(
        pa.table(
            {
                "record": ["t1-0"],
                "trial": ["t1"],
                "step": pa.array([3], pa.int32()),
                "whole": pa.array([7], pa.int8()),
                "on": [True],
                "few": pa.array([[1, 2]], pa.list_(pa.int64(), 2)),
                "text": ["a"],
                "never": pa.nulls(1),
                "deep": [[[1.0]]],
            }
        ),
        tmp_path / "measurements" / "t1-0.parquet",
    )
    with caplog.at_level(logging.WARNING):
        assert Ledger(Store(tmp_path)).measurements().to_pylist() == [
            {"trial": "t1", "step": 3, "whole": 7.0, "on": 1.0, "few": [1.0, 2.0]}
        ]
    assert [entry.getMessage().partition(" in ")[0] for entry in caplog.records] == [
        "the column 'text'",
        "the column 'deep'",
    ]


@pytest.mark.parametrize(
    "columns",
    [
        {"step": None},
        {"step": ["0"]},
        {"step": pa.array([None], pa.int64())},
        {"step": [0.5]},
        {"record": pa.array([None], pa.string())},
    ],
)
def test_broken_measurements_stop_their_own_study_alone(
    tmp_path: Path, columns: dict[str, Any]
) -> None:
    ledger = Ledger(Store(tmp_path))
    for trial in ("t1", "t2", "t3"):
        ledger.append(
            Record(trial, "trial", "done", "toy", "{}", 0, steps=1), [{"step": 0, "a": 1.0}]
        )
    [path] = (tmp_path / "measurements").glob("t1-*")
    own = {"record": [path.stem], "trial": ["t1"], "step": [0], "a": [1.0], **columns}
    pq.write_table(
        pa.table({name: value for name, value in own.items() if value is not None}), path
    )
    table = ledger.trials()
    others = table.take([1, 2])
    assert ledger.measurements(trials=others)["trial"].to_pylist() == ["t2", "t3"]
    assert [row["trial"] for row, _ in ledger.fresh(set())] == ["t2", "t3"]
    with pytest.raises(
        LedgerError,
        match=rf"1 trials are recorded, but only some .* measurements/{path.stem}\.parquet",
    ):
        ledger.measurements()
    assert ledger.compact() == 2
    assert path.exists()
    assert ledger.measurements(trials=others)["trial"].to_pylist() == ["t2", "t3"]


def test_a_copy_of_an_object_counts_for_nothing(tmp_path: Path) -> None:
    """As programs leave them that keep folders in step."""
    ledger = Ledger(Store(tmp_path))
    for index in range(3):
        ledger.append(
            Record(f"t{index}", "trial", "done", "toy", "{}", 0, steps=1),
            [{"step": 0, "a": float(index)}],
        )
    for path in list((tmp_path / "trials").iterdir()):
        shutil.copy(path, path.with_name(f"a copy of {path.name}"))
    assert ledger.trials(every=True).num_rows == 3
    assert ledger.measurements()["a"].to_pylist() == [0.0, 1.0, 2.0]
    assert ledger.compact() == 6
    assert ledger.measurements()["a"].to_pylist() == [0.0, 1.0, 2.0]
    assert len(ledger.records()) == 1
