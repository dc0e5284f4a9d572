"""Recipe settings: which configs mean the same, which cannot be, and what each does to a training."""

import copy
import dataclasses

import adapted
import pytest
import torch
from adapted import RECIPE

from tasks import timm_models
from tasks.fine_tuning import fine_tuning
from tasks.holistic_transfer import holistic_transfer
from tasks.methods import Method
from tasks.recipe import RECIPE as SETTINGS
from tasks.recipe import VIEWS
from tasks.training import Run


def resolved(task=holistic_transfer, **config):
    return task.resolve(config)


def problems(task=holistic_transfer, **config):
    return task.problems(task.resolve(config))


@pytest.mark.parametrize("task", [holistic_transfer, fine_tuning])
def test_a_default_written_out_means_the_same(task):
    written = {key: setting.default for key, setting in (SETTINGS | VIEWS).items()}
    assert task.resolve(written) == task.resolve({})
    assert not set(written) & set(task.resolve({}))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"optimizer": "adamw( eps=1e-8 )"}, {"optimizer": "adamw(eps=1e-08)"}),
        ({"optimizer": "adamw", "momentum": 0.5}, {"optimizer": "adamw", "nesterov": False}),
        ({"milestones": [1], "milestone_factor": 0.5}, {}),
        ({"momentum": 0.0, "nesterov": False}, {"momentum": 0.0}),
        ({"test_transform": "ten_crop( share = 0.8)"}, {"test_transform": "ten_crop(share=0.8)"}),
        ({"method": "source", "augmentation": "digits"}, {"method": "source"}),
    ],
)
def test_configs_that_mean_the_same_are_equal(one, other):
    assert resolved(**one) == resolved(**other)


@pytest.mark.parametrize(
    ("config", "key", "said"),
    [
        ({"optimizer": "adamm"}, "optimizer", "did you mean"),
        ({"optimizer": "rprop", "weight_decay": 0.1}, "weight_decay", "has no weight decay"),
        ({"augmentation": "office_home"}, "augmentation", "images of three channels"),
        ({"augmentation": "RandomCrop(8)"}, "augmentation", "must keep their shape"),
        ({"test_transform": "corner"}, "test_transform", "known: resize, center_crop, ten_crop"),
        ({"warmup_steps": 301}, "warmup_steps", "the run has 300 steps"),
        ({"schedule": "step"}, "milestones", "needs the epochs"),
        ({"schedule": "step", "milestones": [5]}, "milestones", "would never be lowered"),
        ({"schedule": "step", "milestones": [3, 2]}, "milestones", "in rising order"),
        ({"schedule": "step", "milestones": ["a"]}, "milestones", "whole numbers"),
        ({"drop_path": 0.1}, "drop_path", "no blocks"),
        ({"drop_path": 0.1, "backbone": "test_efficientnet"}, "drop_path", "no blocks"),
        ({"freeze_bn": True, "backbone": "test_vit"}, "freeze_bn", "has no batch norm"),
        ({"freeze_bn": True, "method": "bn_affine"}, "freeze_bn", "nothing would be left"),
    ],
)
def test_what_cannot_be_is_said_with_its_key(config, key, said):
    found = problems(**config)
    assert [name for name, _ in found] == [key]
    assert said in found[0][1]


def test_several_mistakes_are_said_at_once():
    found = problems(optimizer="adamm", augmentation="digit", warmup_steps=999)
    assert {key for key, _ in found} == {"optimizer", "augmentation", "warmup_steps"}


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


def run_of(transfer, method=None, **changed):
    recipe = dataclasses.replace(RECIPE, **changed)
    return Run(copy.deepcopy(transfer.source), transfer, method or Method(), recipe)


def moved(run):
    """The parts and buffers of the student that one epoch changes."""
    before = copy.deepcopy(run.student.state_dict())
    run.advance(0, 3)
    after = run.student.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_label_smoothing_is_torchs(transfer):
    run = run_of(transfer, label_smoothing=0.2)
    rows = run.batch(0)
    loss = float(run.gradient(rows))
    view = run.view(rows)
    expected = torch.nn.functional.cross_entropy(view.logits, view.labels, label_smoothing=0.2)
    assert loss == pytest.approx(float(expected.detach()), abs=1e-6)


def test_clipping_limits_the_norm_of_the_whole_gradient(transfer):
    run = run_of(transfer, clip_norm=0.01)
    run.gradient(run.batch(0))
    before = [weight.detach().clone() for weight in run.student.parameters()]
    run.set_rate(0.0)
    run.step()
    away = [
        weight.detach() - old for weight, old in zip(run.student.parameters(), before, strict=True)
    ]
    norm = torch.stack([part.norm() for part in away]).norm()
    assert float(norm) == pytest.approx(0.01 * RECIPE.learning_rate, rel=1e-3)


def test_layer_decay_slows_each_layer_by_its_distance_from_the_head(transfer):
    run = run_of(transfer, layer_decay=0.5)
    by_parameter = {
        id(weight): group["factor"]
        for group in run.optimiser.param_groups
        for weight in group["params"]
    }
    student = run.student
    factors = {name: by_parameter[id(weight)] for name, weight in student.named_parameters()}
    assert {factors[name] for name in factors if name.startswith("head")} == {1.0}
    assert sorted({*factors.values()}) == [0.125, 0.25, 0.5, 1.0]
    ordered = [factors[name] for name in factors]
    assert ordered == sorted(ordered)  # parameters are listed from the input on
    assert len(by_parameter) == len(list(student.parameters()))


def test_frozen_batch_norm_does_not_move_and_the_rest_does(transfer):
    names = moved(run_of(transfer, freeze_bn=True))
    norms = {
        f"{place}.{name}"
        for place, module in transfer.source.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
        for name in module.state_dict()
    }
    assert norms
    assert names == set(transfer.source.state_dict()) - norms


def test_dropout_changes_training_and_no_measurement(transfer):
    run, plain = run_of(transfer, dropout=0.5), run_of(transfer)
    rows = run.batch(0)
    assert float(run.gradient(rows)) != float(plain.gradient(rows))
    images = transfer.images[:8]
    for one, other in zip(run.finished()(images), run.finished()(images), strict=True):
        assert torch.equal(one, other)


def test_balanced_batches_have_as_many_of_each_class(transfer):
    rows = transfer.train[transfer.labels[transfer.train] != 0]
    few = transfer.train[transfer.labels[transfer.train] == 0][:3]  # a rare class
    rare = dataclasses.replace(transfer, train=torch.cat([rows, few]))
    run = run_of(rare, sampling="class_balanced")
    drawn = torch.cat([run.batch(number) for number in range(300)])
    assert set(drawn.tolist()) <= set(rare.train.tolist())
    counts = torch.bincount(transfer.labels[drawn], minlength=5)
    share = counts[counts > 0] / counts.sum()
    assert len(share) == 3
    assert torch.all((share - 1 / 3).abs() < 0.03)
    again = run_of(rare, sampling="class_balanced")
    assert torch.equal(again.batch(7), run.batch(7))
    assert set(transfer.labels[run.batch(5, [2, 4])].tolist()) <= {2, 4}


def test_the_last_smaller_batch_can_be_kept(transfer):
    whole = run_of(transfer, drop_last=False, batch_size=25)
    sizes = [len(whole.batch(number)) for number in range(3)]
    assert sizes == [25, 25, 10]
    assert sorted(torch.cat([whole.batch(number) for number in range(3)]).tolist()) == sorted(
        transfer.train.tolist()
    )
    dropped = run_of(transfer, batch_size=25)
    assert [len(dropped.batch(number)) for number in range(3)] == [25, 25, 25]


def test_augmentation_draws_are_the_same_for_all_methods_and_after_a_restart(transfer):
    plain = run_of(transfer, augmentation="digits")
    other = run_of(transfer, augmentation="digits", dropout=0.5)
    for run in (plain, other):
        run.advance(0, 3)
        run._shown.restart(3)
    torch.manual_seed(5)
    assert torch.equal(plain.view(plain.batch(3)).images, other.view(other.batch(3)).images)
    view = plain.view(plain.batch(4))
    assert not torch.equal(view.images, view.other_images)
    assert torch.equal(
        run_of(transfer).view(plain.batch(4)).other_images, transfer.images[plain.batch(4)]
    )


@pytest.mark.parametrize("name", ["test_vit", "efficientnet_lite0", "test_resnet"])
def test_stochastic_depth_is_timms(name):
    from tasks import backbones

    size = 160 if name == "test_vit" else 64
    torch.manual_seed(0)
    model = backbones.build(name, 3, size, 5)
    for norm in model.norms():  # timm starts residual branches at zero
        torch.nn.init.ones_(norm.weight)
    before = copy.deepcopy(model).eval()
    assert backbones.has_drop_path(name)
    timm_models.set_drop_path(model.backbone, name, 0.5)
    images = torch.rand(6, 3, size, size)
    assert torch.equal(model.eval()(images)[1], before(images)[1])
    assert model.state_dict().keys() == before.state_dict().keys()
    model.train()
    passes = set()
    for seed in range(8):
        torch.manual_seed(seed)
        passes.add(model(images)[1].detach().numpy().tobytes())
    assert len(passes) > 1
