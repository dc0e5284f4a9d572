"""A score of your own: how far apart the class means lie, for the spread within classes."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from tasks.scores import Range, score


@score(parts=("my_score/between", "my_score/within"))
def separation(
    features: np.ndarray, labels: np.ndarray, power: Annotated[float, Range(0.1, 4)] = 1.0
) -> tuple[float, float, float]:
    """Spread between class means over spread within classes; higher predicts better.

    Args:
        features: [N, d] of the target's training images.
        labels: [N].
        power: of the quotient.
    """
    means = np.stack([features[labels == index].mean(0) for index in range(labels.max() + 1)])
    between = float(((means[labels] - features.mean(0)) ** 2).mean())
    within = float(((features - means[labels]) ** 2).mean())
    if not within:
        raise ValueError("all images of a class have the same features; use another backbone")
    return (between / within) ** power, between, within
