"""Selective distillation against its equation in numpy."""

import dataclasses

import numpy as np
import pytest
import trained_here
from trained_here import MISSING, penalty_of

from tasks import methods
from tasks.methods import View


@pytest.fixture(scope="module")
def training():
    return trained_here.training()


@pytest.fixture(scope="module")
def source(training):
    return trained_here.source(training)


@pytest.fixture
def student(source, training):
    return trained_here.student(source, training)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_selective_distillation_formula(source, training, student, temperature):
    method = methods.find("selective_distillation")(weight=1.5, temperature=temperature)
    found, view = penalty_of(method, source, training, student)

    def softmax(logits):
        powers = np.exp(logits.detach().numpy().astype(np.float64)[:, MISSING] / temperature)
        return powers / powers.sum(1, keepdims=True)

    p, q = softmax(view.source_logits), softmax(view.logits)
    assert found == pytest.approx(
        1.5 * temperature**2 * (p * np.log(p / q)).sum(1).mean(), rel=1e-3
    )
    assert found > 0


def test_selective_distillation_of_one_class_is_nothing(source, training, student):
    transfer = dataclasses.replace(training, source=source, missing_classes=[5])
    view = View(student, transfer, training.images[:8], training.labels[:8])
    assert methods.find("selective_distillation")().penalty(view, None).item() == 0
