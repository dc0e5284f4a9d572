"""Protocols pick what a person would, by rules that are worked by hand, and none but `test_accuracy` sees a test column."""

import sys
import types
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from frames import measured, trials_of
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep import selection
from htsweep.errors import HtsweepError

SEEN, LOSS, OVERALL = "validation/seen_accuracy", "validation/loss", "test/overall_accuracy"
SOURCE, PSEUDO = "validation/source_missing_accuracy", "validation/pseudo_missing_accuracy"


def picked(
    measurements: pd.DataFrame, protocol: str, repetitions: int | None = None
) -> list[tuple[str, str, int]]:
    chosen = selection.choice(measurements, protocol, repetitions)
    return sorted(chosen.itertuples(index=False, name=None))


def test_last_is_the_first_point_at_its_last_step() -> None:
    frame = measured(
        {("a", 0): [[0.9, 0.1, 0.1]] * 2, ("a", 1): [[0.9, 0.9]] * 2, ("b", 0): [[0.5]] * 2}
    )
    assert picked(frame, "last") == [("a", "a0", 2), ("b", "b0", 0)]


def test_last_counts_points_in_order_of_appearance_without_their_index() -> None:
    frame = measured({("a", 1): [[0.5, 0.5]], ("a", 0): [[0.9]]}).drop(columns="point_index")
    assert picked(frame, "last") == [("a", "a1", 1)]


def test_last_does_not_fall_back_to_another_configuration() -> None:
    frame = measured({("a", 0): [[0.5]], ("a", 1): [[0.9]] * 2})
    assert picked(frame, "last") == []
    assert picked(frame, "seen_validation") == [("a", "a1", 0)]


def test_the_last_step_is_one_that_all_repetitions_reached() -> None:
    frame = measured({("a", 0): [[0.1, 0.2, 0.3], [0.1, 0.2]]})
    assert picked(frame, "last") == [("a", "a0", 1)]
    assert picked(frame, "seen_validation") == [("a", "a0", 1)]


def test_seen_validation_takes_the_best_mean_not_the_best_run() -> None:
    frame = measured({("a", 0): [[1.0, 0.5], [0.1, 0.5]], ("a", 1): [[0.6, 0.4], [0.6, 0.4]]})
    assert picked(frame, "seen_validation") == [("a", "a1", 0)]


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        (((0.5, 0.5), (0.2, 0.9)), ("a1", 0)),  # the lower loss
        (((0.5, 0.2), (0.2, 0.2)), ("a1", 0)),  # then the earlier step
        (((0.2, 0.2), (0.2, 0.2)), ("a0", 0)),  # then the point
    ],
)
def test_seen_validation_breaks_ties(
    losses: tuple[tuple[float, ...], ...], expected: tuple[str, int]
) -> None:
    frame = measured(
        {("a", 0): [[0.9, 0.9]] * 3, ("a", 1): [[0.9, 0.9]] * 3},
        validation__loss={("a", point): [list(loss)] * 3 for point, loss in enumerate(losses)},
    )
    assert picked(frame, "seen_validation") == [("a", *expected)]


def test_a_tie_stays_a_tie_whatever_the_order_of_the_sum() -> None:
    # 0.1 + 0.2 + 0.3 and 0.3 + 0.2 + 0.1 differ in the last bit.
    frame = measured({("a", 0): [[0.3], [0.2], [0.1]], ("a", 1): [[0.1], [0.2], [0.3]]})
    assert picked(frame, "seen_validation") == [("a", "a0", 0)]
    assert picked(frame.iloc[::-1], "seen_validation") == [("a", "a0", 0)]


def test_a_mean_over_some_repetitions_takes_no_part() -> None:
    frame = measured({("a", 0): [[0.5, 0.9], [0.5, np.nan]]})
    assert picked(frame, "seen_validation") == [("a", "a0", 0)]


def test_points_with_a_repetition_that_is_not_done_are_left_out_and_named() -> None:
    frame = measured(
        {("a", 0): [[0.9]] * 2, ("a", 1): [[0.8]] * 2, ("a", 2): [[0.7]], ("a", 3): [[0.1]] * 2}
    )
    frame.loc[frame["trial"] == "a0r1", "status"] = "failed"
    frame.loc[frame["trial"] == "a1r0", "status"] = "stopped"
    assert picked(frame, "seen_validation") == [("a", "a3", 0)]
    assert selection.left_out(trials_of(frame), 2).to_dict("list") == {
        "sweep": ["a"] * 3,
        "point": ["a0", "a1", "a2"],
        "done": [1, 1, 1],
        "stopped": [0, 1, 0],
        "failed": [1, 0, 0],
        "to_come": [0, 0, 1],
    }
    assert picked(frame, "seen_validation", repetitions=3) == []


def test_a_trial_that_two_sweeps_share_counts_in_both() -> None:
    frame = measured({("a", 0): [[0.5, 0.6]] * 2})
    both = pd.concat([frame, frame.assign(sweep="b", method="b")])
    assert picked(both, "last") == [("a", "a0", 1), ("b", "a0", 1)]


def test_choose_gives_all_repetitions_of_what_was_picked() -> None:
    frame = measured(
        {("a", 0): [[0.9, 0.1]] * 3, ("a", 1): [[0.2, 0.3]] * 3, ("b", 0): [[0.4]] * 3}
    )
    chosen = selection.choose(frame, "seen_validation")
    assert chosen[["trial", "step"]].to_numpy().tolist() == [
        *[[f"a0r{k}", 0] for k in range(3)],
        *[[f"b0r{k}", 0] for k in range(3)],
    ]
    assert chosen.columns.tolist() == frame.columns.tolist()


def test_oracle_takes_the_best_test_mean() -> None:
    frame = measured(
        {("a", 0): [[0.9, 0.1]] * 2}, test__overall_accuracy={("a", 0): [[0.1, 0.8], [0.3, 0.2]]}
    )
    assert picked(frame, "test_accuracy") == [("a", "a0", 1)]


SEEN_BY_POINT = {("a", 0): [[0.9, 0.8]] * 2, ("a", 1): [[0.6, 0.7]] * 2, ("b", 0): [[0.5]] * 2}
MISSING_BY_POINT = {
    ("a", 0): [[0.1, 0.3]] * 2,
    ("a", 1): [[0.5, 0.0]] * 2,
    ("b", 0): [[np.nan]] * 2,
}
"""Means of both: 0.5 and 0.55 for a0, 0.55 and 0.35 for a1; products: 0.09, 0.24; 0.30, 0. b has
one candidate, unmeasured.
"""


@pytest.mark.parametrize(
    ("protocol", "metric"), [("source_validation", SOURCE), ("pseudo_missing", PSEUDO)]
)
def test_a_stand_in_for_missing_accuracy_weighs_as_much_as_seen_accuracy(
    protocol: str, metric: str
) -> None:
    frame = measured(SEEN_BY_POINT, **{metric.replace("/", "__"): MISSING_BY_POINT})
    # The means tie at 0.55: the higher seen accuracy decides.
    assert picked(frame, protocol) == [("a", "a0", 1), ("b", "b0", 0)]


@pytest.mark.parametrize("metric", [SOURCE, PSEUDO])
def test_hypervolume_takes_the_largest_product_and_submits_the_front(metric: str) -> None:
    frame = measured(SEEN_BY_POINT, **{metric.replace("/", "__"): MISSING_BY_POINT})
    assert picked(frame, "hypervolume") == [("a", "a1", 0), ("b", "b0", 0)]
    # Each point at its best product; (0.8, 0.3) and (0.6, 0.5) do not beat each other.
    front = selection.submitted(frame, "hypervolume")
    assert sorted(front.itertuples(index=False, name=None)) == [
        ("a", "a0", 1),
        ("a", "a1", 0),
        ("b", "b0", 0),
    ]


def test_proxy_runs_come_before_source_data_as_a_stand_in() -> None:
    upside_down = {("a", 0): [[0.9, 0.9]] * 2, ("a", 1): [[0.1, 0.1]] * 2, ("b", 0): [[0.1]] * 2}
    frame = measured(
        SEEN_BY_POINT,
        validation__source_missing_accuracy=upside_down,
        validation__pseudo_missing_accuracy=MISSING_BY_POINT,
    )
    assert picked(frame, "hypervolume")[0] == ("a", "a1", 0)
    assert picked(frame.drop(columns=PSEUDO), "hypervolume")[0] == ("a", "a0", 0)


def test_what_tables_can_answer_is_told() -> None:
    assert selection.possible(["step", SEEN]) == ["last", "seen_validation"]
    assert selection.possible([SEEN, SOURCE]) == [
        "last",
        "seen_validation",
        "source_validation",
        "hypervolume",
    ]
    assert set(selection.possible([SEEN, SOURCE, PSEUDO, OVERALL])) == set(selection.NAMES)


def test_a_stand_in_that_nobody_measured_is_named() -> None:
    with pytest.raises(
        HtsweepError, match="'validation/pseudo_missing_accuracy', which no trial measured"
    ):
        selection.choice(measured({("a", 0): [[0.1]]}), "pseudo_missing")


@settings(max_examples=15, deadline=None)
@given(
    values=st.lists(st.integers(0, 8), min_size=24, max_size=24), order=st.permutations(range(24))
)
def test_shuffled_test_columns_change_no_choice_but_those_of_test_accuracy(
    values: list[int], order: list[int]
) -> None:
    numbers = [value / 8 for value in values]
    table = {
        ("ab"[k // 2], k % 2): [numbers[6 * k : 6 * k + 3], numbers[6 * k + 3 : 6 * k + 6]]
        for k in range(4)
    }
    other = {key: [[1 - value for value in one] for one in lists] for key, lists in table.items()}
    frame = measured(
        table,
        test__overall_accuracy=table,
        test__seen_accuracy=table,
        validation__source_missing_accuracy=other,
        validation__pseudo_missing_accuracy=other,
    )
    test = [name for name in frame.columns if name.startswith("test/")]
    shuffled = frame.assign(**{name: frame[name].to_numpy()[order] for name in test})
    for protocol in set(selection.NAMES) - {"test_accuracy"}:
        assert picked(frame, protocol) == picked(shuffled, protocol)
    assert selection.submitted(frame, "hypervolume").equals(
        selection.submitted(shuffled, "hypervolume")
    )


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(12)))
def test_choices_do_not_depend_on_the_order_of_rows(order: list[int]) -> None:
    table = {
        ("a", 0): [[0.1, 0.5, 0.3], [0.3, 0.5, 0.1]],
        ("a", 1): [[0.5, 0.2, 0.2], [0.5, 0.1, 0.2]],
    }
    frame = measured(
        table,
        test__overall_accuracy=table,
        validation__source_missing_accuracy=table,
        validation__pseudo_missing_accuracy=table,
    )
    for protocol in selection.NAMES:
        assert picked(frame, protocol) == picked(frame.iloc[order], protocol)


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[pd.DataFrame], object]], str]:
    """Makes a function a user's protocol and returns its name."""

    def install(function: Callable[[pd.DataFrame], object]) -> str:
        module = types.ModuleType("a_lab")
        module.pick = function  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "a_lab", module)
        return "a_lab:pick"

    return install


def test_a_users_protocol_sees_no_test_column_and_no_partial_point(own: Callable[..., str]) -> None:
    seen: list[pd.DataFrame] = []

    def pick(frame: pd.DataFrame) -> pd.DataFrame:
        seen.append(frame)
        return frame.drop_duplicates("sweep")

    table = {("a", 0): [[0.1], [0.2]], ("a", 1): [[0.3]]}
    frame = measured(table, test__overall_accuracy=table, test__curve=table)
    assert picked(frame, own(pick)) == [("a", "a0", 0)]
    assert [name for name in seen[0].columns if "/" in name] == [SEEN]
    assert set(seen[0]["point"]) == {"a0"}


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (lambda frame: frame[["sweep", "point"]], "lacks step"),
        (lambda frame: frame, "one row per sweep"),
        (lambda frame: frame.iloc[:1].assign(point="other"), "does not have"),
        (lambda frame: None, "lacks sweep, point, step"),
    ],
)
def test_a_protocol_that_breaks_its_contract_is_told_so(
    own: Callable[..., str],
    answer: Callable[[pd.DataFrame], object],
    word: str,
) -> None:
    with pytest.raises(HtsweepError, match=word):
        selection.choice(measured({("a", 0): [[0.1, 0.2]]}), own(answer))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("lats", "did you mean 'last'"),
        ("oracle", "it is called 'test_accuracy' now"),
        ("no_such_module:f", "importing no_such_module"),
        ("json:nothing", "no function 'nothing'"),
    ],
)
def test_unknown_protocols_are_named(name: str, word: str) -> None:
    with pytest.raises(HtsweepError, match=word):
        selection.find(name)


def test_a_missing_metric_is_named() -> None:
    with pytest.raises(HtsweepError, match="'test/overall_accuracy', which no trial measured"):
        selection.choice(measured({("a", 0): [[0.1]]}), "test_accuracy")


def test_what_a_protocol_reads_is_declared(own: Callable[..., str]) -> None:
    assert {name: selection.columns(name) for name in selection.NAMES} == {
        "last": [],
        "seen_validation": [SEEN, LOSS],
        "source_validation": [SEEN, SOURCE],
        "pseudo_missing": [SEEN, PSEUDO],
        "hypervolume": [SEEN, SOURCE, PSEUDO],
        "test_accuracy": [OVERALL],
    }
    assert selection.columns(own(lambda frame: frame)) is None


def test_it_is_enough_to_read_what_is_declared() -> None:
    table = {("a", 0): [[0.1, 0.4]] * 2, ("a", 1): [[0.3, 0.2]] * 2}
    frame = measured(
        table,
        validation__loss=table,
        test__overall_accuracy=table,
        train__loss=table,
        validation__source_missing_accuracy=table,
        validation__pseudo_missing_accuracy=table,
    )
    for protocol in selection.NAMES:
        reads = selection.columns(protocol) or []
        few = frame[[name for name in frame.columns if "/" not in name or name in reads]]
        assert picked(few, protocol) == picked(frame, protocol)


def test_importing_it_is_cheap() -> None:
    import subprocess

    code = "import sys, htsweep.selection; print([m for m in ('pandas', 'numpy', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
