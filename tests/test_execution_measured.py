"""What a task yields is kept as it was, or refused with the name, the step and the remedy."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch

from htsweep.execution.measured import LAST_STEP, Measured, last_values
from htsweep.ledger import names


def rows(*yielded: Any, settings: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """What is kept of rows."""
    measured = Measured(settings)
    for row in yielded:
        measured.take(row)
    return measured.rows


def test_rows_of_one_step_are_joined() -> None:
    assert rows(
        {"step": 0, "train/loss": 1.0},
        {"step": 0, "accuracy": 0.5},
        {"step": 3, "train/loss": 0.5},
        {"step": 3},
        {"step": 3, "curve": [1, 2]},
    ) == [
        {"step": 0, "train/loss": 1.0, "accuracy": 0.5},
        {"step": 3, "train/loss": 0.5, "curve": [1.0, 2.0]},
    ]


def test_a_value_may_be_told_twice_but_not_be_two() -> None:
    assert rows({"step": 1, "a": 0.5, "c": [math.nan]}, {"step": 1, "a": 0.5, "c": [math.nan]}) == [
        {"step": 1, "a": 0.5, "c": pytest.approx([math.nan], nan_ok=True)}
    ]
    for one, other in ((0.5, 0.25), ([1.0], [2.0]), ([1.0], [1.0, 1.0])):
        measured = Measured()
        measured.take({"step": 7, "a": one, "b": 1.0})
        with pytest.raises(ValueError, match=r"'a' was measured twice at step 7, as .* and as "):
            measured.take({"step": 7, "b": 1.0, "c": 2.0, "a": other})
        # Nothing of the row that was refused
        assert [sorted(row) for row in measured.rows] == [["a", "b", "step"]]


@pytest.mark.parametrize(
    "step",
    [
        3,
        np.int8(3),
        3.0,
        np.float32(3),
        Decimal(3),
        torch.tensor(3),
        torch.tensor(3.0),
        np.array(3),
    ],
)
def test_whole_numbers_of_any_kind_are_steps(step: Any) -> None:
    [row] = rows({"step": step})
    assert row == {"step": 3}
    assert type(row["step"]) is int


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (0.5, "step 0.5 is not a whole number"),
        (math.nan, "step nan is not a whole number"),
        (math.inf, "step inf is not a whole number"),
        ("3", "step '3' is not a whole number"),
        (None, "step None is not a whole number"),
        (True, "step True is not a whole number"),
        (np.bool_(True), "is not a whole number"),
        ([3], r"step \[3\] is not a whole number"),
        (1j, "is not a whole number"),
        (-1, "step -1 is not from 0"),
        (2**63, "step 9223372036854775808 is not from 0"),
        (1e300, "is not from 0 to 2.63 - 1"),
    ],
)
def test_any_other_step_is_refused_by_its_number(step: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rows({"step": step, "a": 1.0})


def test_the_greatest_step_is_kept() -> None:
    assert rows({"step": LAST_STEP, "a": 1.0}) == [{"step": 2**63 - 1, "a": 1.0}]


def test_steps_never_go_back() -> None:
    measured = Measured()
    measured.take({"step": 5, "a": 1.0})
    with pytest.raises(ValueError, match="step 3 came after step 5"):
        measured.take({"step": 3, "a": 2.0})
    assert measured.rows == [{"step": 5, "a": 1.0}]


class TestGoingOn:
    """A trial that was killed, and goes on from the state that it kept."""

    def resumed(self, *before: Mapping[str, Any]) -> Measured:
        measured = Measured()
        measured.resume(before)
        return measured

    def test_it_goes_on_after_its_state(self) -> None:
        measured = self.resumed({"step": 0, "a": 1.0}, {"step": 1, "a": 2.0})
        measured.take({"step": 2, "a": 3.0})
        assert measured.rows == [
            {"step": 0, "a": 1.0},
            {"step": 1, "a": 2.0},
            {"step": 2, "a": 3.0},
        ]
        assert measured.passed == 1

    def test_what_it_measures_again_is_what_counts(self) -> None:
        measured = self.resumed(
            {"step": 0, "a": 1.0}, {"step": 1, "a": 2.0, "b": 5.0}, {"step": 2, "a": 3.0}
        )
        measured.take({"step": 1, "a": 2.5})
        assert measured.rows == [{"step": 0, "a": 1.0}, {"step": 1, "a": 2.5, "b": 5.0}]
        assert measured.passed == 0
        with pytest.raises(ValueError, match="measured twice at step 1"):
            measured.take({"step": 1, "a": 2.0})
        with pytest.raises(ValueError, match="step 0 came after step 1"):
            measured.take({"step": 0})

    def test_a_state_between_the_rows_of_a_step_loses_neither(self) -> None:
        measured = self.resumed({"step": 4, "train/loss": 1.0})
        measured.take({"step": 4, "accuracy": 0.5})
        assert measured.rows == [{"step": 4, "train/loss": 1.0, "accuracy": 0.5}]

    def test_a_task_that_takes_no_notice_of_its_state_begins_anew(self) -> None:
        measured = self.resumed({"step": 0, "a": 1.0}, {"step": 1, "a": 2.0})
        for step in range(3):
            measured.take({"step": step, "a": float(step)})
        assert measured.rows == [{"step": step, "a": float(step)} for step in range(3)]
        assert measured.passed == -1

    def test_kinds_and_names_are_those_of_before(self) -> None:
        measured = self.resumed({"step": 0, "a": 1.0, "b": [1.0]})
        with pytest.raises(TypeError, match="'a' is a list now and was a number before"):
            measured.take({"step": 1, "a": [1.0]})
        with pytest.raises(ValueError, match="'b' and 'B' differ in capitals alone"):
            self.resumed({"step": 0, "b": [1.0]}).take({"step": 1, "B": [1.0]})


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1, 1.0),
        (True, 1.0),
        (np.float32(0.1), float(np.float32(0.1))),
        (Decimal("0.1"), 0.1),
        (10**300, 1e300),
        (2**53 + 1, 2.0**53),
        (np.array(0.5), 0.5),
        (torch.tensor(0.5), 0.5),
        (math.inf, math.inf),
        ([1, 2.5], [1.0, 2.5]),
        ((1,), [1.0]),
        ([], []),
        (np.arange(3), [0.0, 1.0, 2.0]),
        (torch.ones(2), [1.0, 1.0]),
        ([math.nan], [math.nan]),
    ],
)
def test_numbers_of_any_kind_are_64_bit_floats(value: Any, kept: Any) -> None:
    [row] = rows({"step": 0, "a": value, "left out": None})
    assert repr(row) == repr({"step": 0, "a": kept})


class Mute:
    def __repr__(self) -> str:
        msg = "no"
        raise RuntimeError(msg)


@pytest.mark.parametrize(
    "value",
    [
        "high",
        "0.5",
        b"0.5",
        {},
        {1.0},
        [[1.0]],
        ["1"],
        [None],
        np.ones((2, 2)),
        np.ones((1, 1)),
        1j,
        np.complex64(1j),
        np.array(1j),
        np.array(["a"]),
        object(),
        Mute(),
        np.datetime64("2026-01-01"),
        iter([1.0]),
        torch.ones(2, 2),
    ],
)
def test_what_is_no_number_is_refused_by_name(value: Any) -> None:
    with pytest.raises(
        TypeError, match="the measurement 'a' is a number or a list of numbers, but got "
    ):
        rows({"step": 0, "a": value})


def test_what_no_float_can_hold_is_refused_by_name() -> None:
    with pytest.raises(
        ValueError, match="the measurement 'a' is beyond what a 64-bit float can hold: 1000"
    ):
        rows({"step": 0, "a": 10**400})


def test_a_name_is_of_numbers_or_of_lists() -> None:
    with pytest.raises(
        TypeError, match="the measurement 'a' is a list now and was a number before"
    ):
        rows({"step": 0, "a": 1.0}, {"step": 1, "a": [1.0]})
    with pytest.raises(
        TypeError, match="the measurement 'a' is a number now and was a list before"
    ):
        rows({"step": 0, "a": []}, {"step": 1, "a": 1.0})


@pytest.mark.parametrize("name", [*sorted(names.RESERVED - {"step"}), "Status", "Step", "TRIAL"])
def test_names_of_the_tables_own_columns_are_refused(name: str) -> None:
    with pytest.raises(
        ValueError,
        match=f"the measurement '{name}' has the name of a column .* such as 'train/{name}'",
    ):
        rows({"step": 0, name: 1.0})


def test_names_of_settings_are_refused() -> None:
    """A study that varies the setting has a column of that name."""
    with pytest.raises(
        ValueError,
        match=r"the measurement 'LR' has the name of the setting 'lr'.*such as 'train/LR'",
    ):
        rows({"step": 0, "LR": 1.0}, settings=("lr",))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "the empty name"),
        ("a\nb", r"the name 'a\\nb' of a measurement holds a control character"),
        ("\0", "control character"),
        ("\ud800", r"'\\ud800' of a measurement holds a control character or half of a surrogate"),
        ("x\x7f", "control"),
        ("a" * 251, "has 251 characters; 250 are the most"),
        ("x[]", r"ends in \[\]"),
        (3, "is text, but got 3"),
        (None, "is text"),
        (b"a", "is text, but got b'a'"),
        ("loss n", "ends in ' n', as the tables of means .* write 'loss_n'"),
        ("a low", "ends in ' low'"),
    ],
)
def test_names_that_some_table_could_not_give_back_are_refused(name: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        rows({"step": 0, name: 1.0})


class Colour(enum.StrEnum):
    RED = "red"


def test_other_names_are_kept_as_they_are() -> None:
    odd = [
        'q"uote',
        "it's",
        "a.b",
        "a b ",
        "é",
        "e\u0301",
        "日本",
        "🎉",
        "../up",
        "a\\b",
        "%s",
        "{0}",
        "self",
        "order",
        "a" * 250,
    ]
    assert list(rows({"step": 0, **dict.fromkeys(odd, 1.0)})[0]) == ["step", *odd]
    [row] = rows({"step": 0, Colour.RED: 1.0, np.str_("blue"): 2.0})
    assert row == {"step": 0, "red": 1.0, "blue": 2.0}
    assert {type(name) for name in row} == {str}


def test_names_that_differ_in_capitals_alone_are_refused() -> None:
    with pytest.raises(
        ValueError, match="the measurements 'Loss' and 'loss' differ in capitals alone"
    ):
        rows({"step": 0, "Loss": 1.0}, {"step": 1, "loss": 1.0})


def test_there_is_an_end_to_names() -> None:
    many = {"step": 0, **{f"m{index}": 1.0 for index in range(names.MOST)}}
    assert len(rows(many)[0]) == names.MOST + 1
    with pytest.raises(ValueError, match="more than 10000 names were measured"):
        rows(many, {"step": 1, "one more": 1.0})


@pytest.mark.parametrize("row", [3, None, [], {}, {"a": 1.0}, "step", Mute()])
def test_what_is_no_measurement_is_refused(row: Any) -> None:
    with pytest.raises(
        TypeError, match="a task yields mappings with a 'step', but this one yielded "
    ):
        rows(row)


def test_last_values_are_those_of_each_number() -> None:
    """An objective may be measured less often than a loss."""
    assert last_values(
        [{"step": 0, "accuracy": 0.5, "loss": 1.0}, {"step": 1, "loss": 0.5, "curve": [1.0]}]
    ) == {"step": 1, "accuracy": 0.5, "loss": 0.5}
