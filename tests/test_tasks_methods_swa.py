"""Stochastic weight averaging against the mean of the iterates."""

import copy

import adapted
import numpy as np
import pytest
from adapted import RECIPE, arrays, run_of

from tasks import methods
from tasks.training import Run


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


def test_swa_is_the_mean_of_the_iterates(transfer):
    run = run_of("swa", transfer, start=0.5)
    iterates = []
    step = run.step
    run.step = lambda: (step(), iterates.append(copy.deepcopy(run.student.state_dict())))
    run.advance(0, 3)
    run.advance(3, 6)
    for name, value in run.finished().state_dict().items():
        if value.is_floating_point():
            expected = np.mean(arrays(*(one[name] for one in iterates[3:])), 0)
            assert np.allclose(arrays(value)[0], expected, atol=1e-6), name
    assert len(iterates) == 6


def test_swa_counts_the_rounds_of_lolsgd(transfer):
    method = methods.build(
        "lolsgd+swa", {"lolsgd.subsets": 1, "lolsgd.local_steps": 1, "swa.start": 0.0}
    )
    run = Run(copy.deepcopy(transfer.source), transfer, method, RECIPE)
    run.advance(0, 6)
    assert int(run._kept[0].count) == 6
