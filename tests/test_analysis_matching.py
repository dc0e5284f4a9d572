"""Trials of two sets: which answers to which, whether their numbers are equal, by how much they differ."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest
from frames import digits, trials_of
from hypothesis import given
from hypothesis import strategies as st

from htsweep.analysis.design import Design, design
from htsweep.analysis.matching import differences, equal, match

VARIED = ["dataset", "missing_ratio", "method", "l2sp.backbone"]
MISSING, SEEN = "test/missing_accuracy", "test/seen_accuracy"


def renamed(frame: pd.DataFrame) -> pd.DataFrame:
    """The same trials under other ids."""
    return frame.assign(trial="other " + frame["trial"])


def pairs_of(a: pd.DataFrame, b: pd.DataFrame) -> set[tuple[str, str]]:
    found = match(trials_of(a), trials_of(b), VARIED).pairs
    return set(zip(found["trial_a"], found["trial_b"], strict=True))


def test_trials_with_one_id_are_one_trial() -> None:
    frame = digits(repetitions=2)
    assert pairs_of(frame, frame) == {(trial, trial) for trial in frame["trial"]}


def test_other_ids_are_matched_by_what_both_vary_and_by_repetition() -> None:
    frame = digits(repetitions=2)
    assert pairs_of(frame, renamed(frame)) == {
        (trial, f"other {trial}") for trial in frame["trial"]
    }
    shuffled = renamed(frame).sample(frac=1, random_state=1)
    assert pairs_of(frame, shuffled) == pairs_of(frame, renamed(frame))


def test_what_nothing_answers_to_is_named() -> None:
    frame = digits(repetitions=3)
    fewer = renamed(frame[(frame["repetition"] < 2) & (frame["method"] != "plain")])
    found = match(trials_of(frame), trials_of(fewer), VARIED)
    assert (len(found.pairs), len(found.only_a), len(found.only_b), found.ambiguous) == (8, 7, 0, 0)
    assert set(found.only_a.loc[found.only_a["repetition"] < 2, "method"]) == {"plain"}


def test_whole_numbers_and_fractions_are_one() -> None:
    frame = digits(repetitions=1).assign(missing_ratio=1)
    assert len(pairs_of(frame, renamed(frame).assign(missing_ratio=1.0))) == 5
    # Nothing in common: no key
    assert len(pairs_of(frame, renamed(frame).assign(missing_ratio=True))) == 5


def test_what_the_sets_differ_in_is_no_key_but_said() -> None:
    frame = digits(repetitions=1)
    found = match(trials_of(frame), trials_of(renamed(frame).assign(dataset="synthetic")), VARIED)
    assert len(found.pairs) == 5
    assert "dataset" not in found.keys
    assert found.differ == {"dataset": (("mnist-uci",), ("synthetic",))}


def test_a_trial_that_answers_to_several_is_left_out_and_counted() -> None:
    frame = digits({"plain": (0.9, 0.1)}, repetitions=1)
    twice = pd.concat([renamed(frame), renamed(renamed(frame))])
    found = match(trials_of(frame), trials_of(twice), VARIED)
    assert (len(found.pairs), len(found.only_a), len(found.only_b), found.ambiguous) == (0, 1, 2, 3)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.integers(0, 2)), max_size=8),
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 1), st.integers(0, 2)), max_size=8),
)
def test_matching_agrees_with_a_loop_over_all_pairs(a: list[Any], b: list[Any]) -> None:
    def table(rows: list[Any], side: str) -> pd.DataFrame:
        return pd.DataFrame(
            [
                {
                    "trial": f"{side}{number}",
                    "method": method,
                    "x": x,
                    "repetition": repetition,
                    "status": "done",
                }
                for number, (method, x, repetition) in enumerate(rows)
            ],
            columns=["trial", "method", "x", "repetition", "status"],
        )

    shared = [at for at in (0, 1) if {row[at] for row in a} & {row[at] for row in b}]
    described = [[(row[2], *(row[at] for at in shared)) for row in rows] for rows in (a, b)]
    expected = {
        (f"a{i}", f"b{j}")
        for (i, one), (j, other) in itertools.product(*map(enumerate, described))
        if one == other and described[0].count(one) == described[1].count(other) == 1
    }
    found = match(table(a, "a"), table(b, "b"), ["method", "x"]).pairs
    assert set(zip(found["trial_a"], found["trial_b"], strict=True)) == expected


@pytest.mark.parametrize(
    ("column", "value", "same"),
    [
        (MISSING, np.nextafter(0.5, 1), False),
        ("validation/loss", np.nan, False),
        ("seconds", 99.0, True),
        ("memory", 1.0, True),
    ],
)
def test_equal_means_bit_for_bit_but_for_costs(column: str, value: float, same: bool) -> None:
    frame = digits(repetitions=2).assign(seconds=1.0, memory=2.0)
    other = frame.copy()
    changed = (other["method"] == "plain") & (other["repetition"] == 1) & (other["step"] == 0)
    other.loc[changed, column] = value
    pairs = match(trials_of(frame), trials_of(other), VARIED).pairs
    found = equal(pairs, frame, other)
    different = [] if same else other.loc[changed, "trial"].tolist()
    assert found.loc[~found["equal"], "trial_a"].tolist() == different
    assert found["first"].dropna().tolist() == ([] if same else [0.0])


def test_missing_numbers_are_equal_and_curves_are_compared() -> None:
    frame = digits({"plain": (0.9, 0.1)}, repetitions=3).assign(**{"test/ausuc": np.nan})
    curves = pd.Series([np.array([1.0, np.nan])] * len(frame), index=frame.index, dtype=object)
    other = curves.copy()
    other.iloc[-1] = np.array([1.0, 0.5])
    other.iloc[0] = None
    pairs = match(trials_of(frame), trials_of(frame), VARIED).pairs
    found = equal(pairs, frame.assign(curve=curves), frame.assign(curve=other))
    assert found["equal"].tolist() == [False, True, False]
    assert found["first"].tolist() == [0, pytest.approx(np.nan, nan_ok=True), 1]


def test_another_status_or_fewer_steps_are_not_equal() -> None:
    frame = digits({"plain": (0.9, 0.1)}, repetitions=3)
    trials = trials_of(frame)
    pairs = match(trials, trials.assign(status=["done", "failed", "done"]), VARIED).pairs
    shorter = frame[(frame["repetition"] < 2) | (frame["step"] == 0)]
    assert equal(pairs, frame, shorter)["equal"].tolist() == [True, False, False]


def test_differences_by_hand() -> None:
    """Two points of one repetition count once; the last step counts alone."""
    rows = [
        {
            "trial": f"{point}{repetition}",
            "method": "m",
            "x": point,
            "repetition": repetition,
            "status": "done",
            "step": step,
            "score": step * (10.0 * point + repetition),
        }
        for point in (1, 2)
        for repetition in range(3)
        for step in (0, 1)
    ]
    a = pd.DataFrame(rows)
    # + 1.5 + repetition, as a mean over points
    b = a.assign(score=a["score"] + a["step"] * (a["x"] + a["repetition"]))
    pairs = match(trials_of(a), trials_of(b), ["method", "x"]).pairs
    [row] = differences(pairs, a, b, Design((), "method"), metrics=["score"]).to_dict("records")
    assert (row["method"], row["metric"], row["trials"], row["n"]) == ("m", "score", 6, 3)
    assert (row["a"], row["b"], row["difference"]) == (16.0, 18.5, 2.5)
    assert row["p"] == pytest.approx(0.25)  # 2 of the 8 sign patterns
    # Student's t of 1.5, 2.5, 3.5: 4.3027 standard errors on either side.
    assert (row["low"], row["high"]) == pytest.approx((0.015862, 4.984138), abs=1e-5)
    assert row["verdict"] == "too few"


def test_p_is_what_all_sign_patterns_give_and_holm_is_worked_by_hand() -> None:
    random = np.random.default_rng(3)
    frame = digits({"plain": (0.9, 0.1), "l2sp": (0.9, 0.2)}, repetitions=7)
    noise = dict(zip(frame["trial"].unique(), random.normal(0.01, 0.02, 14), strict=True))
    noise |= {trial: 0.03 + abs(of) for trial, of in noise.items() if "l2sp" in trial}
    other = frame.assign(**{MISSING: frame[MISSING] + frame["trial"].map(noise)})
    pairs = match(trials_of(frame), trials_of(other), VARIED).pairs
    found = differences(
        pairs, frame, other, design(VARIED[:3], VARIED[:3]), metrics=[MISSING]
    ).set_index("method")
    for method in ("plain", "l2sp"):
        mine = np.array([of for trial, of in noise.items() if f"/{method}/" in trial])
        sums = [abs(np.dot(signs, mine)) for signs in itertools.product([-1, 1], repeat=7)]
        assert found.loc[method, "p"] == pytest.approx(
            np.mean(np.array(sums) >= abs(mine.sum()) - 1e-12)
        )
    low, high = sorted(found["p"])
    assert sorted(found["p_holm"]) == pytest.approx([min(1, 2 * low), max(min(1, 2 * low), high)])
    assert found.loc["l2sp", "verdict"] == "higher"


def test_failed_trials_have_no_difference_and_equal_ones_say_so() -> None:
    frame = digits({"plain": (0.9, 0.1), "l2sp": (0.9, 0.2)}, repetitions=6)
    trials = trials_of(frame)
    failed = trials.assign(status=np.where(trials["trial"].str.contains("plain"), "failed", "done"))
    pairs = match(trials, failed, VARIED).pairs
    found = differences(pairs, frame, frame, design(VARIED[:3], VARIED[:3]), metrics=[SEEN])
    assert found[["method", "n", "difference", "p", "verdict"]].to_dict("records") == [
        {"method": "l2sp", "n": 6, "difference": 0.0, "p": 1.0, "verdict": "equal"}
    ]
