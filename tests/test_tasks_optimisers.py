"""Optimisers by name: which there are, what they take, and that they are torch's own."""

import sys
import types

import pytest
import torch

from tasks import optimisers


def weights():
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(3, 2, generator=generator))]


def after(optimiser, parameters, steps=3):
    for step in range(steps):
        for parameter in parameters:
            parameter.grad = torch.full_like(parameter, 0.1 * (step + 1))
        optimiser.step()
    return parameters[0].detach()


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("adamw", lambda own: torch.optim.AdamW(own, lr=0.05, weight_decay=0.01)),
        (
            "AdamW(betas=(0.8, 0.9))",
            lambda own: torch.optim.AdamW(own, lr=0.05, weight_decay=0.01, betas=(0.8, 0.9)),
        ),
        (
            "rmsprop(alpha=0.9)",
            lambda own: torch.optim.RMSprop(
                own, lr=0.05, weight_decay=0.01, momentum=0.9, alpha=0.9
            ),
        ),
        (
            "sgd",
            lambda own: torch.optim.SGD(
                own, lr=0.05, weight_decay=0.01, momentum=0.9, nesterov=True
            ),
        ),
    ],
)
def test_a_name_is_torchs_optimiser_with_the_recipes_settings(text, reference):
    mine, others = weights(), weights()
    made = optimisers.make(
        text, [{"params": mine}], lr=0.05, weight_decay=0.01, momentum=0.9, nesterov=True
    )
    assert torch.equal(after(made, mine), after(reference(others), others))


def test_without_nesterov_the_momentum_is_polyaks():
    mine, others = weights(), weights()
    made = optimisers.make(
        "sgd", [{"params": mine}], lr=0.05, weight_decay=0.0, momentum=0.9, nesterov=False
    )
    assert torch.equal(
        after(made, mine), after(torch.optim.SGD(others, lr=0.05, momentum=0.9), others)
    )


def test_timms_can_be_had_and_ones_own(monkeypatch):
    assert optimisers.problem("lion(betas=(0.9, 0.98))") is None
    module = types.ModuleType("my_optimisers")
    module.Own = type("Own", (torch.optim.SGD,), {})
    monkeypatch.setitem(sys.modules, "my_optimisers", module)
    assert optimisers.problem("my_optimisers:Own") is None
    made = optimisers.make("my_optimisers:Own", [{"params": weights()}], lr=0.1)
    assert type(made).__name__ == "Own"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("adamm", "did you mean"),
        ("adamw(foo=1)", "has no argument foo; it has betas"),
        ("adamw(lr=1)", "the setting `learning_rate`"),
        ("sgd(momentum=0.5)", "the setting `momentum`"),
        ("lbfgs", "cannot be used"),
        ("adamw(betas=3)", "cannot be used"),
        ("adamw, sgd", "give one optimiser"),
        ("adamw(", "cannot be read"),
        ("no_such_module:Own", "No module named"),
        ("Optimizer", "no optimiser"),
    ],
)
def test_what_cannot_be_used_is_said(text, said):
    assert said in optimisers.problem(text)


def test_settings_that_an_optimiser_lacks_are_known():
    assert optimisers.takes("rmsprop", "momentum")
    assert not optimisers.takes("adamw", "momentum")
    assert not optimisers.takes("rprop", "weight_decay")
