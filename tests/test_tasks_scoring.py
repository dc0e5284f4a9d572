"""The task `transferability` on real digits: what a score is shown, and what is measured."""

import json
from typing import Annotated

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from workspace import Workspace, same

from tasks import backbones, data, fine_tuning, holistic_transfer, scores, transferability
from tasks.methods import Method
from tasks.scores import Range
from tasks.scoring import evidence_of

SHORT = {"source_epochs": 1, "source_steps_per_epoch": 40, "source_batch_size": 32}
PRETRAINED = {
    "dataset": "pretrained-uci",
    "weights": "efficientnet-lite0",
    "backbone": "tf_efficientnet_lite0",
    "image_size": 32,
}
STAGES = {
    "holistic_transfer:source": holistic_transfer.source,
    "transferability:features": transferability.features,
}
SEEN = []
"""What methods and scores of this file were given."""
task = transferability.transferability
resolve, problems, stages = task.resolve, task.problems, task.stages


def spy() -> Method:
    """Keeps what adaptation starts from, and adds nothing."""
    return Method(prepare=lambda student, transfer, _: SEEN.append(transfer))


def per_class(evidence, power: Annotated[float, Range(0, 3)] = 1.0) -> dict[str, float]:
    """Images a class, to a power."""
    SEEN.append(evidence)
    count = len(evidence.features) / len(evidence.target_classes)
    return {"transferability": count**power, "per_class/count": count}


OWN = f"{__name__}:per_class"


@pytest.fixture(scope="module")
def artifact(own_cache, tmp_path_factory):
    """The artifact of a stage and of what it needs itself, made once for all that ask the same; with its measurements."""
    made = {}

    def make(name, given, repetition):
        stage = STAGES[name]
        config = stage.resolve(given)
        key = json.dumps([name, stage.meaning(config), repetition])
        if key not in made:
            workspace = Workspace(tmp_path_factory.mktemp("stage"), repetition, cache=own_cache)
            asked = getattr(stage, "stages", lambda _: {})(config)
            workspace.stages = {name: make(*one, repetition) for name, one in asked.items()}
            rows = list(stage(config, workspace))
            (workspace.output.parent / "rows.json").write_text(json.dumps(rows))
            made[key] = workspace.output
        return made[key]

    make.made = made
    return make


@pytest.fixture
def prepared(artifact, own_cache, tmp_path):
    """A resolved config and a workspace that has its stages."""

    def make(repetition=0, **config):
        resolved = resolve({**({} if "weights" in config else SHORT), **config})
        assert problems(resolved) == []
        workspace = Workspace(tmp_path / "trial", repetition, cache=own_cache)
        workspace.stages = {
            name: artifact(*asked, repetition) for name, asked in stages(resolved).items()
        }
        return resolved, workspace

    return make


@pytest.fixture
def pictures(tmp_path):
    """Domains of images: `a` and `b` with two classes, `c` with three."""
    rng = np.random.default_rng(0)
    for domain, names in (("a", "pq"), ("b", "pq"), ("c", "xyz")):
        for name in names:
            place = tmp_path / "pictures" / domain / name
            place.mkdir(parents=True)
            for number in range(8):
                Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(
                    place / f"{number}.png"
                )
    return tmp_path / "pictures"


# What a score is shown


def adapted(task, config, workspace):
    """What adaptation starts from in a trial of another task with a workspace of the same repetition and source model."""
    SEEN.clear()
    full = task.resolve({**SHORT, "epochs": 0, "method": f"{__name__}:spy", **config})
    assert task.problems(full) == []
    list(task(full, workspace))
    (transfer,) = SEEN
    return transfer


@pytest.mark.parametrize(
    ("trial", "config"),
    [
        (holistic_transfer.holistic_transfer, {"missing_ratio": 0.3}),
        (holistic_transfer.holistic_transfer, {"missing_ratio": 0.5}),
        (holistic_transfer.holistic_transfer, {"missing_classes": [2, "7"]}),
        (fine_tuning.fine_tuning, {"fraction": 0.15}),
        (fine_tuning.fine_tuning, {"dataset": "mnist-uci@rotate", "fraction": 1.0}),
    ],
)
@pytest.mark.parametrize("repetition", [0, 1])
def test_it_sees_the_classes_and_rows_that_trials_train_on(
    prepared, artifact, own_cache, tmp_path, trial, config, repetition
):
    resolved, workspace = prepared(repetition, **config)
    evidence = evidence_of(resolved, workspace)
    other = Workspace(tmp_path / "other", repetition, cache=own_cache)
    other.stages = {
        name: artifact(*asked, repetition)
        for name, asked in trial.stages(trial.resolve({**SHORT, **config})).items()
    }
    transfer = adapted(trial, config, other)
    assert list(evidence.missing_classes) == sorted(transfer.missing_classes)
    assert list(evidence.target_classes) == transfer.seen.tolist()
    labels = np.array(evidence.target_classes)[evidence.labels]
    assert (labels == transfer.labels[transfer.train].numpy()).all()
    with torch.inference_mode():
        features, logits = transfer.source(transfer.images[transfer.train])
    # The same images in other batches: equal but for the order of additions.
    assert np.allclose(evidence.features, features.numpy(), atol=1e-4)
    assert np.allclose(evidence.probabilities, logits.softmax(1).numpy(), atol=1e-4)


def test_what_it_sees_has_no_image_of_a_missing_class(prepared):
    evidence = evidence_of(*prepared(missing_ratio=0.5))
    assert sorted((*evidence.target_classes, *evidence.missing_classes)) == list(range(10))
    for labels in (evidence.labels, evidence.test_labels):
        assert np.unique(labels).tolist() == [0, 1, 2, 3, 4]
    assert len(evidence.test_features) == len(evidence.test_labels)
    assert evidence.shared_classes
    assert evidence.probabilities.shape == (len(evidence.features), 10)
    assert np.allclose(evidence.probabilities.sum(1), 1, atol=1e-12)
    assert evidence.features.dtype == np.float32


def test_source_images_are_those_trained_on_and_those_held_out(prepared, own_cache):
    evidence = evidence_of(*prepared(dataset="uci-mnist", source_validation=0.2))
    assert len(evidence.source_features) + len(evidence.held_features) == 1797
    assert (
        np.bincount(evidence.held_labels)
        == np.round(0.2 * np.bincount(data.load("uci", own_cache, 0).labels))
    ).all()
    weight, bias = evidence.head
    assert (weight.shape, bias.shape) == ((10, 64), (10,))


def test_without_held_out_images_there_are_none(prepared):
    evidence = evidence_of(*prepared(source_validation=0.0))
    assert evidence.held_features.shape == (0, 64)
    assert len(evidence.source_features) == 5000


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_source_without_a_classifier_has_no_probabilities(own_cache, tmp_path, monkeypatch):
    torch.manual_seed(0)
    bare = backbones.build("lenet_bn", 1, 16, 10).with_head(nn.utils.skip_init(nn.Linear, 64, 0))
    monkeypatch.setattr(backbones, "pretrained", lambda *_: bare)
    workspace = Workspace(tmp_path, cache=own_cache)
    config = resolve(PRETRAINED)
    list(transferability.features(stages(config)["features"][1], workspace))
    workspace.stages = {"features": workspace.output}
    evidence = evidence_of(config, workspace)
    assert (
        evidence.probabilities,
        evidence.head,
        evidence.source_features,
        evidence.held_labels,
    ) == (None,) * 4
    assert not evidence.shared_classes
    assert np.isfinite(next(iter(task(config, workspace)))["transferability"])


def test_a_pretrained_classifier_is_looked_at(prepared):
    config, workspace = prepared(**PRETRAINED, score="leep", fraction=0.1)
    evidence = evidence_of(config, workspace)
    assert evidence.probabilities.shape == (len(evidence.features), 1000)
    (row,) = task(config, workspace)
    assert -np.log(10) - 0.1 < row["transferability"] < 0


# What is measured


def test_a_trial_is_one_measurement(prepared):
    (row,) = task(*prepared(score="otce_w", **{"otce.samples": 50}))
    assert {*row} == {
        "step",
        "transferability",
        *scores.parts("otce_w"),
        "epoch",
        "seconds",
        "peak_memory_bytes",
    }
    assert {*row} - {"step"} <= set(task.metrics)
    assert (row["step"], row["epoch"]) == (0, 0)
    assert row["seconds"] > 0
    assert row["peak_memory_bytes"] > 2**20


def test_leep_is_that_of_features_extracted_by_hand(prepared, artifact, own_cache):
    """The equation of Nguyen et al. (ICML 2020) over what the source model says of the images, both written out here."""
    config, workspace = prepared(score="leep", missing_classes=[0, 4])
    model = backbones.build("lenet_bn", 1, 16, 10)
    _, given = stages(config)["features"]
    place = artifact(*transferability.features.stages(given)["source"], 0)
    model.load_state_dict(torch.load(place / "model.pt", weights_only=True))
    images = data.load("uci", own_cache, 0)
    rows = data.splits.split(images.labels, [0, 4], workspace.seed("split")).train
    with torch.inference_mode():
        theta = model.eval()(torch.from_numpy(images.pixels[rows]))[1].double().softmax(1).numpy()
    joint = {
        (y, z): sum(theta[i, z] for i in np.flatnonzero(images.labels[rows] == y)) / len(rows)
        for y in set(images.labels[rows].tolist())
        for z in range(10)
    }
    expected = np.mean(
        [
            np.log(
                sum(
                    theta[i, z]
                    * joint[y, z]
                    / sum(joint[other, z] for other in (1, 2, 3, 5, 6, 7, 8, 9))
                    for z in range(10)
                )
            )
            for i, y in enumerate(images.labels[rows].tolist())
        ]
    )
    (row,) = task(config, workspace)
    assert row["transferability"] == pytest.approx(expected, abs=1e-5)


def test_source_accuracy_is_what_source_training_measured(prepared, artifact):
    config, workspace = prepared(score="source_accuracy")
    _, given = stages(config)["features"]
    place = artifact(*transferability.features.stages(given)["source"], 0)
    trained = json.loads((place.parent / "rows.json").read_text())
    (row,) = task(config, workspace)
    assert row["transferability"] == pytest.approx(trained[-1]["validation/accuracy"], abs=1e-9)


@pytest.mark.parametrize(
    "score", ["logme", "linear_probe", "nearest_class_mean", "missing_push", "missing_retained"]
)
def test_it_measures_what_the_score_gives(prepared, score):
    config, workspace = prepared(score=score, missing_ratio=0.3)
    expected = scores.compute(score, evidence_of(config, workspace), config)
    (row,) = task(config, workspace)
    assert {key: row[key] for key in expected} == expected


def test_repetitions_differ_and_runs_do_not(prepared):
    first, again, other = (
        list(task(*prepared(repetition, score="otce_ce", **{"otce.samples": 60})))
        for repetition in (0, 0, 1)
    )
    assert same(first, again)
    assert not same(first, other)


def test_features_made_again_are_the_same(prepared, artifact, own_cache, tmp_path):
    config, workspace = prepared()
    _, given = stages(config)["features"]
    again = Workspace(tmp_path / "again", 0, cache=own_cache)
    again.stages = {"source": artifact(*transferability.features.stages(given)["source"], 0)}
    torch.rand(3)
    list(transferability.features(given, again))
    made = sorted(path.name for path in again.output.iterdir())
    assert made == sorted(path.name for path in workspace.artifact("features").iterdir())
    for name in made:
        assert (again.output / name).read_bytes() == (
            workspace.artifact("features") / name
        ).read_bytes(), name


def test_a_corrupted_target_is_another_target_of_the_same_source(prepared, artifact):
    before = evidence_of(*prepared())
    made = len(artifact.made)
    after = evidence_of(*prepared(dataset="mnist-uci@invert"))
    assert len(artifact.made) == made + 1
    assert (after.labels == before.labels).all()
    assert (after.source_features == before.source_features).all()
    assert np.abs(after.features - before.features).mean() > 0.05


def test_a_score_of_one_s_own(prepared):
    (row,) = task(*prepared(score=OWN, missing_ratio=0.5, **{f"{OWN}.power": 2}))
    evidence = SEEN[-1]
    assert row["per_class/count"] == len(evidence.labels) / 5
    assert row["transferability"] == row["per_class/count"] ** 2
    assert evidence.seed("x") != evidence.seed("y")


def test_a_folder_with_classes_of_its_own(prepared, pictures):
    config, workspace = prepared(
        dataset=f"folder:{pictures}:a-c@contrast",
        image_size=12,
        missing_classes=["y"],
        source_steps_per_epoch=2,
        score="nearest_class_mean",
    )
    evidence = evidence_of(config, workspace)
    assert not evidence.shared_classes
    assert (evidence.target_classes, evidence.missing_classes) == ((0, 2), (1,))
    assert np.unique(evidence.labels).tolist() == [0, 1]
    (row,) = task(config, workspace)
    assert 0 <= row["transferability"] <= 1
