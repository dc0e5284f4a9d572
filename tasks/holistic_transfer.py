"""Adaptation to a target domain of which only some classes have images (Tu et al., Holistic Transfer, NeurIPS 2023)."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from typing import Any

from tasks import backbones, data, methods
from tasks.task import Setting, declare, filled

SOURCE_SETTINGS = {
    "backbone": Setting(str, "lenet_bn", choices=backbones.known, open=True, doc="or any timm model by its timm name"),
    "pretrained": Setting(bool, False, doc="start the source training from timm's pretrained weights"),
    "image_size": Setting(int, 224, low=4, high=4096, doc="pixels a side, for folder datasets; digits have 16"),
    "source_epochs": Setting(int, 5, low=1, high=100_000, doc="epochs of source training"),
    "source_steps_per_epoch": Setting(int, 60, low=1, high=1_000_000, doc="steps that make an epoch of source training"),
    "source_batch_size": Setting(int, 64, low=1, high=65_536, doc="images in a batch of source training"),
    "source_learning_rate": Setting(float, 0.05, low=1e-8, high=10.0, doc="learning rate of source training"),
    "source_momentum": Setting(float, 0.9, low=0.0, high=0.9999, doc="Nesterov momentum of source training"),
    "source_weight_decay": Setting(float, 5e-4, low=0.0, high=1.0, doc="weight decay of source training"),
    "amp": Setting(bool, False, doc="compute in bfloat16 where it is safe; faster on a GPU, other numbers"),
}
TRAINING_SETTINGS = {
    "epochs": Setting(int, 5, low=0, high=100_000, doc="epochs of adaptation; each ends with a measurement"),
    "steps_per_epoch": Setting(int, 60, low=1, high=1_000_000, doc="steps that make an epoch, however large the set is"),
    "batch_size": Setting(int, 64, low=1, high=65_536, doc="images in a batch"),
    "learning_rate": Setting(float, 0.02, low=1e-8, high=10.0, doc="learning rate at the start of the cosine schedule"),
    "head_learning_rate_factor": Setting(float, 1.0, low=0.0, high=1e3, doc="the head's learning rate over the backbone's"),
    "momentum": Setting(float, 0.9, low=0.0, high=0.9999, doc="Nesterov momentum"),
    "weight_decay": Setting(float, 0.0, low=0.0, high=1.0, doc="decay towards zero; 0, since it pulls against l2sp"),
}
DATASET = "mnist-uci"
BASE = {
    "dataset": Setting(str, DATASET, choices=data.known, open=True,
                       doc="or folder:ROOT:SOURCE-TARGET, images in ROOT/DOMAIN/CLASS/IMAGE"),
    "missing_ratio": Setting(float, 0.5, low=0.0, high=0.99, doc="share of the classes without target training images"),
    "missing_classes": Setting(list, None, doc="the missing classes by name or index, in place of a ratio"),
    "method": Setting(str, "plain", choices=methods.known, open=True, doc="or a chain a+b, or one's own as module:function"),
    **TRAINING_SETTINGS, **SOURCE_SETTINGS,
}
SETTINGS = {**BASE, **methods.settings()}
METRICS = (
    *(f"test/{name}" for name in (
        "overall_accuracy", "seen_accuracy", "missing_accuracy", "seen_within_accuracy", "missing_within_accuracy",
        "harmonic_mean", "ausuc", "curve_seen", "curve_missing", "ncm_overall_accuracy", "ncm_seen_accuracy",
        "ncm_missing_accuracy", "loss")),
    "validation/seen_accuracy", "validation/loss", "train/loss", "epoch", "seconds", "peak_memory_bytes",
)


SOURCE_METRICS = ("train/loss", "train/accuracy", "epoch", "seconds", "peak_memory_bytes")


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical config: defaults filled in, the chain in its one order, without what cannot matter to it."""
    method = methods.canonical(config.get("method") or "plain")
    own = _settings_of(method)
    # A method's key outside its chain cannot matter; a key that nobody knows stays, for `problems` to judge.
    full = {key: value for key, value in filled(own, config).items() if key in own or not (key in SETTINGS or "." in key)}
    full["method"] = method
    full["dataset"] = data.canonical(full["dataset"])
    if full["missing_classes"] is None:
        del full["missing_classes"]
    else:
        del full["missing_ratio"]
        full["missing_classes"] = _names(full["dataset"], full["missing_classes"])
    return _without_idle(full, full["dataset"])


def problems(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is wrong with a resolved config: (key, message)."""
    own = _settings_of(config["method"])
    found = [(key, f"the task has no key '{key}'; it has {', '.join(own)}") for key in config if key not in own]
    found += [("dataset", text) for text in data.problems(config["dataset"])]
    found += [("method", text) for text in methods.problems(config["method"])]
    found += [("backbone", text) for text in (backbones.problem(config["backbone"]),) if text]
    if config["backbone"] == "lenet_bn" and config.get("pretrained"):
        found.append(("pretrained", "lenet_bn has no pretrained weights; take a timm model, or pretrained: false"))
    if "missing_classes" in config and not any(key == "dataset" for key, _ in found):
        names = data.classes(data.domains(config["dataset"])[1])
        try:
            if len(data.class_indices(config["missing_classes"], names)) == len(names):
                found.append(("missing_classes", f"all {len(names)} classes are missing; leave one at least to be seen"))
        except ValueError as error:
            found.append(("missing_classes", str(error)))
    return found


def meaning(config: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved config with the dataset by what it holds, not by where it lies."""
    source, target = data.domains(config["dataset"])
    return {**config, "dataset": [data.fingerprint(source), data.fingerprint(target)]}


def stages(config: Mapping[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """The source model: the same for all targets, ratios and methods of a domain, backbone and repetition."""
    own = {key: config[key] for key in SOURCE_SETTINGS if key in config}
    return {"source": ("holistic_transfer:source", {"domain": data.domains(config["dataset"])[0]} | own)}


def spaces(config: Mapping[str, Any]) -> list[str]:
    """The members of the chain that have parameters."""
    return list(methods.spaces(config["method"]))


def resolve_source(config: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical config of source training."""
    full = filled(SOURCE_SETTINGS, config)
    return _without_idle(full, full["domain"])


def meaning_of_source(config: Mapping[str, Any]) -> dict[str, Any]:
    """The source's config with the domain by what it holds."""
    return {**config, "domain": data.fingerprint(config["domain"])}


@declare(settings=SETTINGS, resolve=resolve, meaning=meaning, problems=problems, stages=stages, spaces=spaces,
         metrics=METRICS)
def holistic_transfer(config: Mapping[str, Any], workspace: Any) -> Iterator[dict[str, Any]]:
    """Adapts a source model to a target domain where some classes have no image; measures seen and missing classes."""
    from tasks.adaptation import adapt

    yield from adapt(resolve(config), workspace)


@declare(settings={"domain": Setting(str, "mnist", doc="the domain to train on"), **SOURCE_SETTINGS},
         resolve=resolve_source, meaning=meaning_of_source, metrics=SOURCE_METRICS)
def source(config: Mapping[str, Any], workspace: Any) -> Iterator[dict[str, Any]]:
    """Trains the source model on all classes of a domain."""
    from tasks.adaptation import train_source

    yield from train_source(resolve_source(config), workspace)


@functools.cache
def _settings_of(method: str) -> Mapping[str, Setting]:
    """The settings that matter to a canonical chain."""
    own = dict(BASE)
    for name in method.split("+"):
        with contextlib.suppress(ValueError):  # an unknown name, for `problems` to judge
            own |= methods.parameters(name)
    return own if methods.trains(method) else {key: own[key] for key in own if key not in TRAINING_SETTINGS}


def _names(dataset: str, missing: list[str | int]) -> list[str]:
    """The missing classes by name in the order of their indices; as given where they are wrong, for `problems` to judge."""
    try:
        names = data.classes(data.domains(dataset)[1])
        return [names[index] for index in data.class_indices(missing, names)]
    except (ValueError, OSError):
        return missing


def _without_idle(config: dict[str, Any], images: str) -> dict[str, Any]:
    """Without settings that change nothing: the size of images that have one, pretrained weights of what has none."""
    if not images.startswith("folder:"):
        del config["image_size"]
    if config["backbone"] == "lenet_bn" and not config["pretrained"]:
        del config["pretrained"]
    return config
