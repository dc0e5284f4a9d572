"""Elastic weight consolidation against its equation in numpy."""

import copy
import dataclasses

import adapted
import numpy as np
import pytest
import torch
from adapted import arrays, penalty_of, seed
from torch.nn.functional import cross_entropy

from tasks import methods


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


@pytest.fixture(scope="module")
def student(transfer):
    return adapted.student(transfer)


def test_ewc_formula(transfer, student):
    """F image by image from its definition: every image is used, so that only the labels are drawn."""
    method = methods.find("ewc")(weight=3.0, samples=1000)
    roots, start, _ = method.prepare(None, transfer, None)
    fisher = np.concatenate([root.ravel() ** 2 for root in arrays(*roots)])
    expected = np.zeros(sum(one.numel() for one in start))
    generator = torch.Generator().manual_seed(seed("fisher"))
    rows = transfer.train[torch.randperm(len(transfer.train), generator=generator)]
    source = copy.deepcopy(transfer.source).requires_grad_(True)
    for row in rows:
        logits = source(transfer.images[row][None])[1]
        label = torch.multinomial(logits.detach().softmax(1)[0], 1, generator=generator)
        source.zero_grad()
        cross_entropy(logits, label).backward()
        expected += np.concatenate(
            [arrays(weight.grad)[0].ravel() ** 2 for weight in source.parameters()]
        ) / len(rows)
    assert np.allclose(fisher, expected, rtol=1e-3, atol=1e-9)
    found, _ = penalty_of(method, transfer, student)
    away = np.concatenate(
        [
            (now - before).ravel()
            for now, before in zip(
                arrays(*student.parameters()), arrays(*transfer.source.parameters()), strict=True
            )
        ]
    )
    assert found.item() == pytest.approx(1.5 * (expected * away**2).sum(), rel=1e-3)


def test_ewc_s_labels_are_drawn_from_the_source(transfer):
    """A source that is sure has no information: p(y|x) is flat around it."""
    sure = copy.deepcopy(transfer.source)
    sure.head.weight.data *= 1000
    fisher, _, _ = methods.find("ewc")().prepare(
        None, dataclasses.replace(transfer, source=sure), None
    )
    unsure, _, _ = methods.find("ewc")().prepare(None, transfer, None)
    assert fisher[-1].square().sum() < unsure[-1].square().sum() / 100
