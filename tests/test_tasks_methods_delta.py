"""DELTA's penalty against its equation, and the attention that it learns."""

import copy
import dataclasses

import numpy as np
import pytest
import regularised
import torch
from regularised import CLASSES, arrays, run_of, view_of
from torch import nn
from torch.nn.functional import cross_entropy

from tasks import backbones, methods
from tasks.fine_tuning import fine_tuning
from tasks.methods.delta import _increases, _shares
from tasks.model import Model


@pytest.fixture(scope="module")
def transfer():
    return regularised.transfer()


@pytest.fixture(scope="module")
def student(transfer):
    return regularised.student(transfer)


def lenet(model, images):
    """lenet_bn in evaluation mode, written out: its two maps and a function from each to the logits."""
    layers = model.backbone

    def second(first):
        return torch.relu(layers[6](torch.max_pool2d(layers[4](first), 2)))

    def logits(last):
        if last.shape[-1] != 4:
            last = torch.nn.functional.adaptive_avg_pool2d(last, 4)
        hidden = last.flatten(1) @ layers[-2].weight.T + layers[-2].bias
        return torch.relu(hidden) @ model.head.weight.T + model.head.bias

    first = torch.relu(layers[2](torch.max_pool2d(layers[0](images), 2)))
    return (first, second(first)), (lambda maps: logits(second(maps)), logits)


@pytest.mark.parametrize("attention", ["learnt", "uniform"])
def test_delta_formula(transfer, student, attention):
    """The sum over stages, images and channels, one by one; uniform attention gives each channel the factor 1."""
    method = methods.find("delta")(weight=0.3, head=0.7, attention=attention)
    rng = np.random.default_rng(3)
    learnt = {
        f"attention {place}": torch.from_numpy(rng.dirichlet(np.ones(count)))
        for place, count in enumerate((8, 32))
    }
    view = view_of(student, transfer)
    found = method.penalty(view, method.prepare(student, transfer, learnt))
    expected = 0.35 * sum((one**2).sum() for one in arrays(student.head.weight, student.head.bias))
    for number in range(2):
        ours, theirs = arrays(view.maps[number], view.source_maps[number])
        images, channels, height, width = ours.shape
        a = (
            learnt[f"attention {number}"].numpy()
            if attention == "learnt"
            else np.full(channels, 1 / channels)
        )
        for image in range(images):
            for c in range(channels):
                away = np.linalg.norm(ours[image, c] - theirs[image, c]) ** 2
                expected += 0.3 * 0.5 * channels * a[c] * away / (height * width)
    assert found.item() == pytest.approx(expected, rel=1e-4)


def trained_head(features, labels, epochs, rate):
    """Softmax regression in numpy: each epoch is one batch of all images, the rate a tenth after six epochs."""
    ones = np.concatenate([features, np.ones((len(features), 1))], 1)
    weights = speed = np.zeros((CLASSES, ones.shape[1]))
    for epoch in range(epochs):
        powers = np.exp(ones @ weights.T)
        wrong = powers / powers.sum(1, keepdims=True) - np.eye(CLASSES)[labels]
        speed = 0.9 * speed + wrong.T @ ones / len(ones) + 1e-4 * weights
        weights = weights - rate * 0.1 ** (epoch / 6) * speed
    return torch.from_numpy(weights).float()


def test_delta_learns_the_attention_by_zeroing_channels(transfer):
    """One by one, in a forward pass of our own under a head of our own; the source stays as it is."""
    source, rows = transfer.source, transfer.train[:40]
    before = copy.deepcopy(source.state_dict())
    images, labels = transfer.images[rows], transfer.labels[rows]
    head = nn.Linear(64, CLASSES)
    expected = []
    with torch.no_grad():
        weights = trained_head(arrays(source(images)[0])[0], labels.numpy(), 9, 0.5)
        head.weight.copy_(weights[:, :-1])
        head.bias.copy_(weights[:, -1])
        accuracy = (head(source(images)[0]).argmax(1) == labels).float().mean().item()
        for whole, tail in zip(*lenet(source.with_head(head), images), strict=True):
            increases = []
            for channel in range(whole.shape[1]):
                keep = torch.ones(whole.shape[1])
                keep[channel] = 0
                increases.append(
                    (
                        cross_entropy(tail(whole * keep[:, None, None]), labels)
                        - cross_entropy(tail(whole), labels)
                    ).item()
                )
            score = (np.array(increases) - np.mean(increases)) / np.std(increases)
            expected.append(np.exp(score / 5) / np.exp(score / 5).sum())
    method = methods.find("delta")(stages="1,-1", head_epochs=9, head_learning_rate=0.5, batches=2)
    learnt, told = method.learn(dataclasses.replace(transfer, train=rows))
    for found, one in zip(learnt.values(), expected, strict=True):
        assert np.allclose(found.numpy(), one, rtol=1e-3)
        assert np.ptp(one) * len(one) > 0.1
    assert told["largest_factor"] == pytest.approx(
        max(len(one) * one.max() for one in expected), rel=1e-3
    )
    assert told["head_accuracy"] == pytest.approx(accuracy)
    assert not source.training
    assert all(
        torch.equal(*pair)
        for pair in zip(source.state_dict().values(), before.values(), strict=True)
    )
    assert not any(module._forward_hooks for module in source.modules())


def test_delta_of_equal_increases_is_uniform():
    assert torch.equal(_shares(torch.full((4,), 0.3)), torch.full((4,), 0.25))


def test_delta_sends_all_images_where_a_path_leads_past_the_stage():
    """One image is not enough there: the loss would be of the wrong images."""

    class Past(nn.Module):
        def __init__(self):
            super().__init__()
            self.stage = nn.Linear(3, 3)

        def forward(self, images):
            return self.stage(images)[:, None] + images[:, None]

    torch.manual_seed(0)
    trunk = nn.Sequential(Past(), nn.Flatten())
    model = Model(trunk, nn.Linear(3, 2), stages=lambda backbone: [(backbone[0].stage, 1)])
    images, labels = torch.rand(6, 3), torch.arange(6) % 2
    with torch.no_grad():
        found, whole = _increases(model, 0, images, labels), cross_entropy(model(images)[1], labels)
        for channel in range(3):
            keep = torch.ones(3)
            keep[channel] = 0
            logits = model.head(trunk[0].stage(images) * keep + images)
            assert found[channel].item() == pytest.approx(
                (cross_entropy(logits, labels) - whole).item(), abs=1e-6
            )


def test_delta_of_a_stage_is_delta_by_itself(transfer):
    """What is learnt beforehand is used; where attention is uniform nothing is learnt."""
    config = {"delta.head_epochs": 2, "delta.batches": 1}
    method = methods.build("delta", config)
    given = methods.build("delta", config, {"delta": method.learn(transfer)[0]})
    assert given.learn is None
    ends = []
    for one in (method, given, methods.build("delta", {"delta.attention": "uniform"})):
        run = run_of(one, transfer)
        run.advance(0, 3)
        ends.append(torch.cat([weight.detach().flatten() for weight in run.student.parameters()]))
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert methods.find("delta")(attention="uniform").learn is None
    assert methods.learnt_keys("delta") == (
        "delta.stages",
        "delta.head_epochs",
        "delta.head_learning_rate",
        "delta.batches",
        "delta.maps",
    )


PAPERS = {"maps": "convolutions", "stages": "1,2"}


def test_the_papers_layers_are_the_convolutions_before_batch_norm(transfer):
    run = run_of(
        methods.find("delta")(weight=0.3, head=0.0, attention="uniform", **PAPERS), transfer
    )
    run.advance(0, 3)
    view = run.view(run.batch(0))
    found = run.method.penalty(view, run.prepared)
    expected = 0.0
    made = []
    for model in (run.student, transfer.source):
        layers, modes = model.backbone, [module.training for module in model.modules()]
        first = layers[0](view.images)
        norm = layers[2](torch.max_pool2d(first, 2))
        made.append((first, layers[4](torch.relu(norm))))
        assert modes == [module.training for module in model.modules()]
    for ours, theirs in zip(*made, strict=True):
        away = ((ours - theirs) ** 2).sum() / (ours.shape[2] * ours.shape[3])
        expected += 0.3 * 0.5 * float(away.detach())
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)
    assert expected > 0


def test_its_attention_is_of_those_layers(transfer):
    model = transfer.source
    images, labels = transfer.take(transfer.train[:6])
    labels = labels % model.head.out_features
    found = _increases(model, 0, images, labels, convolution=True)
    layers = model.backbone

    def loss(maps):
        first = torch.relu(layers[2](torch.max_pool2d(maps, 2)))
        second = torch.relu(layers[6](torch.max_pool2d(layers[4](first), 2)))
        if second.shape[-1] != 4:
            second = torch.nn.functional.adaptive_avg_pool2d(second, 4)
        hidden = torch.relu(second.flatten(1) @ layers[-2].weight.T + layers[-2].bias)
        return cross_entropy(hidden @ model.head.weight.T + model.head.bias, labels)

    whole = layers[0](images)
    for channel in range(8):
        without = whole.clone()
        without[:, channel] = 0
        assert float(found[channel]) == pytest.approx(float(loss(without) - loss(whole)), abs=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "resnet50",
            [f"layer{stage}.{block}.conv3" for stage, block in ((1, 2), (2, 3), (3, 5), (4, 2))],
        ),
        ("resnet18", [f"layer{stage}.1.conv2" for stage in (1, 2, 3, 4)]),
        ("seresnet50", ["layer4.2.conv3"]),
        ("tf_efficientnet_lite0", None),
    ],
)
def test_they_are_the_released_codes_in_a_resnet(name, expected):
    with torch.device("meta"):
        model = backbones.build(name, 3, 224, 5)
    places = {id(module): place for place, module in model.backbone.named_modules()}
    found = [places[id(module)] for module in model.convolutions()]
    assert len(found) == len(model._stages(model.backbone))
    if expected is None:
        assert all(
            place.endswith(("conv_pw", "conv_pwl", "conv_stem", "conv_dw")) for place in found
        )
    else:
        assert found[-len(expected) :] == expected


def test_a_backbone_without_them_is_refused_and_the_old_meaning_not_written_out():
    given = {"method": "delta", "delta.maps": "convolutions", "backbone": "test_vit"}
    ((key, text),) = fine_tuning.problems(fine_tuning.resolve({**given, "image_size": 160}))
    assert key == "delta.maps"
    assert "convolution before a norm" in text
    assert not fine_tuning.problems(fine_tuning.resolve({**given, "backbone": "lenet_bn"}))
    assert "delta.maps" not in fine_tuning.resolve({"method": "delta", "delta.maps": "stages"})
    stage = fine_tuning.stages(fine_tuning.resolve({**given, "backbone": "lenet_bn"}))["delta"][1]
    assert stage["delta.maps"] == "convolutions"
