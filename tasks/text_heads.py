"""The settings of heads that are made of class names; imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks import clip, data
from tasks.task import Setting

RANDOM, TEXT = "random", "text"
HEADS = {
    RANDOM: "drawn at random, as a new layer",
    TEXT: "each class's row is its name, embedded by the text encoder of a CLIP model, whose "
    "folder is given as `weights`",
}
SETTINGS = {
    "head": Setting(
        str, RANDOM, choices=lambda: HEADS, doc="what the source's head is before source training"
    ),
    "class_names": Setting(
        list,
        None,
        doc="the classes in words, in their order, for head `text`; default: their names",
    ),
    "templates": Setting(
        list, None, doc="texts around a class's name, as {}; default: a photo of a {}."
    ),
}
IDLE = {
    "source_steps_per_epoch": 1,
    "source_batch_size": 1,
    "source_learning_rate": 0.0,
    "source_momentum": 0.0,
    "source_weight_decay": 0.0,
}
"""The settings without effect where the source is not trained -> what stands for them."""


def canonical(config: dict[str, Any], domain: Callable[[], str]) -> dict[str, Any]:
    """The config without these settings at their defaults, or with them written out.

    Args:
        config: a config with all of them.
        domain: returns the domain whose classes are named.
    """
    if config.get("source_epochs") == 0:
        config = {key: value for key, value in config.items() if key not in IDLE}
    if config.get("head", RANDOM) == RANDOM:
        return {key: value for key, value in config.items() if key not in SETTINGS}
    if config.get("class_names") is None:
        try:
            config["class_names"] = clip.words(data.classes(domain()))
        except (ValueError, OSError):  # an unknown domain, for `problems` to report
            del config["class_names"]
    if config.get("templates") is None:
        config["templates"] = list(clip.TEMPLATES)
    return config


def is_text(config: Mapping[str, Any]) -> bool:
    """Whether the source's head is made of class names."""
    return bool(config.get("head", RANDOM) == TEXT)


def problems(config: Mapping[str, Any], classes: Sequence[str]) -> list[tuple[str, str]]:
    """(key, what is wrong) with the head of a resolved config for these classes."""
    if not is_text(config):
        wrong = []
        if config.get("source_epochs") == 0:
            wrong.append(
                (
                    "source_epochs",
                    "got 0, but a head drawn at random knows nothing without training; give 1 or "
                    "more, or `head: text`",
                )
            )
        if clip.is_folder(config.get("weights", "")):
            wrong.append(
                (
                    "weights",
                    f"{config['weights']!r} is the folder of a CLIP model, which needs `head: "
                    "text`; to start from its image encoder alone, name the file in it",
                )
            )
        return wrong
    wrong = [
        (key, text)
        for key, text in (
            ("class_names", clip.names_problem(config["class_names"], classes)),
            ("templates", clip.templates_problem(config["templates"])),
        )
        if text
    ]
    if wrong:
        return wrong
    found = clip.problem(
        config["backbone"],
        config.get("weights", ""),
        config.get("image_size", 0),
        config["class_names"],
        config["templates"],
    )
    return [found] if found else []
