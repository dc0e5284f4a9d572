"""The loop that trains, against the textbook's steps."""

import pytest
import torch
import trained_here
from trained_here import close, run_of, trained

from tasks import methods
from tasks.methods import Method
from tasks.training import Recipe


@pytest.fixture(scope="module")
def training():
    return trained_here.training()


@pytest.fixture(scope="module")
def source(training):
    return trained_here.source(training)


def equal(left, right):
    return (
        all(torch.equal(left[name], right[name]) for name in right) and left.keys() == right.keys()
    )


def test_a_step_is_nesterov_sgd(source, training):
    """Two steps of the loop against the textbook, with torch's own gradients."""
    recipe = Recipe(
        epochs=1,
        steps_per_epoch=2,
        batch_size=16,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=0.01,
        head_learning_rate_factor=3.0,
    )
    found, _ = trained(Method(), source, training, recipe)
    run = run_of(Method(), source, training, recipe)
    run.student.train()
    speeds = None
    for step, rate in enumerate((0.05, 0.025)):  # cosine: (1 + cos(pi t / 2)) / 2
        run.gradient(run.batch(step))
        pulls = [weight.grad + 0.01 * weight.detach() for weight in run.student.parameters()]
        speeds = (
            pulls
            if speeds is None
            else [0.9 * speed + pull for speed, pull in zip(speeds, pulls, strict=True)]
        )
        with torch.no_grad():
            for (name, weight), speed, pull in zip(
                run.student.named_parameters(), speeds, pulls, strict=True
            ):
                weight -= rate * (3.0 if name.startswith("head") else 1.0) * (pull + 0.9 * speed)
    assert close(found, run.student.state_dict(), rtol=1e-4, atol=1e-6)


def test_batches_pass_through_the_rows_and_only_them(source, training):
    run = run_of(Method(), source, training)
    rows = set(training.train.tolist())
    passes = [torch.cat([run.batch(5 * which + place) for place in range(5)]) for which in range(2)]
    for one in passes:
        assert len(one) == 80 == len(set(one.tolist()))
        assert set(one.tolist()) == rows
    assert not torch.equal(*passes)
    assert len(run.batch(7, [0])) == 16
    small = Recipe(
        epochs=1,
        steps_per_epoch=1,
        batch_size=1000,
        learning_rate=0.1,
        momentum=0.0,
        weight_decay=0.0,
    )
    assert len(run_of(Method(), source, training, small).batch(3)) == 80


def test_the_optimiser_works_at_half_precision(source, training):
    recipe = Recipe(
        epochs=1,
        steps_per_epoch=3,
        batch_size=16,
        learning_rate=0.05,
        momentum=0.9,
        weight_decay=0.0,
        amp=True,
    )
    weights, losses = trained(
        methods.build("l2sp+selective_distillation", {}), source, training, recipe
    )
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert not equal(
        weights, trained(methods.build("l2sp+selective_distillation", {}), source, training)[0]
    )
    assert torch.isfinite(losses[0])
