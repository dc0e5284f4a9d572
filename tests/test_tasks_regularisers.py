"""Regularisers of fine-tuning: L2, attention transfer, DELTA, BSS and StochNorm, each against its equation in numpy."""

import copy
import dataclasses
import zlib

import numpy as np
import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn
from torch.nn.functional import cross_entropy

from tasks import backbones, methods, process
from tasks.methods import Method, View
from tasks.methods.delta import _increases, _shares
from tasks.model import Model
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

CLASSES = 4
NAMES = ("l2", "at", "delta", "bss", "stochnorm")
RECIPE = Recipe(
    epochs=1, steps_per_epoch=3, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=0.0
)


def seed(*names):
    return zlib.crc32(repr(names).encode()) % 2**31


def arrays(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]


def transfer_of(model, images, labels):
    rows = torch.arange(len(labels))
    return Transfer(
        model.requires_grad_(False).eval(),
        images,
        labels,
        rows[4:],
        rows[:4],
        CLASSES,
        (),
        True,
        "cpu",
        seed,
    )


@pytest.fixture(scope="module")
def transfer():
    """100 images of four classes, and a model of two others whose statistics are not the initial ones."""
    process.reset(1)
    rng = np.random.default_rng(0)
    labels = np.arange(100) % CLASSES
    images = torch.from_numpy(
        rng.random((100, 1, 8, 8), dtype=np.float32)
        + labels[:, None, None, None].astype(np.float32) / 4
    )
    labels = torch.from_numpy(labels)
    model = backbones.build("lenet_bn", 1, 8, 2)
    Run(
        model,
        Transfer(None, images, labels % 2, torch.arange(100), labels[:0], 2, (), True, "cpu", seed),
        Method(),
        RECIPE,
    ).advance(0, 3)
    return transfer_of(model, images, labels)


def run_of(method, transfer, recipe=RECIPE):
    torch.manual_seed(5)
    student = copy.deepcopy(transfer.source).with_head(nn.Linear(transfer.source.width, CLASSES))
    return Run(student, transfer, method, recipe)


@pytest.fixture(scope="module")
def student(transfer):
    """A model a few steps away from the source, under a new head."""
    run = run_of(Method(), transfer)
    run.advance(0, 3)
    return run.student.eval()


def view_of(student, transfer, count=8):
    return View(student, transfer, transfer.images[:count], transfer.labels[:count], maps=True)


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


# The terms


def test_l2_formula(transfer, student):
    found = methods.find("l2")(backbone=0.3, head=0.7).penalty(view_of(student, transfer), None)
    squares = {"backbone": 0.0, "head": 0.0}
    for name, parameter in student.named_parameters():
        squares[name.partition(".")[0]] += (arrays(parameter)[0] ** 2).sum()
    assert found.item() == pytest.approx(
        0.15 * squares["backbone"] + 0.35 * squares["head"], rel=1e-5
    )


@pytest.mark.parametrize("stages", ["-2,-1", "-1", "1"])
def test_at_formula(transfer, student, stages):
    view = view_of(student, transfer)
    found = methods.find("at")(weight=3.0, stages=stages).penalty(view, None)
    expected = 0.0
    for number in {"-2,-1": (0, 1), "-1": (1,), "1": (0,)}[stages]:
        ours, theirs = arrays(view.maps[number], view.source_maps[number])
        images, channels, height, width = ours.shape
        terms = []
        for image in range(images):
            both = []
            for maps in (ours[image], theirs[image]):
                q = np.array(
                    [
                        [
                            np.mean([maps[c, y, x] ** 2 for c in range(channels)])
                            for x in range(width)
                        ]
                        for y in range(height)
                    ]
                )
                both.append(q / np.sqrt((q**2).sum()))
            terms += [
                (both[0][y, x] - both[1][y, x]) ** 2 for y in range(height) for x in range(width)
            ]
        expected += np.mean(terms)
    assert found.item() == pytest.approx(3.0 * expected, rel=1e-4)
    assert expected > 0


def test_at_of_an_empty_map_is_zero(transfer, student):
    """No division by zero, and the gradient is finite."""
    empty = copy.deepcopy(student).requires_grad_(True)
    for norm in empty.norms():
        nn.init.zeros_(norm.weight)
        nn.init.constant_(norm.bias, -1.0)
    term = methods.find("at")().penalty(view_of(empty, transfer), None)
    term.backward()
    assert term > 0
    assert all(one.grad is None or one.grad.isfinite().all() for one in empty.parameters())


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


@pytest.mark.parametrize(("count", "smallest"), [(8, 1), (8, 3), (80, 2), (8, 50), (1, 1)])
def test_bss_formula(transfer, student, count, smallest):
    """More images than features: there are as many singular values as features."""
    view = view_of(student, transfer, count)
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(count, 64, generator=generator, requires_grad=True)
    view.__dict__["_student"] = dataclasses.replace(view._student, features=features)
    found = methods.find("bss")(weight=0.5, smallest=smallest).penalty(view, None)
    values = np.linalg.svd(arrays(features)[0], compute_uv=False)
    assert found.item() == pytest.approx(
        0.5 * sum(values[-i] ** 2 for i in range(1, min(smallest, len(values)) + 1)), rel=1e-5
    )
    left, values, right = np.linalg.svd(arrays(features)[0], full_matrices=False)
    gradient = sum(
        values[-i] * np.outer(left[:, -i], right[-i])
        for i in range(1, min(smallest, len(values)) + 1)
    )
    found.backward()
    assert np.allclose(arrays(features.grad)[0], gradient, rtol=1e-4, atol=1e-5)


def test_bss_keeps_its_precision(transfer, student):
    """A singular value of 1e-3 beside one of 100 is found, and float64 stays float64; equal ones have a finite gradient."""
    term = methods.find("bss")(weight=1.0).penalty
    view = view_of(student, transfer)
    for dtype, values in (
        (torch.float32, [100.0, 1e-3]),
        (torch.float64, [1.0, 1e-6]),
        (torch.float32, [1.0, 1.0]),
    ):
        features = torch.zeros(2, 5, dtype=dtype)
        features[0, 0], features[1, 1] = values
        view.__dict__["_student"] = dataclasses.replace(
            view._student, features=features.requires_grad_(True)
        )
        found = term(view, None)
        found.backward()
        assert found.dtype == dtype
        assert found.item() == pytest.approx(values[-1] ** 2, rel=1e-5)
        assert features.grad.isfinite().all()


# DELTA's attention


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
    )


# StochNorm


def inputs_of(kind, count=16):
    generator = torch.Generator().manual_seed(2)
    return (
        torch.randn(count, 6, *{nn.BatchNorm1d: ()}.get(kind, (3, 3)), generator=generator) * 2 + 1
    )


def norm_of(kind, p):
    """A norm with statistics and weights of its own, in a model's backbone, and the same as a plain one."""
    torch.manual_seed(0)
    norm = kind(6)
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 2.0)
    plain, model = copy.deepcopy(norm), Model(nn.Sequential(norm), nn.Linear(6, 2))
    names = list(model.state_dict())
    methods.find("stochnorm")(p=p).rebuild(model)
    assert list(model.state_dict()) == names
    assert isinstance(norm, kind)
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    return copy.deepcopy(model).backbone[0], plain


def expected_of(plain, images):
    """The two branches in numpy: by the batch's statistics and by the running ones, [B, C, ...]."""
    over = (0, *range(2, images.ndim))
    x, weight, bias, mean, variance = arrays(
        images, plain.weight, plain.bias, plain.running_mean, plain.running_var
    )
    along = (1, -1, *[1] * (images.ndim - 2))
    found = []
    for m, v in ((x.mean(over), x.var(over)), (mean, variance)):
        z = (x - m.reshape(along)) / np.sqrt(v.reshape(along) + plain.eps) * weight.reshape(
            along
        ) + bias.reshape(along)
        found.append(np.maximum(z, 0) if isinstance(plain, BatchNormAct2d) else z)
    return found


KINDS = (nn.BatchNorm1d, nn.BatchNorm2d, BatchNormAct2d)


@pytest.mark.parametrize("kind", KINDS)
def test_stochnorm_mixes_channel_by_channel(kind):
    images = inputs_of(kind)
    norm, plain = norm_of(kind, 0.5)
    batch, running = expected_of(plain, images)
    torch.manual_seed(4)
    by_batch = (torch.rand(6) < 0.5).numpy()
    assert 0 < by_batch.sum() < 6
    torch.manual_seed(4)
    found = arrays(norm(images))[0]
    along = (1, -1, *[1] * (images.ndim - 2))
    assert np.allclose(found, np.where(by_batch.reshape(along), batch, running), atol=1e-5)
    # The running statistics move once a forward, as in plain batch norm.
    plain(images)
    assert all(
        torch.equal(*pair)
        for pair in zip(norm.state_dict().values(), plain.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_stochnorm_s_ends(kind):
    """p = 1 is plain batch norm bit for bit and draws nothing, p = 0 goes by the running statistics; so is evaluation."""
    images = inputs_of(kind)
    norm, plain = norm_of(kind, 1.0)
    before = torch.get_rng_state()
    for _ in range(2):
        ours, theirs = images.clone().requires_grad_(True), images.clone().requires_grad_(True)
        left, right = norm(ours), plain(theirs)
        left.square().sum().backward()
        right.square().sum().backward()
        assert torch.equal(left, right)
        assert torch.equal(ours.grad, theirs.grad)
    assert torch.equal(torch.get_rng_state(), before)
    never, plain = norm_of(kind, 0.0)
    expected = expected_of(plain, images)[1]
    assert np.allclose(arrays(never(images))[0], expected, atol=1e-5)
    norm, plain = norm_of(kind, 0.5)
    before = torch.get_rng_state()
    assert torch.equal(norm.eval()(images), plain.eval()(images))
    assert torch.equal(torch.get_rng_state(), before)


def test_stochnorm_s_gradient_is_that_of_what_it_gave():
    """The branch of the running statistics keeps those that it went by, though they have moved since."""
    norm, plain = norm_of(nn.BatchNorm2d, 0.0)
    images = inputs_of(nn.BatchNorm2d).requires_grad_(True)
    norm(images).sum().backward()
    slope = plain.weight / (plain.running_var + plain.eps).sqrt()
    assert torch.allclose(images.grad, slope[:, None, None].expand_as(images), atol=1e-6)


# In training


OFF = {
    "l2": {"backbone": 0.0, "head": 0.0},
    "at": {"weight": 0.0},
    "bss": {"weight": 0.0},
    "stochnorm": {"p": 1.0},
    "delta": {"weight": 0.0, "head": 0.0, "head_epochs": 1, "batches": 1},
}


@pytest.mark.parametrize("name", NAMES)
def test_switched_off_it_is_plain(name, transfer):
    runs = [run_of(method, transfer) for method in (methods.find(name)(**OFF[name]), Method())]
    for run in runs:
        torch.manual_seed(7)
        run.advance(0, 3)
    pairs = zip(*(run.student.state_dict().values() for run in runs), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


@pytest.mark.parametrize(("name", "size"), [("test_efficientnet", 64), ("test_vit", 160)])
def test_they_train_models_of_timm(name, size):
    """Each stage's output can be taken in hand: without its channel the map lacks it, and nothing else changes there."""
    torch.manual_seed(0)
    images, labels = torch.rand(8, 3, size, size), torch.arange(8) % CLASSES
    transfer = transfer_of(backbones.build(name, 3, size, 2), images, labels)
    source = transfer.source

    def without_the_second(output, channels):
        output = output.clone()
        output.select(channels, 1).zero_()
        return output

    with torch.no_grad():
        whole = source.outputs(images[:2], maps=True)
        for stage in (-2, -1):
            with source.changed(stage, without_the_second):
                maps = source.outputs(images[:2], maps=True).maps[stage]
                assert not torch.allclose(source(images[:2])[0], whole.features)
            assert maps[:, 1].eq(0).all()
            assert torch.equal(maps[:, 2:], whole.maps[stage][:, 2:])
        assert torch.equal(source(images[:2])[0], source(images[:2])[0])
    recipe = dataclasses.replace(RECIPE, steps_per_epoch=2, batch_size=4, learning_rate=0.01)
    for method in (
        methods.find("at")(),
        methods.find("delta")(stages="-1", head_epochs=1, batches=1),
        methods.find("bss")(),
    ):
        run = run_of(method, transfer, recipe)
        assert run.advance(0, 2).isfinite()
    if backbones.traits(name).batch_norm:
        run = run_of(methods.find("stochnorm")(), transfer, recipe)
        assert run.advance(0, 2).isfinite()
        run.finished()(images[:2])


def test_a_hook_goes_when_it_fails(transfer):
    def refuse(*_):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"), transfer.source.changed(0, refuse):
        transfer.source(transfer.images[:2])
    transfer.source(transfer.images[:2])
