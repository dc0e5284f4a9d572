"""Corrupted domains: what happens to an image, and that each is a domain like any other."""

import numpy as np
import pytest
from PIL import Image

from tasks import data
from tasks.data import corruptions, digits, folder, registry

PHOTOS = (
    np.random.default_rng(0)
    .integers(0, 256, (6, 3, 24, 24), dtype=np.uint8)
    .repeat(2, 2)
    .repeat(2, 3)
)
CORRUPTIONS = list(corruptions.KINDS)


@pytest.fixture
def pictures(tmp_path):
    """A root with the domains `art-old` and `photo`, classes cat and dog, two images each."""
    for first, domain in ((0, "art-old"), (2, "photo")):
        for name in ("cat", "dog"):
            place = tmp_path / "root" / domain / name
            place.mkdir(parents=True)
            for number, pixels in enumerate(PHOTOS[first : first + 2]):
                Image.fromarray(pixels.transpose(1, 2, 0)).save(place / f"{number}.png")
    return tmp_path / "root"


@pytest.mark.parametrize("severity", corruptions.SEVERITIES)
@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("images", ["digits", "photos"])
def test_a_corruption_changes_pixels_and_keeps_their_kind(own_cache, images, kind, severity):
    pixels = PHOTOS if images == "photos" else data.load("uci", own_cache, 0).pixels[:40]
    largest = 255 if images == "photos" else 1
    before = pixels.copy()
    found = corruptions.changed(pixels, corruptions.Corruption(kind, severity))
    assert (pixels == before).all()
    assert (found.shape, found.dtype) == (pixels.shape, pixels.dtype)
    assert 0 <= found.min() <= found.max() <= largest
    # Each image is another one, the weakest corruption included, by more than one could overlook.
    moved = np.abs(found.astype(float) - pixels).mean(axis=(1, 2, 3)) / largest
    assert moved.min() > 0.003


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("domain", registry.BUILT_IN)
def test_a_higher_severity_changes_more(own_cache, domain, kind):
    pixels = data.load(domain, own_cache, 0).pixels[::20]
    moved = [
        np.abs(corruptions.changed(pixels, corruptions.Corruption(kind, severity)) - pixels).mean()
        for severity in corruptions.SEVERITIES
    ]
    assert sorted(moved) == moved
    assert len(set(moved)) == 5
    assert moved[2] > 0.02


def test_corruptions_are_what_they_say():
    """Against the words of each one's line, on images whose corruption can be told by hand."""
    ramp = np.linspace(0, 1, 16, dtype=np.float32).reshape(1, 1, 1, 16).repeat(16, 2)
    after = {
        kind: [
            corruptions.changed(ramp, corruptions.Corruption(kind, severity))
            for severity in corruptions.SEVERITIES
        ]
        for kind in CORRUPTIONS
    }
    assert np.allclose(after["invert"][4], 1 - ramp, atol=1e-6)
    assert np.allclose(after["invert"][0], 0.5 - 0.4 * (ramp - 0.5), atol=1e-6)
    assert np.allclose(
        [one.std() / ramp.std() for one in after["contrast"]], np.linspace(0.8, 0.1, 5), atol=1e-4
    )
    assert np.allclose([one.mean() for one in after["contrast"]], 0.5, atol=1e-4)
    assert [
        int((one != ramp).any(axis=2).sum()) <= side
        for one, side in zip(after["occlude"], (3, 5, 6, 8, 10), strict=True)
    ]
    assert set(after["occlude"][2][after["occlude"][2] != ramp].tolist()) == {0.5}
    noise = np.full((1, 1, 200, 200), 0.5, np.float32)
    drawn = corruptions.changed(noise, corruptions.Corruption("noise", 1)) - 0.5
    assert drawn.std() == pytest.approx(0.08, rel=0.02)
    assert abs(drawn.mean()) < 0.002
    dot = np.zeros((1, 1, 65, 65), np.float32)
    dot[0, 0, 32, 52] = 1.0
    # 20 pixels right of the centre, turned by 50 degrees: cos and sin of it away.
    turned = corruptions.changed(dot, corruptions.Corruption("rotate", 5))[0, 0]
    row, column = np.unravel_index(turned.argmax(), turned.shape)
    assert (abs(row - 32), column - 32) == (
        round(20 * np.sin(np.radians(50))),
        round(20 * np.cos(np.radians(50))),
    )
    blurred = corruptions.changed(dot, corruptions.Corruption("blur", 5))[0, 0]
    assert np.sqrt((blurred * (np.arange(65) - 52.0) ** 2).sum() / blurred.sum()) == pytest.approx(
        6.5, abs=0.5
    )
    moved = corruptions.changed(dot, corruptions.Corruption("shift", 2))[0, 0]
    row, column = np.unravel_index(moved.argmax(), moved.shape)
    assert np.hypot(row - 32, column - 52) == pytest.approx(65 * 2 / 16, abs=0.75)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_an_image_s_corruption_is_its_own(own_cache, kind):
    """By its position: not by those beside it, nor by how many are changed at once."""
    pixels = data.load("uci", own_cache, 0).pixels[:20]
    corruption = corruptions.Corruption(kind, 4)
    whole = corruptions.changed(pixels, corruption)
    assert (whole == corruptions.changed(pixels, corruption)).all()
    assert (whole[13:15] == corruptions.changed(pixels[13:15], corruption, 13)).all()
    same = corruptions.changed(pixels[:1].repeat(8, 0), corruption)
    assert (len(np.unique(same.reshape(8, -1), axis=0)) > 1) == (
        kind in ("noise", "occlude", "shift")
    )


def test_a_corrupted_domain_is_a_domain(own_cache):
    assert data.domains("mnist-uci@blur") == ("mnist", "uci@blur3")
    assert data.domains("mnist@invert5-uci@noise1") == ("mnist@invert5", "uci@noise1")
    assert data.fine_tuning_domains("pretrained-uci@rotate") == ("pretrained", "uci@rotate3")
    assert (
        data.canonical("mnist-uci@blur") == data.canonical("mnist-uci@blur3") == "mnist-uci@blur3"
    )
    assert data.canonical("pretrained-uci@blur") == "pretrained-uci@blur3"
    for dataset in ("mnist-uci@blur", "mnist@shift2-uci"):
        assert data.problems(dataset) == data.fine_tuning_problems(dataset) == []
    assert data.classes("uci@blur") == data.classes("uci")
    assert data.channels("uci@blur") == 1
    plain, blurred = (data.load(domain, own_cache, 0) for domain in ("uci", "uci@blur"))
    assert (blurred.labels == plain.labels).all()
    assert blurred.classes == plain.classes
    assert (
        blurred.pixels == corruptions.changed(plain.pixels, corruptions.Corruption("blur", 3))
    ).all()


def test_a_corrupted_domain_is_made_once(own_cache, monkeypatch):
    first = data.load("uci@contrast2", own_cache, 0).pixels
    monkeypatch.setattr(corruptions, "changed", lambda *_: pytest.fail("made twice"))
    assert (data.load("uci@contrast2", own_cache, 0).pixels == first).all()


def test_fingerprints_tell_corruptions_apart_and_leave_the_others_alone():
    names = [
        "uci",
        "mnist",
        *(
            f"{base}@{kind}{severity}"
            for base in registry.BUILT_IN
            for kind in CORRUPTIONS
            for severity in (3, 4)
        ),
    ]
    assert len({data.fingerprint(name) for name in names}) == len(names)
    assert data.fingerprint("uci@blur") == data.fingerprint("uci@blur3")
    assert data.fingerprint("uci") == digits.fingerprint("uci")


def test_a_folder_s_domain_may_be_corrupted(pictures, tmp_path):
    assert data.domains(f"folder:{pictures}:art-old@blur-photo@noise2") == (
        f"folder:{pictures}:art-old@blur3",
        f"folder:{pictures}:photo@noise2",
    )
    assert (
        data.canonical(f"folder:{pictures}:art-old@blur-photo")
        == f"folder:{pictures}:art-old@blur3-photo"
    )
    assert (
        data.canonical(f"pretrained-folder:{pictures}:photo@blur")
        == f"pretrained-folder:{pictures}:photo@blur3"
    )
    assert data.problems(f"folder:{pictures}:art-old-photo@shift") == []
    plain, shifted = (
        data.load(f"folder:{pictures}:{name}", tmp_path / "cache", 16)
        for name in ("photo", "photo@shift4")
    )
    assert shifted.pixels.dtype == np.uint8
    assert isinstance(shifted.pixels, np.memmap)
    assert (
        shifted.pixels == corruptions.changed(plain.pixels, corruptions.Corruption("shift", 4))
    ).all()
    assert shifted.classes == ("cat", "dog")


def test_a_folder_that_is_called_like_a_corruption_is_itself(pictures):
    (pictures / "photo").rename(pictures / "photo@blur")
    dataset = f"folder:{pictures}:art-old-photo@blur"
    assert data.domains(dataset) == (f"folder:{pictures}:art-old", f"folder:{pictures}:photo@blur")
    assert data.canonical(dataset) == dataset
    assert data.fingerprint(f"folder:{pictures}:photo@blur") == folder.fingerprint(
        f"folder:{pictures}:photo@blur"
    )


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("mnist-uci@blurr", "did you mean @blur? known: @blur, @noise"),
        ("mnist-uci@blur6", "severity of 1 to 5"),
        ("mnist-usi@blur", "did you mean 'mnist-uci'"),
        ("mnist@blur-mnist", "the images that its source is trained on"),
        ("folder:ROOT:art-old-photo@nois", "did you mean @noise"),
        ("folder:ROOT:photo-photo@noise", "the images that its source is trained on"),
        ("folder:ROOT:art-old-paint@blur", "no domain 'paint'"),
    ],
)
def test_a_wrong_corruption_is_named_with_its_remedy(pictures, dataset, said):
    wrong = data.problems(dataset.replace("ROOT", str(pictures)))
    assert len(wrong) == 1
    assert said in wrong[0]
    assert data.canonical(dataset.replace("ROOT", str(pictures))) == dataset.replace(
        "ROOT", str(pictures)
    )


def test_a_wrong_corruption_of_a_lone_target_is_named(pictures):
    assert "did you mean @noise" in data.fine_tuning_problems("pretrained-uci@nois")[0]
    assert (
        "did you mean @noise"
        in data.fine_tuning_problems(f"pretrained-folder:{pictures}:photo@nois")[0]
    )
