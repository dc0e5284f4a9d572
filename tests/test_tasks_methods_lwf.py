"""Learning without forgetting against its equation, with the source's head fixed and trained."""

import dataclasses

import learnt
import numpy as np
import pytest
import torch
from learnt import (
    SOURCE_CLASSES,
    log_softmax_rows,
    numbers,
    outputs_of,
    run_of,
    student_of,
    view_of,
)

from tasks import methods


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    yield from learnt.one_thread()


@pytest.fixture(scope="module")
def transfer(one_thread):
    return learnt.transfer(one_thread)


@pytest.fixture(scope="module")
def same_head(transfer):
    return dataclasses.replace(
        transfer, labels=transfer.labels % SOURCE_CLASSES, classes=SOURCE_CLASSES, new_head=False
    )


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("head", ["fixed", "trained"])
@pytest.mark.parametrize("setting", ["new head", "same head"])
def test_lwf_formula(transfer, same_head, temperature, head, setting):
    given = transfer if setting == "new head" else same_head
    method = methods.find("lwf")(weight=0.7, temperature=temperature, head=head)
    student = student_of(given).eval()
    view = view_of(given, student)
    ready = method.prepare(student, given, None)
    if ready is not None:
        assert {weight.requires_grad for weight in ready.parameters()} == {head == "trained"}
        assert torch.equal(ready.weight, transfer.source.head.weight)
        ready.weight.data += 0.1  # as after training
    features, logits = outputs_of(student, view.images)
    if setting == "new head":
        logits = features @ numbers(ready.weight).T + numbers(ready.bias)
    _, wanted = outputs_of(given.source, view.images)
    log_q, log_p = log_softmax_rows(logits / temperature), log_softmax_rows(wanted / temperature)
    expected = 0.0
    for row in range(8):
        for place in range(SOURCE_CLASSES):
            expected += np.exp(log_p[row, place]) * (log_p[row, place] - log_q[row, place]) / 8
    assert method.penalty(view, ready).item() == pytest.approx(
        0.7 * temperature**2 * expected, rel=1e-3
    )
    assert expected > 1e-4


def test_lwf_trains_the_source_s_head_only_where_asked(transfer):
    for head, moves in (("fixed", False), ("trained", True)):
        run = run_of(methods.find("lwf")(head=head), transfer)
        run.advance(0, 3)
        assert torch.equal(run.prepared.weight, transfer.source.head.weight) != moves
