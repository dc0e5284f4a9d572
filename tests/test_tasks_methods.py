"""The catalogue of methods and their chains, the papers' formulas against numpy, and the loop that trains."""

import copy
import dataclasses
import itertools
import os
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from ruamel.yaml import YAML

from tasks import backbones, methods, process
from tasks.methods import Method, Range, View, chain
from tasks.methods.lolsgd import _kept, lolsgd
from tasks.training import Recipe, Run, sgd
from tasks.transfer import Transfer

CLASSES, MISSING = 6, [1, 4]
RECIPE = Recipe(
    epochs=2, steps_per_epoch=4, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=0.0
)


def entropy(weight=0.1) -> Method:
    """A user's own method: confident outputs cost.

    Args:
        weight: factor of the term.
    """

    def penalty(view, _):
        log_p = view.logits.log_softmax(1)
        return weight * (log_p.exp() * log_p).sum(1).mean()

    return Method(penalty=penalty)


def seed(*names):
    return zlib.crc32(repr(names).encode()) % 2**31


def transfer_of(images, labels, rows, missing=MISSING, source=None, new_head=False):
    return Transfer(
        source, images, labels, rows, rows[:12], CLASSES, missing, new_head, "cpu", seed
    )


@pytest.fixture(scope="module")
def training():
    """120 random images of six classes, those of the missing ones included but not among the rows."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % CLASSES
    images = (
        rng.random((120, 1, 16, 16), dtype=np.float32)
        + labels[:, None, None, None].astype(np.float32) / 6
    )
    rows = np.flatnonzero(~np.isin(labels, MISSING))
    return transfer_of(torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(rows))


@pytest.fixture(scope="module")
def source(training):
    """A model that has learnt a little about all classes, so that its batch-norm statistics are not the initial ones."""
    process.reset(1)
    model = backbones.build("lenet_bn", 1, 16, CLASSES)
    every = transfer_of(training.images, training.labels, torch.arange(120), ())
    Run(model, every, Method(), RECIPE).advance(0, 8)
    return model.eval()


def run_of(method, source, training, recipe=RECIPE, student=None):
    transfer = dataclasses.replace(training, source=copy.deepcopy(source))
    return Run(student or copy.deepcopy(source), transfer, method, recipe)


def trained(method, source, training, recipe=RECIPE):
    """The weights after the whole run, and the loss of each epoch."""
    run = run_of(method, source, training, recipe)
    losses = [
        run.advance(first, first + recipe.steps_per_epoch)
        for first in range(0, recipe.steps, recipe.steps_per_epoch)
    ]
    return run.finished().state_dict(), losses


def equal(left, right):
    return (
        all(torch.equal(left[name], right[name]) for name in right) and left.keys() == right.keys()
    )


def close(left, right, **tolerance):
    return all(
        torch.allclose(left[name].double(), right[name].double(), **tolerance) for name in right
    )


# The catalogue and its chains


def test_the_catalogue_has_a_line_on_each():
    assert list(methods.known()) == list(methods.NAMES)
    assert all(len(line) > 20 for line in methods.known().values())
    assert all(setting.doc for setting in methods.settings().values())


@pytest.mark.parametrize("name", methods.NAMES)
def test_a_chain_of_one_is_itself(name):
    method = methods.build(name, {})
    assert chain(method) is method


def test_the_empty_chain_is_plain(source, training):
    assert chain() == Method() == methods.build("plain", {})
    assert methods.canonical([]) == methods.canonical("") == methods.canonical("plain") == "plain"


def test_penalties_in_any_order_have_one_name():
    names = ["test_tasks_methods:entropy", "l2sp", "selective_distillation"]
    assert {methods.canonical(order) for order in itertools.permutations(names)} == {
        "+".join(sorted(names))
    }


def test_chains_nest(source, training):
    a, b, c = methods.find("l2sp")(), methods.find("selective_distillation")(), entropy()
    nested, flat = chain(chain(a, b), c), chain(a, b, c)
    assert close(
        trained(nested, source, training)[0],
        trained(flat, source, training)[0],
        rtol=1e-4,
        atol=1e-6,
    )


def test_a_chain_with_plain_is_the_other():
    assert methods.canonical("plain+l2sp") == methods.canonical(["l2sp"]) == "l2sp"
    assert methods.canonical("wise_ft+l2sp") == "l2sp+wise_ft"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("source+l2sp", "'source' does not train, so l2sp would change nothing"),
        ("linear_probe+frozen_classifier", "freeze the whole model"),
        ("l2sp+l2sp", "is listed 2 times"),
        ("l2ps", "did you mean 'l2sp'"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("test_tasks_methods:seed", "must return a tasks.methods.Method"),
    ],
)
def test_what_cannot_be_a_chain_is_said(names, said):
    assert any(said in text for text in methods.problems(methods.canonical(names)))


def test_two_optimisations_cannot_be_a_chain():
    with pytest.raises(ValueError, match="both replace the optimisation"):
        chain(lolsgd(), Method(optimise=sgd))


@pytest.mark.parametrize("name", [name for name in methods.NAMES if methods.parameters(name)])
def test_its_search_space_fits_its_parameters(name):
    path = Path(__file__).parents[1] / "search_spaces" / f"{name}.yaml"
    space = YAML(typ="safe").load(path.read_text())
    declared = {key.partition(".")[2]: setting for key, setting in methods.parameters(name).items()}
    assert space.keys() == declared.keys()
    for parameter, dimension in space.items():
        setting = declared[parameter]
        values = [dimension[end] for end in ("low", "high", "default") if end in dimension]
        values += dimension.get("grid", []) + dimension.get("choices", [])
        assert dimension["default"] == setting.default
        assert all(
            isinstance(value, (setting.type, int) if setting.type is float else setting.type)
            for value in values
        )
        assert all(setting.choices is None or value in setting.choices for value in values)
        assert all(setting.low is None or setting.low <= value <= setting.high for value in values)
        assert "low" not in dimension or dimension.get("integer", False) == (setting.type is int)
        assert "grid" in dimension or "choices" in dimension
        assert "low" not in dimension or all(
            dimension["low"] <= value <= dimension["high"] for value in values
        )
    assert path.read_text().startswith("# ")


# The view


def test_a_view_computes_each_output_once(source, training):
    calls = []
    student = copy.deepcopy(source)
    student.register_forward_hook(lambda *_: calls.append("student"))
    teacher = copy.deepcopy(source)
    teacher.register_forward_hook(lambda *_: calls.append("source"))
    view = View(
        student,
        dataclasses.replace(training, source=teacher),
        training.images[:4],
        training.labels[:4],
    )
    for _ in range(2):
        assert view.logits.shape == view.source_logits.shape == (4, CLASSES)
        assert view.features.shape == view.source_features.shape == (4, 64)
    assert calls == ["student", "source"]
    assert view.logits.requires_grad
    assert not view.source_logits.requires_grad


# The papers' formulas, in numpy


def penalty_of(method, source, training, student):
    transfer = dataclasses.replace(training, source=source)
    view = View(student, transfer, training.images[:8], training.labels[:8])
    ready = method.prepare(copy.deepcopy(source), transfer, None) if method.prepare else None
    return method.penalty(view, ready).item(), view


@pytest.fixture
def student(source, training):
    run = run_of(Method(), source, training)
    run.advance(0, 4)
    return run.student.eval()


def test_l2sp_formula(source, training, student):
    found, _ = penalty_of(methods.find("l2sp")(backbone=0.3, head=0.7), source, training, student)
    away = {"backbone": 0.0, "head": 0.0}
    for (name, now), before in zip(student.named_parameters(), source.parameters(), strict=True):
        away[name.partition(".")[0]] += (
            ((now.detach().double() - before.detach().double()) ** 2).sum().item()
        )
    assert found == pytest.approx(0.15 * away["backbone"] + 0.35 * away["head"], rel=1e-5)
    assert away["backbone"] > 0 < away["head"]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_selective_distillation_formula(source, training, student, temperature):
    method = methods.find("selective_distillation")(weight=1.5, temperature=temperature)
    found, view = penalty_of(method, source, training, student)

    def softmax(logits):
        powers = np.exp(logits.detach().numpy().astype(np.float64)[:, MISSING] / temperature)
        return powers / powers.sum(1, keepdims=True)

    p, q = softmax(view.source_logits), softmax(view.logits)
    assert found == pytest.approx(
        1.5 * temperature**2 * (p * np.log(p / q)).sum(1).mean(), rel=1e-3
    )
    assert found > 0


def test_selective_distillation_of_one_class_is_nothing(source, training, student):
    transfer = dataclasses.replace(training, source=source, missing_classes=[5])
    view = View(student, transfer, training.images[:8], training.labels[:8])
    assert methods.find("selective_distillation")().penalty(view, None).item() == 0


@pytest.mark.parametrize("alpha", [0.25, 1.0])
def test_wise_ft_formula(source, training, alpha):
    run = run_of(methods.find("wise_ft")(alpha=alpha), source, training)
    run.advance(0, 8)
    before, mixed, origin = (
        run.student.state_dict(),
        run.finished().state_dict(),
        source.state_dict(),
    )
    for name, value in mixed.items():
        if value.is_floating_point():
            expected = alpha * origin[name].numpy() + (1 - alpha) * before[name].numpy()
            assert np.allclose(value.numpy(), expected, atol=1e-7), name
        else:
            assert torch.equal(value, before[name]), f"{name} counts batches"


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


@pytest.mark.parametrize(("rounds", "evaluations"), [(0, 8), (3, 12)])
def test_lolsgd_keeps_its_budget(source, training, rounds, evaluations):
    run = run_of(lolsgd(subsets=2, left_out=1, local_steps=2, rounds=rounds), source, training)
    counted = []
    gradient = run.gradient
    run.gradient = lambda rows: counted.append(1) or gradient(rows)
    run.advance(0, 4)
    run.advance(4, 8)
    assert len(counted) == evaluations


def test_lolsgd_leaves_a_class_to_train_on(source, training):
    run = run_of(lolsgd(subsets=2, left_out=99, local_steps=1), source, training)
    assert torch.isfinite(run.advance(0, 8))


# The loop


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


def test_a_parameters_range_is_read_from_its_annotation():
    setting = methods.parameters("wise_ft")["wise_ft.alpha"]
    assert (setting.type, setting.default, setting.low, setting.high) == (float, 0.5, 0, 1)
    assert setting.doc == "share of the source model."
    assert Range(0, 1) == Range(0, 1)


def test_naming_methods_imports_no_torch():
    code = (
        "import sys, tasks.methods as m; m.known(); m.settings(); "
        "m.problems(m.canonical('lolsgd+wise_ft'))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
