"""The stretched axis goes there and back."""

import numpy as np
import pytest

from htsweep.report import stretch


def test_the_stretched_axis_goes_there_and_back() -> None:
    values = np.array([0, 55.5, 90, 99, 100])
    assert stretch.inverse(stretch.forward(values)) == pytest.approx(values)
    assert (np.diff(stretch.forward(values)) > 0).all()
    assert stretch.ticks(58, 100) == [60, 80, 90, 95, 98, 99, 100]
    assert stretch.is_crowded(np.array([60, 97, 98, 99, 99.5]))
    assert not stretch.is_crowded(np.array([60, 70, 80, 90, 99.0]))
    assert not stretch.is_crowded(np.array([97, 98, 99.0]))
