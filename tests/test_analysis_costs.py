"""Costs of points: what counts as spent, and who is on the front, on tables worked by hand."""

import pandas as pd
import pytest
from frames import digits, measured, trials_of

from htsweep import selection
from htsweep.analysis import costs
from htsweep.analysis.design import Design

OVERALL = "test/overall_accuracy"
METHOD = Design((), "method")
FIRST = [
    "method",
    "sweep",
    "point",
    "cost",
    "value",
    "value low",
    "value high",
    "metric",
    "mean",
    "low",
    "high",
    "front",
]


def study() -> pd.DataFrame:
    """Three methods of one point, two repetitions of two steps; b is dearer and worse than a."""
    accuracy = {
        ("a", 0): [[0.5, 0.6], [0.7, 0.8]],
        ("b", 0): [[0.2, 0.3]] * 2,
        ("oracle", 0): [[0.9, 0.9]] * 2,
    }
    seconds = {
        ("a", 0): [[1.0, 2.0], [2.0, 4.0]],
        ("b", 0): [[5.0, 9.0]] * 2,
        ("oracle", 0): [[0.1, 0.2]] * 2,
    }
    return measured(accuracy, OVERALL, seconds=seconds)


def test_the_columns_are_those_of_the_report() -> None:
    found = costs.costs(study().assign(width=3), METHOD, parameters=["width"])
    assert found.columns.tolist() == [*FIRST, "n", "role", "chosen", "width"]


def test_a_trial_costs_what_it_had_spent_at_its_end() -> None:
    found = costs.costs(study(), METHOD).set_index("method")
    assert found["value"].to_dict() == {"a": 3, "b": 9, "oracle": pytest.approx(0.2)}
    assert found["mean"].to_dict() == {
        "a": pytest.approx(0.7),
        "b": pytest.approx(0.3),
        "oracle": pytest.approx(0.9),
    }
    assert found.loc["a", "value low"] < 3 < found.loc["a", "value high"]
    assert set(found["cost"]) == {"seconds"}


def test_a_choice_of_an_early_step_saves_nothing() -> None:
    choice = pd.DataFrame({"sweep": ["a"], "point": ["a0"], "step": [0]})
    found = costs.costs(study(), METHOD, choice=choice).set_index("method")
    assert found.loc["a", ["value", "mean", "chosen"]].tolist() == [3, pytest.approx(0.6), True]


def test_nothing_is_cheaper_and_better_than_what_is_on_the_front() -> None:
    found = costs.costs(study(), METHOD).set_index("method")
    # The bound would beat both, but nobody can choose it.
    assert found["front"].to_dict() == {"a": True, "b": False, "oracle": False}
    cheap = study()
    cheap.loc[cheap["method"] == "b", "seconds"] = 0.5
    assert costs.costs(cheap, METHOD).set_index("method")["front"].to_dict() == {
        "a": True,
        "b": True,
        "oracle": False,
    }


def test_all_costs_that_there_are() -> None:
    frame = study().assign(peak_memory_bytes=1000, trainable_parameters=[10, 20] * 6)
    found = costs.costs(frame, METHOD)
    assert found["cost"].unique().tolist() == [
        "seconds",
        "trainable_parameters",
        "peak_memory_bytes",
    ]
    told = found.groupby("cost")["value"].first()
    assert told[["trainable_parameters", "peak_memory_bytes"]].tolist() == [20, 1000]
    assert costs.costs(digits(), Design(("dataset",), "method")).empty


def test_gpu_hours_are_those_of_trials_on_a_gpu() -> None:
    trials = trials_of(study()).assign(
        device=lambda rows: rows["method"].map({"a": "cuda:1", "b": "cpu", "oracle": "cuda:0"})
    )
    found = costs.costs(study(), METHOD, trials=trials, gpus=0.5)
    hours = found[found["cost"] == "gpu_hours"].set_index("method")["value"]
    assert hours.to_dict() == {
        "a": pytest.approx(3 * 0.5 / 3600, abs=1e-12),
        "oracle": pytest.approx(0.1 / 3600, abs=1e-12),
    }
    assert set(costs.costs(study(), METHOD, trials=trials.assign(device="cpu"))["cost"]) == {
        "seconds"
    }


def test_seconds_of_the_trials_count_where_none_were_measured() -> None:
    frame = study().drop(columns="seconds")
    assert costs.costs(frame, METHOD).empty
    found = costs.costs(frame, METHOD, trials=trials_of(frame).assign(seconds=7.0))
    assert found["value"].tolist() == [7] * 3


def test_a_trial_that_stands_twice_since_two_sweeps_share_it_was_paid_once() -> None:
    trials = trials_of(study()).assign(device="cuda:0")
    twice = pd.concat([trials, trials.assign(sweep="another")], ignore_index=True)
    pd.testing.assert_frame_equal(
        costs.costs(study(), METHOD, trials=twice), costs.costs(study(), METHOD, trials=trials)
    )


def test_only_whole_points_have_a_price() -> None:
    frame = study()
    frame.loc[frame["trial"] == "a0r1", "status"] = "failed"
    assert set(costs.costs(frame, METHOD)["method"]) == {"b", "oracle"}
    assert costs.costs(frame, METHOD, repetitions=3).empty


def test_groups_have_fronts_of_their_own() -> None:
    frame = pd.concat([study().assign(dataset="one"), study().assign(dataset="two")])
    frame["point"] += frame["dataset"]
    frame["trial"] += frame["dataset"]
    frame.loc[(frame["dataset"] == "two") & (frame["method"] == "b"), OVERALL] = 0.99
    choice = selection.choice(study(), "last")
    found = costs.costs(frame, Design(("dataset",), "method"), choice=choice.iloc[:0])
    assert found[found["method"] == "b"].set_index("dataset")["front"].to_dict() == {
        "one": False,
        "two": True,
    }
