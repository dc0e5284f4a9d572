"""Correlations recomputed from published columns: ten ImageNet models' scores and fine-tuned accuracies on five targets.

The columns and the correlations are those that the Transfer Learning Library prints
(examples/model_selection). Its table for Aircraft is left out: the correlations under it do not
follow from its columns."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from htsweep.analysis.correlation import correlate, side

SCORES = ("h_score", "leep", "logme", "nce")
COLUMNS = pd.read_csv(Path(__file__).parent / "published" / "model_selection.csv")
PEARSON = {
    "Caltech101": (0.748, 0.324, 0.794, 0.843),
    "CIFAR-10": (0.839, 0.604, 0.733, 0.786),
    "CIFAR-100": (0.815, 0.513, 0.698, 0.705),
    "Cars": (0.503, 0.433, 0.274, 0.695),
    "SUN397": (0.913, 0.428, 0.824, 0.782),
}
WEIGHTED = {
    "Caltech101": (0.721, 0.127, 0.697, 0.810),
    "CIFAR-10": (0.800, 0.638, 0.785, 0.714),
    "CIFAR-100": (0.775, 0.659, 0.790, 0.654),
    "Cars": (0.638, 0.703, 0.654, 0.750),
    "SUN397": (0.918, 0.581, 0.748, 0.873),
}


@pytest.mark.parametrize("target", PEARSON)
@pytest.mark.parametrize("score", SCORES)
def test_correlations_are_the_published_ones(target: str, score: str) -> None:
    rows = COLUMNS[COLUMNS["target"] == target]
    one = np.zeros(len(rows), int)
    found = correlate(
        side(rows[score].to_numpy(float), one), side(rows["accuracy"].to_numpy(float), one)
    )
    place = SCORES.index(score)
    # The columns are rounded to three digits, which moves r by up to 0.005.
    assert found["pearson"] == pytest.approx(PEARSON[target][place], abs=0.005)
    # A tau moves only where rounding made two scores equal, as it did in two of LogME's columns.
    tied = rows[score].duplicated().any()
    assert found["weighted_kendall"] == pytest.approx(
        WEIGHTED[target][place], abs=0.025 if tied else 0.0006
    )
