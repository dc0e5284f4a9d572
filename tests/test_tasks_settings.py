"""What keeps a config from training, told before anything runs: empty sets, batches of one image, images of a wrong size."""

import numpy as np
import pytest
import timm
import torch
from pictures import domains
from workspace import Workspace, same, stage

from htsweep.planning.settings import refused
from tasks import backbones, data, timm_models
from tasks.fine_tuning import fine_tuning
from tasks.holistic_transfer import METRICS, holistic_transfer, source
from tasks.methods.method import Method
from tasks.training import Recipe, Run
from tasks.transfer import Transfer
from tasks.transferability import transferability

SMALL = {
    "image_size": 8,
    "epochs": 1,
    "steps_per_epoch": 2,
    "source_epochs": 1,
    "source_steps_per_epoch": 2,
}


def problems(task=holistic_transfer, **config):
    return task.problems(task.resolve({**SMALL, **config}))


def run(tmp_path, repetition=0, **config):
    resolved = holistic_transfer.resolve({**SMALL, **config})
    assert not holistic_transfer.problems(resolved)
    given = holistic_transfer.stages(resolved)["source"][1]
    workspace = Workspace(tmp_path / "run", repetition)
    workspace.stages = {"source": stage(source, given, tmp_path / "source", repetition)}
    return list(holistic_transfer(resolved, workspace))


def test_no_test_image_at_all_is_a_problem(tmp_path):
    dataset = domains(tmp_path, {"a": 1, "b": 1})
    for task in (holistic_transfer, fine_tuning):
        ((key, said),) = problems(task, dataset=dataset)
        assert key == "dataset"
        assert (
            "no class of photo has a test image: the only image of each is used for training; "
            "give at least two" in said
        )


def test_classes_that_are_never_tested_are_named(tmp_path):
    config = holistic_transfer.resolve(
        {**SMALL, "dataset": domains(tmp_path, {"a": 1, "b": 5, "c": 1})}
    )
    assert not holistic_transfer.problems(config)
    assert (
        "dataset",
        "photo: classes of one image, which trains, so that they are never tested: a, c",
    ) in (holistic_transfer.notes(config))


@pytest.mark.parametrize(
    ("score", "counts", "wrong"),
    [
        ("tta", {"a": 1, "b": 1}, "dataset"),
        ("tta", {"a": 1, "b": 2}, None),
        ("tta", {"a": 1, "b": 1, "c": 2}, "dataset"),
        ("source_accuracy", {"a": 1, "b": 1}, "dataset"),
        ("source_accuracy", {"a": 1, "b": 2}, None),
        ("logme", {"a": 1, "b": 1}, None),
    ],
)
def test_a_score_needs_the_images_that_it_looks_at(tmp_path, score, counts, wrong):
    config = {"dataset": domains(tmp_path, counts), "score": score, "image_size": 8}
    config |= {"missing_ratio": 0.3} if len(counts) > 2 else {}
    found = transferability.problems(transferability.resolve(config))
    assert [key for key, _ in found] == ([] if wrong is None else [wrong])


def test_what_is_not_defined_is_left_out_and_nothing_is_nan(tmp_path):
    """The missing class has one image: no test image of missing classes, and none that validates."""
    rows = run(
        tmp_path,
        dataset=domains(tmp_path / "data", {"a": 1, "b": 2, "c": 2}),
        missing_classes=["a"],
    )
    config = holistic_transfer.resolve(
        {**SMALL, "dataset": f"folder:{tmp_path / 'data'}:art-photo", "missing_classes": ["a"]}
    )
    unmeasured = holistic_transfer.unmeasured(config)
    for row in rows:
        assert row["test/seen_accuracy"] >= 0
        assert np.isfinite([value for value in row.values() if isinstance(value, float)]).all()
        assert not unmeasured.keys() & row.keys()
        assert row.keys() | unmeasured.keys() >= set(METRICS) - {
            "train/loss",
            "validation/pseudo_seen_accuracy",
            "validation/pseudo_missing_accuracy",
        }


def test_what_is_said_to_be_measured_is(tmp_path):
    rows = run(
        tmp_path,
        dataset=domains(tmp_path / "data", {"a": 4, "b": 4, "c": 4}),
        missing_classes=["a"],
    )
    config = holistic_transfer.resolve(
        {**SMALL, "dataset": f"folder:{tmp_path / 'data'}:art-photo", "missing_classes": ["a"]}
    )
    unmeasured = holistic_transfer.unmeasured(config).keys()
    assert unmeasured == {name for name in METRICS if name.endswith("other_share")}
    assert set(METRICS) - rows[-1].keys() == unmeasured | {
        name for name in METRICS if "pcv_" in name or "pseudo" in name
    }


def test_pseudo_cross_validation_needs_images_that_validate(tmp_path):
    dataset = domains(tmp_path, {"a": 2, "b": 2, "c": 2})
    ((key, said),) = problems(dataset=dataset, pcv=2)
    assert (key, "three images of a class" in said) == ("pcv", True)


def test_equal_ratios_are_one_config(tmp_path):
    dataset = domains(tmp_path, dict.fromkeys("abcd", 2))
    configs = [
        holistic_transfer.resolve({"dataset": dataset, "missing_ratio": ratio})
        for ratio in (0.1, 0.2, 0.25, 0.3)
    ]
    assert all(config == configs[0] for config in configs)
    assert configs[0]["missing_ratio"] == 0.25
    scored = [
        transferability.resolve({"dataset": dataset, "missing_ratio": ratio})
        for ratio in (0.1, 0.3)
    ]
    assert scored[0] == scored[1]


@pytest.mark.parametrize("task", [holistic_transfer, fine_tuning])
@pytest.mark.parametrize("key", ["batch_size", "source_batch_size"])
def test_a_batch_of_one_is_told_where_batch_norm_has_one_value(tmp_path, task, key):
    dataset = domains(tmp_path, {"a": 9, "b": 9})
    ((where, said),) = problems(task, dataset=dataset, image_size=4, **{key: 1})
    assert where == key
    assert said.startswith(
        "on images of 4 x 4 pixels a batch norm of 'lenet_bn' gets one value per channel"
    )
    assert said.endswith(f"{key} must be at least 2")
    assert problems(task, dataset=dataset, image_size=8, **{key: 1}) == []
    assert problems(task, dataset=dataset, image_size=4, **{key: 2}) == []


def test_a_batch_of_one_trains_where_it_can(tmp_path):
    """At 8 pixels the last norm sees four values; a linear probe's norms learn nothing from a batch."""
    dataset = domains(tmp_path / "data", {"a": 3, "b": 3})
    assert len(run(tmp_path / "one", dataset=dataset, batch_size=1, source_batch_size=1)) == 2
    assert (
        len(
            run(
                tmp_path / "two", dataset=dataset, batch_size=1, image_size=4, method="linear_probe"
            )
        )
        == 2
    )


def test_fewer_images_than_a_batch_train(tmp_path):
    dataset = domains(tmp_path / "data", {"a": 2, "b": 2})
    small = run(tmp_path / "small", dataset=dataset, batch_size=64, source_batch_size=64)
    assert len(small) == 2
    assert same(
        small, run(tmp_path / "again", dataset=dataset, batch_size=64, source_batch_size=64)
    )


def test_one_image_that_may_be_left_is_told(tmp_path):
    """One class is seen, and one of its two images trains."""
    dataset = domains(tmp_path, {"a": 2, "b": 9})
    ((key, said),) = problems(dataset=dataset, image_size=4, missing_ratio=0.5)
    assert (key, "only one image may be left for training" in said) == ("dataset", True)
    assert problems(dataset=dataset, image_size=4, missing_classes=["a"]) == []


def test_what_a_plan_cannot_see_is_told_by_the_trial():
    """A batch of one image that comes about while training."""
    model = backbones.build("lenet_bn", 3, 4, 2)
    images, labels, rows = torch.rand(4, 3, 4, 4), torch.tensor([0, 0, 1, 1]), torch.tensor([0])
    transfer = Transfer(None, images, labels, rows, rows, 2, (), True, "cpu", lambda *_: 0)
    recipe = Recipe(
        epochs=1, steps_per_epoch=1, batch_size=8, learning_rate=0.1, momentum=0.0, weight_decay=0.0
    )
    with pytest.raises(ValueError, match=r"a batch of one image.*give a batch_size of at least 2"):
        Run(model, transfer, Method(), recipe).advance(0, 1)


@pytest.mark.parametrize(
    ("backbone", "size", "said"),
    [
        ("test_vit", 30, "takes no images of 30 x 30 pixels"),
        ("lenet_bn", 4, None),
        ("test_resnet", 33, None),
        ("test_resnet", 224, None),
        ("test_vit", 160, None),
    ],
)
def test_a_size_that_a_backbone_cannot_take_is_told(tmp_path, backbone, size, said):
    dataset = domains(tmp_path, {"a": 9, "b": 9})
    found = problems(dataset=dataset, backbone=backbone, image_size=size)
    assert [key for key, _ in found] == ([] if said is None else ["image_size"])
    assert said is None or said in found[0][1]


def test_a_backbone_is_looked_into_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HTSWEEP_CACHE", str(tmp_path / "cache"))
    config = {
        "dataset": domains(tmp_path / "data", {"a": 3, "b": 3}),
        "backbone": "test_resnet",
        "image_size": 33,
    }
    assert problems(**config) == []
    monkeypatch.setattr(timm_models, "headless", lambda *_: pytest.fail("built twice"))
    assert problems(**config) == []


def test_weights_in_a_file_are_taken_from_the_working_folder(tmp_path, monkeypatch):
    torch.save(timm.create_model("test_resnet").state_dict(), tmp_path / "w.pth")
    monkeypatch.chdir(tmp_path)
    for task in (holistic_transfer, transferability, fine_tuning):
        config = task.resolve(
            {
                "backbone": "test_resnet",
                "weights": "w.pth",
                "dataset": "mnist-uci",
                "image_size": 32,
            }
        )
        assert config["weights"] == str(tmp_path / "w.pth")
        assert task.problems(config) == []
        assert all(
            given["weights"] == str(tmp_path / "w.pth") for _, given in task.stages(config).values()
        )
    gone = holistic_transfer.resolve(
        {"backbone": "test_resnet", "weights": "gone.pth", "image_size": 32}
    )
    ((key, said),) = holistic_transfer.problems(gone)
    assert (key, str(tmp_path) in said) == ("weights", True)


def test_weights_without_a_head_are_no_source_of_one(tmp_path):
    state = timm.create_model("test_resnet").state_dict()
    torch.save(
        {name: one for name, one in state.items() if not name.startswith("fc.")}, tmp_path / "w.pth"
    )
    own = {
        "backbone": "test_resnet",
        "weights": str(tmp_path / "w.pth"),
        "image_size": 32,
        "dataset": "pretrained-uci",
    }
    assert problems(fine_tuning, **own, method="plain") == []
    ((key, said),) = problems(fine_tuning, **own, method="lwf")
    assert (key, "lwf" in said) == ("method", True)
    told = fine_tuning.notes(fine_tuning.resolve({**SMALL, **own}))
    assert told == [("weights", f"{tmp_path}/w.pth: the file has no classifier")]
    assert data.notes("pretrained-uci") == []


@pytest.mark.parametrize("task", [holistic_transfer, fine_tuning])
@pytest.mark.parametrize(
    ("backbone", "size"), [("test_vit", 160), ("resnet18", 224), ("tf_efficientnet_lite1", 240)]
)
def test_the_automatic_image_size_is_the_backbones_own(task, backbone, size):
    """By timm's configuration; the id is that of the number written out."""
    given = {"backbone": backbone, "weights": "timm"}
    assert task.resolve({**given, "image_size": "auto"}) == task.resolve(
        {**given, "image_size": size}
    )


def test_digits_stay_as_they_are_whatever_the_image_size():
    usual = holistic_transfer.resolve({})
    assert holistic_transfer.resolve({"image_size": "auto"}) == usual
    assert "image_size" not in usual


def test_a_word_is_accepted_in_place_of_a_number_and_no_other():
    setting = holistic_transfer.settings["image_size"]
    assert refused(setting, "auto") is None
    assert "must be a whole number" in refused(setting, "automatic")
