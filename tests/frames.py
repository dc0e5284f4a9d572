"""Small tables such as a study leaves, for the tests of selection, analysis and report."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

ROLES = {"source": "source", "oracle": "bound"}
"""What the task says of two methods; the others compete."""


def measured(
    values: Mapping[tuple[str, int], Sequence[Sequence[float]]],
    metric: str = "validation/seen_accuracy",
    **more: Mapping[tuple[str, int], Sequence[Sequence[float]]],
) -> pd.DataFrame:
    """Measurements from {(sweep, point): one list per repetition of one value per step}; `more` gives other metrics."""
    columns = {metric: values, **{name.replace("__", "/"): table for name, table in more.items()}}
    rows = []
    for (sweep, point), lists in values.items():
        for repetition, steps in enumerate(lists):
            for step in range(len(steps)):
                rows.append(
                    {
                        "trial": f"{sweep}{point}r{repetition}",
                        "sweep": sweep,
                        "point": f"{sweep}{point}",
                        "point_index": point,
                        "repetition": repetition,
                        "status": "done",
                        "step": step,
                        "method": sweep,
                        "role": ROLES.get(sweep, ""),
                        **{
                            name: table[sweep, point][repetition][step]
                            for name, table in columns.items()
                        },
                    }
                )
    return pd.DataFrame(rows)


def trials_of(measurements: pd.DataFrame) -> pd.DataFrame:
    """The trials that left these measurements."""
    kept = [name for name in measurements.columns if "/" not in name and name != "step"]
    return measurements.drop_duplicates("trial")[kept].assign(seconds=1.0).reset_index(drop=True)


METHODS = {
    "source": (0.600, 0.600),
    "plain": (0.994, 0.020),
    "l2sp": (0.986, 0.350),
    "selective_distillation": (0.980, 0.300),
    "oracle": (0.980, 0.980),
}
"""Seen and missing accuracy; selective_distillation is dominated."""
SPREAD = (-0.004, 0.004, 0.0)
"""What each repetition adds to both."""


def digits(
    methods: Mapping[str, tuple[float, float]] = METHODS,
    datasets: Sequence[str] = ("mnist-uci",),
    repetitions: int = 3,
) -> pd.DataFrame:
    """Measurements of a little study: steps 0 and 1, a sweep of one point per method and dataset."""
    rows: list[dict[str, Any]] = []
    for dataset in datasets:
        for method, (seen, missing) in methods.items():
            sweep = f"{dataset}/{method}"
            for repetition in range(repetitions):
                for step in (0, 1):
                    s, m = (
                        (0.5, 0.5)
                        if step == 0
                        else (value + SPREAD[repetition % 3] for value in (seen, missing))
                    )
                    rows.append(
                        {
                            "trial": f"{sweep}/{repetition}",
                            "sweep": sweep,
                            "point": f"{sweep}/p",
                            "point_index": 0,
                            "repetition": repetition,
                            "status": "done",
                            "step": step,
                            "dataset": dataset,
                            "missing_ratio": 0.5,
                            "backbone": "lenet_bn",
                            "method": method,
                            "role": ROLES.get(method, ""),
                            "l2sp.backbone": 0.1 if method == "l2sp" else None,
                            "test/seen_accuracy": s,
                            "test/missing_accuracy": m,
                            "test/overall_accuracy": (s + m) / 2,
                            "test/harmonic_mean": 2 * s * m / (s + m),
                            "test/ausuc": s * m,
                            "validation/seen_accuracy": s,
                            "validation/loss": 1 - s,
                        }
                    )
    return pd.DataFrame(rows).astype({"l2sp.backbone": float})
