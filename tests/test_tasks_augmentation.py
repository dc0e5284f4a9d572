"""Augmentations change each image by its own draw, keep shape and range, and say what cannot be."""

import sys
import types

import pytest
import torch

from tasks.augmentation import PRESETS, VIEWS, Augmentation, Views, problem, view_problem

TEXTS = [
    "flip_crop",
    "office_home",
    "randaugment",
    "digits",
    "RandomCrop(32, padding=4), RandomHorizontalFlip",
    "RandomResizedCrop(scale=(0.5, 1)), ColorJitter(0.4, 0.4, 0.4, 0.1), RandomErasing(p=0.5)",
    "RandomGrayscale(p=0.5)",
    "RandomRotation(20)",
    "TrivialAugmentWide",
]


def images(count=32, channels=3, size=32):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, channels, size, size), generator=generator).to(torch.uint8)


@pytest.mark.parametrize("text", TEXTS)
def test_each_image_is_changed_by_a_draw_of_its_own_from_torchs_seed(text):
    assert problem(text, 3, 32) is None
    one = images(1).repeat(32, 1, 1, 1)  # equal images
    augment = Augmentation(text, 32)
    torch.manual_seed(1)
    first = augment(one.clone())
    torch.manual_seed(1)
    again = augment(one.clone())
    other = augment(one.clone())
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({image.numpy().tobytes() for image in first}) > 1
    assert first.shape == one.shape
    values = first.float() / 255 if first.dtype == torch.uint8 else first
    assert 0 <= float(values.min()) <= float(values.max()) <= 1


def test_a_flip_mirrors_about_half_of_the_images_and_changes_no_other():
    given = images(400, size=8)
    torch.manual_seed(0)
    changed = Augmentation("RandomHorizontalFlip", 8)(given)
    mirrored = (changed == given.flip(3)).flatten(1).all(1)
    same = (changed == given).flatten(1).all(1)
    assert torch.all(mirrored ^ same)
    assert 150 < int(mirrored.sum()) < 250


def test_digits_are_only_shifted():
    given = torch.zeros(64, 1, 20, 20, dtype=torch.uint8)
    given[:, :, 8:12, 8:12] = 255
    torch.manual_seed(0)
    changed = Augmentation("digits", 20)(given)
    assert changed.sum((1, 2, 3)).numpy() == pytest.approx(16.0, abs=1e-3)  # nothing is lost
    rows = changed.sum((1, 3))
    centres = (rows * torch.arange(20)).sum(1) / rows.sum(1)
    assert 0.5 < float((centres - 9.5).abs().max()) <= 2.01  # up to a tenth of 20 pixels


def test_ones_own_is_given_the_whole_batch(monkeypatch):
    module = types.ModuleType("my_changes")
    module.dark = lambda batch, by=2: batch // by
    monkeypatch.setitem(sys.modules, "my_changes", module)
    given = images(4)
    assert torch.equal(Augmentation("my_changes:dark(by=4)", 32)(given), given // 4)
    assert problem("my_changes:dark", 3, 32) is None


@pytest.mark.parametrize(
    ("text", "channels", "said"),
    [
        ("flip_cropp", 3, "did you mean flip_crop"),
        ("RandomCropp(3)", 3, "no transform 'RandomCropp'; did you mean RandomCrop"),
        ("flip_crop(area=1)", 3, "it takes scale, ratio, flip"),
        ("RandomRotation", 3, "missing a required argument: 'degrees'"),
        ("RandomCrop(8)", 3, "must keep their shape"),
        ("Normalize([0.5], [0.5])", 3, "should be a float tensor"),
        ("MixUp", 3, "mixes labels too: give `mixup: 0.2`"),
        ("ColorJitter(hue=0.2)", 1, "its hue would change nothing"),
        ("ColorJitter(0.3, 0.3, 0.3)", 1, "its saturation would change nothing"),
        ("office_home", 1, "needs images of three channels"),
        ("RandomGrayscale", 1, "needs images of three channels"),
        ("flip_crop(", 3, "cannot be read"),
        ("no_such_module:change", 3, "No module named"),
        ("json:dumps", 3, "cannot change images"),
        ("builtins:list", 3, "must keep their shape"),
    ],
)
def test_what_cannot_be_is_said(text, channels, said):
    assert said in problem(text, channels, 32)


def test_brightness_alone_suits_grey_images():
    assert problem("ColorJitter(0.3)", 1, 16) is None
    assert all(problem(name, 1, 16) is None for name in PRESETS if name != "office_home")


def test_a_float_out_of_range_is_said(monkeypatch):
    module = types.ModuleType("my_changes")
    module.centred = lambda batch: batch.float() / 127.5 - 1
    monkeypatch.setitem(sys.modules, "my_changes", module)
    assert "floats in [0, 1]" in problem("my_changes:centred", 3, 32)


def mean_model(given):
    given = given.float()
    return given.mean((2, 3)), given.amax((2, 3))


def test_views_are_crops_brought_to_the_size_of_the_image():
    given = torch.zeros(1, 1, 16, 16)
    given[..., 0, 0] = 1.0  # a corner, which the centre does not have
    assert float(Views(mean_model, "center_crop")(given)[1]) == 0
    _, logits = Views(mean_model, "ten_crop")(given)
    # Of ten views two have the corner: the top left, and its mirror image.
    full = float(Views(mean_model, "ten_crop")(torch.ones_like(given))[1])
    assert full == pytest.approx(1.0)
    assert float(logits) == pytest.approx(0.2)
    whole = Views(mean_model, "center_crop(1)")(given)
    assert all(
        torch.allclose(one, other) for one, other in zip(whole, mean_model(given), strict=True)
    )


@pytest.mark.parametrize(
    "text",
    [
        "corner",
        "center_crop(0)",
        "center_crop(size=3)",
        "resize(2)",
        "ten_crop('a')",
        "resize, ten_crop",
    ],
)
def test_views_that_cannot_be_are_said(text):
    assert view_problem(text)


def test_views_that_can_be_are_fine():
    assert not any(map(view_problem, [*VIEWS, "center_crop(0.9)", "ten_crop(share=0.8)"]))
