"""The declaration of the task `transferability`: canonical configs, what they mean, stages, and what is refused."""

import json
import subprocess
import sys
from typing import Annotated

import numpy as np
import pytest
from PIL import Image

from tasks import fine_tuning, holistic_transfer, scores, transferability
from tasks.scores import Range, score

PRETRAINED = {
    "dataset": "pretrained-uci",
    "weights": "efficientnet-lite0",
    "backbone": "tf_efficientnet_lite0",
    "image_size": 32,
}
task = transferability.transferability
resolve, problems, stages = task.resolve, task.problems, task.stages


def per_class(evidence, power: Annotated[float, Range(0, 3)] = 1.0) -> float:
    """Images a class, to a power."""
    return (len(evidence.features) / len(evidence.target_classes)) ** power


@score(needs={"head"})
def of_head(evidence) -> float:
    """A score that needs a classifier."""
    return float(np.abs(evidence.head[0]).sum())


OWN = f"{__name__}:per_class"


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


def test_configs_that_mean_the_same_resolve_to_the_same():
    assert (
        resolve({})
        == resolve({"score": "logme"})
        == resolve({"score": ""})
        == resolve({"fraction": 1, "missing_ratio": 0})
    )
    assert resolve({"missing_classes": []}) == resolve({"missing_classes": None}) == resolve({})
    assert resolve({"missing_classes": [3, "1"]}) == resolve(
        {"missing_classes": ["1", "3"], "missing_ratio": 0.2}
    )
    assert resolve({"otce.samples": 10}) == resolve({})
    assert resolve({"dataset": "mnist-uci@blur"}) == resolve({"dataset": "mnist-uci@blur3"})
    assert resolve({"image_size": 64, "weights": ""}) == resolve({})
    assert resolve({**PRETRAINED, "source_epochs": 3, "amp": True}) == resolve(PRETRAINED)


@pytest.mark.parametrize(
    "config",
    [
        {},
        PRETRAINED,
        {"score": "otce_w", "otce.samples": 10},
        {"missing_classes": [0, "4"]},
        {"score": OWN},
        {"dataset": "mnist@invert-uci", "missing_ratio": 0.3},
    ],
)
def test_resolving_twice_changes_nothing(config):
    once = resolve(config)
    assert resolve(once) == once


def test_a_resolved_config_has_the_parameters_of_its_score_and_no_other():
    for name in scores.NAMES:
        assert {key for key in resolve({"score": name}) if "." in key} == set(
            scores.parameters(name)
        )
    assert resolve({"score": OWN, f"{OWN}.power": 2})[f"{OWN}.power"] == 2.0


def test_defaults_keep_their_own_limits():
    for key, setting in task.settings.items():
        if setting.default is not None and setting.type in (int, float):
            assert type(setting.default) is setting.type, key
            assert setting.low <= setting.default <= setting.high, key
        assert setting.doc, key


def test_a_meaning_has_no_path(pictures):
    config = resolve({"dataset": f"folder:{pictures}:a-b"})
    assert str(pictures) not in repr(task.meaning(config))
    assert str(pictures) not in repr(
        transferability.features.meaning(stages(config)["features"][1])
    )
    assert str(pictures) not in repr(task.comparable(config))


def test_what_it_predicts_by_is_measured():
    assert task.predicts == "transferability" == task.metrics[0]
    assert len(set(task.metrics)) == len(task.metrics)


def test_features_are_shared_by_what_does_not_matter_to_them():
    configs = (
        {},
        {"score": "leep"},
        {"missing_ratio": 0.3},
        {"fraction": 0.2},
        {"missing_classes": [1]},
        {"score": "linear_probe"},
        {"score": "otce_w", "otce.samples": 10},
    )
    found = [stages(resolve(config)) for config in configs]
    assert all(one == found[0] for one in found)
    _, given = found[0]["features"]
    assert transferability.features.resolve(given) == given
    for other in (
        {"source_epochs": 2},
        {"backbone": "resnet18"},
        {"dataset": "uci-mnist"},
        {"dataset": "mnist-uci@blur"},
    ):
        meant = transferability.features.meaning(stages(resolve(other))["features"][1])
        assert meant != transferability.features.meaning(given)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"dataset": "mnist@invert-uci"},
        {"backbone": "resnet18", "source_epochs": 2, "amp": True},
        {"backbone": "tf_efficientnet_lite0", "weights": "efficientnet-lite0", "image_size": 48},
    ],
)
def test_the_source_model_is_that_of_the_trials(config):
    """One stage, by what it means, for a study and what predicts it."""
    source = holistic_transfer.source
    _, given = stages(resolve(config))["features"]
    name, asked = transferability.features.stages(given)["source"]
    assert name == "holistic_transfer:source"
    for trial in (holistic_transfer.holistic_transfer, fine_tuning.fine_tuning):
        its_name, its_own = trial.stages(trial.resolve(config))["source"]
        assert its_name == name
        assert source.resolve(its_own) == source.resolve(asked)
    assert source.resolve(asked) == asked


def test_a_pretrained_source_needs_no_training():
    _, given = stages(resolve(PRETRAINED))["features"]
    assert transferability.features.stages(given) == {}


def test_scores_of_the_same_target_data_are_comparable():
    def compared(**config):
        return task.comparable(resolve(config))

    assert (
        compared()
        == compared(dataset="mnist@blur-uci")
        == compared(backbone="resnet18")
        == compared(source_epochs=9)
    )
    assert compared() == compared(**PRETRAINED)
    assert compared()["target"] == "uci"
    others = [
        compared(**config)
        for config in (
            {"dataset": "uci-mnist"},
            {"dataset": "mnist-uci@blur"},
            {"missing_ratio": 0.3},
            {"missing_classes": [1]},
            {"fraction": 0.5},
            {"score": "leep"},
            {"score": "otce_w"},
            {"score": "otce_w", "otce.samples": 10},
        )
    ]
    assert len({json.dumps(one) for one in (compared(), *others)}) == 9


def test_a_declaration_imports_nothing_heavy():
    code = (
        "import sys, tasks.transferability as t\n"
        "for score in ('logme', 'missing_push', 'otce_w', 'tta'):\n"
        "    c = t.resolve({'score': score, 'backbone': 'resnet18', 'missing_ratio': 0.3, "
        "'dataset': 'mnist-uci@blur'})\n"
        "    t.problems(c), t.meaning(c), t.stages(c), t.comparable(c)\n"
        "heavy = {'torch', 'timm', 'sklearn', 'ot', 'pandas', 'mlxtend', 'PIL', 'ray', 'mlflow', "
        "'optuna', 'htsweep'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )


@pytest.mark.parametrize(
    ("config", "key", "said"),
    [
        ({"dataset": "mnist-usps"}, "dataset", "did you mean"),
        ({"dataset": "mnist-uci@blurr"}, "dataset", "did you mean @blur"),
        ({"score": "logmee"}, "score", "did you mean 'logme'"),
        ({"score": "no_module:score"}, "score", "cannot be loaded"),
        ({"backbone": "resnet181"}, "backbone", "did you mean"),
        ({"weights": "timm"}, "weights", "no pretrained weights"),
        ({"dataset": "pretrained-uci", "backbone": "resnet18"}, "dataset", "`weights` is empty"),
        ({"skore": 1}, "skore", "no key"),
        ({"missing_classes": [10]}, "missing_classes", "no class 10"),
        ({"missing_classes": list(range(10))}, "missing_classes", "leave at least one"),
        ({"score": "missing_push"}, "score", "needs missing classes"),
        ({"score": "missing_retained", "missing_classes": []}, "score", "needs missing classes"),
        ({**PRETRAINED, "score": "otce_w"}, "score", "needs the images of the source domain"),
        ({**PRETRAINED, "score": "tta"}, "score", "needs the images of the source domain"),
        (
            {
                **PRETRAINED,
                "score": "leep",
                "weights": "timm",
                "backbone": "vit_small_patch14_dinov2",
            },
            "score",
            "come without",
        ),
        ({"score": "source_accuracy", "source_validation": 0}, "source_validation", "above 0"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(config, key, said):
    found = problems(resolve(config))
    assert [where for where, _ in found] == [key]
    assert said in found[0][1]


def test_all_that_a_score_lacks_is_said():
    said = [
        text
        for _, text in problems(
            resolve({**PRETRAINED, "score": "missing_interference", "missing_ratio": 0.5})
        )
    ]
    assert len(said) == 2
    assert any("source domain" in text for text in said)
    assert any("source's classes" in text for text in said)


@pytest.mark.parametrize(
    "config",
    [
        *({"score": name} for name in scores.NAMES if "missing_classes" not in scores.needs(name)),
        *({"score": name, "missing_ratio": 0.3} for name in scores.NAMES),
        {**PRETRAINED, "score": "leep"},
    ],
)
def test_what_can_be_scored_is_let_be(config):
    assert problems(resolve(config)) == []


def test_a_target_of_other_classes(pictures):
    assert problems(resolve({"dataset": f"folder:{pictures}:a-c"})) == []
    ((_, said),) = problems(
        resolve(
            {"dataset": f"folder:{pictures}:a-c", "missing_ratio": 0.3, "score": "missing_push"}
        )
    )
    assert "needs a target with the source's classes" in said
    ((key, said),) = problems(resolve({"dataset": f"folder:{pictures}:a-c", "score": "tta"}))
    assert key == "score"
    assert "2 source classes cannot cover the 3 of the target" in said
    assert problems(resolve({"dataset": f"folder:{pictures}:c-a", "score": "tta"})) == []
    ((key, said),) = problems(
        resolve(
            {"dataset": f"folder:{pictures}:c-a", "score": "tta_fixed", "tta.label_map": "same"}
        )
    )
    assert (key, "give 'random'" in said) == ("tta.label_map", True)
    assert (
        problems(
            resolve({"dataset": f"folder:{pictures}:a-c", "missing_classes": ["y"], "score": "tta"})
        )
        == []
    )


def test_a_score_of_one_s_own_says_what_it_needs():
    ((key, said),) = problems(
        resolve(
            {
                **PRETRAINED,
                "score": f"{__name__}:of_head",
                "weights": "timm",
                "backbone": "vit_small_patch14_dinov2",
            }
        )
    )
    assert (key, "come without" in said) == ("score", True)
    assert problems(resolve({"score": f"{__name__}:of_head"})) == []


@pytest.mark.parametrize("name", ["otce_w", "otce_ce", "tta", "tta_fixed"])
def test_a_score_whose_package_is_missing_says_how_to_install_it(monkeypatch, name):
    from tasks.scores import solver

    monkeypatch.setattr(solver, "installed", lambda: False)
    ((key, said),) = problems(resolve({"score": name}))
    assert key == "score"
    assert "needs the package POT" in said
    assert "pip install 'htsweep[transport]'" in said
    with pytest.raises(ValueError, match=r"pip install 'htsweep\[transport\]'"):
        solver.solver()
    assert problems(resolve({"score": "logme"})) == []
