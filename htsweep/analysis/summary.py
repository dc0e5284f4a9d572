"""What each sweep came to after selection: means over repetitions with intervals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.interval import LEVEL, means

METRICS: Mapping[str, str] = {
    "test/seen_accuracy": "seen",
    "test/missing_accuracy": "missing",
    "test/overall_accuracy": "overall",
    "test/harmonic_mean": "harmonic mean",
    "test/ausuc": "AUSUC",
}
"""The metrics of the summary, each with its short title; all are fractions in [0, 1]."""


def metrics_of(columns: Iterable[str]) -> list[str]:
    """The metrics to summarise of tables with these `columns`: those of `METRICS`; without any, `test/`; without, all `x/y`."""
    there = [str(name) for name in columns]
    tested = [name for name in there if name.startswith("test/")]
    return [name for name in METRICS if name in there] or tested or [name for name in there if "/" in name]


def summarise(
    chosen: pd.DataFrame, design: Design, metrics: Sequence[str] | None = None, level: float = LEVEL,
) -> pd.DataFrame:
    """One row per sweep and metric: the factors, `sweep`, `point`, `step`, `metric`, `n`, `mean`, `low`, `high`.

    Args:
        chosen: what `selection.choose` returns.
        design: which columns are the factors.
        metrics: the columns to summarise; those that hold no numbers are left out. None: what `metrics_of` says.
        level: of the intervals.
    """
    wanted = metrics if metrics is not None else metrics_of(chosen.columns)
    numeric = [name for name in wanted if name in chosen.columns and pd.api.types.is_numeric_dtype(chosen[name])]
    keys = list(dict.fromkeys([*design.factors, "sweep", "point", "step"]))
    wide = means(chosen, keys, numeric, level)
    parts = [
        wide[keys].assign(metric=name, n=wide[f"{name} n"], mean=wide[name], low=wide[f"{name} low"],
                          high=wide[f"{name} high"])
        for name in numeric
    ]
    if not parts:
        return wide[keys].assign(metric="", n=0, mean=0.0, low=0.0, high=0.0).iloc[:0]
    return pd.concat(parts, ignore_index=True)
