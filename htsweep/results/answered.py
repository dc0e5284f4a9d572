"""What the chosen trials of a study took their test images for, from kept logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from htsweep import selection
from htsweep.errors import LedgerError
from htsweep.ledger import kept
from htsweep.results.results import Results

if TYPE_CHECKING:
    import pandas as pd

MOST_TRIALS = 400
"""The logits of so many trials are read for a report, which takes a second or two: of a larger
study, those of the first repetitions.
"""
MOST_CLASSES = 60
"""Of more classes, a page can show neither a matrix nor a curve."""


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
        outputs = _outputs(results, artifacts[row["trial"]], int(row["step"]))
        if outputs is None or outputs.logits.shape[1] > MOST_CLASSES:
            continue
        classes = outputs.logits.shape[1]
        predicted = outputs.logits.argmax(1)
        counts = np.bincount(outputs.labels * classes + predicted, minlength=classes**2)
        pairs = np.flatnonzero(counts)
        about = {name: row[name] for name in [*results.factors, "sweep", "trial"]}
        parts.append(
            pd.DataFrame(
                {
                    **{name: [value] * len(pairs) for name, value in about.items()},
                    "label": pairs // classes,
                    "predicted": pairs % classes,
                    "images": counts[pairs],
                    "missing": np.isin(pairs // classes, outputs.missing),
                }
            )
        )
    return pd.concat(parts, ignore_index=True) if parts else None


def _read(chosen: pd.DataFrame) -> list[int]:
    """The repetitions whose logits are read."""
    counts = chosen["repetition"].value_counts().sort_index().cumsum()
    return [int(number) for number in counts[counts <= MOST_TRIALS].index]


def _outputs(results: Results, artifact: object, step: int) -> Any:
    """A trial's outputs on test images at a step; None if they are not kept or cannot be read."""
    from tasks.outputs import TEST

    name = kept.of(artifact)
    try:
        steps = kept.read(results.store, name) if name else None
    except LedgerError:  # `remeasure` says so; a report has more to tell
        return None
    return (steps or {}).get(step, {}).get(TEST)
