"""Regularisers of fine-tuning: L2, attention transfer, DELTA, BSS and StochNorm, each against its equation in numpy."""

import pytest
import regularised
import torch
from regularised import run_of

from tasks import methods
from tasks.methods import Method

NAMES = ("l2", "at", "delta", "bss", "stochnorm")


@pytest.fixture(scope="module")
def transfer():
    return regularised.transfer()


# In training


OFF = {
    "l2": {"backbone": 0.0, "head": 0.0},
    "at": {"weight": 0.0},
    "bss": {"weight": 0.0},
    "stochnorm": {"p": 1.0},
    "delta": {"weight": 0.0, "head": 0.0, "head_epochs": 1, "batches": 1},
}


@pytest.mark.parametrize("name", NAMES)
def test_switched_off_it_is_plain(name, transfer):
    runs = [run_of(method, transfer) for method in (methods.find(name)(**OFF[name]), Method())]
    for run in runs:
        torch.manual_seed(7)
        run.advance(0, 3)
    pairs = zip(*(run.student.state_dict().values() for run in runs), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
