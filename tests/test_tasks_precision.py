"""How models compute: what is left of it in configs, what cannot be, and what trainings do."""

import copy
import dataclasses
import io

import adapted
import pytest
import torch
from adapted import RECIPE
from workspace import Workspace, same, stage

from tasks import loading, methods, precision, problem, speed
from tasks.adaptation import adapt
from tasks.fine_tuning import fine_tuning
from tasks.holistic_transfer import holistic_transfer, source
from tasks.training import Run, sgd
from tasks.transferability import transferability

HALF = {"amp": True, "amp_dtype": "float16"}


def unscaled():
    """A method whose optimisation knows nothing of a scaled loss."""
    return methods.Method(optimise=sgd)


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
        (
            {**HALF, "method": "test_tasks_precision:unscaled"},
            "amp_dtype",
            "'test_tasks_precision:unscaled' optimises in its own way",
        ),
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


@pytest.mark.parametrize("task", [holistic_transfer, fine_tuning])
@pytest.mark.parametrize("way", precision.WAYS)
def test_a_way_by_its_name_means_what_its_settings_mean(task, way):
    wanted = task.resolve(dict(precision.WAYS[way]))
    assert task.resolve({"precision": way}) == wanted
    assert task.resolve({"precision": ["resnet18@224=full", f"lenet_bn@16={way}"]}) == wanted
    assert task.resolve({"precision": [f"lenet_bn@16={way}", "auto"]}) == wanted
    assert task.resolve(wanted) == wanted


def test_the_size_is_that_of_the_images_and_weights_change_it():
    config = {"backbone": "resnet18", "weights": "timm", "image_size": 64}
    given = ["resnet18@16=float16", "resnet18@64=bfloat16"]
    assert holistic_transfer.resolve({**config, "precision": given})["amp"] is True
    assert "amp_dtype" not in holistic_transfer.resolve({**config, "precision": given})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("half", "got 'half'; known: full, "),
        (["resnet18@224=full"], "says nothing of this backbone and image size"),
        (["lenet_bn@16=fast"], "got 'fast'"),
    ],
)
def test_a_name_that_is_no_way_is_said(given, said):
    ((key, text),) = holistic_transfer.problems(holistic_transfer.resolve({"precision": given}))
    assert key == "precision"
    assert said in text


def test_a_name_beside_a_setting_is_said_and_what_is_not_measured_does_not_run(tmp_path):
    config = holistic_transfer.resolve({"precision": "bfloat16", "channels_last": False})
    assert [key for key, _ in holistic_transfer.problems(config)] == ["precision"]
    config = holistic_transfer.resolve({"precision": "auto"})
    assert holistic_transfer.problems(config) == []
    of_source = source.resolve({"domain": "mnist", "source_epochs": 1, "source_steps_per_epoch": 1})
    workspace = Workspace(tmp_path)
    workspace.stages = {"source": stage(source, of_source, tmp_path / "source")}
    with pytest.raises(ValueError, match="stands for no way to compute yet"):
        list(adapt(config, workspace))


def test_a_step_is_timed_in_each_way_that_may_be_chosen(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "ROUND_SECONDS", 0.0)
    shape, config = problem.timed(holistic_transfer.resolve({"batch_size": 8}))
    assert shape == "lenet_bn@16"
    ways = ["full", "bfloat16", "full+channels_first", "bfloat16+channels_first"]
    (row,) = speed.steps({**config, "ways": ways}, Workspace(tmp_path))
    took = {key.partition("/")[2]: value for key, value in row.items() if key != "step"}
    assert {"full", "bfloat16"} <= set(took) <= set(ways)
    assert len(took) == 3
    assert all(seconds > 0 for seconds in took.values())


def test_the_simpler_way_is_taken_unless_another_is_clearly_faster():
    assert speed.fastest({"full": 1.0, "bfloat16": 0.96}) == "full"
    assert speed.fastest({"full": 1.0, "bfloat16": 0.9, "float16": 0.88}) == "bfloat16"
    assert speed.fastest({"bfloat16": 2.0, "full": 1.0, "full+compiled": 0.5}) == "full+compiled"


@pytest.mark.parametrize("chain", ["lolsgd", "local_sgd", "lp_ft"])
def test_own_optimisations_take_float16_where_a_scaled_loss_can_be(transfer, chain):
    config = {**HALF, "method": chain}
    assert holistic_transfer.problems(holistic_transfer.resolve(config)) == []
    full, half = (run_of(transfer, chain, **changed) for changed in ({}, HALF))
    before = weights(full)
    for run in (full, half):
        run.advance(0, 6)
    moved, off = weights(full) - before, weights(half) - weights(full)
    assert 0 < float(off.norm()) < 0.02 * float(moved.norm())


def test_local_steps_whose_gradients_overflow_are_left_out(transfer):
    """All of a round overflow: the weights stay, and the scale is halved for each of them."""
    run = run_of(transfer, "lolsgd", **HALF)
    run._scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    before = weights_that_train(run)
    run.advance(0, run.steps)
    # The mean of equal models is rounded, and no more than that.
    assert float((weights_that_train(run) - before).abs().max()) < 1e-6
    assert run._scaler.get_scale() == 2.0 ** (120 - run.steps)
    usual = run_of(transfer, "lolsgd")
    usual.advance(0, usual.steps)
    assert float((weights_that_train(usual) - before).abs().max()) > 1e-3
