"""Schedules against their formulas, and which of them make a short run the beginning of a long one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.schedules import SCHEDULES, STEADY, rate_at
from tasks.training import Recipe


def recipe(**changed):
    basis = {"epochs": 4, "steps_per_epoch": 5, "batch_size": 8, "learning_rate": 0.1}
    return Recipe(**{**basis, "momentum": 0.9, "weight_decay": 0.0, **changed})


def rates(**changed):
    made = recipe(**changed)
    return [rate_at(made, step / made.steps) for step in range(made.steps)]


def test_each_follows_its_formula():
    assert rates() == [(1 + math.cos(math.pi * (step / 20))) / 2 for step in range(20)]
    assert rates(schedule="linear") == [1 - step / 20 for step in range(20)]
    assert rates(schedule="constant") == [1.0] * 20
    stepped = rates(schedule="step", milestones=(1, 3), milestone_factor=0.5)
    assert stepped == [1.0] * 5 + [0.5] * 10 + [0.25] * 5


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_rises_by_equal_steps_and_then_the_schedule_begins(schedule):
    found = rates(schedule=schedule, warmup_steps=4, milestones=(2,))
    assert found[:4] == [0.25, 0.5, 0.75, 1.0]
    assert found[4] == 1.0
    rest = [found[step] for step in range(4, 20)]
    assert rest == sorted(rest, reverse=True)
    if schedule == "linear":
        assert found[4:] == pytest.approx([1 - step / 16 for step in range(16)])


@given(
    st.sampled_from(STEADY),
    st.integers(0, 12),
    st.integers(1, 9),
    st.integers(1, 9),
    st.lists(st.integers(1, 9), max_size=3, unique=True).map(sorted),
)
def test_a_short_run_of_a_steady_schedule_is_the_beginning_of_a_long_one(
    schedule, warmup, first, second, milestones
):
    short, long = sorted((first, second))
    given = {"schedule": schedule, "warmup_steps": warmup, "milestones": tuple(milestones)}
    assert rates(epochs=long, **given)[: 5 * short] == rates(epochs=short, **given)
