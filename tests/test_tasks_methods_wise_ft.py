"""WiSE-FT against its equation in numpy."""

import numpy as np
import pytest
import torch
import trained_here
from trained_here import run_of

from tasks import methods


@pytest.fixture(scope="module")
def training():
    return trained_here.training()


@pytest.fixture(scope="module")
def source(training):
    return trained_here.source(training)


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_wise_ft_formula(source, training, alpha):
    run = run_of(methods.find("wise_ft")(alpha=alpha), source, training)
    run.advance(0, 8)
    before, mixed, origin = (
        run.student.state_dict(),
        run.finished().state_dict(),
        source.state_dict(),
    )
    for name, value in mixed.items():
        if value.is_floating_point():
            expected = alpha * origin[name].numpy() + (1 - alpha) * before[name].numpy()
            assert np.allclose(value.numpy(), expected, atol=1e-7), name
        else:
            assert torch.equal(value, before[name]), f"{name} counts batches"
