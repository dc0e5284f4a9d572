"""The methods of Holistic Transfer and its baselines, each against its equation in numpy or the textbook's steps."""

import copy
import dataclasses
import zlib

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from tasks import backbones, methods, process
from tasks.methods import Method, View
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

CLASSES, MISSING = 5, [1, 3]
RECIPE = Recipe(
    epochs=2, steps_per_epoch=3, batch_size=12, learning_rate=0.05, momentum=0.0, weight_decay=0.0
)


def seed(*names):
    return zlib.crc32(repr(names).encode()) % 2**31


@pytest.fixture(scope="module")
def transfer():
    """100 images of five classes, two of them missing, and a model that has seen them all for a moment."""
    process.reset(1)
    rng = np.random.default_rng(0)
    labels = np.arange(100) % CLASSES
    images = torch.from_numpy(
        rng.random((100, 1, 8, 8), dtype=np.float32)
        + labels[:, None, None, None].astype(np.float32) / 5
    )
    labels, every = torch.from_numpy(labels), torch.arange(100)
    whole = Transfer(None, images, labels, every, every[:0], CLASSES, (), True, "cpu", seed)
    model = backbones.build("lenet_bn", 1, 8, CLASSES)
    Run(model, whole, Method(), RECIPE).advance(0, 6)
    rows = every[~torch.isin(labels, torch.tensor(MISSING))]
    return dataclasses.replace(
        whole,
        source=model.requires_grad_(False).eval(),
        train=rows,
        missing_classes=MISSING,
        new_head=False,
    )


def run_of(name, transfer, recipe=RECIPE, **parameters):
    method = methods.find(name)(**parameters)
    return Run(copy.deepcopy(transfer.source), transfer, method, recipe)


@pytest.fixture(scope="module")
def student(transfer):
    """A model a few steps away from the source."""
    run = run_of("plain", transfer)
    run.advance(0, 3)
    return run.student.eval()


def penalty_of(method, transfer, student, count=8):
    view = View(student, transfer, transfer.images[:count], transfer.labels[:count])
    ready = (
        method.prepare(copy.deepcopy(transfer.source), transfer, None) if method.prepare else None
    )
    return method.penalty(view, ready), view


def arrays(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]


# Batch norm


@pytest.mark.parametrize("momentum", [0.3, 0.0])
def test_bn_statistics_are_those_of_the_batches(transfer, momentum):
    """The first norm layer's mean, from what reaches it: moving average, or the mean over all batches."""
    run = run_of("bn_statistics", transfer, momentum=momentum)
    expected = arrays(transfer.source.backbone[2].running_mean)[0]
    means = []
    for step in range(6):
        images = transfer.images[run.batch(step)]
        reaching = transfer.source.backbone[:2](images)
        means.append(arrays(reaching.mean((0, 2, 3)))[0])
        expected = (
            (1 - momentum) * expected + momentum * means[-1] if momentum else np.mean(means, 0)
        )
    assert torch.isfinite(run.advance(0, 3))
    run.advance(3, 6)
    assert np.allclose(arrays(run.student.backbone[2].running_mean)[0], expected, atol=1e-5)
    for now, before in zip(run.student.parameters(), transfer.source.parameters(), strict=True):
        assert torch.equal(now, before)


def test_bn_statistics_continue(transfer):
    whole, first, second = (run_of("bn_statistics", transfer, momentum=0.0) for _ in range(3))
    whole.advance(0, 6)
    first.advance(0, 3)
    second.restore(first.state())
    second.advance(3, 6)
    assert all(
        torch.equal(*pair)
        for pair in zip(
            whole.student.state_dict().values(), second.student.state_dict().values(), strict=True
        )
    )


def test_bn_affine_moves_norms_only(transfer):
    run = run_of("bn_affine", transfer)
    run.advance(0, 3)
    moved = {
        name
        for (name, now), before in zip(
            run.student.state_dict().items(), transfer.source.state_dict().values(), strict=True
        )
        if not torch.equal(now, before)
    }
    assert moved == {
        f"backbone.{layer}.{what}"
        for layer in (2, 6)
        for what in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    }


# Penalties


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


@pytest.mark.parametrize("normalised", [False, True])
def test_feature_distillation_formula(transfer, student, normalised):
    found, view = penalty_of(
        methods.find("feature_distillation")(weight=0.7, normalised=normalised), transfer, student
    )
    total = 0.0
    for ours, theirs in zip(*arrays(view.features, view.source_features), strict=True):
        if normalised:
            ours, theirs = ours / np.linalg.norm(ours), theirs / np.linalg.norm(theirs)
        total += ((ours - theirs) ** 2).sum()
    assert found.item() == pytest.approx(0.7 * total / 8, rel=1e-4)
    assert total > 0


@pytest.mark.parametrize("count", [8, 100])
def test_feature_rank_formula(transfer, student, count):
    """Both sides of the Gram matrix: fewer images than features, and more."""
    found, view = penalty_of(methods.find("feature_rank")(weight=2.0), transfer, student, count)
    [features] = arrays(view.features)
    columns = (features - features.mean(0)) / np.sqrt(features.var(0, ddof=1) + 1e-5)
    correlation = columns.T @ columns / (count - 1)
    assert found.item() == pytest.approx(
        2 * (correlation**2).sum() / features.shape[1] ** 2, rel=1e-3
    )


def test_feature_rank_is_least_for_features_that_use_all_directions():
    def penalty(features):
        class Seen:
            pass

        view = Seen()
        view.features = features
        return methods.find("feature_rank")().penalty(view, None).item()

    rng = np.random.default_rng(0)
    wide = torch.from_numpy(rng.normal(size=(200, 6)))
    flat = torch.from_numpy(np.outer(rng.normal(size=200), np.ones(6)))
    assert penalty(flat) == pytest.approx(1, rel=1e-3)
    assert penalty(wide) == pytest.approx(1 / 6, rel=0.2)
    assert penalty(wide[:1]) == 0


# Optimisation and what comes after


def test_lp_ft_is_a_probe_and_then_fine_tuning(transfer):
    run = run_of("lp_ft", transfer, share=0.5)
    probe = run_of("linear_probe", transfer, dataclasses.replace(RECIPE, epochs=1))
    probe.advance(0, 3)
    run.advance(0, 3)
    same = zip(run.student.state_dict().items(), probe.student.state_dict().values(), strict=True)
    assert all(torch.equal(now, expected) for (_, now), expected in same)
    # From there on: plain fine-tuning of three steps with a schedule of its own, on the batches
    # that follow.
    run.advance(3, 6)
    plain = Run(
        copy.deepcopy(probe.student), transfer, Method(), dataclasses.replace(RECIPE, epochs=1)
    )
    plain.freeze(())
    batch = plain.batch
    plain.batch = lambda step: batch(step + 3)
    plain.advance(0, 3)
    for now, expected in zip(
        run.student.state_dict().values(), plain.student.state_dict().values(), strict=True
    ):
        assert torch.equal(now, expected)


def test_lp_ft_without_a_probe_is_plain(transfer):
    runs = [run_of("lp_ft", transfer, share=0.0), run_of("plain", transfer)]
    for run in runs:
        run.advance(0, 6)
    assert all(
        torch.equal(*pair)
        for pair in zip(*(run.student.state_dict().values() for run in runs), strict=True)
    )


def test_local_sgd_is_lolsgd_that_leaves_nothing_out(transfer):
    runs = [
        run_of("local_sgd", transfer, subsets=2, local_steps=3),
        run_of("lolsgd", transfer, subsets=2, local_steps=3, left_out=0),
    ]
    for run in runs:
        run.advance(0, 6)
    assert all(
        torch.equal(*pair)
        for pair in zip(*(run.student.state_dict().values() for run in runs), strict=True)
    )


def test_swa_is_the_mean_of_the_iterates(transfer):
    run = run_of("swa", transfer, start=0.5)
    iterates = []
    step = run.step
    run.step = lambda: (step(), iterates.append(copy.deepcopy(run.student.state_dict())))
    run.advance(0, 3)
    run.advance(3, 6)
    for name, value in run.finished().state_dict().items():
        if value.is_floating_point():
            expected = np.mean(arrays(*(one[name] for one in iterates[3:])), 0)
            assert np.allclose(arrays(value)[0], expected, atol=1e-6), name
    assert len(iterates) == 6


def test_swa_counts_the_rounds_of_lolsgd(transfer):
    method = methods.build(
        "lolsgd+swa", {"lolsgd.subsets": 1, "lolsgd.local_steps": 1, "swa.start": 0.0}
    )
    run = Run(copy.deepcopy(transfer.source), transfer, method, RECIPE)
    run.advance(0, 6)
    assert int(run._kept[0].count) == 6


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_source_ensemble_averages_probabilities(transfer, alpha):
    run = run_of("source_ensemble", transfer, alpha=alpha)
    run.advance(0, 3)
    found = run.finished()(transfer.images)[1].softmax(1)
    student, source = (
        model(transfer.images)[1].softmax(1) for model in (run.student.eval(), transfer.source)
    )
    expected = alpha * arrays(source)[0] + (1 - alpha) * arrays(student)[0]
    assert np.allclose(arrays(found)[0], expected, atol=1e-6)


def test_l2sp_holds_a_new_head_at_zero(transfer, student):
    method = methods.find("l2sp")(backbone=0.0, head=2.0)
    fresh = dataclasses.replace(transfer, new_head=True)
    found, _ = penalty_of(method, fresh, student)
    assert found.item() == pytest.approx(
        sum((part**2).sum() for part in arrays(*student.head.parameters())), rel=1e-5
    )
