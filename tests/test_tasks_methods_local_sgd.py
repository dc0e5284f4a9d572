"""Local SGD is LOLSGD that leaves no class out."""

import adapted
import pytest
import torch
from adapted import run_of


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


def test_local_sgd_is_lolsgd_that_leaves_nothing_out(transfer):
    runs = [
        run_of("local_sgd", transfer, subsets=2, local_steps=3),
        run_of("lolsgd", transfer, subsets=2, local_steps=3, left_out=0),
    ]
    for run in runs:
        run.advance(0, 6)
    assert all(
        torch.equal(*pair)
        for pair in zip(*(run.student.state_dict().values() for run in runs), strict=True)
    )
