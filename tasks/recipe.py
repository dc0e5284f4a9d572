"""The settings of a training recipe beyond its rates and lengths; imports no torch.

Each is left out of a resolved config at its default, so that configs older than a setting keep
their meaning. How they act: `tasks/training.py`, `tasks/optimisers.py`, `tasks/schedules.py`,
`tasks/augmentation.py`, `tasks/batches.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tasks import augmentation, backbones, calls, methods, optimisers, precision
from tasks.schedules import COSINE, SCHEDULES, STEADY, STEP
from tasks.task import Setting, Steps

SHUFFLED, BALANCED = "shuffled", "class_balanced"
SAMPLINGS = {
    SHUFFLED: "each pass over the training images in a new random order",
    BALANCED: "classes with equal probability, then an image of the class, with replacement",
}

RECIPE = {
    "optimizer": Setting(
        str,
        optimisers.DEFAULT,
        choices=lambda: optimisers.LINES,
        open=True,
        doc="or one of torch.optim or timm.optim with its arguments, such as "
        "adamw(betas=(0.9, 0.98)), or your own as module:class",
    ),
    "nesterov": Setting(bool, True, doc="whether the momentum of sgd is Nesterov's"),
    "schedule": Setting(
        str,
        COSINE,
        choices=lambda: SCHEDULES,
        doc="how the learning rate goes on; with `constant` and `step`, runs of different "
        "`epochs` share a training",
    ),
    "warmup_steps": Setting(
        int,
        0,
        low=0,
        high=1_000_000,
        doc="first steps, in which the learning rate rises to its value",
    ),
    "milestones": Setting(list, None, doc="epochs after which schedule `step` lowers the rate"),
    "milestone_factor": Setting(
        float, 0.1, low=1e-6, high=1.0, doc="what schedule `step` multiplies the rate by"
    ),
    "layer_decay": Setting(
        float,
        1.0,
        low=1e-3,
        high=1.0,
        doc="factor of the learning rate from each layer of the backbone to the one before, as in "
        "BEiT (0.65 to 0.75 there); layers as timm groups them",
    ),
    "clip_norm": Setting(
        float, 0.0, low=0.0, high=1e6, doc="largest norm of the whole gradient; 0: no limit"
    ),
    "label_smoothing": Setting(
        float,
        0.0,
        low=0.0,
        high=0.99,
        doc="share of each target spread over all classes, missing ones too (0.1 in Inception)",
    ),
    "dropout": Setting(
        float, 0.0, low=0.0, high=0.99, doc="share of the features dropped before the head"
    ),
    "drop_path": Setting(
        float,
        0.0,
        low=0.0,
        high=0.99,
        doc="stochastic depth of the last block of a timm model, less in the blocks before",
    ),
    "freeze_bn": Setting(
        bool, False, doc="leave batch norm as the source has it: statistics, weights and biases"
    ),
    "sampling": Setting(
        str, SHUFFLED, choices=lambda: SAMPLINGS, doc="which images are in a batch"
    ),
    "drop_last": Setting(
        bool, True, doc="leave out the last, smaller batch of a pass over the training images"
    ),
    "augmentation": Setting(
        str,
        augmentation.NONE,
        choices=lambda: augmentation.PRESETS,
        open=True,
        doc="or transforms of torchvision.transforms.v2 with their arguments, such as "
        "RandomCrop(224, padding=8), RandomErasing, or your own as module:function",
    ),
    "mixup": Setting(
        float,
        0.0,
        low=0.0,
        high=100.0,
        doc="a of Beta(a, a), by which two images and their labels are mixed (Zhang et al., ICLR "
        "2018: 0.1 to 0.4 on ImageNet, 1 on CIFAR); 0: not",
    ),
    "cutmix": Setting(
        float,
        0.0,
        low=0.0,
        high=100.0,
        doc="a of Beta(a, a), by which a part of an image is another's (Yun et al., ICCV 2019: 1); "
        "with mixup, each batch has one of the two; 0: not",
    ),
}
VIEWS = {
    "test_transform": Setting(
        str,
        augmentation.RESIZE,
        choices=lambda: augmentation.VIEWS,
        open=True,
        doc="what a model sees of an image that is measured",
    ),
    precision.EVALUATION: Setting(
        str,
        precision.FLOAT32,
        choices=lambda: precision.MEASURED,
        doc="the precision in which a model is measured",
    ),
}
"""Settings that act without training too."""
MEASURING = {
    "measure_every": Setting(
        int,
        1,
        low=1,
        high=100_000,
        doc="epochs from one measurement to the next, where measuring takes longer than training; "
        "the start and the last epoch are always measured",
    ),
}
"""Settings that change which epochs are measured, and no number."""
DEFAULTS = {key: setting.default for key, setting in (RECIPE | VIEWS | MEASURING).items()}


def is_measured(epoch: int, epochs: int, every: int) -> bool:
    """Whether an epoch of a run of `epochs` is measured, if every so many are."""
    return epoch % every == 0 or epoch == epochs


def steps(config: Mapping[str, Any]) -> Steps:
    """The steps of a trial of a resolved config; the only one is 0 if it does not train."""
    epochs, length = config.get("epochs", 0), config.get("steps_per_epoch", 1)
    every = config.get("measure_every", 1)
    measured = [epoch for epoch in range(epochs + 1) if is_measured(epoch, epochs, every)]
    return Steps(
        range(0, epochs * length + 1, length),
        [epoch * length for epoch in measured],
        "measure_every",
    )


def measurements(epochs: int, every: int) -> int:
    """How many epochs of a run are measured, the start included."""
    return 1 + -(-epochs // every)


def canonical(config: dict[str, Any]) -> dict[str, Any]:
    """The config without recipe settings that are at their defaults or have no effect.

    So too the parameters that a method got later.
    """
    config = methods.without_later(config)
    for key in ("optimizer", "augmentation", "test_transform"):
        if isinstance(config.get(key), str):
            config[key] = calls.canonical(config[key])
    optimizer = config.get("optimizer", optimisers.DEFAULT)
    for argument in ("momentum", "nesterov"):
        if argument in config and not optimisers.takes(str(optimizer), argument):
            del config[argument]
    if not config.get("momentum", 0.9):
        config.pop("nesterov", None)
    if config.get("schedule", COSINE) != STEP:
        config.pop("milestones", None)
        config.pop("milestone_factor", None)
    return {
        key: value
        for key, value in config.items()
        if key not in DEFAULTS or value != DEFAULTS[key] or type(value) is not type(DEFAULTS[key])
    }


def steady(config: Mapping[str, Any]) -> bool:
    """Whether a short run is the beginning of a long one, as far as the schedule is concerned."""
    return config.get("schedule", COSINE) in STEADY


def is_plain(config: Mapping[str, Any]) -> bool:
    """Whether no recipe setting but the schedule differs from its default."""
    return not any(key in config for key in RECIPE if key != "schedule") and (
        config.get("schedule") != STEP
    )


def problems(
    config: Mapping[str, Any], images: tuple[int, int] | None, wrong: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) with the recipe of a resolved config.

    Args:
        config: a resolved config.
        images: the channels of the images, and their pixels a side; None: these are not known.
        wrong: the keys that are wrong: `backbone` and `method` decide what a recipe may have.
    """
    text = optimisers.problem(config.get("optimizer", optimisers.DEFAULT))
    if text:
        yield "optimizer", text
    elif config.get("weight_decay") and not optimisers.takes(
        config.get("optimizer", optimisers.DEFAULT), "weight_decay"
    ):
        yield (
            "weight_decay",
            f"got {config['weight_decay']:g}, but '{config['optimizer']}' has no weight decay; "
            "give 0",
        )
    if images is not None:
        text = augmentation.problem(config.get("augmentation", augmentation.NONE), *images)
        if text:
            yield "augmentation", text
    text = augmentation.view_problem(config.get("test_transform", augmentation.RESIZE))
    if text:
        yield "test_transform", text
    yield from _schedule_problems(config)
    if "method" not in wrong:
        yield from _mixing_problems(config)
    if not {"method", "backbone"} & {*wrong}:
        yield from _backbone_problems(config)


def _mixing_problems(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    reading = methods.reading_labels(config["method"], config)
    for key in ("mixup", "cutmix"):
        if config.get(key) and reading:
            yield (
                key,
                f"'{reading[0]}' works with the label of each image, but mixed images have two; "
                "leave one of the two out",
            )
        elif config.get(key) and config["batch_size"] == 1:
            yield key, "an image is mixed with another of its batch, but batch_size is 1; give more"


def _schedule_problems(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "epochs" not in config:
        return
    steps = config["epochs"] * config["steps_per_epoch"]
    if steps and config.get("warmup_steps", 0) > steps:
        yield (
            "warmup_steps",
            f"got {config['warmup_steps']}, but the run has {steps} steps ({config['epochs']} "
            f"epochs of {config['steps_per_epoch']}); give fewer",
        )
    if config.get("schedule", COSINE) != STEP:
        return
    epochs = config.get("milestones")
    if not isinstance(epochs, list) or not epochs:
        yield "milestones", "schedule 'step' needs the epochs after which the rate is lowered"
    elif not all(type(epoch) is int and epoch > 0 for epoch in epochs) or epochs != sorted(
        set(epochs)
    ):
        yield "milestones", f"got {epochs}; give whole numbers of epochs above 0, in rising order"
    elif config["epochs"] and epochs[0] >= config["epochs"]:
        yield (
            "milestones",
            f"the first is {epochs[0]}, but the run has {config['epochs']} epochs, so the rate "
            "would never be lowered; give an earlier one, or schedule constant",
        )


def _backbone_problems(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    backbone = config["backbone"]
    if config.get("drop_path") and not backbones.has_drop_path(backbone):
        yield (
            "drop_path",
            f"'{backbone}' has no blocks that could be skipped; leave drop_path out",
        )
    if config.get("freeze_bn"):
        if not backbones.traits(backbone).batch_norm:
            yield (
                "freeze_bn",
                f"'{backbone}' has no batch norm; leave freeze_bn out",
            )
        elif methods.trains_norms_alone(config["method"]):
            yield (
                "freeze_bn",
                f"'{config['method']}' changes nothing but batch norm, so nothing would be left "
                "to train; leave one of the two out",
            )
