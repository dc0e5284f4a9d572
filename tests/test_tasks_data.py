"""Datasets: digits, folders of images, class splits, and what is kept of them."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks import data
from tasks.data import cached, contents, digits, folder, splits


@pytest.mark.parametrize(("domain", "count"), [("mnist", 5000), ("uci", 1797)])
def test_digits_are_whole(own_cache, domain, count):
    images = data.load(domain, own_cache, 16)
    assert images.pixels.shape == (count, 1, 16, 16)
    assert images.pixels.dtype == np.float32
    assert images.pixels.min() == 0
    assert 0.9 < images.pixels.max() <= 1
    assert sorted(set(images.labels.tolist())) == list(range(10))
    assert images.classes == data.classes(domain)


def test_uci_digits_are_scikit_learns(own_cache):
    from sklearn.datasets import load_digits

    given = load_digits()
    images = data.load("uci", own_cache, 16)
    assert (images.labels == given.target).all()
    # Bilinear by two: each new pixel is 3/4 of its own old one and 1/4 of the neighbour on its
    # side, whole at the edge.
    weights = np.zeros((16, 8))
    for new in range(16):
        weights[new, new // 2] += 0.75
        weights[new, np.clip(new // 2 + (1 if new % 2 else -1), 0, 7)] += 0.25
    assert np.allclose(images.pixels[:, 0], weights @ (given.images / 16) @ weights.T, atol=1e-6)


def test_mnist_keeps_its_margin(own_cache):
    """Cropped, a source model would find the target twice as easy: the frame is part of the problem."""
    pixels = data.load("mnist", own_cache, 16).pixels
    assert max(pixels[:, 0, 0].mean(), pixels[:, 0, :, 0].mean()) < 0.005
    assert 0.12 < pixels.mean() < 0.15


def test_a_damaged_cache_is_made_again(tmp_path):
    path = tmp_path / "kept.npz"
    make = lambda: {"a": np.arange(1000)}  # noqa: E731
    cached.arrays(path, make)
    whole = path.read_bytes()
    for damaged in (whole[:500], whole[:700] + b"\x07" + whole[701:], b""):
        path.write_bytes(damaged)
        assert (cached.arrays(path, make)["a"] == np.arange(1000)).all()
        assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_a_cache_is_used_and_many_may_ask_at_once(tmp_path):
    path = tmp_path / "kept.npz"
    made = []

    def make():
        made.append(1)
        time.sleep(0.02)
        return {"a": np.ones(5)}

    with ThreadPoolExecutor(8) as pool:
        assert all(
            (found["a"] == 1).all()
            for found in pool.map(lambda _: cached.arrays(path, make), range(8))
        )
    before = len(made)
    cached.arrays(path, make)
    assert len(made) == before
    assert list(tmp_path.iterdir()) == [path]


def test_declarations_import_nothing_heavy():
    """A plan reads them: fingerprints included, no package of data or training is touched."""
    code = (
        "import sys, tasks.holistic_transfer as h, tasks.methods, tasks.toy\n"
        "c = h.resolve({'method': ['l2sp', 'wise_ft'], 'backbone': 'resnet18'})\n"
        "h.problems(c), h.meaning(c), h.stages(c), h.spaces(c)\n"
        "heavy = {'torch', 'timm', 'sklearn', 'pandas', 'mlxtend', 'PIL', 'ray', 'mlflow', "
        "'optuna', 'htsweep'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


def test_fingerprints_tell_domains_apart():
    assert digits.fingerprint("mnist") != digits.fingerprint("uci")
    assert len(digits.fingerprint("mnist")) == 16


@given(st.integers(2, 60), st.floats(0, 0.99), st.floats(0, 0.99), st.integers(0, 1000))
def test_missing_classes_are_nested_in_the_ratio(classes, a, b, seed):
    less, more = (set(splits.draw_missing(classes, ratio, seed)) for ratio in sorted((a, b)))
    assert less <= more
    assert len(more) < classes
    for ratio, found in zip(sorted((a, b)), (less, more), strict=True):
        assert len(found) == min(max(round(ratio * classes), int(ratio > 0)), classes - 1)


@given(
    st.lists(st.integers(0, 3), min_size=12, max_size=80),
    st.integers(0, 99),
    st.sets(st.integers(0, 3), max_size=2),
)
def test_splits_are_disjoint_stratified_and_blind_to_missing_classes(listed, seed, missing):
    labels = np.array(listed)
    found = splits.split(labels, sorted(missing), seed)
    assert sorted(
        [*found.reference, *splits.split(labels, [], seed).validation, *found.test]
    ) == list(range(len(labels)))
    assert not missing & set(labels[found.train].tolist())
    assert not missing & set(labels[found.validation].tolist())
    assert (found.test == splits.split(labels, [], seed).test).all()
    for index in set(listed):
        own = listed.count(index)
        assert index in labels[found.reference]
        if own >= 2:
            assert max(1, round(0.3 * own)) == (labels[found.test] == index).sum()


@pytest.fixture
def pictures(tmp_path):
    """A root with the domains `art-old` and `photo`, classes cat and dog, three images each."""
    rng = np.random.default_rng(0)
    for domain in ("art-old", "photo"):
        for name in ("cat", "dog"):
            place = tmp_path / "root" / domain / name
            place.mkdir(parents=True)
            for number in range(3):
                pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
            (place / "notes.txt").write_text("not an image")
    return tmp_path / "root"


def test_a_folder_is_a_dataset(pictures, tmp_path):
    dataset = f"folder:{pictures}:art-old-photo"
    assert data.problems(dataset) == []
    source, target = data.domains(dataset)
    assert (source, target) == (f"folder:{pictures}:art-old", f"folder:{pictures}:photo")
    images = data.load(target, tmp_path / "cache", 16)
    assert images.pixels.shape == (6, 3, 16, 16)
    assert isinstance(images.pixels, np.memmap)
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with Image.open(pictures / "photo" / "dog" / "2.png") as image:
        expected = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert (images.pixels[5] == expected).all()


def test_a_folder_is_decoded_once(pictures, tmp_path, monkeypatch):
    domain = f"folder:{pictures}:photo"
    data.load(domain, tmp_path / "cache", 16)
    monkeypatch.setattr(folder, "_decode", lambda *_: pytest.fail("decoded twice"))
    data.load(domain, tmp_path / "cache", 16)


def test_a_folders_name_is_its_content(pictures, tmp_path):
    domain = f"folder:{pictures}:photo"
    before = folder.fingerprint(domain)
    pictures.rename(tmp_path / "elsewhere")
    moved = f"folder:{tmp_path / 'elsewhere'}:photo"
    assert folder.fingerprint(moved) == before
    contents.forget()
    image = tmp_path / "elsewhere" / "photo" / "cat" / "0.png"
    image.write_bytes((tmp_path / "elsewhere" / "photo" / "cat" / "1.png").read_bytes())
    assert folder.fingerprint(moved) != before


def test_files_that_stay_the_same_are_not_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "SETTLED_SECONDS", 0)
    path = tmp_path / "file"
    path.write_bytes(b"content")
    first = contents.digest(path)
    monkeypatch.setattr(contents, "_content", lambda *_: pytest.fail("read twice"))
    assert contents.digest(path) == first


@pytest.mark.parametrize("settled", [0, 2])
def test_a_file_in_another_ones_place_is_read(tmp_path, monkeypatch, settled):
    """As copies are that keep the time of change: the same size, the same time."""
    monkeypatch.setattr(contents, "SETTLED_SECONDS", settled)
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = contents.digest(path)
    status = path.stat()
    time.sleep(0.02)  # a clock of files ticks every 4 ms
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert contents.digest(path) != first


def test_a_file_just_written_is_not_trusted_to_its_clock(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = contents.digest(path)
    monkeypatch.setattr(contents, "_stamp", lambda _: [3, 0, time.time_ns()])
    path.write_bytes(b"two")
    assert contents.digest(path) != first


def test_what_another_version_answered_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "SETTLED_SECONDS", 0)
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(path.name.encode())
    asked = []

    def examine(file):
        asked.append(file.read().decode())
        return asked[-1]

    for version, answers in ((1, 2), (1, 2), (2, 4)):
        assert [content.answer for content in contents.of(paths, examine, version)] == ["a", "b"]
        assert len(asked) == answers
    assert [content.digest for content in contents.of(paths)] == [
        content.digest for content in contents.of(paths, examine, 2)
    ]
    assert len(asked) == 4


def test_answers_are_remembered_for_a_moment(monkeypatch):
    """Two seconds, or ten times as long as the answer took."""
    now = [100.0]
    monkeypatch.setattr(contents.time, "monotonic", lambda: now[0])
    asked = []

    @contents.for_a_moment
    def slow(name):
        asked.append(name)
        now[0] += 1.0
        return len(asked)

    assert [slow("a"), slow("a"), slow("b")] == [1, 1, 2]
    now[0] += 8.5
    assert [slow("a"), slow("b")] == [1, 2]
    now[0] += 1.1
    assert slow("a") == 3


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("mnist-usi", "did you mean 'mnist-uci'"),
        ("folder:ROOT", "must be folder:ROOT:SOURCE-TARGET"),
        ("folder:ROOT:photo-paint", "no domain 'paint'; its folders are art-old, photo"),
        ("folder:ROOT/none:a-b", "there is no folder"),
    ],
)
def test_a_wrong_dataset_is_named_with_its_remedy(pictures, dataset, said):
    wrong = data.problems(dataset.replace("ROOT", str(pictures)))
    assert len(wrong) == 1
    assert said in wrong[0]


def test_classes_that_differ_are_named(pictures):
    (pictures / "photo" / "cow").mkdir()
    wrong = folder.differing(f"folder:{pictures}:art-old", f"folder:{pictures}:photo")
    assert "art-old lacks cow" in wrong[0]
    assert "add the folders, or remove them from photo" in wrong[0]


def test_a_class_without_an_image_is_named(pictures):
    for file in (pictures / "photo" / "cat").glob("*.png"):
        file.unlink()
    assert any(
        "no image of cat" in text for text in data.problems(f"folder:{pictures}:art-old-photo")
    )


def test_a_broken_image_is_named_by_its_path(pictures, tmp_path):
    broken = pictures / "photo" / "dog" / "1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(
        ValueError, match=r"dog.1\.png cannot be read as an image.*repair or remove it"
    ):
        data.load(f"folder:{pictures}:photo", tmp_path / "cache", 16)
    assert not list((tmp_path / "cache" / "folders").iterdir())


def test_classes_are_found_by_name_and_index():
    assert data.class_indices(["dog", 0], ("cat", "cow", "dog")) == [0, 2]
    with pytest.raises(ValueError, match="no class 'dgo', 7; did you mean dog"):
        data.class_indices(["dgo", 7], ("cat", "cow", "dog"))


NUMBERS = ("0", "1", "10", "11", "2")


@pytest.mark.parametrize(
    ("given", "found"), [(0, 0), (1, 1), ("2", 4), ("10", 2), (10, 2), (11, 3)]
)
def test_a_number_is_a_name_first(given, found):
    """As text, folders 0 to 11 have other indices than their names say."""
    assert data.class_indices([given], NUMBERS) == [found]


@pytest.mark.parametrize(
    ("given", "classes", "said"),
    [
        (2, NUMBERS, "2 could be '10' or '2'.*quotes"),
        (2, ("01", "02", "03"), "2 could be '02' or '03'.*quotes"),
        (1, ("1", "01", "a"), "1 could be '1' or '01'"),
        (1.0, NUMBERS, "no class 1.0"),
        (True, NUMBERS, "no class True"),
        (None, NUMBERS, "no class None"),
        (-1, NUMBERS, "no class -1"),
        (5, NUMBERS, "no class 5"),
        (
            False,
            ("false", "true"),
            "no class False; a name that YAML does not read as text takes quotes: 'false'",
        ),
        (1.5, ("1.5", "2"), "takes quotes: '1.5'"),
        ([0], NUMBERS, r"no class \[0\]"),
    ],
)
def test_what_is_no_class_or_could_be_two_is_refused(given, classes, said):
    with pytest.raises(ValueError, match=said):
        data.class_indices([given], classes)


def test_digits_have_their_names_for_indices():
    assert data.class_indices(list(range(10)), data.classes("uci")) == list(range(10))


@given(st.integers(2, 400), st.floats(0, 0.99))
def test_one_ratio_stands_for_all_that_leave_out_as_many_classes(classes, ratio):
    meant = splits.canonical_ratio(classes, ratio)
    assert splits.missing_count(classes, meant) == splits.missing_count(classes, ratio)
    assert splits.canonical_ratio(classes, meant) == meant
    assert 0 <= meant <= max(ratio, 0.99)
    assert abs(meant - splits.missing_count(classes, ratio) / classes) <= 0.5 / classes + 1e-12


@given(st.integers(10, 2000), st.integers(0, 9))
def test_ratios_of_one_digit_stand_for_themselves(classes, tenths):
    """So that trials that were run with them keep their ids."""
    assert splits.canonical_ratio(classes, tenths / 10) == tenths / 10


@pytest.mark.parametrize(
    ("classes", "ratios", "meant"),
    [
        (4, (0.1, 0.2, 0.25, 0.3), 0.25),
        (2, (0.01, 0.5, 0.99), 0.5),
        (10, (0.26, 0.3, 0.34), 0.3),
        (65, (0.5,), 0.5),
        (3, (0.2, 0.3, 1 / 3), 0.3),
        (20, (0.25,), 0.25),
        (100, (0.335, 0.34), 0.34),
        (4, (0,), 0),
    ],
)
def test_equal_ratios_are_one(classes, ratios, meant):
    assert {splits.canonical_ratio(classes, ratio) for ratio in ratios} == {meant}


@pytest.mark.parametrize(
    ("images", "sets"),
    [
        (0, (0, 0, 0)),
        (1, (1, 0, 0)),
        (2, (1, 0, 1)),
        (3, (1, 1, 1)),
        (10, (6, 1, 3)),
        (100, (60, 10, 30)),
    ],
)
def test_a_class_of_few_images_trains_then_tests_then_validates(images, sets):
    """(train, validation, test)"""
    found = splits.split(np.zeros(images, np.int64) if images else np.array([1]), [], 0)
    tested, validated = splits.sizes(images)
    assert (splits.trained(images), validated, tested) == sets
    if images:
        assert (len(found.train), len(found.validation), len(found.test)) == sets


@given(
    st.lists(st.integers(0, 3), min_size=20, max_size=80),
    st.integers(0, 1000),
    st.sampled_from([(), (1,), (0, 3)]),
    st.sampled_from([0.2, 1.0]),
)
def test_an_official_split_tests_its_own_images_in_every_repetition(
    listed, seed, missing, fraction
):
    labels = np.array([0, 0, 1, 1, 2, 2, 3, 3, *listed])
    test = np.arange(len(labels)) % 2 == 0
    found = splits.split(labels, missing, seed, fraction, official_test=test)
    assert found.test.tolist() == np.flatnonzero(test).tolist()
    assert not set(found.train) & set(found.validation)
    assert not test[[*found.train, *found.validation, *found.reference]].any()
    assert not set(labels[[*found.train, *found.validation]]) & set(missing)
    assert set(labels[found.train]) == set(range(4)) - set(missing)
    if fraction == 1 and not missing:
        every = [*found.train, *found.validation, *found.test]
        assert sorted(every) == list(range(len(labels)))


def test_all_that_an_official_split_leaves_trains() -> None:
    labels = np.zeros(20, np.int64)
    test = np.arange(20) < 1  # far fewer than are drawn where there is no official split
    found = splits.split(labels, (), 0, official_test=test)
    assert len(found.test) == 1
    assert len(found.test) + len(found.validation) + len(found.train) == 20


def test_an_official_split_that_leaves_nothing_to_train_with_is_refused():
    labels = np.arange(20) % 2
    with pytest.raises(ValueError, match="all 10 images of class 1 are in the official test set"):
        splits.split(labels, (), 0, official_test=labels == 1)
    with pytest.raises(ValueError, match="marks 3 images, but there are 20"):
        splits.split(labels, (), 0, official_test=np.ones(3, bool))


def test_the_settings_of_a_trial_take_the_official_split():
    """The very rows that target_of gives to adaptation and to scores."""
    from tasks.loading import target_of

    class Alone:
        def seed(self, *names):
            return 3

    labels = np.arange(500) % 10
    sys.path.append(str(Path(__file__).parent.parent / "docs" / "examples"))
    try:
        missing, found = target_of({"missing_ratio": 0.3}, "my_data:sketches", labels, Alone())
    finally:
        sys.path.pop()
    assert len(missing) == 3
    assert found.test.tolist() == list(range(350, 500))
