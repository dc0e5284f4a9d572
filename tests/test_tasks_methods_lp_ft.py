"""A linear probe first, fine-tuning afterwards."""

import copy
import dataclasses

import adapted
import pytest
import torch
from adapted import RECIPE, run_of

from tasks.methods import Method
from tasks.training import Run


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


def test_lp_ft_is_a_probe_and_then_fine_tuning(transfer):
    run = run_of("lp_ft", transfer, share=0.5)
    probe = run_of("linear_probe", transfer, dataclasses.replace(RECIPE, epochs=1))
    probe.advance(0, 3)
    run.advance(0, 3)
    same = zip(run.student.state_dict().items(), probe.student.state_dict().values(), strict=True)
    assert all(torch.equal(now, expected) for (_, now), expected in same)
    # From there on: plain fine-tuning of three steps with a schedule of its own, on the batches
    # that follow.
    run.advance(3, 6)
    plain = Run(
        copy.deepcopy(probe.student), transfer, Method(), dataclasses.replace(RECIPE, epochs=1)
    )
    plain.freeze(())
    batch = plain.batch
    plain.batch = lambda step: batch(step + 3)
    plain.advance(0, 3)
    for now, expected in zip(
        run.student.state_dict().values(), plain.student.state_dict().values(), strict=True
    ):
        assert torch.equal(now, expected)


def test_lp_ft_without_a_probe_is_plain(transfer):
    runs = [run_of("lp_ft", transfer, share=0.0), run_of("plain", transfer)]
    for run in runs:
        run.advance(0, 6)
    assert all(
        torch.equal(*pair)
        for pair in zip(*(run.student.state_dict().values() for run in runs), strict=True)
    )
