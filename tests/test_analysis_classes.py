"""Accuracies of classes and confusions against counting by hand, over repetitions that test other classes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep.analysis.classes import classes, confusion
from htsweep.analysis.design import Design
from htsweep.analysis.interval import interval_of

DESIGN = Design(("dataset",), "method")


@st.composite
def trials(draw):
    """(dataset, method, repetition) -> labels, predictions, missing classes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = {}
    for dataset in draw(st.sampled_from([["a"], ["a", "b"]])):
        for method in ("plain", "l2sp"):
            for repetition in range(draw(st.integers(1, 3))):
                count = rng.integers(1, 12)
                made[dataset, method, repetition] = (
                    rng.integers(0, 4, count),
                    rng.integers(0, 4, count),
                    set(rng.choice(4, 2, replace=False).tolist()),
                )
    return made


def answered(made):
    rows = []
    for (dataset, method, repetition), (labels, predicted, missing) in made.items():
        pairs, counts = np.unique(np.stack([labels, predicted]), axis=1, return_counts=True)
        for label, taken, images in zip(*pairs, counts, strict=True):
            rows.append(
                {
                    "dataset": dataset,
                    "method": method,
                    "sweep": f"{dataset}{method}",
                    "trial": f"{dataset}{method}{repetition}",
                    "label": label,
                    "predicted": taken,
                    "images": images,
                    "missing": label in missing,
                }
            )
    return pd.DataFrame(rows)


@settings(max_examples=30)
@given(trials())
def test_each_class_is_the_mean_of_the_repetitions_that_test_it(made):
    table = classes(answered(made), DESIGN)
    keys = [*zip(table["dataset"], table["method"], table["label"], strict=True)]
    assert len(set(keys)) == len(keys)
    assert table["label"].is_monotonic_increasing
    expected = {}
    for (dataset, method, _), (labels, predicted, missing) in made.items():
        for label in set(labels.tolist()):
            share = (predicted[labels == label] == label).mean()
            expected.setdefault((dataset, method, label), []).append((share, label in missing))
    assert set(keys) == set(expected)
    for key, (_, row) in zip(keys, table.iterrows(), strict=True):
        shares = [share for share, _ in expected[key]]
        assert row["n"] == len(shares)
        assert row["missing"] == sum(was for _, was in expected[key])
        assert row["mean"] == pytest.approx(np.mean(shares))
        ends = np.clip(interval_of(np.array(shares)), 0, 1)
        assert (row["low"], row["high"]) == pytest.approx(ends, nan_ok=True)


@settings(max_examples=30)
@given(trials())
def test_what_a_class_is_taken_for_adds_up_to_one(made):
    table = confusion(answered(made), DESIGN)
    sums = table.groupby(["dataset", "method", "label"])["share"].sum()
    assert sums.to_numpy() == pytest.approx(1.0)
    for (dataset, method, label, predicted), share in table.set_index(
        ["dataset", "method", "label", "predicted"]
    )["share"].items():
        own = [
            (taken[labels == label] == predicted).mean()
            for (one, other, _), (labels, taken, _) in made.items()
            if (one, other) == (dataset, method) and (labels == label).any()
        ]
        assert share == pytest.approx(np.mean(own))
    right = table[table["label"] == table["predicted"]].set_index(["sweep", "label"])["share"]
    accuracy = classes(answered(made), DESIGN).set_index(["sweep", "label"])["mean"]
    assert right.to_dict() == pytest.approx(accuracy[accuracy > 0].to_dict())
