"""Batch-norm statistics are those of the target's batches."""

import adapted
import numpy as np
import pytest
import torch
from adapted import arrays, run_of


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


@pytest.mark.parametrize("momentum", [0.3, 0.0])
def test_bn_statistics_are_those_of_the_batches(transfer, momentum):
    """The first norm layer's mean, from what reaches it: moving average, or the mean over all batches."""
    run = run_of("bn_statistics", transfer, momentum=momentum)
    expected = arrays(transfer.source.backbone[2].running_mean)[0]
    means = []
    for step in range(6):
        images = transfer.images[run.batch(step)]
        reaching = transfer.source.backbone[:2](images)
        means.append(arrays(reaching.mean((0, 2, 3)))[0])
        expected = (
            (1 - momentum) * expected + momentum * means[-1] if momentum else np.mean(means, 0)
        )
    assert torch.isfinite(run.advance(0, 3))
    run.advance(3, 6)
    assert np.allclose(arrays(run.student.backbone[2].running_mean)[0], expected, atol=1e-5)
    for now, before in zip(run.student.parameters(), transfer.source.parameters(), strict=True):
        assert torch.equal(now, before)


def test_bn_statistics_continue(transfer):
    whole, first, second = (run_of("bn_statistics", transfer, momentum=0.0) for _ in range(3))
    whole.advance(0, 6)
    first.advance(0, 3)
    second.restore(first.state())
    second.advance(3, 6)
    assert all(
        torch.equal(*pair)
        for pair in zip(
            whole.student.state_dict().values(), second.student.state_dict().values(), strict=True
        )
    )
