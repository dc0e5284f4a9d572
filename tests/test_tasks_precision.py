"""How models compute: what is left of it in configs, what cannot be, and what trainings do."""

import copy
import dataclasses
import io

import adapted
import pytest
import torch
from adapted import RECIPE
from workspace import Workspace, same, stage

from tasks import loading, methods, precision
from tasks.adaptation import adapt
from tasks.fine_tuning import fine_tuning
from tasks.holistic_transfer import holistic_transfer, source
from tasks.training import Run
from tasks.transferability import transferability

HALF = {"amp": True, "amp_dtype": "float16"}


@pytest.mark.parametrize("task", [holistic_transfer, fine_tuning, transferability])
def test_a_default_written_out_means_the_same(task):
    written = {key: setting.default for key, setting in precision.SETTINGS.items()}
    for dataset in ("mnist-uci", "pretrained-uci"):
        given = {"dataset": dataset}
        if task is holistic_transfer and dataset != "mnist-uci":
            continue
        assert task.resolve({**given, **written}) == task.resolve(given)
        assert not set(written) & set(task.resolve(given))


@pytest.mark.parametrize("changed", [HALF, {"channels_last": False}, {"compile": True}])
def test_another_value_is_part_of_the_meaning_and_of_the_sources(changed):
    resolved = holistic_transfer.resolve(changed)
    assert holistic_transfer.meaning(resolved) != holistic_transfer.meaning(
        holistic_transfer.resolve({})
    )
    ((_, of_source),) = holistic_transfer.stages(resolved).values()
    assert {key: of_source[key] for key in changed} == changed
    assert source.resolve(of_source) == of_source


@pytest.mark.parametrize(
    ("config", "key", "said"),
    [
        ({"amp_dtype": "float16"}, "amp_dtype", "no effect without amp"),
        ({**HALF, "method": "lolsgd"}, "amp_dtype", "'lolsgd' optimises in its own way"),
        ({"compile": True, "method": "delta"}, "compile", "'delta' looks at feature maps"),
    ],
)
def test_what_cannot_be_is_said_at_plan(config, key, said):
    ((found, text),) = holistic_transfer.problems(holistic_transfer.resolve(config))
    assert (found, said in text) == (key, True)


def test_trials_of_several_precisions_in_a_study_are_said():
    resolved = holistic_transfer.resolve({})
    for key in {**precision.AMP, **precision.SETTINGS}:
        assert "not of the method alone" in holistic_transfer.settings[key].varied(resolved)


@pytest.mark.parametrize(
    "changed", [HALF, {"channels_last": False}, {"compile": True}, {"amp": True}]
)
def test_heads_are_not_trained_together_at_other_precision(changed):
    task = holistic_transfer
    alone = task.trajectory(task.resolve({"method": "linear_probe", **changed}))
    assert not alone.task.endswith(":heads")
    assert task.trajectory(task.resolve({"method": "linear_probe"})).task.endswith(":heads")


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


def run_of(transfer, chain="plain", **changed):
    method = methods.build(chain, {})
    recipe = dataclasses.replace(RECIPE, **{"momentum": 0.9, **changed})
    return Run(copy.deepcopy(transfer.source), transfer, method, recipe)


def weights(run):
    return torch.cat([value.flatten().float() for value in run.student.state_dict().values()])


def test_half_precision_of_float16_is_near_full_precision_and_trains(transfer):
    full, half, brain = (run_of(transfer, **changed) for changed in ({}, HALF, {"amp": True}))
    before = weights(full)
    for run in (full, half, brain):
        run.advance(0, 6)
    moved, off, further = (
        float((one - other).norm())
        for one, other in (
            (weights(full), before),
            (weights(half), weights(full)),
            (weights(brain), weights(full)),
        )
    )
    assert 0 < off < 0.02 * moved
    assert off < further  # four digits against three


def test_a_step_whose_gradient_overflows_is_left_out_and_the_scale_halved(transfer):
    run = run_of(transfer, **HALF)
    assert run._scaler.get_scale() == 2.0**16
    run.gradient(run.batch(0))
    before = [weight.detach().clone() for weight in run.student.parameters()]
    run._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    run.gradient(run.batch(0))
    run.step()
    for weight, old in zip(run.student.parameters(), before, strict=True):
        assert torch.equal(weight, old)
    assert run._scaler.get_scale() == 2.0**119


def test_the_clipped_gradient_is_the_unscaled_one(transfer):
    run = run_of(transfer, clip_norm=0.01, **{**HALF, "momentum": 0.0})
    before = weights_that_train(run)
    run.gradient(run.batch(0))
    run.set_rate(0.0)
    run.step()
    away = float((weights_that_train(run) - before).norm())
    assert away == pytest.approx(0.01 * RECIPE.learning_rate, rel=1e-3)


def weights_that_train(run):
    return torch.cat([weight.detach().flatten() for weight in run.student.parameters()])


def test_a_killed_run_goes_on_bit_for_bit(transfer):
    changed = HALF
    whole = run_of(transfer, "ema+l2sp", **changed)
    before = weights(whole)
    torch.manual_seed(1)
    whole.advance(0, 3)
    kept = io.BytesIO()
    torch.save(whole.state(), kept)
    kept.seek(0)
    resumed = run_of(transfer, "ema+l2sp", **changed)
    resumed.restore(torch.load(kept, weights_only=True))
    for run in (whole, resumed):
        torch.manual_seed(2)
        run.advance(3, 6)
    assert torch.equal(weights(whole), weights(resumed))
    # And the training is nearly the usual one.
    usual = run_of(transfer, "ema+l2sp")
    usual.advance(0, 6)
    assert usual.student.state_dict().keys() == whole.student.state_dict().keys()
    moved, off = (float((weights(usual) - of).norm()) for of in (before, weights(whole)))
    assert off < 0.02 * moved


def test_without_channels_last_the_numbers_are_nearly_the_same(tmp_path):
    few = {"epochs": 1, "steps_per_epoch": 2, "source_epochs": 1, "source_steps_per_epoch": 2}
    rows = {}
    for number, last in enumerate((True, False)):
        config = holistic_transfer.resolve({**few, "channels_last": last})
        workspace = Workspace(tmp_path / str(number))
        ((_, of_source),) = holistic_transfer.stages(config).values()
        workspace.stages = {"source": stage(source, of_source, tmp_path / f"{number}-source")}
        rows[last] = list(adapt(config, workspace))
        model = loading.source_model(
            config, "mnist", loading.images_of(config, "uci", workspace), workspace
        )
        weight = model.backbone[4].weight
        assert weight.is_contiguous() != last
        assert weight.is_contiguous(memory_format=torch.channels_last) == last
    assert not same(rows[True], rows[False])
    assert rows[True][-1]["test/loss"] == pytest.approx(rows[False][-1]["test/loss"], rel=1e-4)
