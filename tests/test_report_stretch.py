"""The stretched axis goes there and back."""

import numpy as np
import pytest

from htsweep.report import stretch

DECADES = [
    (20, 70, [20, 30, 40, 50, 60]),
    (3, 60, [5, 10, 20, 50]),
    (0.02, 5, [0.03, 0.1, 0.3, 1, 3]),
    (1, 1e6, [1, 10, 100, 1000, 1e4, 1e5, 1e6]),
    (1, 1e12, [1, 100, 1e4, 1e6, 1e8, 1e10, 1e12]),
]
"""Of an axis: its ends, and the ticks between them."""


def test_the_stretched_axis_goes_there_and_back() -> None:
    values = np.array([0, 55.5, 90, 99, 100])
    assert stretch.inverse(stretch.forward(values)) == pytest.approx(values)
    assert (np.diff(stretch.forward(values)) > 0).all()
    assert stretch.ticks(58, 100) == [60, 80, 90, 95, 98, 99, 100]
    assert stretch.is_crowded(np.array([60, 97, 98, 99, 99.5]))
    assert not stretch.is_crowded(np.array([60, 70, 80, 90, 99.0]))
    assert not stretch.is_crowded(np.array([97, 98, 99.0]))


def test_no_axis_of_percent_goes_beyond_what_percent_can_be() -> None:
    assert stretch.limits(np.array([60, 98, 99, 99.5]))[1] == 100
    assert stretch.even_limits(np.array([10.0, 99.0]), True) == (0, 100)
    assert stretch.even_limits(np.array([90.0, 100.0]), True) == pytest.approx((89.5, 100))
    assert stretch.even_limits(np.array([0.0, 20.0]), True) == pytest.approx((0, 21))
    assert stretch.even_limits(np.array([0.0, 20.0]), False) == pytest.approx((-1, 21))


@pytest.mark.parametrize(("low", "high", "seen"), DECADES)
def test_ticks_of_a_logarithmic_axis_are_round(low: float, high: float, seen: list[float]) -> None:
    ticks = stretch.decades(low, high)
    assert [tick for tick in ticks if low <= tick <= high] == seen
    assert ticks[0] <= low
    assert ticks[-1] >= high
