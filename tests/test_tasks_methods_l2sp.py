"""L2-SP against its equation in numpy."""

import dataclasses

import adapted
import pytest
import trained_here

from tasks import methods


@pytest.fixture(scope="module")
def training():
    return trained_here.training()


@pytest.fixture(scope="module")
def source(training):
    return trained_here.source(training)


@pytest.fixture
def student(source, training):
    return trained_here.student(source, training)


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


@pytest.fixture(scope="module")
def moved(transfer):
    return adapted.student(transfer)


def test_l2sp_formula(source, training, student):
    found, _ = trained_here.penalty_of(
        methods.find("l2sp")(backbone=0.3, head=0.7), source, training, student
    )
    away = {"backbone": 0.0, "head": 0.0}
    for (name, now), before in zip(student.named_parameters(), source.parameters(), strict=True):
        away[name.partition(".")[0]] += (
            ((now.detach().double() - before.detach().double()) ** 2).sum().item()
        )
    assert found == pytest.approx(0.15 * away["backbone"] + 0.35 * away["head"], rel=1e-5)
    assert away["backbone"] > 0 < away["head"]


def test_l2sp_holds_a_new_head_at_zero(transfer, moved):
    method = methods.find("l2sp")(backbone=0.0, head=2.0)
    fresh = dataclasses.replace(transfer, new_head=True)
    found, _ = adapted.penalty_of(method, fresh, moved)
    assert found.item() == pytest.approx(
        sum((part**2).sum() for part in adapted.arrays(*moved.head.parameters())), rel=1e-5
    )
