"""What the trials of a study took their test images for, from kept logits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, final

from htsweep import selection
from htsweep.errors import LedgerError
from htsweep.ledger import Store, kept
from htsweep.results.results import Results

if TYPE_CHECKING:
    import pandas as pd

MOST_TRIALS = 400
"""The logits of so many trials are read for a report, which takes a second or two: of a larger
study, those of the first repetitions.
"""
MOST_CLASSES = 60
"""Of more classes, a page can show neither a matrix nor a curve."""
MOST_PAIRS = 150_000
"""The most pairs of a class and what it is taken for that a page holds of single trials: 1 MB."""


@final
@dataclass(frozen=True)
class _Counted:
    """How many test images of each class a trial took for each, at a step."""

    classes: int
    cells: list[int]
    """label * classes + predicted, of pairs that occurred."""
    images: list[int]
    missing: list[int]


def answered(results: Results, measured: pd.DataFrame) -> pd.DataFrame | None:
    """The outputs at the points and steps that the protocol chose; None without logits.

    A row per class and class that it was taken for, as `analysis.classes.ANSWERED` says.

    Args:
        results: of the study.
        measured: its measurements, with all that its protocol reads.
    """
    import numpy as np
    import pandas as pd

    artifacts = results.trials.drop_duplicates("trial").set_index("trial")["artifact"]
    if not artifacts.map(kept.of).notna().any():
        return None
    chosen = selection.at(selection.whole(measured, results.study.repetitions), results.choice)
    parts: list[pd.DataFrame] = []
    for row in chosen[chosen["repetition"].isin(_read(chosen))].to_dict("records"):
        counted = _counted(results.store, kept.of(artifacts[row["trial"]])).get(int(row["step"]))
        if counted is None:
            continue
        cells = np.array(counted.cells, int)
        about = {name: row[name] for name in [*results.factors, "sweep", "trial"]}
        parts.append(
            pd.DataFrame(
                {
                    **{name: [value] * len(cells) for name, value in about.items()},
                    "label": cells // counted.classes,
                    "predicted": cells % counted.classes,
                    "images": counted.images,
                    "missing": np.isin(cells // counted.classes, counted.missing),
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else None


def each_trial(results: Results) -> tuple[pd.DataFrame | None, str]:
    """What every trial answered at its last step, and why trials are left out; "" if none are.

    A row per trial: the factors, the parameters, `sweep`, `point`, `repetition`, `trial`, `step`,
    `classes` (how many), `missing` (class indices), `cells` (label * classes + predicted, of the
    pairs that occurred) and `images` (how many, of each cell). None without logits, and where
    there are too many: `MOST_TRIALS`, `MOST_PAIRS`.
    """
    import pandas as pd

    ended = results.trials
    with_logits = ended[ended["artifact"].map(kept.of).notna()]
    count = with_logits["trial"].nunique()
    if not count:
        return None, ""
    if count > MOST_TRIALS:
        return None, _left_out(f"{count:,} trials have them, more than {MOST_TRIALS}")
    names = [*results.factors, *results.parameters, "sweep", "point", "repetition", "trial"]
    rows, pairs = [], 0
    for row in with_logits.to_dict("records"):
        steps = _counted(results.store, kept.of(row["artifact"]))
        if not steps:
            continue
        last = max(steps)
        counted = steps[last]
        pairs += len(counted.cells)
        if pairs > MOST_PAIRS:
            return None, _left_out(f"they have more than {MOST_PAIRS:,} entries")
        rows.append(
            {
                **{name: row.get(name) for name in names},
                "step": last,
                "classes": counted.classes,
                "missing": counted.missing,
                "cells": counted.cells,
                "images": counted.images,
            }
        )
    return (pd.DataFrame(rows), "") if rows else (None, "")


def _left_out(why: str) -> str:
    return f"The matrices of single trials are not part of this page, since {why}."


def _read(chosen: pd.DataFrame) -> list[int]:
    """The repetitions whose logits are read."""
    counts = chosen["repetition"].value_counts().sort_index().cumsum()
    return [int(number) for number in counts[counts <= MOST_TRIALS].index]


@lru_cache(maxsize=2 * MOST_TRIALS)
def _counted(store: Store, name: str | None) -> dict[int, _Counted]:
    """Step -> the counts of an object of logits; none where it cannot be read, or is too large."""
    import numpy as np

    from tasks.outputs import TEST

    try:
        steps = kept.read(store, name) if name else None
    except LedgerError:  # `remeasure` says so; a report has more to tell
        return {}
    made: dict[int, _Counted] = {}
    for step, splits in (steps or {}).items():
        outputs = splits.get(TEST)
        classes = 0 if outputs is None else outputs.logits.shape[1]
        if outputs is None or classes > MOST_CLASSES:
            continue
        predicted = outputs.logits.argmax(1)
        counts = np.bincount(outputs.labels * classes + predicted, minlength=classes**2)
        cells = np.flatnonzero(counts)
        made[step] = _Counted(
            classes, cells.tolist(), counts[cells].tolist(), [int(one) for one in outputs.missing]
        )
    return made
