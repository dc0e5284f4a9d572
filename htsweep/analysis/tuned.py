"""What tuning gains: a method at the defaults of what is searched against what a protocol chose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep import selection
from htsweep.analysis.design import Design
from htsweep.analysis.interval import LEVEL, means

COLUMNS = ("n", "default", "tuned", "difference", "low", "high")


def tuned(
    measurements: pd.DataFrame,
    design: Design,
    metrics: Sequence[str],
    defaults: Mapping[str, Any],
    *,
    repetitions: int | None = None,
    choices: Mapping[str, pd.DataFrame] | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per sweep of several points, protocol and metric: default, tuned, their difference.

    `default` is the mean over repetitions at the last step of the point whose searched parameters
    all have their defaults; `tuned` that of the point and step that the protocol chose;
    `difference` is tuned minus default, paired by repetition, with the interval `low` to `high`. A
    sweep without a point at the defaults has NaNs for the default and the difference.

    Args:
        measurements: one row per measurement; those of whole points count.
        design: which columns are the factors.
        metrics: the columns to report; those that are missing, or hold no numbers, are left out.
        defaults: searched parameter -> its default; one that a point has and that is not in here
            has no default.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
        choices: what protocols pick, where it is already known; None: of every protocol whose
            columns were measured.
        level: of the intervals.
    """
    keys = list(dict.fromkeys([*design.factors, "sweep", "protocol", "metric"]))
    if measurements.empty or not defaults:
        return pd.DataFrame(columns=[*keys, *COLUMNS])
    whole = selection.whole(measurements, repetitions)
    several = whole.groupby("sweep", sort=False, observed=True)["point"].nunique()
    whole = whole[whole["sweep"].isin(several[several > 1].index)]
    if whole.empty:
        return pd.DataFrame(columns=[*keys, *COLUMNS])
    numeric = [
        name
        for name in metrics
        if name in whole.columns and pd.api.types.is_numeric_dtype(whole[name])
    ]
    at_default = whole[_at_defaults(whole, defaults)]
    default = _long(selection.at(at_default, selection.last_steps(at_default)), numeric, "default")
    names = choices or selection.possible([str(name) for name in measurements.columns])
    parts = []
    for name in names:
        choice = (choices or {}).get(name)
        if choice is None:
            choice = selection.choice(measurements, name, repetitions)
        chosen = selection.at(whole, choice)
        if chosen.empty:
            continue
        about = list(dict.fromkeys([*design.factors, "sweep"]))
        long = _long(chosen, numeric, "tuned", about).assign(protocol=name)
        parts.append(long.merge(default, on=["sweep", "repetition", "metric"], how="left"))
    if not parts:
        return pd.DataFrame(columns=[*keys, *COLUMNS])
    every = pd.concat(parts, ignore_index=True)
    every["difference"] = every["tuned"] - every["default"]
    averages = means(every, keys, ["default", "tuned", "difference"], level)
    return averages.rename(
        columns={"tuned n": "n", "difference low": "low", "difference high": "high"}
    )[[*keys, *COLUMNS]]


def _at_defaults(rows: pd.DataFrame, defaults: Mapping[str, Any]) -> np.ndarray:
    """Which rows have each searched parameter that applies to them at its default."""
    fits = np.ones(len(rows), bool)
    for name, default in defaults.items():
        if name in rows.columns:
            value = rows[name]
            # A column that also holds 0.5 has 1 as 1.0; a parameter that does not apply is missing.
            fits &= (value.isna() | (value == default)).to_numpy(bool)
    return fits


def _long(
    rows: pd.DataFrame, metrics: Sequence[str], name: str, about: Sequence[str] = ("sweep",)
) -> pd.DataFrame:
    keys = [*about, "repetition"]
    return rows[[*keys, *metrics]].melt(keys, list(metrics), var_name="metric", value_name=name)
