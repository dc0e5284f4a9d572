"""What each image adds to a trial's numbers, by leaving it out; and which images a trial tests."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from workspace import Workspace

from tasks import data, holistic_transfer, metrics, tested
from tasks.data import contents, groups, registry
from tasks.loading import target_of
from tasks.outputs import Outputs, name_of


def outputs(seed: int, images: int = 30, classes: int = 5, missing=(1, 4)) -> Outputs:
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    logits = random.normal(size=(images, classes))
    logits[np.arange(images), labels] += 1
    # Few distinct logits, so that gaps tie.
    return Outputs(np.round(logits, 1), labels, missing, "test")


def numbers(of: Outputs, keep: np.ndarray) -> dict[str, float]:
    logits, labels = of.logits[keep], of.labels[keep]
    found = {
        f"test/{name}": value
        for name, value in metrics.accuracies(logits, labels, of.missing).items()
    }
    found["test/ausuc"] = metrics.area(*metrics.curve(logits, labels, of.missing))
    scores = logits.astype(float)
    found["test/loss"] = float(
        np.mean(np.log(np.exp(scores).sum(1)) - scores[np.arange(len(labels)), labels])
    )
    return found


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_it_is_what_leaving_an_image_out_changes(seed: int) -> None:
    """Of a mean over m images, leaving one out moves it by minus its influence, N/m of it over m - 1."""
    of = outputs(seed)
    everything = np.ones(30, bool)
    whole, moved = numbers(of, everything), tested.influence(of)
    of_missing = np.isin(of.labels, of.missing)
    for image in range(0, 30, 7):
        keep = everything.copy()
        keep[image] = False
        without = numbers(of, keep)
        own = of_missing.sum() if of_missing[image] else (~of_missing).sum()
        for name in moved.keys() - {"test/harmonic_mean"}:
            count = 30 if name in ("test/overall_accuracy", "test/loss") else own
            expected = (whole[name] - without[name]) * (count - 1) * 30 / count
            assert moved[name][image] == pytest.approx(expected, abs=1e-9), name


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_all_images_together_move_nothing(seed: int) -> None:
    for values in tested.influence(outputs(seed)).values():
        assert values.sum() == pytest.approx(0, abs=1e-9)


def test_the_harmonic_means_influence_is_its_derivative() -> None:
    of = outputs(1)
    moved, whole = tested.influence(of), numbers(of, np.ones(30, bool))
    seen, missing = whole["test/seen_accuracy"], whole["test/missing_accuracy"]
    tiny = 1e-6
    for image in range(30):
        shifted = metrics.harmonic_mean(
            seen + tiny * moved["test/seen_accuracy"][image],
            missing + tiny * moved["test/missing_accuracy"][image],
        )
        assert moved["test/harmonic_mean"][image] == pytest.approx(
            (shifted - whole["test/harmonic_mean"]) / tiny, abs=1e-4
        )


def test_without_missing_classes_there_is_the_mean_over_classes() -> None:
    of = outputs(2, missing=())
    moved = tested.influence(of)
    right = of.logits.argmax(1) == of.labels
    for image in range(30):
        own = of.labels == of.labels[image]
        expected = (float(right[image]) - right[own].mean()) * 30 / own.sum() / 5
        assert moved["test/class_accuracy"][image] == pytest.approx(expected)
    assert "test/ausuc" not in moved


def test_an_image_or_a_group_without_images_is_no_trouble() -> None:
    assert tested.influence(outputs(1, images=0)) == {}
    one_sided = Outputs(np.eye(3), np.array([0, 0, 1]), (2,), "test")
    assert set(tested.influence(one_sided)) == {"test/overall_accuracy", "test/loss"}


@pytest.mark.parametrize("dataset", ["mnist-uci", "uci-mnist", "mnist-uci@blur2"])
@pytest.mark.parametrize("repetition", [0, 3])
def test_they_are_those_that_a_trial_tests(tmp_path, dataset, repetition) -> None:
    config = holistic_transfer.resolve({"dataset": dataset, "missing_ratio": 0.3})
    workspace = Workspace(tmp_path, repetition)
    domain = dataset.partition("-")[2]
    labels = registry.find(domain).load(tmp_path / "cache", 0).labels
    assert np.array_equal(registry.find(domain).labels(), labels)
    _, split = target_of(config, domain, labels, workspace)
    found = tested.tested(config, repetition, workspace.seed)
    assert found.name == name_of(data.identity(domain), labels, split.test)
    assert found.units.tolist() == split.test.tolist()


def test_images_of_a_group_are_one_draw(tmp_path) -> None:
    stems = [f"p{number}" for number in range(12)]
    root = tmp_path / "set"
    for domain in ("art", "photo"):
        for name in ("cat", "dog"):
            place = root / domain / name
            place.mkdir(parents=True)
            for stem in stems:
                Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(place / f"{stem}.png")
    pairs = [stems[place : place + 2] for place in range(0, 12, 2)]
    (root / groups.FILE).write_text(json.dumps({"cat": pairs, "dog": pairs}))
    contents.forget()
    config = holistic_transfer.resolve({"dataset": f"folder:{root}:art-photo", "image_size": 8})
    units = {}
    for repetition in range(4):
        workspace = Workspace(tmp_path / "w", repetition)
        found = tested.tested(config, repetition, workspace.seed)
        counts = np.unique(found.units, return_counts=True)[1]
        assert set(counts) == {2}
        units[repetition] = set(found.units.tolist())
    shutil.copytree(root, tmp_path / "moved")
    moved = holistic_transfer.resolve({**config, "dataset": f"folder:{tmp_path}/moved:art-photo"})
    again = tested.tested(moved, 3, workspace.seed)
    assert again.name == found.name, "the same images, wherever they lie"
    # Which group is which does not depend on the repetition.
    assert len(set().union(*units.values())) <= 12
    assert units[0] != units[1]


def test_disjoint_parts_share_no_image() -> None:
    config = holistic_transfer.resolve(
        {"dataset": "mnist-uci", "split": "disjoint", "test_share": 0.1}
    )
    assert tested.tested(config, 0, lambda *names: 1) is None
