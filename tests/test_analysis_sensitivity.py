"""Sensitivity to a parameter: by hand on a grid, against scipy's bootstrap, and in bins."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from htsweep.analysis.design import Design
from htsweep.analysis.sensitivity import BINS, sensitivity, spans_decades

SEEN = "test/seen_accuracy"
DESIGN = Design(("dataset",), "method")


def grid(
    values: dict[tuple[float, float], list[float]], dataset: str = "d", method: str = "m"
) -> pd.DataFrame:
    """{(a, b): a value per repetition} at step 2; half of it at step 1."""
    return pd.DataFrame(
        [
            {
                "trial": f"{dataset}/{method}/{place}/{repetition}",
                "sweep": f"{dataset}/{method}",
                "point": f"{dataset}/{method}/{place}",
                "point_index": place,
                "repetition": repetition,
                "status": "done",
                "step": step,
                "dataset": dataset,
                "method": method,
                "a": a,
                "b": b,
                "c": "x",
                SEEN: value * step / 2,
            }
            for place, ((a, b), values_) in enumerate(values.items())
            for repetition, value in enumerate(values_)
            for step in (1, 2)
        ]
    )


TWO = {(0.1, 0): [0.1, 0.3], (0.1, 1): [0.3, 0.5], (1.0, 0): [0.6, 0.6], (1.0, 1): [0.8, 1.0]}


def test_a_grid_by_hand() -> None:
    found = sensitivity(grid(TWO), DESIGN, ["a", "b", "c"], [SEEN])
    assert list(found.columns) == [
        "dataset",
        "method",
        "parameter",
        "value",
        "metric",
        "n",
        "mean",
        "low",
        "high",
    ]
    assert {
        (row["parameter"], row["value"]): row["mean"] for row in found.to_dict("records")
    } == pytest.approx({("a", 0.1): 0.3, ("a", 1.0): 0.75, ("b", 0): 0.4, ("b", 1): 0.65})
    assert set(found["n"]) == {2}


def test_the_band_is_over_repetitions() -> None:
    """What points differ by is no uncertainty: means over points first, then the interval over repetitions."""
    random = np.random.default_rng(0)
    values = {
        (a, b): list(random.normal(0.2 * a + 0.3 * b, 0.02, 12))
        for a, b in itertools.product((1.0, 2.0), (0.0, 1.0))
    }
    found = sensitivity(grid(values), DESIGN, ["a"], [SEEN]).set_index("value")
    for a in (1.0, 2.0):
        numbers = np.mean([values[a, 0.0], values[a, 1.0]], axis=0)
        assert found.loc[a, "mean"] == pytest.approx(numbers.mean())
        wanted = stats.ttest_1samp(numbers, 0).confidence_interval(0.95)
        assert [found.loc[a, "low"], found.loc[a, "high"]] == pytest.approx(list(wanted))


def test_each_group_and_method_for_itself_in_the_order_of_the_measurements() -> None:
    other = {key: [value + 1 for value in values] for key, values in TWO.items()}
    table = pd.concat(
        [grid(TWO, "z"), grid(other, "a"), grid({(5.0, 0): [0.1, 0.1]}, "a", "alone")]
    )
    found = sensitivity(table, DESIGN, ["a"], [SEEN])
    assert list(found["dataset"]) == ["z", "z", "a", "a"]
    assert list(found["mean"]) == pytest.approx([0.3, 0.75, 1.3, 1.75])
    assert set(found["method"]) == {"m"}  # `alone` has one value
    shuffled = sensitivity(
        table.sort_values(["dataset", "trial"], ascending=False, kind="stable"),
        DESIGN,
        ["a"],
        [SEEN],
    )
    assert list(shuffled["mean"]) == list(found["mean"])


def test_a_chosen_step_counts_and_a_point_that_stopped_does_not() -> None:
    table = grid(TWO)
    choice = pd.DataFrame([{"sweep": "d/m", "point": "d/m/0", "step": 1}])
    found = sensitivity(table, DESIGN, ["a"], [SEEN], choice=choice)
    assert list(found["mean"]) == pytest.approx([(0.1 + 0.4) / 2, 0.75])
    stopped = table.assign(status=table["status"].where(table["trial"] != "d/m/0/1", "stopped"))
    assert list(
        sensitivity(stopped, DESIGN, ["a"], [SEEN], repetitions=2)["mean"]
    ) == pytest.approx([0.4, 0.75])


@pytest.mark.parametrize("log", [False, True])
def test_many_values_are_put_into_bins_of_equal_size(log: bool) -> None:
    random = np.random.default_rng(0)
    a = np.sort(10 ** random.uniform(-3, 0, 100) if log else random.uniform(1, 2, 100))
    found = sensitivity(grid({(value, 0): [value, value] for value in a}), DESIGN, ["a"], [SEEN])
    parts = a.reshape(BINS, 10)
    assert list(found["value"]) == pytest.approx(
        list(stats.gmean(parts, axis=1) if log else parts.mean(axis=1))
    )
    assert list(found["mean"]) == pytest.approx(list(parts.mean(axis=1)))


def test_nothing_to_tell() -> None:
    table = grid(TWO)
    for rows, parameters, metrics in (
        (table, [], [SEEN]),
        (table, ["c", "absent"], [SEEN]),
        (table, ["a"], ["test/absent"]),
        (table.assign(status="failed"), ["a"], [SEEN]),
        (table.assign(a=1.0), ["a"], [SEEN]),
    ):
        found = sensitivity(rows, DESIGN, parameters, metrics)
        assert (len(found), list(found.columns)[:3]) == (0, ["dataset", "method", "parameter"])
    assert not spans_decades(np.array([0.0, 1.0, 1000.0]))
    assert not spans_decades(np.array([0.1, 1.0]))
    assert spans_decades(np.array([0.01, 1.0]))
