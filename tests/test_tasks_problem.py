"""Targets with sets of classes of their own: what is missing by nature, what is dropped, and every number of them."""

import numpy as np
import pytest
from pictures import domains, picture
from workspace import Workspace, stage

from tasks import metrics
from tasks.data import contents
from tasks.fine_tuning import fine_tuning
from tasks.holistic_transfer import METRICS, holistic_transfer, source
from tasks.scoring import evidence_of
from tasks.transferability import features, transferability

SMALL = {
    "image_size": 8,
    "epochs": 1,
    "steps_per_epoch": 2,
    "source_epochs": 1,
    "source_steps_per_epoch": 2,
}


@pytest.fixture
def dataset(tmp_path):
    """The source has a, b, c, d; the target has 9 images of each of b and d."""
    made = domains(tmp_path, dict.fromkeys("abcd", 9))
    for name in "ac":
        for file in (tmp_path / "photo" / name).iterdir():
            file.unlink()
        (tmp_path / "photo" / name).rmdir()
    contents.forget()
    return made


def resolved(**config):
    full = holistic_transfer.resolve({**SMALL, **config})
    assert holistic_transfer.problems(full) == []
    return full


def run(tmp_path, config, repetition=0):
    given = holistic_transfer.stages(config)["source"][1]
    workspace = Workspace(tmp_path / f"run{repetition}", repetition)
    workspace.stages = {"source": stage(source, given, tmp_path / "source", repetition)}
    return list(holistic_transfer(config, workspace)), workspace


def test_what_a_target_lacks_is_missing(tmp_path, dataset):
    config = resolved(dataset=dataset, missing="natural")
    assert config["missing_ratio"] == 0
    assert "missing" not in config
    rows, workspace = run(tmp_path, config)
    test = workspace.kept[2]["test"]
    assert test.missing == (0, 2)
    assert test.logits.shape[1] == 4
    assert set(test.labels.tolist()) == {1, 3}
    # No missing class is ever tested: what rests on such images is left out, and said beforehand.
    for row in rows:
        assert row.keys() & holistic_transfer.unmeasured(config).keys() == set()
        assert row["test/overall_accuracy"] == row["test/seen_accuracy"]
    assert {"test/missing_accuracy", "test/harmonic_mean", "test/ausuc"} <= set(
        holistic_transfer.unmeasured(config)
    )
    notes = dict(holistic_transfer.notes(config))
    assert "2 of 4 classes have no image to train with" in notes["dataset"]
    assert notes["dataset"].endswith("a, c")


def test_a_ratio_is_of_the_classes_that_the_target_has(tmp_path, dataset):
    config = resolved(dataset=dataset, missing_ratio=0.5)
    for repetition in range(3):
        rows, workspace = run(tmp_path, config, repetition)
        missing = workspace.kept[2]["test"].missing
        assert {0, 2} < set(missing)
        assert len(missing) == 3
        assert "test/missing_accuracy" in rows[-1]
    assert holistic_transfer.resolve({**SMALL, "dataset": dataset, "missing_ratio": 0.3}) == config


def test_listed_missing_classes_join_those_that_are_absent(tmp_path, dataset):
    config = resolved(dataset=dataset, missing_classes=["b"])
    assert config["missing_classes"] == ["b"]
    _, workspace = run(tmp_path, config)
    assert workspace.kept[2]["test"].missing == (0, 1, 2)
    everything = holistic_transfer.resolve({"dataset": dataset, "missing_classes": ["b", "d"]})
    ((key, said),) = holistic_transfer.problems(everything)
    assert (key, "all 4 classes are missing" in said) == ("missing_classes", True)


def test_classes_that_the_source_lacks_are_an_error_or_dropped(tmp_path, dataset):
    for number in range(9):
        picture(tmp_path / "photo" / "zebra" / f"{number}.png")
    contents.forget()
    config = holistic_transfer.resolve({**SMALL, "dataset": dataset, "missing": "natural"})
    ((key, said),) = holistic_transfer.problems(config)
    assert key == "dataset"
    assert "the source art lacks 1 of the classes of photo: zebra" in said
    config = resolved(dataset=dataset, missing="natural", drop="unknown_classes")
    rows, workspace = run(tmp_path, config)
    assert set(workspace.kept[2]["test"].labels.tolist()) == {1, 3}
    assert "zebra are left out" in dict(holistic_transfer.notes(config))["drop"]
    assert rows


def test_dropping_nothing_changes_no_number(tmp_path):
    made = domains(tmp_path / "data", dict.fromkeys("abcd", 6))
    rows, _ = run(tmp_path / "all", resolved(dataset=made))
    for number in range(6):
        picture(tmp_path / "data" / "photo" / "zebra" / f"{number}.png")
    contents.forget()
    dropped, _ = run(tmp_path / "drop", resolved(dataset=made, drop="unknown_classes"))
    assert [row["test/loss"] for row in rows] == [row["test/loss"] for row in dropped]


def test_scores_are_of_the_classes_that_trials_see(tmp_path, dataset):
    """The label space of a score is the one of the trials that it predicts."""
    trial = resolved(dataset=dataset, missing_ratio=0.5)
    _, workspace = run(tmp_path / "trial", trial)
    given = {key: trial[key] for key in transferability.settings if key in trial}
    config = transferability.resolve(given)
    assert transferability.problems(config) == []
    scoring = Workspace(tmp_path / "score")
    start = transferability.stages(config)["features"][1]
    making = Workspace(tmp_path / "features")
    making.stages = {
        "source": stage(source, features.stages(start)["source"][1], tmp_path / "source")
    }
    list(features(start, making))
    scoring.stages = {"features": making.output}
    evidence = evidence_of(config, scoring)
    assert evidence.shared_classes
    assert evidence.missing_classes == workspace.kept[2]["test"].missing
    assert set(evidence.target_classes) == set(range(4)) - set(evidence.missing_classes)


@pytest.mark.parametrize("word", ["natral", "official"])
def test_a_way_of_missing_that_is_none_is_told(dataset, word):
    config = holistic_transfer.resolve({**SMALL, "dataset": dataset, "missing": word})
    assert [key for key, _ in holistic_transfer.problems(config)] == ["missing"]


def test_numbers_of_a_target_that_lacks_classes_are_those_found_by_hand():
    """Classes 0 to 4; 0 and 1 are seen, 2, 3 and 4 missing; no image of class 3 or 4 is tested.

    | image | label | scores        | over all | over the group |
    | 1     | 0     | 3 1 2 0 0     | 0 right  | 0 right        |
    | 2     | 0     | 1 0 0 5 0     | 3 wrong  | 0 right        |
    | 3     | 1     | 4 2 0 0 0     | 0 wrong  | 0 wrong        |
    | 4     | 2     | 0 0 6 1 1     | 2 right  | 2 right        |
    | 5     | 2     | 2 0 1 0 3     | 4 wrong  | 4 wrong        |
    """
    scores = np.array(
        [[3, 1, 2, 0, 0], [1, 0, 0, 5, 0], [4, 2, 0, 0, 0], [0, 0, 6, 1, 1], [2, 0, 1, 0, 3]], float
    )
    labels, missing = np.array([0, 0, 1, 2, 2]), [2, 3, 4]
    found = metrics.accuracies(scores, labels, missing)
    assert found == pytest.approx(
        {
            "overall_accuracy": 2 / 5,
            "seen_accuracy": 1 / 3,
            "seen_within_accuracy": 2 / 3,
            "missing_accuracy": 1 / 2,
            "missing_within_accuracy": 1 / 2,
            "harmonic_mean": 2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2),
        }
    )
    # Gaps max(seen) - max(missing): 1, -4, 4, -6, -1. Image 4 turns right above t = -6, image 2
    # wrong above t = -4, image 1 above t = 1.
    seen, gained = metrics.curve(scores, labels, missing)
    assert seen.tolist() == pytest.approx([2 / 3, 2 / 3, 0])
    assert gained.tolist() == pytest.approx([0, 1 / 2, 1 / 2])
    assert metrics.area(seen, gained) == pytest.approx(2 / 3 * 1 / 2)
    assert {f"test/{name}" for name in found} <= set(METRICS)


@pytest.mark.parametrize("task", [holistic_transfer, fine_tuning])
def test_a_share_of_none_validates_nothing_also_where_images_are_not_counted(task):
    """Of digits no count is known before they are decoded; an objective of theirs failed as it ran."""
    without = task.resolve({"validation_share": 0.0})
    assert {"validation/loss", "validation/seen_accuracy"} <= set(task.unmeasured(without))
    assert "validation/loss" not in task.unmeasured(task.resolve({}))


def test_pseudo_cross_validation_without_validation_images_is_refused():
    config = {"validation_share": 0.0, "pcv": 1}
    found = holistic_transfer.problems(holistic_transfer.resolve(config))
    assert [key for key, _ in found] == ["pcv"]
    assert holistic_transfer.problems(holistic_transfer.resolve({"pcv": 1})) == []
