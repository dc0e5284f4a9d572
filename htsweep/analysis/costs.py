"""What accuracy costs: seconds, GPU hours, trained parameters and memory of each point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design, is_bound
from htsweep.analysis.frontier import codes, points_of, rows_at
from htsweep.analysis.interval import LEVEL
from htsweep.selection.fronts import non_dominated

MEASURED = ("seconds", "trainable_parameters", "peak_memory_bytes")
"""Columns of measurements that are costs; none ever falls within a trial, so the highest value is
the whole trial's.
"""
HOURS = "gpu_hours"
COSTS = ("seconds", HOURS, "trainable_parameters", "peak_memory_bytes")
"""All costs, in the order of the table."""


def costs(
    measurements: pd.DataFrame,
    design: Design,
    metric: str = "test/overall_accuracy",
    *,
    choice: pd.DataFrame | None = None,
    repetitions: int | None = None,
    parameters: Sequence[str] = (),
    trials: pd.DataFrame | None = None,
    gpus: float = 1.0,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per whole point and measured cost: the cost and the metric, both with intervals.

    A cost is that of the whole trial, even where the choice picked an earlier step: to know which
    step is best, one must train to the end. It does not include the source model, which is trained
    once for all. `front` says that no point of the group is at least as cheap and as good, and
    better in one of them; upper bounds are never on a front and beat no point.

    Args:
        measurements: one row per measurement (docs/contracts.md).
        design: which columns make a group and which is compared.
        metric: what the costs buy; more is better.
        choice: (sweep, point, step) of a protocol: these points at these steps, all others at their
            last.
        repetitions: how many a point has when it is whole; None: as many as the fullest point has.
        parameters: columns to carry along: the configuration of each point.
        trials: one row per ended trial. With `device` and `seconds`, GPU hours are counted, only
            for trials on a GPU; where measurements have no `seconds`, those of the trials count.
        gpus: GPUs, or the share of one, that each trial had, if `trials` has no column `gpu`.
        level: of the intervals.

    Returns:
        The design's factors, `sweep`, `point`, `cost`, `value`, `value low`, `value high`,
        `metric`, `mean`, `low`, `high`, `front`, then `n`, `role`, `chosen` and the parameters.
        Costs in seconds, hours, numbers of parameters, bytes.
    """
    spent = _spent(measurements, trials, gpus)
    measured_costs = [
        name
        for name in COSTS
        if name in spent and name not in (metric, *design.factors, *parameters)
    ]
    rows = rows_at(measurements, [metric], choice, repetitions)
    rows = rows.drop(columns=[name for name in measured_costs if name in rows.columns]).merge(
        spent[measured_costs], left_on="trial", right_index=True, how="left"
    )
    wide = points_of(
        rows, [metric, *measured_costs], design, parameters, choice=choice, level=level
    )
    first = list(dict.fromkeys([*design.factors, "sweep", "point"]))
    last = [
        "n",
        "role",
        "chosen",
        *(name for name in parameters if name in wide.columns and name not in first),
    ]
    parts = [
        wide[[*first, *last]].assign(
            cost=name,
            value=wide[name],
            **{f"value {end}": wide[f"{name} {end}"] for end in ("low", "high")},
            metric=metric,
            mean=wide[metric],
            low=wide[f"{metric} low"],
            high=wide[f"{metric} high"],
            front=_front(wide, name, metric, design),
        )[wide[name].notna()]
        for name in measured_costs
    ]
    order = [
        *first,
        "cost",
        "value",
        "value low",
        "value high",
        "metric",
        "mean",
        "low",
        "high",
        "front",
        *last,
    ]
    return pd.concat(parts, ignore_index=True)[order] if parts else pd.DataFrame(columns=order)


def _spent(measurements: pd.DataFrame, trials: pd.DataFrame | None, gpus: float) -> pd.DataFrame:
    """What each trial cost in total: its id as the index, a column per known cost."""
    known = [
        name
        for name in MEASURED
        if name in measurements.columns and measurements[name].notna().any()
    ]
    spent = (
        measurements.groupby("trial", sort=False)[known].max()
        if known
        else (pd.DataFrame(index=pd.Index(measurements["trial"].unique(), name="trial")))
    )
    if trials is None or "seconds" not in trials.columns:
        return spent
    # A trial that two sweeps share has two rows.
    ended = trials.drop_duplicates("trial").set_index("trial").reindex(spent.index)
    if "seconds" not in spent:
        spent = spent.assign(seconds=ended["seconds"])
    on_gpu = (
        ended["device"].astype(str).str.startswith("cuda")
        if "device" in ended
        else pd.Series(False, spent.index)
    )
    if on_gpu.any():
        # Trials may differ in what they take; what each took is in its record.
        each = ended.get("gpu", gpus)
        spent[HOURS] = (spent["seconds"] * each / 3600).where(on_gpu)
    return spent


def _front(wide: pd.DataFrame, cost: str, metric: str, design: Design) -> np.ndarray:
    competes = ~is_bound(wide).to_numpy()
    flags = np.zeros(len(wide), bool)
    flags[competes] = non_dominated(
        wide[cost][competes],
        wide[metric][competes],
        codes(wide, design.groups)[competes],
        (False, True),
    )
    return flags
