"""Only the batch-norm layers move."""

import adapted
import pytest
import torch
from adapted import run_of


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


def test_bn_affine_moves_norms_only(transfer):
    run = run_of("bn_affine", transfer)
    run.advance(0, 3)
    moved = {
        name
        for (name, now), before in zip(
            run.student.state_dict().items(), transfer.source.state_dict().values(), strict=True
        )
        if not torch.equal(now, before)
    }
    assert moved == {
        f"backbone.{layer}.{what}"
        for layer in (2, 6)
        for what in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }
