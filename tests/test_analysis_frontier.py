"""Fronts against brute force, their laws, and tables worked by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from frames import digits, measured
from fronted import DIRECTIONS, brute
from hypothesis import given
from hypothesis import strategies as st

from htsweep import selection
from htsweep.analysis import frontier, interval
from htsweep.analysis.design import Design, design
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.selection import fronts

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)
NUMBER = st.one_of(st.integers(0, 4), st.just(math.nan))


def flags(
    pairs: list[tuple[float, float]], maximise: tuple[bool, bool] = (True, True)
) -> list[bool]:
    return frontier.non_dominated(
        [x for x, _ in pairs], [y for _, y in pairs], maximise=maximise
    ).tolist()


@given(pairs=PAIRS, maximise=DIRECTIONS)
def test_a_front_is_what_brute_force_finds(
    pairs: list[tuple[int, int]], maximise: tuple[bool, bool]
) -> None:
    assert flags(pairs, maximise) == brute(pairs, maximise)


@given(data=st.data(), pairs=PAIRS)
def test_a_front_does_not_depend_on_order(
    data: st.DataObject, pairs: list[tuple[int, int]]
) -> None:
    order = data.draw(st.permutations(range(len(pairs))))
    found = flags(pairs)
    assert flags([pairs[k] for k in order]) == [found[k] for k in order]


@given(pairs=PAIRS)
def test_a_front_does_not_depend_on_monotone_rescaling(pairs: list[tuple[int, int]]) -> None:
    assert flags([(math.exp(x), y**3 - 100) for x, y in pairs]) == flags(pairs)
    assert flags([(-x, y) for x, y in pairs], (False, True)) == flags(pairs)


@given(pairs=PAIRS, groups=st.lists(st.sampled_from("ab"), min_size=25, max_size=25))
def test_groups_have_fronts_of_their_own(pairs: list[tuple[int, int]], groups: list[str]) -> None:
    names = groups[: len(pairs)]
    found = frontier.non_dominated([x for x, _ in pairs], [y for _, y in pairs], names)
    for name in set(names):
        inside = [k for k, group in enumerate(names) if group == name]
        assert found[inside].tolist() == brute([pairs[k] for k in inside])


def test_what_is_not_a_number_is_on_no_front_and_beats_nobody() -> None:
    assert flags([(math.nan, 9), (1, math.nan), (0, 0)]) == [False, False, True]


def test_points_are_means_with_the_interval_of_means() -> None:
    table = {("a", 0): [[0.0, 0.5], [0.0, 0.7], [0.0, 0.6]]}
    frame = measured(table, SEEN, test__missing_accuracy=table)
    row = frontier.points(frame).iloc[0]
    low, high = interval.student(np.array([[0.5, 0.7, 0.6]]))
    assert (row["step"], row["n"]) == (1, 3)
    assert row[SEEN] == pytest.approx(0.6)
    assert row[[f"{SEEN} low", f"{SEEN} high"]].tolist() == [low[0], high[0]]
    assert row[[f"{MISSING} low", f"{MISSING} high"]].tolist() == [low[0], high[0]]


def test_one_repetition_gives_no_interval_and_no_probability() -> None:
    row = frontier.frontier(digits(repetitions=1)).iloc[0]
    assert row["n"] == 1
    assert math.isnan(row[f"{SEEN} low"])
    assert math.isnan(row["probability"])


def test_the_front_of_the_little_study() -> None:
    found = frontier.frontier(digits(datasets=("mnist-uci", "uci-mnist"))).set_index(
        ["dataset", "method"]
    )
    front = {
        "source": True,
        "plain": True,
        "l2sp": True,
        "selective_distillation": False,
        "oracle": False,
    }
    for (_, method), row in found.iterrows():
        assert row["front"] == front[method]
    # The bound beats l2sp on missing classes, but nobody can choose it: it has no place on the
    # front and takes none.
    assert found.loc[("mnist-uci", "oracle"), "role"] == "bound"
    assert found.loc[("mnist-uci", "source"), "role"] == "source"


def test_trials_that_did_not_end_well_never_enter() -> None:
    frame = digits({"a": (0.9, 0.9), "b": (0.5, 0.5)})
    frame.loc[frame["trial"] == "mnist-uci/a/1", "status"] = "stopped"
    assert frontier.frontier(frame)["method"].tolist() == ["b"]


def test_a_protocol_says_which_step_counts() -> None:
    table = {("a", 0): [[0.9, 0.1]] * 2, ("a", 1): [[0.2, 0.3]] * 2}
    frame = measured(table, test__seen_accuracy=table, test__missing_accuracy=table)
    found = frontier.points(frame, choice=selection.choice(frame, "seen_validation"))
    assert found[["point", "step", SEEN, "chosen"]].to_numpy().tolist() == [
        ["a0", 0, 0.9, True],
        ["a1", 1, 0.3, False],
    ]


def test_the_last_step_that_has_both_metrics_counts() -> None:
    table = {("a", 0): [[0.9, 0.8, 0.7]] * 2}
    frame = measured(table, SEEN, test__missing_accuracy=table)
    frame.loc[frame["step"] == 2, MISSING] = np.nan
    assert frontier.points(frame)["step"].tolist() == [1]


def test_tables_without_the_known_factors_work_too() -> None:
    table = {("a", 0): [[0.9]] * 2, ("b", 0): [[0.5]] * 2}
    frame = measured(table, "test/x", test__y=table).drop(columns="method")
    assert design(frame.columns) == Design((), "sweep")
    found = frontier.frontier(frame, "test/x", "test/y")
    assert found[["sweep", "front"]].to_numpy().tolist() == [["a", True], ["b", False]]
    assert frontier.axes(frame.columns) == ("test/x", "test/y")
    assert frontier.axes(["step", "test/x"]) is None


def test_the_design_follows_the_studys_factors() -> None:
    columns = ["dataset", "method", "epochs", "seed"]
    assert design(columns) == Design(("dataset",), "method")
    assert design(columns, ["method", "epochs"]) == Design(("epochs",), "method")
    assert design(columns, ["dataset", "epochs"]) == Design(("dataset",), "epochs")
    assert design(columns, compared="dataset") == Design(("method",), "dataset")


def test_parameters_are_carried_along() -> None:
    found = frontier.points(digits(), parameters=["l2sp.backbone", "absent"]).set_index("method")
    assert found.loc["l2sp", "l2sp.backbone"] == 0.1
    assert math.isnan(found.loc["plain", "l2sp.backbone"])


def test_repetitions_are_drawn_for_all_methods_at_once() -> None:
    # b is always 0.01 better than a, in repetitions that differ by 0.3: a pair tells, two means
    # with intervals do not.
    shared = [0.2, 0.5, 0.8]
    a, b = [[v] for v in shared], [[v + 0.01] for v in shared]
    frame = measured(
        {("a", 0): a, ("b", 0): b}, SEEN, test__missing_accuracy={("a", 0): a, ("b", 0): b}
    )
    found = frontier.frontier(frame, design=Design((), "method"))
    assert found["probability"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("maximise", "ends", "along", "up"),
    [
        ((True, True), (0, 0), [0, 1, 1, 3, 3], [5, 5, 2, 2, 0]),
        ((False, True), (9, 0), [9, 3, 3, 1, 1], [2, 2, 5, 5, 0]),
    ],
)
def test_the_staircase_has_the_corners_drawn_by_hand(
    maximise: tuple[bool, bool],
    ends: tuple[float, float],
    along: list[float],
    up: list[float],
) -> None:
    found = fronts.staircase([3, 1], [2, 5], ends, maximise)
    assert found[0].tolist() == along
    assert found[1].tolist() == up


def test_a_study_of_thousands_of_trials() -> None:
    trials, steps = 3000, 40
    random = np.random.default_rng(0)
    trial = np.repeat(np.arange(trials), steps)
    frame = pd.DataFrame(
        {
            "trial": trial.astype(str),
            "sweep": (trial // 30).astype(str),
            "point": (trial // 6).astype(str),
            "repetition": trial % 6,
            "status": "done",
            "step": np.tile(np.arange(steps), trials),
            "method": (trial // 30 % 8).astype(str),
            SEEN: random.random(len(trial)),
            MISSING: random.random(len(trial)),
        }
    )
    found = frontier.frontier(frame)
    assert len(found) == 500
    expected = brute(list(zip(found[SEEN], found[MISSING], strict=True)))
    assert found["front"].tolist() == expected


def test_each_method_has_a_front_of_its_own() -> None:
    # b is beaten by a throughout, and the worse of its points by its other.
    values = {
        ("a", 0): (0.9, 0.9),
        ("b", 0): (0.5, 0.2),
        ("b", 1): (0.4, 0.3),
        ("b", 2): (0.3, 0.1),
        ("oracle", 0): (1, 1),
    }
    found = frontier.frontier(little(values)).set_index("point")
    assert found["front"].to_dict() == {
        "a0": True,
        "b0": False,
        "b1": False,
        "b2": False,
        "oracle0": False,
    }
    assert found["own_front"].to_dict() == {
        "a0": True,
        "b0": True,
        "b1": True,
        "b2": False,
        "oracle0": True,
    }


def little(
    values: dict[tuple[str, int], tuple[float, float]], spread: tuple[float, ...] = (0.0, 0.0)
) -> pd.DataFrame:
    """Measurements of {(method, point): (seen, missing)}; each repetition adds a number of `spread` to both."""
    x, y = (
        {key: [[pair[axis] + more] for more in spread] for key, pair in values.items()}
        for axis in (0, 1)
    )
    return measured(x, SEEN, test__missing_accuracy=y)


def test_a_point_disrupts_that_loses_more_than_is_allowed() -> None:
    # 0.6 - 0.05 is less than 0.55 in floating point: a loss of just what is allowed is none.
    values = {
        ("source", 0): (0.6, 0.6),
        ("a", 0): (0.9, 0.55),
        ("b", 0): (0.9, 0.5499),
        ("c", 0): (0.1, 0.7),
    }
    found = frontier.frontier(little(values, (-0.1, 0.1)), non_disruption=0.05).set_index("method")
    assert found["disrupts"].to_dict() == {"source": False, "a": False, "b": True, "c": False}
    # All repetitions shift alike, so that each sample of them says the same.
    assert found["disruption"].to_dict() == {"source": 0, "a": 0, "b": 1, "c": 0}


@pytest.mark.parametrize(("y", "expected"), [((True, True), ["a"]), ((True, False), ["b"])])
def test_worse_is_what_the_axis_says(y: tuple[bool, bool], expected: list[str]) -> None:
    values = {("source", 0): (0.5, 0.5), ("a", 0): (0.5, 0.4), ("b", 0): (0.5, 0.6)}
    found = frontier.frontier(little(values), maximise=y, non_disruption=0)
    assert found["method"][found["disrupts"]].tolist() == expected


def test_nothing_is_marked_without_a_source_or_a_limit() -> None:
    values = {("source", 0): (0.6, 0.6), ("a", 0): (0.9, 0.1)}
    assert not frontier.frontier(little(values))["disrupts"].any()
    alone = frontier.frontier(little({("a", 0): (0.9, 0.1)}), non_disruption=0.0)
    assert not alone["disrupts"].any()
    assert alone["disruption"].isna().all()
    # Nor does the source of one group judge another.
    two = digits(datasets=("mnist-uci", "uci-mnist"))
    two = two[(two["dataset"] == "mnist-uci") | (two["method"] != "source")]
    marked = frontier.frontier(two, non_disruption=0.1)
    assert set(marked["dataset"][marked["disrupts"]]) == {"mnist-uci"}


@pytest.mark.parametrize(
    "more", [PAIRS, st.lists(st.tuples(NUMBER, NUMBER), min_size=1, max_size=12)]
)
def test_repeated_points_and_gaps_change_no_front(more: st.SearchStrategy) -> None:
    @given(pairs=more)
    def check(pairs: list[tuple[float, float]]) -> None:
        known = [pair for pair in pairs if not any(map(math.isnan, pair))]
        expected = dict(zip(known, brute(known), strict=True))
        assert flags([*pairs, *pairs]) == [expected.get(pair, False) for pair in [*pairs, *pairs]]

    check()
