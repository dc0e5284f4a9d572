"""Metrics of your own: functions of what a model answered on the images of one split."""

from __future__ import annotations

import numpy as np

from tasks.outputs import Outputs


def tail(outputs: Outputs) -> float:
    """The mean accuracy of the three classes that the model knows least."""
    right = outputs.logits.argmax(1) == outputs.labels
    of_class = [right[outputs.labels == index].mean() for index in np.unique(outputs.labels)]
    return float(np.mean(sorted(of_class)[:3]))


def sure_but_wrong(outputs: Outputs) -> dict[str, float]:
    """How often the model is wrong with a probability of 0.9 or more, by group of classes."""
    logits = outputs.logits.astype(np.float64)
    chances = np.exp(logits - logits.max(1, keepdims=True))
    sure = chances.max(1) / chances.sum(1) >= 0.9
    wrong = sure & (logits.argmax(1) != outputs.labels)
    of_missing = np.isin(outputs.labels, outputs.missing)
    # NaN, where a split has no image of a group, leaves the column out.
    return {
        name: float(wrong[rows].mean()) if rows.any() else float("nan")
        for name, rows in (("seen", ~of_missing), ("missing", of_missing))
    }
