"""Outputs are rounded once, whatever they are made of, and cannot be changed afterwards."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.outputs import Outputs, hand_over

LOGITS = arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32))


@given(LOGITS)
def test_rounding_is_to_what_float16_holds_and_a_second_time_changes_nothing(logits):
    once = Outputs(logits, np.array([0, 1, 3]), (2,), "test")
    assert once.logits.dtype == np.float32
    assert np.array_equal(once.logits, once.logits.astype(np.float16).astype(np.float32))
    assert np.isfinite(once.logits).all(), "what float16 cannot hold is its largest number"
    again = Outputs(once.logits, once.labels, once.missing, "test")
    assert again.logits.tobytes() == once.logits.tobytes()
    inside = np.abs(logits) < 60_000
    assert np.allclose(once.logits[inside], logits[inside], rtol=2**-11, atol=2**-24)


def test_the_order_in_memory_makes_no_difference():
    logits = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    labels = np.zeros(50, np.int32)
    one = Outputs(logits, labels, (), "test")
    other = Outputs(np.asfortranarray(logits), labels, (), "test")
    assert other.logits.flags.c_contiguous
    assert one.logits.tobytes() == other.logits.tobytes()
    assert np.exp(one.logits).sum(1).tobytes() == np.exp(other.logits).sum(1).tobytes()


def test_what_a_metric_sees_cannot_be_written_to():
    given_logits = np.zeros((2, 2), np.float32)
    outputs = Outputs(given_logits, np.array([0, 1]), [1, 1, 0], "test")
    assert outputs.missing == (0, 1)
    with pytest.raises(ValueError, match="read-only"):
        outputs.logits[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        outputs.labels[0] = 1
    given_logits[0, 0] = 5
    assert outputs.logits[0, 0] == 0, "it is a copy"


def test_features_are_rounded_as_logits_are_and_have_a_row_for_each_image():
    features = np.random.default_rng(0).normal(size=(2, 5)) * 1e5
    outputs = Outputs(np.zeros((2, 2)), np.array([0, 1]), (), "test", "", features)
    assert outputs.features.dtype == np.float32
    assert np.array_equal(outputs.features, outputs.features.astype(np.float16))
    assert np.isfinite(outputs.features).all()
    assert Outputs(np.zeros((2, 2)), np.array([0, 1]), (), "test").features is None
    with pytest.raises(ValueError, match=r"\[N, width\] for 2 images, but got \[3, 5\]"):
        Outputs(np.zeros((2, 2)), np.array([0, 1]), (), "test", "", np.zeros((3, 5)))


@pytest.mark.parametrize(
    ("logits", "labels", "missing", "words"),
    [
        (np.zeros(3), np.zeros(3, int), (), r"logits \[3\] and labels \[3\]"),
        (np.zeros((3, 2)), np.zeros(2, int), (), r"labels \[2\]"),
        (np.zeros((3, 2)), np.zeros(3), (), "class indices, but got float64"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), (), "go from 0 to 2"),
        (np.zeros((3, 2)), np.array([0, 1, -1]), (), "go from -1 to 1"),
        (np.zeros((3, 2)), np.array([0, 1, 1]), (2,), "go from 0 to 2"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(logits, labels, missing, words):
    with pytest.raises(ValueError, match=words):
        Outputs(logits, labels, missing, "test")


def test_a_workspace_that_keeps_nothing_is_left_alone():
    hand_over(object(), 0, {"test": Outputs(np.zeros((1, 2)), np.array([0]), (), "test")})
