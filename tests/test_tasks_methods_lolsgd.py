"""LOLSGD: its budget, the classes that it leaves out, and the average of its local models."""

import pytest
import torch
import trained_here
from hypothesis import given
from hypothesis import strategies as st
from trained_here import close, run_of, trained

from tasks.methods import Method
from tasks.methods.lolsgd import _kept, lolsgd, sizes
from tasks.training import Recipe


@pytest.fixture(scope="module")
def training():
    return trained_here.training()


@pytest.fixture(scope="module")
def source(training):
    return trained_here.source(training)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_lolsgd_of_one_whole_subset_and_one_step_is_sgd(source, training, momentum):
    recipe = Recipe(
        epochs=2,
        steps_per_epoch=4,
        batch_size=16,
        learning_rate=0.05,
        momentum=momentum,
        weight_decay=1e-3,
    )
    local, losses = trained(lolsgd(subsets=1, left_out=0, local_steps=1), source, training, recipe)
    plain, expected = trained(Method(), source, training, recipe)
    assert close(local, plain, rtol=1e-3, atol=1e-5)
    assert torch.allclose(torch.stack(losses), torch.stack(expected), rtol=1e-4)


def test_lolsgd_without_momentum_averages_the_local_models(source, training):
    """The paper's rule, step by step: theta + rate * mean(theta_m - theta), on batches without the classes left out."""
    recipe = Recipe(
        epochs=1,
        steps_per_epoch=6,
        batch_size=16,
        learning_rate=0.05,
        momentum=0.0,
        weight_decay=0.0,
    )
    found, _ = trained(
        lolsgd(subsets=3, left_out=2, local_steps=2, server_rate=0.5), source, training, recipe
    )
    start, ends = source.state_dict(), []
    for subset in range(3):
        run = run_of(Method(), source, training, recipe)
        kept = _kept(run, 2, 0, subset)
        assert len(kept) == 2
        run.student.train()
        optimiser = torch.optim.SGD(run.student.parameters(), lr=0.05)
        for step in range(2):
            rows = run.batch(subset * 2 + step, kept)
            assert set(training.labels[rows].tolist()) <= set(kept)
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(
                run.student(training.images[rows])[1], training.labels[rows]
            ).backward()
            optimiser.step()
        ends.append(run.student.state_dict())
    for name, value in found.items():
        if value.is_floating_point():
            mean = sum(end[name].double() for end in ends) / 3
            rate = 1.0 if "running" in name else 0.5
            assert torch.allclose(
                value.double(), start[name] + rate * (mean - start[name]), atol=1e-6
            ), name


@given(st.integers(1, 700), st.integers(1, 20), st.integers(1, 20))
def test_rounds_evaluate_as_many_gradients_as_plain_fine_tuning(steps, subsets, local_steps):
    rounds = sizes(steps, subsets, local_steps)
    assert sum(many * each for many, each in rounds) == steps
    whole = steps // (subsets * local_steps)
    assert rounds[:whole] == [(subsets, local_steps)] * whole
    assert len(rounds) <= whole + 2
    assert all(1 <= many <= subsets and 1 <= each <= local_steps for many, each in rounds)


@pytest.mark.parametrize(
    ("subsets", "local_steps", "rounds", "evaluations"),
    [(2, 2, 0, 8), (2, 2, 3, 12), (10, 5, 0, 8), (3, 2, 0, 8), (2, 3, 0, 8)],
)
def test_lolsgd_keeps_its_budget(source, training, subsets, local_steps, rounds, evaluations):
    run = run_of(
        lolsgd(subsets=subsets, left_out=1, local_steps=local_steps, rounds=rounds),
        source,
        training,
    )
    counted = []
    gradient = run.gradient
    run.gradient = lambda rows: counted.append(1) or gradient(rows)
    run.advance(0, 4)
    run.advance(4, 8)
    assert len(counted) == evaluations


def test_lolsgd_leaves_a_class_to_train_on(source, training):
    run = run_of(lolsgd(subsets=2, left_out=99, local_steps=1), source, training)
    assert torch.isfinite(run.advance(0, 8))
