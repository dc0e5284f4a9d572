"""Source models that are given: no source training, their classifier, and what needs source images."""

import json

import numpy as np
import pytest
import timm
import torch
from benchmarked import in_folders
from pictures import domains
from workspace import Workspace

from htsweep.errors import StudyError
from htsweep.planning.reading import read
from tasks import given
from tasks.evaluation import outputs
from tasks.holistic_transfer import holistic_transfer
from tasks.loading import holistic
from tasks.transferability import transferability

SMALL = {
    "backbone": "test_resnet",
    "image_size": 32,
    "epochs": 1,
    "steps_per_epoch": 2,
    "batch_size": 4,
}


def checkpoint(path, classes):
    torch.manual_seed(0)
    torch.save(timm.create_model("test_resnet", num_classes=classes).state_dict(), path)
    return str(path)


@pytest.fixture
def three(tmp_path):
    """A dataset of three classes and a checkpoint of as many outputs."""
    made = domains(tmp_path / "data", dict.fromkeys("abc", 6))
    return {"dataset": made, "source": checkpoint(tmp_path / "three.pth", 3)}


def resolved(**config):
    full = holistic_transfer.resolve({**SMALL, **config})
    assert holistic_transfer.problems(full) == []
    return full


def test_a_checkpoint_is_the_source_without_training(tmp_path, three):
    config = resolved(**three, missing_ratio=0.3)
    assert holistic_transfer.stages(config) == {}
    assert not {key for key in config if key.startswith("source_")}
    assert str(tmp_path) not in repr(holistic_transfer.meaning(config))
    assert holistic_transfer.resolve(config) == config
    workspace = Workspace(tmp_path / "run")
    transfer, domain, split = holistic(config, workspace)
    logits = outputs(transfer.source_model, transfer.images, "cpu")[1]
    rows = list(holistic_transfer(config, workspace))
    right = logits[split.test].argmax(1) == domain.labels[split.test]
    assert rows[0]["test/overall_accuracy"] == pytest.approx(right.mean())
    assert len(rows) == 2
    expected = timm.create_model("test_resnet", num_classes=3)
    state = torch.load(three["source"], weights_only=True)
    expected.load_state_dict(state)
    assert torch.equal(transfer.source_model.head.weight, expected.get_classifier().weight)


def test_the_same_checkpoint_elsewhere_means_the_same(tmp_path, three):
    meant = holistic_transfer.meaning(resolved(**three))
    moved = tmp_path / "moved.pth"
    moved.write_bytes((tmp_path / "three.pth").read_bytes())
    assert holistic_transfer.meaning(resolved(**{**three, "source": str(moved)})) == meant
    other = resolved(**{**three, "source": "", "weights": ""})
    assert holistic_transfer.meaning(other) != meant


def test_what_needs_source_images_says_so(three):
    config = resolved(**three)
    reasons = holistic_transfer.unmeasured(config)
    assert {name for name in reasons if name.startswith("validation/source_")} == {
        f"validation/source_{name}_accuracy" for name in ("overall", "seen", "missing")
    }
    assert "no image was held out" in reasons["validation/source_missing_accuracy"]
    found = transferability.resolve({"dataset": three["dataset"], "source": three["source"]})
    assert "source" in dict(transferability.problems(found))


def test_a_protocol_that_needs_source_images_is_refused_for_one_reason(tmp_path, three):
    config = {"fixed": {**SMALL, "source": three["source"]}, "select": "source_validation"}
    grid = {"dataset": [three["dataset"]], "method": ["plain"]}
    (tmp_path / "study.yaml").write_text(
        json.dumps({"task": "holistic_transfer", "grid": grid, **config})
    )
    with pytest.raises(StudyError) as raised:
        read(tmp_path / "study.yaml")
    (problem,) = raised.value.problems
    assert "no image was held out of its training" in problem.message


def test_a_target_alone_has_its_own_classes(tmp_path, three):
    root = tmp_path / "data"
    config = resolved(
        dataset=f"pretrained-folder:{root}:photo", source=three["source"], missing_classes=["a"]
    )
    rows = list(holistic_transfer(config, Workspace(tmp_path / "run")))
    assert "test/missing_accuracy" in rows[-1]


def test_pseudo_cross_validation_and_learning_stages_need_no_source(three):
    config = resolved(**three, pcv=1, method="lwf", missing_ratio=0.3)
    assert set(holistic_transfer.stages(config)) == {"pseudo-0"}
    task, of_stage = holistic_transfer.stages(config)["pseudo-0"]
    assert task == "holistic_transfer:pseudo"
    assert of_stage["source"] == given.GIVEN


def test_the_outputs_of_imagenet_that_the_target_lacks_are_cut_off(tmp_path):
    synsets = given.synsets()
    assert (len(synsets), len(set(synsets))) == (1000, 1000)
    chosen = [synsets[place] for place in (7, 300, 12)]
    root = in_folders(tmp_path / "data", ("r",))
    for index, name in enumerate(chosen):
        (root / "r" / f"kind{index}").rename(root / "r" / name)
    file = checkpoint(tmp_path / "thousand.pth", 1000)
    config = resolved(
        dataset=f"pretrained-folder:{root}:r", source=file, missing_classes=[chosen[0]]
    )
    transfer, domain, _ = holistic(config, Workspace(tmp_path / "run"))
    # Folders are sorted by name, as ImageNet's classes are.
    assert domain.classes == tuple(sorted(chosen))
    whole = timm.create_model("test_resnet")
    whole.load_state_dict(torch.load(file, weights_only=True))
    places = [synsets.index(name) for name in sorted(chosen)]
    np.testing.assert_array_equal(
        transfer.source_model.head.weight.numpy(),
        whole.get_classifier().weight[places].detach().numpy(),
    )
    assert [domain.classes[index] for index in transfer.missing_classes] == [chosen[0]]


@pytest.mark.parametrize(
    ("outputs_of_file", "said"),
    [
        (4, "does not fit"),
        (1000, "has 1,000 outputs, and the label space 3 classes (a, b, c, ...)"),
    ],
)
def test_a_classifier_of_other_classes_is_told(tmp_path, three, outputs_of_file, said):
    file = checkpoint(tmp_path / "other.pth", outputs_of_file)
    config = holistic_transfer.resolve({**SMALL, **three, "source": file})
    ((key, text),) = holistic_transfer.problems(config)
    assert (key, said in text) == ("source", True)


@pytest.mark.parametrize(
    ("config", "key", "said"),
    [
        ({"source": "given"}, "source", "which is empty; name them"),
        ({"source": "nowhere.pth"}, "source", "no weights"),
        ({"source": "timm", "backbone": "resnet18"}, "source", "1,000 outputs"),
        ({"source": "timm", "backbone": "lenet_bn"}, "source", "no pretrained weights"),
        ({"source": "timm", "backbone": "resnet181"}, "backbone", "did you mean"),
        ({"source": "timm", "dataset": "folder:nowhere:a-b"}, "dataset", "there is no folder"),
    ],
)
def test_a_source_that_cannot_be_is_told(three, config, key, said):
    found = holistic_transfer.problems(holistic_transfer.resolve({**SMALL, **three, **config}))
    assert [name for name, _ in found] == [key]
    assert said in found[0][1]


def test_a_trained_source_is_as_it_was():
    config = holistic_transfer.resolve({})
    assert "source" not in config
    assert set(holistic_transfer.stages(config)) == {"source"}
