"""The task `fine_tuning` end to end on real digits, at a few steps a run: configs, stages, measurements, continuation."""

import random

import numpy as np
import pytest
import torch
from PIL import Image
from workspace import Workspace, same

from tasks import data, methods
from tasks.data import splits
from tasks.fine_tuning import METRICS, SETTINGS, fine_tuning, learnt
from tasks.holistic_transfer import source

SHORT = {
    "epochs": 2,
    "steps_per_epoch": 4,
    "batch_size": 24,
    "source_epochs": 1,
    "source_steps_per_epoch": 40,
    "source_batch_size": 32,
    "fraction": 0.3,
}
QUICK = {"tred.steps": 5, "bi_tuning.keys": 4}
STAGES = {"holistic_transfer:source": source, "fine_tuning:learnt": learnt}
RUNNING = [
    name for name in methods.NAMES if not methods.needs(name) - {"source_head", "batch_norm"}
]
PRETRAINED = {
    "dataset": "pretrained-uci",
    "weights": "efficientnet-lite0",
    "backbone": "tf_efficientnet_lite0",
    "image_size": 32,
}


def resolved_of(**config):
    method = fine_tuning.resolve(config)["method"].split("+")
    quick = {key: value for key, value in QUICK.items() if key.partition(".")[0] in method}
    return fine_tuning.resolve({**SHORT, **quick, **config})


@pytest.fixture(scope="module")
def artifact(own_cache, tmp_path_factory):
    """The artifact of a stage, made once for all that ask the same."""
    made = {}

    def make(task, given, repetition):
        key = repr((task, sorted(given.items()), repetition))
        if key not in made:
            workspace = Workspace(tmp_path_factory.mktemp("stage"), repetition, cache=own_cache)
            asked = getattr(STAGES[task], "stages", lambda _: {})(given)
            workspace.stages = {name: make(*one, repetition) for name, one in asked.items()}
            assert list(STAGES[task](given, workspace))
            made[key] = workspace.output
        return made[key]

    return make


@pytest.fixture
def prepared(artifact, own_cache, tmp_path):
    """A resolved config and a workspace that has its stages."""

    def make(repetition=0, **config):
        resolved = resolved_of(**config)
        assert fine_tuning.problems(resolved) == []
        workspace = Workspace(tmp_path / str(random.random()), repetition, cache=own_cache)
        workspace.stages = {
            name: artifact(*asked, repetition)
            for name, asked in fine_tuning.stages(resolved).items()
        }
        return resolved, workspace

    return make


# What a config means


def test_configs_that_mean_the_same_resolve_to_the_same():
    resolve = fine_tuning.resolve
    assert (
        resolve({})
        == resolve({"method": "plain"})
        == resolve({"method": ""})
        == resolve({"fraction": 1})
    )
    assert resolve({"method": ["tred", "co_tuning"]}) == resolve({"method": "co_tuning + tred"})
    assert resolve({"co_tuning.weight": 1}) == resolve({})
    assert resolve({"image_size": 64, "weights": ""}) == resolve({})
    assert resolve({**PRETRAINED, "source_epochs": 3}) == resolve(PRETRAINED)
    assert "weight_decay" not in resolve({"method": "tred"})


@pytest.mark.parametrize(
    "config",
    [
        {},
        PRETRAINED,
        {"method": "co_tuning+tred", "co_tuning.relationship": "direct"},
        {"method": "linear_probe", "fraction": 0.1},
    ],
)
def test_resolving_twice_changes_nothing(config):
    once = fine_tuning.resolve(config)
    assert fine_tuning.resolve(once) == once
    assert fine_tuning.problems(once) == []


def test_defaults_keep_their_own_limits():
    for key, setting in SETTINGS.items():
        if setting.default is not None and setting.type in (int, float):
            assert type(setting.default) is setting.type, key
            assert setting.low <= setting.default <= setting.high, key
        assert setting.doc, key


def learnt_stages(**config):
    return {
        name: given
        for name, given in fine_tuning.stages(resolved_of(**config)).items()
        if name != "source"
    }


def test_what_is_learnt_is_a_stage_of_what_matters_to_it():
    name, given = learnt_stages(method="co_tuning")["co_tuning"]
    assert name == "fine_tuning:learnt"
    assert given["method"] == "co_tuning"
    assert not {"co_tuning.weight", "learning_rate", "epochs", "batch_size"} & given.keys()
    assert {
        "co_tuning.relationship",
        "co_tuning.calibration",
        "fraction",
        "source_epochs",
        "backbone",
    } <= given.keys()
    for other in (
        {"co_tuning.weight": 9},
        {"epochs": 7},
        {"learning_rate": 0.1},
        {"method": "co_tuning+l2sp"},
        {"method": "bi_tuning+co_tuning"},
        {"amp": True},
    ):
        same_stage = learnt_stages(**{"method": "co_tuning", **other})["co_tuning"]
        assert same_stage[1].keys() == given.keys()
        assert {key: value for key, value in same_stage[1].items() if key != "amp"} == {
            key: value for key, value in given.items() if key != "amp"
        }
    for other in (
        {"fraction": 0.5},
        {"co_tuning.relationship": "direct"},
        {"co_tuning.calibration": 2.0},
        {"source_epochs": 2},
        {"dataset": "uci-mnist"},
    ):
        assert learnt_stages(method="co_tuning", **other)["co_tuning"][1] != given
    assert learnt_stages(method="bi_tuning+lwf") == {}
    assert learnt_stages(method="co_tuning+tred").keys() == {"co_tuning", "tred"}
    assert learnt_stages(method="tred", **{"tred.weight": 1.0}) == learnt_stages(method="tred")
    assert learnt_stages(method="tred", **{"tred.criterion": "min_mi"}) != learnt_stages(
        method="tred"
    )


def test_a_learnt_stage_starts_from_the_source_and_a_pretrained_one_from_nothing():
    given = learnt_stages(method="co_tuning")["co_tuning"][1]
    assert learnt.stages(given) == {"source": fine_tuning.stages(resolved_of())["source"]}
    assert fine_tuning.stages(fine_tuning.resolve(PRETRAINED)) == {}
    config = fine_tuning.resolve({**PRETRAINED, "method": "co_tuning"})
    assert learnt.stages(fine_tuning.stages(config)["co_tuning"][1]) == {}


def paint(place, seed, classes=("blue", "green", "red")):
    rng = np.random.default_rng(seed)
    for domain in ("a", "b"):
        for index, name in enumerate(classes):
            (place / domain / name).mkdir(parents=True)
            for number in range(8):
                pixels = rng.integers(0, 90, (16, 16, 3))
                pixels[..., index % 3] += 120
                Image.fromarray(pixels.astype(np.uint8)).save(
                    place / domain / name / f"{number}.png"
                )
    return place


def test_a_meaning_is_the_content_and_not_the_path(tmp_path):
    folders = [
        paint(tmp_path / name, seed) for name, seed in (("one", 0), ("same", 0), ("other", 1))
    ]
    found = []
    for folder in folders:
        config = fine_tuning.resolve({"dataset": f"folder:{folder}:a-b", "method": "co_tuning"})
        given = fine_tuning.stages(config)["co_tuning"][1]
        found.append((fine_tuning.meaning(config), learnt.meaning(given)))
    assert found[0] == found[1]
    assert str(tmp_path) not in repr(found)
    assert all(one != other for one, other in zip(found[0], found[2], strict=True))


@pytest.mark.parametrize(
    ("config", "key", "said"),
    [
        ({"dataset": "pretrained-uci"}, "dataset", "`weights` is empty"),
        ({**PRETRAINED, "dataset": "pretrained-cifar"}, "dataset", "no domain 'cifar'"),
        (
            {**PRETRAINED, "backbone": "resnet18"},
            "weights",
            "fit the backbone tf_efficientnet_lite0",
        ),
        (
            {"method": "stochnorm", "backbone": "test_vit"},
            "method",
            "of which this backbone has none",
        ),
        ({"method": "tred", "tred.stages": "5"}, "tred.stages", "has 2 stages"),
        ({"method": "tred", "tred.stages": "late"}, "tred.stages", "name stages by number"),
        (
            {
                "dataset": "pretrained-uci",
                "weights": "timm",
                "backbone": "vit_small_patch14_dinov2",
                "method": "co_tuning",
            },
            "method",
            "'co_tuning' needs the source model's own classifier",
        ),
        (
            {
                "dataset": "pretrained-uci",
                "weights": "timm",
                "backbone": "vit_small_patch14_dinov2",
                "method": "lwf",
            },
            "method",
            "'lwf' needs the source model's own classifier",
        ),
        ({"method": "selective_distillation"}, "method", "needs missing classes"),
        ({"method": "cotuning"}, "method", "did you mean 'co_tuning'"),
        ({"missing_ratio": 0.5}, "missing_ratio", "no key 'missing_ratio'"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(config, key, said):
    found = fine_tuning.problems(fine_tuning.resolve(config))
    assert {where for where, _ in found} == {key}
    assert said in " ".join(text for _, text in found)


def test_a_trained_backbone_has_a_classifier_whatever_its_weights_had():
    config = fine_tuning.resolve({"backbone": "vit_small_patch14_dinov2", "method": "co_tuning"})
    assert fine_tuning.problems(config) == []


@pytest.mark.parametrize(
    ("smaller", "larger"), [(0.15, 0.3), (0.3, 0.5), (0.5, 1.0), (0.001, 0.15)]
)
def test_what_trains_at_a_small_fraction_trains_at_a_larger(own_cache, smaller, larger):
    labels = data.load("uci", own_cache, 0).labels
    few, many = (splits.split(labels, (), 3, fraction) for fraction in (smaller, larger))
    assert set(few.train) < set(many.train)
    assert np.array_equal(few.test, many.test)
    assert np.array_equal(few.validation, many.validation)
    share = np.bincount(labels[few.train]) / np.bincount(labels[splits.split(labels, (), 3).train])
    assert np.allclose(share, max(smaller, 1 / 125), atol=0.005)


# What a trial measures


def test_it_measures_at_step_zero_and_after_each_epoch(prepared):
    rows = list(fine_tuning(*prepared(method="tred")))
    assert [row["step"] for row in rows] == [0, 4, 8]
    told = {name for name in METRICS if name.partition("/")[0] in ("co_tuning", "delta")}
    assert {*rows[1]} - {"step"} == set(METRICS) - told
    assert {*rows[1]} - {*rows[0]} == {"train/loss"}
    for row in rows:
        assert all(np.isfinite(value) for value in row.values())
        assert all(0 <= value <= 1 for key, value in row.items() if "accuracy" in key)
        assert row["train/smallest_singular_value"] <= row["train/largest_singular_value"]
        assert row["tred/negative_norm"] == rows[0]["tred/negative_norm"] > 0
    assert not [key for key in next(fine_tuning(*prepared())) if key.startswith("tred/")]


def test_it_learns_and_fine_tuning_starts_from_a_new_head(prepared):
    rows = list(
        fine_tuning(*prepared(epochs=3, steps_per_epoch=20, learning_rate=0.02, fraction=1.0))
    )
    assert rows[0]["test/overall_accuracy"] < 0.3
    assert rows[-1]["test/overall_accuracy"] > 0.8
    assert rows[0]["test/loss"] == pytest.approx(np.log(10), abs=0.1)


@pytest.mark.parametrize("name", RUNNING)
def test_each_method_runs(prepared, name):
    config, workspace = prepared(method=name, epochs=1, steps_per_epoch=2)
    rows = list(fine_tuning(config, workspace))
    assert [row["epoch"] for row in rows] == ([0, 1] if methods.trains(name) else [0])
    assert all(np.isfinite(row["test/loss"]) for row in rows)


def test_methods_that_learn_start_from_plain_s_model(prepared):
    zeros = [
        next(fine_tuning(*prepared(method=method)))
        for method in ("plain", "co_tuning", "bi_tuning", "tred", "lwf")
    ]
    keys = [key for key in zeros[0] if key.startswith(("test/", "validation/"))]
    assert all(
        {key: row[key] for key in keys} == {key: zeros[0][key] for key in keys} for row in zeros
    )


def test_a_weight_of_zero_is_plain(prepared):
    expected = list(fine_tuning(*prepared()))
    for method in ("co_tuning", "bi_tuning", "lwf"):
        found = list(fine_tuning(*prepared(method=method, **{f"{method}.weight": 0.0})))
        # Co-Tuning's source head trains, without moving anything else.
        shared = {*expected[-1]} - {"trainable_parameters"}
        assert same(
            [{key: row[key] for key in shared if key in row} for row in found],
            [{key: row[key] for key in shared if key in row} for row in expected],
        )


@pytest.mark.parametrize("method", ["co_tuning", "bi_tuning", "lwf+tred"])
@pytest.mark.parametrize("rows_before", [1, 2])
def test_killed_and_continued_equals_undisturbed(prepared, method, rows_before):
    config, workspace = prepared(method=method, epochs=3)
    generator = fine_tuning(config, workspace)
    before = [next(generator) for _ in range(rows_before)]
    next(generator)  # the row that is lost: its state was not kept yet
    generator.close()
    after = list(fine_tuning(config, workspace))
    assert after[0]["epoch"] == rows_before
    assert same(before + after, fine_tuning(*prepared(method=method, epochs=3)))


def test_repetitions_differ_and_runs_do_not(prepared):
    first, again, other = (
        list(fine_tuning(*prepared(repetition, method="bi_tuning+co_tuning")))
        for repetition in (0, 0, 1)
    )
    assert same(first, again)
    assert not same(first, other)


def test_what_was_learnt_is_what_is_used(prepared, tmp_path):
    """Another relationship in the artifact, another outcome; one that does not fit is said."""
    config, workspace = prepared(method="co_tuning")
    expected = list(fine_tuning(config, workspace))
    for shape, fits in (((10, 10), True), ((10, 4), False)):
        folder = tmp_path / str(shape)
        folder.mkdir()
        torch.save({"relationship": torch.full(shape, 1 / shape[1])}, folder / "learnt.pt")
        torch.save({}, folder / "told.pt")
        _, other = prepared(method="co_tuning")
        other.stages = {**workspace.stages, "co_tuning": folder}
        if fits:
            assert list(fine_tuning(config, other))[-1]["test/loss"] != expected[-1]["test/loss"]
        else:
            with pytest.raises(ValueError, match=r"shape \(10, 4\), but it must be \(10, 10\)"):
                list(fine_tuning(config, other))


def test_a_learnt_stage_tells_what_it_found(prepared):
    config, workspace = prepared(method="co_tuning")
    related = torch.load(workspace.stages["co_tuning"] / "learnt.pt", weights_only=True)[
        "relationship"
    ]
    assert related.shape == (10, 10)
    assert torch.allclose(related.sum(1), torch.ones(10), atol=1e-5)
    assert (related.argmax(1) == torch.arange(10)).sum() >= 4, (
        "a source of a moment's training tells some digits"
    )
    row = next(fine_tuning(config, workspace))
    told = {name for name in METRICS if name.startswith("co_tuning/")}
    # The calibration is told where it was fitted.
    assert told - row.keys() == {"co_tuning/calibration"}
    assert 0 < row["co_tuning/classifier_accuracy"] <= 1


@pytest.mark.parametrize("method", ["plain", "co_tuning+tred"])
def test_it_starts_from_imagenet_weights(prepared, method):
    config, workspace = prepared(
        **PRETRAINED,
        method=method,
        epochs=1,
        steps_per_epoch=1,
        batch_size=8,
        fraction=0.02,
        **(
            {"tred.stages": "-1", "tred.steps": 1, "co_tuning.relationship": "direct"}
            if "tred" in method
            else {}
        ),
    )
    rows = list(fine_tuning(config, workspace))
    assert [row["step"] for row in rows] == [0, 1]
    assert np.isfinite(rows[-1]["train/loss"])


def test_a_folder_whose_domains_have_other_classes(artifact, own_cache, tmp_path):
    """Three classes in the source, two in the target."""
    place = paint(tmp_path / "images", 0)
    for image in (place / "b" / "red").iterdir():
        image.unlink()
    (place / "b" / "red").rmdir()
    config = resolved_of(
        dataset=f"folder:{place}:a-b",
        image_size=16,
        method="co_tuning+lwf",
        fraction=1.0,
        batch_size=4,
        source_steps_per_epoch=3,
    )
    assert fine_tuning.problems(config) == []
    workspace = Workspace(tmp_path / "trial", cache=own_cache)
    workspace.stages = {
        name: artifact(*asked, 0) for name, asked in fine_tuning.stages(config).items()
    }
    assert torch.load(workspace.stages["co_tuning"] / "learnt.pt", weights_only=True)[
        "relationship"
    ].shape == (2, 3)
    assert np.isfinite(list(fine_tuning(config, workspace))[-1]["train/loss"])
