"""What is exported comes back as it was."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from frames import digits, trials_of

from htsweep.errors import HtsweepError
from htsweep.results.export import export


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    made = digits({"plain": (0.9, 0.1), "l2sp": (0.1 + 0.2, 1e-17)})
    curves: list[object] = [np.array([0.1, float(k)]) for k in range(len(made))]
    curves[0] = None
    return made.assign(**{"test/curve_seen": pd.Series(curves, dtype=object)})


def test_every_format_brings_back_the_numbers(frame: pd.DataFrame, tmp_path: Path) -> None:
    trials = trials_of(frame)
    paths = export(trials, frame, tmp_path, ["parquet", "csv", "json"])
    assert sorted(path.name for path in paths) == sorted(
        f"{table}.{ending}"
        for table in ("trials", "measurements")
        for ending in ("parquet", "csv", "json")
    )
    plain = frame.drop(columns="test/curve_seen")
    parquet = pd.read_parquet(tmp_path / "measurements.parquet")
    csv = pd.read_csv(tmp_path / "measurements.csv", float_precision="round_trip")
    csv["role"] = csv["role"].fillna("")  # in a CSV an empty text and no value are the same
    rows = json.loads((tmp_path / "measurements.json").read_text())
    for back in (parquet, csv, pd.DataFrame(rows)):
        assert back.columns.tolist() == frame.columns.tolist()
        pd.testing.assert_frame_equal(
            back[plain.columns].astype(plain.dtypes), plain, check_exact=True
        )
    assert parquet["test/curve_seen"][3].tolist() == rows[3]["test/curve_seen"] == [0.1, 3.0]
    assert json.loads(csv["test/curve_seen"][3]) == [0.1, 3.0]
    assert rows[0]["test/curve_seen"] is None
    assert rows[0]["l2sp.backbone"] is None
    assert len(pd.read_parquet(tmp_path / "trials.parquet")) == len(trials)


def test_only_what_is_asked_for_is_written(frame: pd.DataFrame, tmp_path: Path) -> None:
    export(trials_of(frame), frame, tmp_path, ["csv"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["measurements.csv", "trials.csv"]


def test_a_factor_of_several_kinds_is_written_as_text(frame: pd.DataFrame, tmp_path: Path) -> None:
    mixed = frame.assign(
        factor=pd.Series([1, "a", 0.5, True, None] * 3, dtype=object)[: len(frame)]
    )
    export(trials_of(frame), mixed, tmp_path, ["parquet"])
    back = pd.read_parquet(tmp_path / "measurements.parquet")["factor"]
    assert back[:4].tolist() == ["1", "a", "0.5", "true"]
    assert back[4] is None or pd.isna(back[4])


def test_unknown_formats_are_named(frame: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(HtsweepError, match="no format 'jsn': did you mean 'json'"):
        export(trials_of(frame), frame, tmp_path, ["csv", "jsn"])
    assert list(tmp_path.iterdir()) == []
