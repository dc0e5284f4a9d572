"""MixUp and CutMix: what becomes of images and labels, by which draws, and what they exclude."""

import copy
import dataclasses
import io

import adapted
import pytest
import torch
from adapted import RECIPE

from tasks import methods
from tasks.holistic_transfer import holistic_transfer
from tasks.methods.method import Method
from tasks.mixing import Mixing
from tasks.training import Run


@pytest.fixture(scope="module")
def transfer():
    return adapted.transfer()


def batch(count=6, size=8):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (count, 3, size, size), generator=generator).to(torch.uint8)
    return images, torch.arange(count) % 4


def test_mixup_is_a_convex_combination_with_the_neighbour():
    images, labels = batch()
    torch.manual_seed(0)
    mixed, targets = Mixing(0.4, 0.0, 5)(images, labels)
    share = float(targets[0, labels[0]])
    assert 0 < share < 1
    whole, hot = images.float() / 255, torch.eye(5)[labels]
    expected = share * whole + (1 - share) * whole.roll(1, 0)
    assert torch.allclose(mixed, expected, atol=1e-6)
    assert torch.allclose(targets, share * hot + (1 - share) * hot.roll(1, 0), atol=1e-6)


def test_cutmix_pastes_a_rectangle_and_mixes_by_its_area():
    images, labels = batch()
    torch.manual_seed(3)
    mixed, targets = Mixing(0.0, 1.0, 5)(images, labels)
    whole, hot = images.float() / 255, torch.eye(5)[labels]
    pasted = (mixed == whole.roll(1, 0)).all(1) & (mixed != whole).any(1)
    kept = (mixed == whole).all(1)
    assert bool((pasted | kept).all())
    (rows, columns) = (torch.where(pasted[0].any(dim))[0] for dim in (1, 0))
    assert int(pasted[0].sum()) == len(rows) * len(columns) > 0
    share = float(kept[0].float().mean())
    assert torch.allclose(targets, share * hot + (1 - share) * hot.roll(1, 0), atol=1e-6)


def test_with_both_each_batch_has_one_of_the_two():
    images, labels = batch()
    mixing, kept = Mixing(0.4, 1.0, 5), []
    torch.manual_seed(0)
    for _ in range(200):
        mixed, _ = mixing(images, labels)
        kept.append(bool((mixed == images.float() / 255).all(1).any()))
    assert 60 < sum(kept) < 140  # a rectangle leaves pixels as they were


def run_of(transfer, chain="plain", **changed):
    method = methods.build(chain, {}) if isinstance(chain, str) else chain
    recipe = dataclasses.replace(RECIPE, **changed)
    return Run(copy.deepcopy(transfer.source), transfer, method, recipe)


def test_the_loss_is_the_cross_entropy_to_the_mixed_targets(transfer):
    run = run_of(transfer, mixup=0.5, label_smoothing=0.1)
    loss = float(run.gradient(run.batch(0)))
    run._shown.restart(0)
    view = run.view(run.batch(0))
    assert view.targets.shape == (12, 5)
    soft = 0.9 * view.targets + 0.1 / 5
    expected = -(soft * view.logits.log_softmax(1)).sum(1).mean()
    assert loss == pytest.approx(float(expected.detach()), abs=1e-6)
    assert loss != pytest.approx(
        float(run_of(transfer, label_smoothing=0.1).gradient(run.batch(0)))
    )


def test_draws_are_the_same_for_all_methods_and_apart_from_the_augmentations(transfer):
    plain = run_of(transfer, mixup=0.5)
    other = run_of(transfer, "l2sp", mixup=0.5, dropout=0.5)
    augmented = run_of(transfer, mixup=0.5, augmentation="digits")
    views = []
    for run in (plain, other, augmented):
        torch.manual_seed(len(views))
        run._shown.restart(4)
        views.append([run.view(run.batch(number)) for number in (4, 5)])
    for one, two, third in zip(*views, strict=True):
        assert torch.equal(one.images, two.images)
        assert torch.equal(one.targets, two.targets)
        assert torch.equal(one.targets, third.targets)
        assert not torch.equal(one.images, third.images)
    assert not torch.equal(views[0][0].targets, views[0][1].targets)


@pytest.mark.parametrize(
    "chain", ["plain", "lolsgd+balanced_softmax", "selective_distillation+swa"]
)
def test_a_killed_run_goes_on_bit_for_bit(transfer, chain):
    changed = {"mixup": 0.5, "cutmix": 1.0, "augmentation": "digits"}
    whole, cut = run_of(transfer, chain, **changed), run_of(transfer, chain, **changed)
    whole.advance(0, 3)
    cut.advance(0, 3)
    kept = io.BytesIO()
    torch.save(cut.state(), kept)
    kept.seek(0)
    resumed = run_of(transfer, chain, **changed)
    resumed.restore(torch.load(kept, weights_only=True))
    whole.advance(3, 6)
    resumed.advance(3, 6)
    for one, two in zip(
        whole.student.state_dict().values(), resumed.student.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two)


@pytest.mark.parametrize("key", ["mixup", "cutmix"])
@pytest.mark.parametrize("method", ["bi_tuning", "bn_statistics", "co_tuning+l2"])
def test_what_works_with_labels_excludes_it(method, key):
    found = holistic_transfer.problems(holistic_transfer.resolve({"method": method, key: 0.2}))
    ((name, text),) = found
    assert name == key
    assert f"'{method.partition('+')[0]}' works with the label of each image" in text


def test_all_other_methods_do_without_the_labels(transfer):
    """Those that declare nothing train with mixed labels: none reads them."""
    reading = {name for name in methods.NAMES if methods.reading_labels(name, {})}
    assert reading == {"bi_tuning", "bn_statistics", "co_tuning"}
    for name in methods.NAMES:
        needs = methods.needs(name)
        if name in reading or not methods.trains(name) or needs & {"attention", "blocks"}:
            continue
        small = {"ewc.samples": 4, "delta.head_epochs": 1, "delta.batches": 1, "tred.steps": 2}
        run = run_of(transfer, methods.build(name, small), mixup=0.5)
        assert run.advance(0, run.steps) is not None


def test_a_method_of_ones_own_that_reads_labels_is_told(transfer):
    run = run_of(transfer, Method(penalty=lambda view, _: view.labels.sum() * 0.0), mixup=0.5)
    with pytest.raises(ValueError, match="reads_labels=True"):
        run.gradient(run.batch(0))


def test_a_batch_of_one_cannot_be_mixed():
    config = holistic_transfer.resolve({"mixup": 0.2, "batch_size": 1})
    assert ("mixup", True) in [
        (key, "batch_size is 1" in text) for key, text in holistic_transfer.problems(config)
    ]
