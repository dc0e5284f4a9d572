"""TRED: its measures in loops, the two sides of the source's maps, and the loss."""

import dataclasses

import learnt
import numpy as np
import pytest
import torch
from learnt import numbers, seed, student_of, view_of
from torch import nn

from tasks import methods
from tasks.methods import tred as splitting
from tasks.model import Model
from tasks.transfer import Transfer


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    yield from learnt.one_thread()


@pytest.fixture(scope="module")
def transfer(one_thread):
    return learnt.transfer(one_thread)


def test_mmd_in_loops():
    rng = np.random.default_rng(0)
    left, right = rng.normal(0, 1, (6, 3)), rng.normal(0.5, 2, (6, 3))
    rows = [*left, *right]
    apart = [((rows[i] - rows[j]) ** 2).sum() for i in range(12) for j in range(i + 1, 12)]
    median = sorted(apart)[(len(apart) - 1) // 2]

    def kernel(a, b):
        return sum(
            np.exp(-((a - b) ** 2).sum() / (2 * factor * median)) for factor in (0.25, 0.5, 1, 2, 4)
        )

    def mean(first, second):
        return sum(kernel(a, b) for a in first for b in second) / (len(first) * len(second))

    expected = mean(left, left) + mean(right, right) - 2 * mean(left, right)
    assert splitting.mmd(torch.from_numpy(left), torch.from_numpy(right)).item() == pytest.approx(
        expected, rel=1e-9
    )
    assert splitting.mmd(torch.from_numpy(left), torch.from_numpy(left)).item() == pytest.approx(
        0, abs=1e-9
    )


@pytest.mark.parametrize("rows", [torch.zeros(4, 3), torch.ones(1, 3)])
def test_mmd_of_equal_rows_is_zero(rows):
    rows = rows.clone().requires_grad_(True)
    found = splitting.mmd(rows, rows * 1)
    found.backward()
    assert found.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(rows.grad).all()


def test_club_in_loops():
    rng = np.random.default_rng(0)
    given, other = rng.normal(0, 1, (5, 3)), rng.normal(0, 2, (5, 3))
    critic = [rng.normal(0, 0.5, shape) for shape in ((4, 3), (4,), (6, 4), (6,))]
    expected = 0.0
    for i in range(5):
        hidden = np.maximum(critic[0] @ given[i] + critic[1], 0)
        answer = critic[2] @ hidden + critic[3]
        mean, variance = answer[:3], np.exp(4 * np.tanh(answer[3:]))

        def log_density(row, mean=mean, variance=variance):
            return sum(-((row - mean) ** 2) / (2 * variance) - np.log(2 * np.pi * variance) / 2)

        expected += log_density(other[i]) / 5 - sum(log_density(row) for row in other) / 25
    tensors = [torch.from_numpy(one) for one in critic]
    assert splitting.club(
        tensors, torch.from_numpy(given), torch.from_numpy(other)
    ).item() == pytest.approx(expected, rel=1e-9)


def test_tred_formula(transfer):
    method = methods.find("tred")(weight=0.3, head=0.2, stages="1,-1")
    student = student_of(transfer).eval()
    rng = np.random.default_rng(0)
    layers = {
        f"{index}.positive.{number}": torch.from_numpy(rng.normal(0, 0.3, shape)).float()
        for index, width in enumerate((8, 32))
        for number, shape in enumerate(((width, width), (width,), (width, width), (width,)))
    }
    view = view_of(transfer, student, maps=True)
    expected = 0.1 * sum((numbers(weight) ** 2).sum() for weight in student.head.parameters())
    for index in range(2):
        ours, theirs = (
            numbers(model.outputs(view.images, maps=True).maps[index])
            for model in (student, transfer.source)
        )
        first, bias, second, offset = (
            numbers(layers[f"{index}.positive.{number}"]) for number in range(4)
        )
        _, _, height, width = ours.shape
        for image in range(8):
            for y in range(height):
                for x in range(width):
                    at = theirs[image, :, y, x]
                    gate = 1 / (1 + np.exp(-(second @ np.maximum(first @ at + bias, 0) + offset)))
                    expected += (
                        0.3 / 8 * ((ours[image, :, y, x] - at * gate) ** 2).sum() / (height * width)
                    )
    ready = method.prepare(student, transfer, layers)
    assert method.penalty(view, ready).item() == pytest.approx(expected, rel=1e-4)
    assert method.decays


class Mean(nn.Module):
    def forward(self, images):
        return images.mean((2, 3))


def toy(count=400, shuffled=False):
    """Images that are their own feature map: four channels that tell the class, and four that are light or dark by chance."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 4
    images = rng.random((count, 8, 3, 3)) / 2
    images[:, 4:] += 2 * rng.random((count, 4, 1, 1))
    images[np.arange(count), labels] += 1.5
    model = Model(Mean(), nn.Linear(8, 4), lambda backbone, images: (backbone(images), [images]))
    rows = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return Transfer(
        model.requires_grad_(False).eval(),
        torch.from_numpy(images).float(),
        torch.from_numpy(rng.permutation(labels) if shuffled else labels),
        rows[: count // 2],
        rows[count // 2 :],
        4,
        (),
        True,
        "cpu",
        seed,
    )


def sides_of(learnt, images):
    with torch.no_grad():
        return [
            splitting.part([learnt[f"0.{side}.{number}"] for number in range(4)], images)
            for side in splitting.SIDES
        ]


def test_the_two_sides_give_back_the_maps_and_the_rest_is_free_of_the_labels():
    target = toy()
    told = {}
    for disentanglement in (0.0, 0.1):
        method = methods.find("tred")(
            disentanglement=disentanglement, steps=300, learning_rate=1e-2
        )
        learnt, told[disentanglement] = method.learn(target)
        positive, negative = sides_of(learnt, target.images)
        missed = (target.images - positive - negative).square().sum() / target.images.square().sum()
        assert missed < 0.02
        train = target.train
        norm = (negative[train].square().sum() / target.images[train].square().sum()).sqrt().item()
        assert told[disentanglement]["negative_norm"] == pytest.approx(norm, rel=1e-4)
        assert 0.2 < norm < 0.8
    assert told[0.0]["negative_accuracy"] > 0.7
    assert told[0.1]["negative_accuracy"] < 0.35


@pytest.mark.parametrize("criterion", ["max_mmd", "min_mi", "both"])
def test_labels_that_images_do_not_tell_are_in_neither_side(criterion):
    _, told = methods.find("tred")(criterion=criterion, steps=30, learning_rate=1e-2).learn(
        toy(shuffled=True)
    )
    assert set(told) == {"negative_norm", "negative_accuracy"}
    assert told["negative_accuracy"] < 0.37


@pytest.mark.parametrize("criterion", ["max_mmd", "min_mi", "both"])
@pytest.mark.parametrize(
    ("train", "held"),
    [
        (slice(0, 8), slice(0, 0)),
        (slice(0, 1), slice(1, 5)),
        (slice(0, 200, 4), slice(0, 9)),
    ],
)
def test_tred_of_few_images(criterion, train, held):
    """No validation images; one image; images of one class."""
    whole = toy(shuffled=False)
    rows = torch.arange(400)
    few = dataclasses.replace(whole, train=rows[train], validation=rows[held])
    method = methods.find("tred")(criterion=criterion, steps=4)
    learnt, told = method.learn(few)
    assert all(torch.isfinite(tensor).all() for tensor in learnt.values())
    assert 0 < told["negative_norm"] < 1
    assert 0 <= told["negative_accuracy"] <= 1


def test_maps_that_do_not_fit_are_computed_for_each_batch(monkeypatch):
    target, passes = toy(), []
    method = methods.find("tred")(steps=20)
    target.source.backbone.register_forward_pre_hook(lambda *_: passes.append(1))
    kept, told = method.learn(target)
    first = len(passes)
    monkeypatch.setattr(splitting, "MEMORY", 0)
    computed, also = method.learn(target)
    assert all(torch.allclose(kept[name], computed[name]) for name in kept)
    assert also == pytest.approx(told)
    assert first < 6
    assert len(passes) - first > 20


def test_maps_of_nothing_are_no_division_by_zero():
    target = toy(count=40)
    dark = dataclasses.replace(target, images=target.images * 0)
    learnt, told = methods.find("tred")(steps=3).learn(dark)
    assert all(torch.isfinite(tensor).all() for tensor in learnt.values())
    assert told["negative_norm"] == 0


def test_each_stage_is_learnt_once(transfer):
    learnt, _ = methods.find("tred")(stages="-1,2,1", steps=2).learn(transfer)
    assert sorted({name.partition(".")[0] for name in learnt}) == ["0", "1"]
    assert learnt["0.positive.0"].shape == (8, 8)
    assert learnt["1.negative.2"].shape == (32, 32)
    again, _ = methods.find("tred")(stages="-1,2,1", steps=2).learn(transfer)
    assert all(torch.equal(learnt[name], again[name]) for name in learnt)
