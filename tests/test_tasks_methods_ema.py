"""EMA against the recursion that defines it."""

import copy

import adapted
import numpy as np
import pytest
from adapted import arrays, run_of


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


@pytest.mark.parametrize("decay", [0.0, 0.7, 1.0])
def test_ema_is_the_moving_average_of_the_iterates(transfer, decay):
    run = run_of("ema", transfer, decay=decay)
    iterates = [copy.deepcopy(run.student.state_dict())]
    step = run.step
    run.step = lambda: (step(), iterates.append(copy.deepcopy(run.student.state_dict())))
    run.advance(0, 3)
    run.advance(3, 6)
    assert len(iterates) == 7
    for name, value in run.finished().state_dict().items():
        if value.is_floating_point():
            expected, *later = arrays(*(one[name] for one in iterates))
            for each in later:
                expected = decay * expected + (1 - decay) * each
            assert np.allclose(arrays(value)[0], expected, atol=1e-6), name
