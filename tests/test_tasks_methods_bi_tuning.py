"""Bi-Tuning: both terms in loops, its queue of keys and its key encoder."""

import copy
import dataclasses

import learnt
import numpy as np
import pytest
import torch
from learnt import (
    CLASSES,
    RECIPE,
    log_softmax_rows,
    numbers,
    outputs_of,
    run_of,
    seed,
    student_of,
    view_of,
)
from torch import nn

from tasks import methods
from tasks.methods import Method, chain
from tasks.methods import bi_tuning as contrasting
from tasks.training import Run


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    yield from learnt.one_thread()


@pytest.fixture(scope="module")
def transfer(one_thread):
    return learnt.transfer(one_thread)


def contrasted(own, row, queues, label, temperature):
    """The cross-entropy of one image in loops: `row` is compared with each key of each class."""
    scores, shares = [own / temperature], [1.0]
    for index, queue in enumerate(queues):
        for key in queue:
            scores.append(float(np.dot(row, key)) / temperature)
            shares.append(float(index == label))
    log_p = log_softmax_rows([scores])[0]
    return -sum(share * value for share, value in zip(shares, log_p, strict=True)) / sum(shares)


def unit(vector):
    return np.asarray(vector) / np.sqrt(np.sum(np.square(vector)))


def test_bi_tuning_formula(transfer):
    """Both terms in loops; keys from a key encoder that has moved on by half."""
    method = methods.find("bi_tuning")(
        weight=0.6, temperature=0.3, keys=3, momentum=0.5, projection=7
    )
    student = student_of(transfer).eval()
    contrast = method.prepare(student, transfer, None)
    old = copy.deepcopy(contrast)
    with torch.no_grad():
        for weight in (*student.parameters(), *contrast.projector.parameters()):
            weight.add_(0.01)
    encoder = copy.deepcopy(student)
    with torch.no_grad():
        for key, before, now in zip(
            encoder.parameters(), old.encoder.parameters(), student.parameters(), strict=True
        ):
            key.copy_(0.5 * before + 0.5 * now)
    view = view_of(transfer, student)
    found = method.penalty(view, contrast)
    assert all(
        torch.allclose(*pair)
        for pair in zip(contrast.encoder.parameters(), encoder.parameters(), strict=True)
    )
    features, keys = outputs_of(student, view.images)[0], outputs_of(encoder, view.images)[0]
    projector = [numbers(weight) for weight in contrast.projector.parameters()]
    key_projector = [
        (numbers(left) + numbers(right)) / 2
        for left, right in zip(
            old.projector.parameters(), contrast.projector.parameters(), strict=True
        )
    ]
    expected = 0.0
    for row, label in enumerate(transfer.labels[:8].tolist()):
        weights = unit([*numbers(student.head.weight)[label], numbers(student.head.bias)[label]])
        expected += (
            contrasted(
                np.dot(unit([*features[row], 1.0]), weights),
                weights,
                numbers(old.features),
                label,
                0.3,
            )
            / 8
        )
        query = unit(projector[0] @ features[row] + projector[1])
        key = unit(key_projector[0] @ keys[row] + key_projector[1])
        expected += contrasted(np.dot(query, key), query, numbers(old.projections), label, 0.3) / 8
        assert np.allclose(
            numbers(contrast.projections)[label, (row // CLASSES) % 3], key, atol=1e-4
        )
        assert np.allclose(
            numbers(contrast.features)[label, (row // CLASSES) % 3],
            unit([*keys[row], 1.0]),
            atol=1e-4,
        )
    assert found.item() == pytest.approx(0.6 * expected, rel=1e-4)
    found.backward()
    assert all(weight.grad is None for weight in student.head.parameters()), (
        "the classifier side holds the head constant"
    )
    assert all(weight.grad is not None for weight in contrast.projector.parameters())
    assert all(weight.grad is None for weight in contrast.encoder.parameters())


@pytest.mark.parametrize(
    "labels",
    [[0, 0, 0, 0, 0, 0, 0], [2], [1, 0, 1, 2, 1, 1, 0, 1], [2, 2, 0, 2], [0, 1, 0, 1, 0, 1]],
)
def test_the_queue_keeps_the_last_of_each_class(labels):
    """Against lists that are appended to, over several batches."""
    state, classes, keys = nn.Module(), 4, 3
    state.register_buffer("features", torch.zeros(classes, keys, 2))
    state.register_buffer("projections", torch.zeros(classes, keys, 1))
    state.register_buffer("next", torch.zeros(classes, dtype=torch.long))
    lists = [[0.0] * keys for _ in range(classes)]
    clock = 0
    for batch in range(4):
        now = torch.tensor(labels[batch:] + labels[:batch])
        stamps = torch.arange(clock + 1, clock + 1 + len(labels)).float()
        clock += len(labels)
        contrasting._enqueue(state, stamps[:, None].expand(-1, 2), -stamps[:, None], now)
        for label, stamp in zip(now.tolist(), stamps.tolist(), strict=True):
            lists[label] = [*lists[label][1:], stamp]
        for index in range(classes):
            assert sorted(state.features[index, :, 0].tolist()) == sorted(lists[index])
            oldest_first = [
                state.features[index, (state.next[index] + place) % keys, 1].item()
                for place in range(keys)
            ]
            assert oldest_first == lists[index]
            assert torch.equal(state.projections[index, :, 0], -state.features[index, :, 0])


def test_the_key_encoder_follows_after_the_queues_seed(transfer):
    runs = [
        run_of(methods.find("bi_tuning")(keys=4), dataclasses.replace(transfer, seed=of))
        for of in (seed, seed, lambda *names: seed(5, *names))
    ]
    queues = [run.prepared.features for run in runs]
    assert torch.equal(queues[0], queues[1])
    assert not torch.equal(queues[0], queues[2])
    assert torch.allclose(queues[0].square().sum(2), torch.ones(CLASSES, 4))
    projector = runs[0].prepared.projector.weight
    assert projector.abs().max() <= 64**-0.5
    before = queues[0].clone()
    runs[0].advance(0, 3)
    moved = (queues[0] != before).any(2).sum().item()
    assert 12 < moved <= 20


@pytest.mark.parametrize("frozen", [False, True])
def test_the_key_encoder_s_batch_norm_is_in_the_student_s_mode(transfer, frozen):
    method = methods.find("bi_tuning")(keys=2)
    run = run_of(chain(method, Method(frozen=frozenset({"norms"}))) if frozen else method, transfer)
    contrast = run.prepared[0] if frozen else run.prepared
    assert not any(weight.requires_grad for weight in contrast.encoder.parameters())
    run.advance(0, 3)
    assert [norm.training for norm in contrast.encoder.norms()] == [not frozen] * 2
    assert not contrast.encoder.training


def test_random_layers_draw_the_same_with_keys_and_without(transfer):
    """With dropout in the backbone, weight zero is plain training all the same."""
    found = []
    for method in (methods.find("bi_tuning")(weight=0.0), Method()):
        student = student_of(transfer)
        student.backbone.append(nn.Dropout(0.5))
        run = Run(student, transfer, method, RECIPE)
        torch.manual_seed(3)
        run.advance(0, 3)
        found.append(run.student.state_dict())
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())
