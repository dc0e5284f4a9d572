"""Balanced softmax against its formula, and what it does to classes without images."""

import adapted
import pytest
import torch
from adapted import MISSING, RECIPE, run_of

from tasks import methods


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


def test_the_loss_weighs_each_class_by_its_share(transfer):
    run = run_of("balanced_softmax", transfer)
    positions = run.batch(0)
    counts = torch.bincount(transfer.labels[transfer.train], minlength=5).double()
    loss = run.gradient(positions)
    view = run.view(positions)
    weighted = view.logits.detach().double().exp() * counts
    expected = (
        -(weighted / weighted.sum(1, keepdim=True))[range(len(positions)), view.labels].log().mean()
    )
    assert float(loss) == pytest.approx(float(expected), abs=1e-6)


def test_logits_of_missing_classes_get_no_gradient(transfer):
    run = run_of("balanced_softmax", transfer)
    run.gradient(run.batch(0))
    assert torch.all(run.student.head.weight.grad[MISSING].abs() < 1e-30)
    plain = run_of("plain", transfer)
    plain.gradient(plain.batch(0))
    assert torch.all(plain.student.head.weight.grad[MISSING].abs().sum(1) > 0)


def test_it_stays_finite_with_label_smoothing(transfer):
    import dataclasses

    smoothed = dataclasses.replace(RECIPE, label_smoothing=0.1)
    run = run_of("balanced_softmax", transfer, smoothed)
    assert torch.isfinite(run.advance(0, 3))


def test_it_cannot_be_chained_with_what_takes_no_gradient():
    assert "follows no gradient" in methods.problems("balanced_softmax+bn_statistics")[0]
