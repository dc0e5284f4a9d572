"""What the ledger has of a study, as tidy pandas tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from htsweep.ledger import Ledger, Store
from htsweep.planning import Plan, plan, trial_id
from htsweep.study import Study

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def trials(study: Study, results: str = "results") -> pd.DataFrame:
    """One row per ended trial of the study: how it ended, its sweep and point, a column per factor and parameter."""
    planned = plan(study)
    return _trials(planned, Ledger(Store(results)).trials())


def measurements(study: Study, results: str = "results", columns: Sequence[str] | None = None) -> pd.DataFrame:
    """One row per measurement of the study's trials: `step`, the numbers (or the `columns` of them), and what was varied."""
    return load(study, results, columns)[1]


def load(study: Study, results: str = "results", columns: Sequence[str] | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of `trials` and `measurements` from one reading of the ledger."""
    import pyarrow as pa
    import pyarrow.compute as pc

    planned = plan(study)
    ledger = Ledger(Store(results))
    table = ledger.trials()
    ended = _trials(planned, table)
    wanted = table.filter(pc.is_in(table.column("trial"), pa.array(ended["trial"].unique())))
    measured = ledger.measurements(columns, wanted).to_pandas()
    keys = ["trial", "sweep", "point", "point_index", "repetition", "status", *varied(planned)]
    return ended, ended[keys].merge(measured, on="trial", how="inner")


def factors(study: Study) -> list[str]:
    """The columns that say which cell of the grid a row is from."""
    return list(study.grid)


def varied(planned: Plan) -> list[str]:
    """The factors, and the parameters that are searched in any sweep."""
    names = dict.fromkeys(planned.study.grid)
    for sweep in planned.sweeps:
        names.update(dict.fromkeys(dimension.key for dimension in sweep.space))
    return list(names)


def mirror_uri(store: Store) -> str:
    """The tracking URI of the MLflow database beside the results; where those are far away, in the working folder."""
    from pathlib import Path

    folder = store.folder or Path("results").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def _trials(planned: Plan, table: pa.Table) -> pd.DataFrame:
    import pandas as pd

    members = _members(planned, table)
    ended = table.to_pandas()
    ended = ended[ended["kind"] == "trial"].drop(columns=["sweep", "point", "point_index", "kind"])
    frame = pd.DataFrame(members, columns=["trial", "sweep", "point", "point_index", *varied(planned)])
    return frame.merge(ended, on="trial", how="inner")


def _members(planned: Plan, table: pa.Table) -> list[tuple[Any, ...]]:
    """(trial, sweep, point, index, what was varied) of every trial that is the study's."""
    names = varied(planned)
    if planned.adaptive:
        return _proposed(planned, table, names)
    rows = []
    ended = set(table.column("trial").to_pylist())
    factors_of = {sweep.id: sweep.factors for sweep in planned.sweeps}
    for point in planned.points:
        values = _values(point.config, factors_of[point.sweep], names)
        for repetition in range(planned.study.repetitions):
            trial = trial_id(point.id, repetition)
            if trial in ended:
                rows.append((trial, point.sweep, point.id, point.index, *values))
    return rows


def _proposed(planned: Plan, table: pa.Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    rows = []
    sweeps = {sweep.id: sweep for sweep in planned.sweeps}
    for row in table.select(["trial", "sweep", "point", "point_index", "config", "repetition"]).to_pylist():
        sweep = sweeps.get(row["sweep"])
        inside = sweep is not None and row["point_index"] < planned.sizes[sweep.id]
        if sweep is not None and inside and row["repetition"] < planned.study.repetitions:
            values = _values(json.loads(row["config"]), sweep.factors, names)
            rows.append((row["trial"], row["sweep"], row["point"], row["point_index"], *values))
    return rows


def _values(config: Mapping[str, Any], factors: Mapping[str, Any], names: Sequence[str]) -> list[Any]:
    found = [config.get(name, factors.get(name)) for name in names]
    return [json.dumps(value) if isinstance(value, list | dict) else value for value in found]
