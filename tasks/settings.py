"""Settings that the tasks of this folder share, and their checks; imports no torch."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tasks import backbones, clip, data, methods, precision, recipe, text_heads, weights
from tasks.methods.method import OF_BACKBONE
from tasks.schedules import COSINE
from tasks.task import Setting

MANY = 1 << 30
"""More images than any batch."""

AUTO = "auto"

MODEL_SETTINGS = {
    "backbone": Setting(
        str,
        "lenet_bn",
        choices=backbones.known,
        open=True,
        doc="or any timm model by its timm name",
    ),
    "weights": Setting(
        str,
        "",
        path=weights.path_of,
        doc="the backbone's pretrained weights: timm, efficientnet-lite0, or a file by its path "
        "from the study's folder; empty: random",
    ),
    "image_size": Setting(
        int,
        224,
        low=4,
        high=4096,
        words=(AUTO,),
        doc="pixels a side that images are brought to; digits alone have 16; auto: the backbone's "
        "own, as timm's configuration says (lenet_bn: 32)",
    ),
    **precision.AMP,
    **precision.SETTINGS,
}
SOURCE_SETTINGS = {
    "source_epochs": Setting(
        int, 5, low=1, high=100_000, doc="epochs of source training", repeats="source"
    ),
    "source_steps_per_epoch": Setting(
        int,
        60,
        low=1,
        high=1_000_000,
        doc="steps that make an epoch of source training",
        repeats="source",
    ),
    "source_batch_size": Setting(
        int, 64, low=1, high=65_536, doc="images in a batch of source training", repeats="source"
    ),
    "source_learning_rate": Setting(
        float, 0.05, low=1e-8, high=10.0, doc="learning rate of source training"
    ),
    "source_momentum": Setting(
        float, 0.9, low=0.0, high=0.9999, doc="Nesterov momentum of source training"
    ),
    "source_weight_decay": Setting(
        float, 5e-4, low=0.0, high=1.0, doc="weight decay of source training"
    ),
    "source_validation": Setting(
        float, 0.1, low=0.0, high=0.9, doc="share of each class held out of source training"
    ),
}


def _of_epochs(config: Mapping[str, Any]) -> str:
    if not methods.trains(config["method"]):
        return ""
    if recipe.steady(config):
        if methods.steady(config["method"], config):
            return ""
        return (
            f"'{config['method']}' depends on how long a run is, so that each value is a training "
            "of its own"
        )
    return (
        f"the {config.get('schedule', COSINE)} schedule depends on how long a run is, so that each "
        "value is a training of its own; with `schedule: constant` shorter runs are the beginnings "
        "of the longest"
    )


def training_settings(
    learning_rate: float, head_learning_rate_factor: float, batch_size: int, weight_decay: float
) -> dict[str, Setting]:
    """The settings of adaptation, with the given defaults."""
    return {
        "epochs": Setting(
            int,
            5,
            low=0,
            high=100_000,
            varied=_of_epochs,
            doc="epochs of adaptation, of `steps_per_epoch` steps; each ends with a measurement",
            repeats="trial",
        ),
        "steps_per_epoch": Setting(
            int,
            60,
            low=1,
            high=1_000_000,
            doc="steps that make an epoch, which is no pass over the data: every repetition and "
            "target trains equally long, however many images it has",
            repeats="trial",
        ),
        "batch_size": Setting(
            int,
            batch_size,
            low=1,
            high=65_536,
            doc="images in a batch",
            repeats="trial",
            aliases=("bs",),
        ),
        "learning_rate": Setting(
            float,
            learning_rate,
            low=1e-8,
            high=10.0,
            doc="the backbone's learning rate at the start of the schedule",
            aliases=("lr",),
        ),
        "head_learning_rate_factor": Setting(
            float,
            head_learning_rate_factor,
            low=0.0,
            high=1e3,
            doc="the head's learning rate over the backbone's",
        ),
        "momentum": Setting(
            float, 0.9, low=0.0, high=0.9999, doc="momentum of an optimiser that has it"
        ),
        "weight_decay": Setting(
            float,
            weight_decay,
            low=0.0,
            high=1.0,
            doc="decay towards zero; methods with a decay of their own do without",
            aliases=("wd",),
        ),
        **recipe.RECIPE,
        **recipe.MEASURING,
    }


def of_method(
    base: Mapping[str, Setting], training: Collection[str], method: str, *, new_head: bool = False
) -> dict[str, Setting]:
    """The settings of a canonical chain: its members' too, and `training` only if it trains."""
    own = dict(base)
    for name in method.split("+"):
        with contextlib.suppress(ValueError):  # an unknown name, for `problems` to report
            own |= methods.parameters(name, new_head=new_head)
    if not methods.trains(method):
        return {key: own[key] for key in own if key not in training}
    if methods.decays(method):
        del own["weight_decay"]
    return own


def without_idle(config: dict[str, Any], resized: bool) -> dict[str, Any]:
    """The config without settings that have no effect.

    These are empty `weights`, without weights `image_size` unless images are `resized`, and how it
    computes where that is as usual.
    """
    config = precision.canonical(config)
    if not config.get("weights"):
        config.pop("weights", None)
        if not resized:
            config.pop("image_size", None)
    return config


def canonical_model(config: Mapping[str, Any]) -> dict[str, Any]:
    """The backbone by timm's current name, a weights file by its path, the image size in pixels."""
    ways = {"backbone": backbones.canonical, "weights": weights.canonical}
    found: dict[str, Any] = {
        key: way(config[key]) for key, way in ways.items() if isinstance(config.get(key), str)
    }
    if config.get("image_size") == AUTO:
        found["image_size"] = backbones.own_size(str(found.get("backbone")))
    return found


def by_content(config: Mapping[str, Any]) -> dict[str, str]:
    """The weights of a resolved config identified by content; empty if it has none."""
    if not config.get("weights"):
        return {}
    of = clip if text_heads.is_text(config) else weights
    return {"weights": of.meaning(config["weights"])}


def fitting(config: Mapping[str, Any], offers: Collection[str]) -> list[tuple[str, str]]:
    """(key, what is wrong) with the method, the backbone and the weights of a resolved config.

    Args:
        config: a resolved config.
        offers: what the task offers to methods, apart from what depends on the backbone.
    """
    method, backbone = config["method"], config["backbone"]
    wrong = [("method", text) for text in methods.problems(method)] + model_problems(config)
    if wrong:
        return wrong
    offered = set(offers)
    # Inspect a timm model only if it matters: importing timm takes seconds.
    for need in set(OF_BACKBONE) & methods.needs(method):
        if getattr(backbones.traits(backbone), need):
            offered.add(need)
    missed = methods.needs(method) - offered
    if "source_head" in missed and backbones.classifier(
        backbone, config.get("weights", ""), config.get("image_size", 0)
    ):
        offered.add("source_head")
    wrong += [("method", text) for text in methods.unmet(method, offered)]
    wrong += methods.choice_problems(
        config, lambda need: bool(getattr(backbones.traits(backbone), need))
    )
    return wrong + methods.stage_problems(config, lambda: backbones.traits(backbone).stages)


def model_problems(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(key, what is wrong) with the backbone of a resolved config, or with its weights."""
    wrong = backbones.problem(config["backbone"])
    if wrong:
        return [("backbone", wrong)]
    if config.get("source"):  # a given classifier may have any number of outputs (given.py)
        return []
    if text_heads.is_text(config):  # its folder of weights is compared with the backbone there
        return []
    misfit = weights.problem(
        config["backbone"], config.get("weights", ""), config.get("image_size", 0)
    )
    return [("weights", misfit)] if misfit else []


def recipe_problems(
    config: Mapping[str, Any], target: str | None, wrong: Iterable[tuple[str, str]] = ()
) -> list[tuple[str, str]]:
    """(key, what is wrong) with the recipe that a resolved config trains by.

    Args:
        config: a resolved config.
        target: the domain that is trained on; None: there is none of this name.
        wrong: the other problems of the config; what depends on their keys is not told.
    """
    unsure = {key for key, _ in wrong}
    # What a method does is not known where one of its own settings is wrong.
    unsure |= {"method"} if any("." in key for key in unsure) else set()
    size: int = config.get("image_size", (data.size(target) if target else 0) or 0)
    images = (data.channels(target), size) if target else None
    found = list(recipe.problems(config, images, unsure))
    return found if "method" in unsure else found + list(precision.problems(config))


def training_problems(
    config: Mapping[str, Any], source: str, target: str | None, rows: int = MANY
) -> list[tuple[str, str]]:
    """(key, what is wrong) if the backbone cannot train on the config's images or batches.

    Args:
        config: a resolved config whose backbone and data are valid.
        source: the domain that the source model is trained on, or `data.PRETRAINED`.
        target: the domain that is trained on afterwards with batch norm in train mode, or None.
        rows: the fewest training images that the target may have.
    """
    backbone, fitted = config["backbone"], bool(config.get("weights"))
    untrained = source == data.PRETRAINED or not config.get("source_epochs", 1)
    runs = [] if untrained else [("source_batch_size", source, MANY)]
    runs += [] if target is None else [("batch_size", target, rows)]
    problems_found: list[tuple[str, str]] = []
    for key, domain, images in runs:
        size: int = config.get("image_size", data.size(domain) or 0)
        shape = (data.channels(domain), size)
        # Inspect a timm model only if it matters: sizes that most models take are not checked.
        odd = "image_size" in config and (size < 64 or size % 32)
        wrong = backbones.size_problem(backbone, *shape, fitted) if odd else None
        problems_found += [("image_size", wrong)] if wrong else []
        if min(config[key], images) == 1 and not wrong:
            problem = backbones.batch_problem(backbone, *shape, fitted)
            remedy = (
                f"{key} must be at least 2"
                if config[key] == 1
                else "only one image may be left for training; give more"
            )
            problems_found += (
                [(key if config[key] == 1 else "dataset", f"{problem}: {remedy}")]
                if problem
                else []
            )
    return list(dict.fromkeys(problems_found))


def weightless(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """("dataset", what is wrong) if it starts from pretrained weights but none are named."""
    if not config["dataset"].startswith(f"{data.PRETRAINED}-") or config.get("weights"):
        return []
    return [
        (
            "dataset",
            f"'{config['dataset']}' starts from pretrained weights, but `weights` is empty; give "
            f"weights: timm, {', '.join(weights.SHIPPED)} or a file, and the backbone that they "
            "fit",
        )
    ]


def learnt_stage(
    task: str, config: Mapping[str, Any], keys: Collection[str]
) -> dict[str, tuple[str, dict[str, Any]]]:
    """The learning stages of the config's chain.

    Each depends on the config's `keys` and on the method's own learning parameters.
    """
    shared = {key: config[key] for key in keys if key in config}
    return {
        name: (
            f"{task}:learnt",
            {
                **shared,
                "method": name,
                **{key: config[key] for key in methods.learnt_keys(name) if key in config},
            },
        )
        for name in methods.learning(config["method"], config)
    }


SHAPED = ("backbone", "image_size", "amp", "amp_dtype", "channels_last", "compile", "method")


def shape(config: Mapping[str, Any]) -> dict[str, Any]:
    """What decides how much of a GPU a resolved config, of a trial or a stage, needs.

    That is the backbone, the size of images, of which data of one size only the name is known, the
    size of a batch, the precision, the method, and numbers of parts that its parameters set.
    """
    kept = {key: config[key] for key in SHAPED if key in config}
    kept |= {
        key: value
        for key, value in config.items()
        if "." in key and isinstance(value, int | str) and not isinstance(value, bool)
    }
    kept["batch_size"] = config.get("batch_size", config.get("source_batch_size"))
    if "image_size" not in config:
        kept["data"] = config.get("dataset", config.get("domain"))
    return kept
