"""WiSE-FT against its equation in numpy."""

import numpy as np
import pytest
import torch
import trained_here
from trained_here import run_of

from tasks import methods
from tasks.holistic_transfer import holistic_transfer


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


def test_alpha_may_be_the_share_of_the_trained_model_as_in_the_paper(source, training):
    ours, papers = (
        run_of(methods.find("wise_ft")(**given), source, training)
        for given in ({"alpha": 0.25}, {"alpha": 0.75, "of": "trained"})
    )
    for run in (ours, papers):
        run.advance(0, 8)
    one, other = (run.finished().state_dict() for run in (ours, papers))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_old_meaning_is_not_written_out():
    resolved = holistic_transfer.resolve({"method": "wise_ft", "wise_ft.of": "source"})
    assert resolved == holistic_transfer.resolve({"method": "wise_ft"})
    assert "wise_ft.of" not in resolved
    given = {"method": "wise_ft", "wise_ft.of": "trained"}
    assert holistic_transfer.resolve(given)["wise_ft.of"] == "trained"
    wrong = holistic_transfer.resolve({**given, "wise_ft.of": "both"})
    assert wrong["wise_ft.of"] == "both"
