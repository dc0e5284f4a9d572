"""A view computes each output once; what two methods of a chain may not both do."""

import copy
import dataclasses

import pytest
import trained_here
from trained_here import CLASSES

from tasks.methods import Method, View, chain
from tasks.methods.lolsgd import lolsgd
from tasks.training import sgd


@pytest.fixture(scope="module")
def training():
    return trained_here.training()


@pytest.fixture(scope="module")
def source(training):
    return trained_here.source(training)


def test_two_optimisations_cannot_be_a_chain():
    with pytest.raises(ValueError, match="both replace the optimisation"):
        chain(lolsgd(), Method(optimise=sgd))


def test_a_view_computes_each_output_once(source, training):
    calls = []
    student = copy.deepcopy(source)
    student.register_forward_hook(lambda *_: calls.append("student"))
    teacher = copy.deepcopy(source)
    teacher.register_forward_hook(lambda *_: calls.append("source"))
    view = View(
        student,
        dataclasses.replace(training, source=teacher),
        training.images[:4],
        training.labels[:4],
    )
    for _ in range(2):
        assert view.logits.shape == view.source_logits.shape == (4, CLASSES)
        assert view.features.shape == view.source_features.shape == (4, 64)
    assert calls == ["student", "source"]
    assert view.logits.requires_grad
    assert not view.source_logits.requires_grad
