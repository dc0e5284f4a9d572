"""Classes that are neither seen nor missing: the source model knows them, and the target has no image of them."""

import io

import numpy as np
import pytest
import timm
import torch
from benchmarked import in_folders
from workspace import Workspace

from htsweep.ledger import kept
from tasks import given, metrics
from tasks.holistic_transfer import holistic_transfer
from tasks.loading import holistic
from tasks.outputs import Outputs

SMALL = {
    "backbone": "test_resnet",
    "image_size": 32,
    "epochs": 1,
    "steps_per_epoch": 2,
    "batch_size": 4,
}


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory):
    """Three classes of ImageNet as the target, and a classifier of all 1,000."""
    root = tmp_path_factory.mktemp("imagenet")
    chosen = sorted(given.synsets()[place] for place in (7, 300, 12))
    made = in_folders(root / "data", ("r",))
    for index, name in enumerate(chosen):
        (made / "r" / f"kind{index}").rename(made / "r" / name)
    torch.manual_seed(0)
    state = timm.create_model("test_resnet", num_classes=1000).state_dict()
    torch.save(state, root / "thousand.pth")
    return {
        "dataset": f"pretrained-folder:{made}:r",
        "source": str(root / "thousand.pth"),
        "missing_classes": [chosen[0]],
    }


def resolved(**config):
    full = holistic_transfer.resolve({**SMALL, **config})
    assert holistic_transfer.problems(full) == []
    return full


def test_their_outputs_stay_behind_those_of_the_target(tmp_path, imagenet):
    config = resolved(**imagenet, other_classes="keep")
    workspace = Workspace(tmp_path)
    transfer, domain, split = holistic(config, workspace)
    assert (transfer.classes, transfer.others, transfer.outputs) == (3, range(3, 1000), 1000)
    assert (transfer.seen.tolist(), transfer.missing.tolist()) == ([1, 2], [0])
    whole = timm.create_model("test_resnet", num_classes=1000).eval()
    whole.load_state_dict(torch.load(imagenet["source"], weights_only=True))
    rows = list(holistic_transfer(resolved(**imagenet, other_classes="keep"), workspace))
    tested = torch.from_numpy(split.test)
    with torch.inference_mode():
        images = transfer.images[tested].float() / 255
        theirs = whole.get_classifier().weight
        predicted = transfer.source_model(images)[1].argmax(1).numpy()
    places = [given.synsets().index(name) for name in domain.classes]
    assert torch.equal(transfer.source_model.head.weight[:3], theirs[places])
    assert rows[0]["test/other_share"] == pytest.approx((predicted >= 3).mean())
    right = predicted == domain.labels[split.test]
    assert rows[0]["test/overall_accuracy"] == pytest.approx(right.mean())
    outputs = workspace.kept[0]["test"]
    assert (outputs.logits.shape[1], outputs.others) == (1000, tuple(range(3, 1000)))
    of_config = holistic_transfer.keeps(config)
    assert of_config.classes == 1000


def test_cut_off_is_what_it_means_to_say_nothing(imagenet):
    assert resolved(**imagenet, other_classes="cut") == resolved(**imagenet)
    assert "test/other_share" in holistic_transfer.unmeasured(resolved(**imagenet))
    config = resolved(**imagenet, other_classes="keep")
    assert "test/other_share" not in holistic_transfer.unmeasured(config)
    assert holistic_transfer.meaning(config) != holistic_transfer.meaning(resolved(**imagenet))
    said = dict(holistic_transfer.notes(config))["other_classes"]
    assert said.startswith("r: 997 classes of the source model are neither seen nor missing")


@pytest.mark.parametrize(
    "more",
    [
        {"method": "balanced_softmax"},
        {"method": "lolsgd+selective_distillation", "lolsgd.left_out": 1},
        {"method": "lwf+wise_ft"},
        {"method": "linear_probe"},
        {"method": "oracle"},
        {"method": "ewc"},
        {"mixup": 0.2, "pcv": 0},
    ],
    ids=str,
)
def test_methods_train_with_them(tmp_path, imagenet, more):
    config = resolved(**imagenet, other_classes="keep", **more)
    stages = {}
    for name, (task, of_stage) in holistic_transfer.stages(config).items():
        from tasks import holistic_transfer as module

        place = Workspace(tmp_path / name)
        list(getattr(module, task.partition(":")[2])(of_stage, place))
        stages[name] = place.output
    workspace = Workspace(tmp_path / "run")
    workspace.stages = stages
    rows = list(holistic_transfer(config, workspace))
    assert {0.0 <= row["test/other_share"] <= 1.0 for row in rows} == {True}
    assert np.isfinite(rows[-1].get("train/loss", 0.0))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"source": ""}, "knows the classes of its domain and no other"),
        ({"file": 3}, "has an output for each of the 3 classes of the target and no other"),
    ],
)
def test_a_source_without_others_is_told(tmp_path, imagenet, config, said):
    changed = {**imagenet, "other_classes": "keep"}
    if "file" in config:
        state = timm.create_model("test_resnet", num_classes=3).state_dict()
        torch.save(state, tmp_path / "three.pth")
        changed["source"] = str(tmp_path / "three.pth")
    else:
        changed |= {"source": "", "dataset": "mnist-uci", "missing_classes": [0]}
        changed |= {"image_size": None}
    changed = {key: value for key, value in {**SMALL, **changed}.items() if value is not None}
    wrong = dict(holistic_transfer.problems(holistic_transfer.resolve(changed)))
    assert said in wrong["other_classes"]


def test_the_numbers_are_those_of_all_classes_but_within_groups():
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(40, 6)), rng.integers(0, 4, 40)
    missing, others = [2, 3], [4, 5]
    found = metrics.accuracies(scores, labels, missing, others)
    predicted = scores.argmax(1)
    assert found["overall_accuracy"] == pytest.approx((predicted == labels).mean())
    assert found["other_share"] == pytest.approx((predicted >= 4).mean())
    seen = labels < 2
    assert found["seen_other_share"] == pytest.approx((predicted[seen] >= 4).mean())
    within = scores[seen][:, :2].argmax(1) == labels[seen]
    assert found["seen_within_accuracy"] == pytest.approx(within.mean())
    mixed = found["seen_other_share"] * seen.mean() + found["missing_other_share"] * (~seen).mean()
    assert found["other_share"] == pytest.approx(mixed)
    # What the others answer matters to neither group by itself, and to no average logit gap.
    raised = scores + 9.0 * np.isin(np.arange(6), others)
    after = metrics.accuracies(raised, labels, missing, others)
    assert (after["other_share"], after["overall_accuracy"]) == (1.0, 0.0)
    for name in ("seen_within_accuracy", "missing_within_accuracy"):
        assert after[name] == found[name]
    gap = metrics.average_logit_gap(scores, labels, missing, others)
    assert gap == metrics.average_logit_gap(raised, labels, missing, others)
    assert gap == pytest.approx(metrics.average_logit_gap(scores[:, :4], labels, missing))


def test_the_curve_gives_them_no_constant():
    rng = np.random.default_rng(1)
    scores, labels, missing = rng.normal(size=(60, 6)), rng.integers(0, 4, 60), [2, 3]
    seen, gained = metrics.curve(scores, labels, missing)
    of_seen, of_missing = labels < 2, labels >= 2
    rest = [0, 1, 4, 5]
    left = np.array(rest)[scores[of_seen][:, rest].argmax(1)] == labels[of_seen]
    assert seen.max() == pytest.approx(left.mean())
    right = np.array(missing)[scores[of_missing][:, missing].argmax(1)] == labels[of_missing]
    assert gained.max() == pytest.approx(right.mean())


def test_they_are_kept_with_the_logits():
    one = Outputs(np.zeros((2, 4), np.float32), np.array([0, 1]), (1,), "test", others=(3, 2))
    other = Outputs(np.zeros((2, 4), np.float32), np.array([0, 1]), (1,), "test")
    (back,) = (held["test"] for held in kept.unpacked(kept.packed({0: {"test": one}})).values())
    assert (back.others, back.missing) == ((2, 3), (1,))
    about = [
        np.load(io.BytesIO(kept.packed({0: {"test": held}})))["about"].tobytes()
        for held in (one, other)
    ]
    assert [b"others" in text for text in about] == [True, False]
    assert "other images, labels or missing classes" in kept.problem({"test": one}, {"test": other})
    with pytest.raises(ValueError, match="from 0 to 3"):
        Outputs(one.logits, one.labels, (), "test", others=(4,))
