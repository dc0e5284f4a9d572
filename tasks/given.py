"""Source models that are given: weights with their classifier, without source training.

`source: timm` or `source: FILE` becomes `weights` of that name and `source: given`. The classifier
names the classes of the label space, in their order; one of ImageNet's 1,000 classes may also serve
a target whose classes are called by WordNet ids, some of them. The other classes are neither seen
nor missing: their outputs are cut off, or stay behind those of the label space. Of a CLIP model's
folder the classifier is made of the names of the classes (`head: text`).
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks import backbones, clip, text_heads, timm_models, weights
from tasks.settings import SOURCE_SETTINGS
from tasks.task import Setting

if TYPE_CHECKING:
    from tasks.model import Model

GIVEN = "given"
SETTING = Setting(
    str,
    "",
    doc="the source model as it is, without training: timm, a file with a classifier, the "
    f"folder of a CLIP model, or {GIVEN} for that of `weights`; empty: trained on the source",
)

CUT, KEEP = "cut", "keep"
OTHER_CLASSES = Setting(
    str,
    CUT,
    choices=lambda: {
        CUT: "their outputs are cut off, so that each class is seen or missing",
        KEEP: "their outputs compete in the loss and in each prediction, as in the released code "
        "of Mai et al. (NeurIPS 2024)",
    },
    doc="what becomes of the classes of a given classifier that the target lacks, which are "
    "neither seen nor missing",
)


def canonical(config: dict[str, Any]) -> dict[str, Any]:
    """The config with `source: given` and its `weights`, or without `source`."""
    source = config.get("source", "")
    if config.get("other_classes") == CUT:
        config = {key: value for key, value in config.items() if key != "other_classes"}
    if not source:
        return {key: value for key, value in config.items() if key != "source"}
    if source != GIVEN:
        config = {**config, "weights": weights.canonical(source), "source": GIVEN}
    if clip.is_folder(config.get("weights", "")):
        config = {**config, "head": text_heads.TEXT}
    return {key: value for key, value in config.items() if key not in SOURCE_SETTINGS}


def is_given(config: Mapping[str, Any]) -> bool:
    """Whether the source model of a resolved config is given."""
    return bool(config.get("source"))


def problems(config: Mapping[str, Any], space: Sequence[str]) -> list[tuple[str, str]]:
    """(key, what is wrong) with a given source model for a label space."""
    if backbones.problem(config["backbone"]):
        return []  # said with the backbone
    if not config.get("weights"):
        return [("source", f"'{GIVEN}' takes the model of `weights`, which is empty; name them")]
    if text_heads.is_text(config):
        return text_heads.problems(config, space) or _no_other(config, space)
    misfit = fits(config, space)
    if misfit:
        return [("source", misfit)]
    try:
        chosen = rows(config, space)
    except ValueError as error:
        return [("source", str(error))]
    return _no_other(config, space) if chosen is None else []


def _no_other(config: Mapping[str, Any], space: Sequence[str]) -> list[tuple[str, str]]:
    """What is wrong if other classes are to stay and there are none."""
    if "other_classes" not in config:
        return []
    return [
        (
            "other_classes",
            f"the classifier of '{config['weights']}' has an output for each of the "
            f"{len(space):,} classes of the target and no other; leave `other_classes` out",
        )
    ]


def others(config: Mapping[str, Any], space: Sequence[str]) -> list[int]:
    """Which of the classifier's outputs stay though no class of the label space is theirs.

    None unless the config says `other_classes: keep`; raises as `rows` does.
    """
    if "other_classes" not in config or text_heads.is_text(config):
        return []
    chosen = set(rows(config, space) or ())
    return [
        place for place in range(timm_models.classes(config["backbone"])) if place not in chosen
    ]


def fits(config: Mapping[str, Any], space: Sequence[str]) -> str | None:
    """Why a file's weights do not fit the backbone with this or its own number of classes."""
    found = [
        weights.problem(config["backbone"], config["weights"], config.get("image_size", 0), count)
        for count in (len(space), 0)
    ]
    return None if None in found else found[0]


def rows(config: Mapping[str, Any], space: Sequence[str]) -> list[int] | None:
    """Which of the classifier's outputs name the classes of a label space; None: all of them.

    Raises:
        ValueError: it does not name them.
    """
    name, backbone, size = config["weights"], config["backbone"], config.get("image_size", 0)
    of_file = name not in ("timm", *weights.SHIPPED)
    if (
        of_file
        and weights.problem(backbone, name, size, len(space)) is None
        and not weights.headless(backbone, name, size, len(space))
    ):
        return None
    fitting = weights.problem(backbone, name, size) is None
    if not (fitting and backbones.classifier(backbone, name, size)):
        raise ValueError(
            f"the weights '{name}' have no classifier, which a source model needs; give a "
            "checkpoint that has one, or `weights` in place of `source`, so that one is trained"
        )
    count = timm_models.classes(backbone)
    places = {synset: place for place, synset in enumerate(synsets())}
    if count == len(places) and set(space) <= set(places):
        return [places[synset] for synset in space]
    raise ValueError(
        f"the classifier of '{name}' has {count:,} outputs, and the label space {len(space):,} "
        f"classes ({', '.join(space[:3])}, ...); give a checkpoint with that many outputs, or "
        "classes called by ImageNet's WordNet ids, or leave `source` out, so that a classifier is "
        "trained"
    )


def model(config: Mapping[str, Any], space: Sequence[str]) -> Model:
    """The given model with an output for each class of the label space, then those of `others`."""
    import torch
    from torch import nn

    if text_heads.is_text(config):
        named = config["class_names"], config["templates"]
        return clip.zero_shot(config["backbone"], config["weights"], *named)
    chosen = rows(config, space)
    whole = backbones.pretrained(
        config["backbone"],
        config.get("image_size", 0),
        config["weights"],
        classes=len(space) if chosen is None else 0,
    )
    if chosen is None:
        return whole
    chosen = [*chosen, *others(config, space)]
    old = whole.head
    head = nn.utils.skip_init(nn.Linear, old.in_features, len(chosen))
    with torch.no_grad():
        head.weight.copy_(old.weight[chosen])
        head.bias.copy_(old.bias[chosen])
    return whole.with_head(head)


@functools.cache
def synsets() -> tuple[str, ...]:
    """The WordNet ids of ImageNet's 1,000 classes, in the order of its classifiers."""
    spec = importlib.util.find_spec("timm")
    assert spec is not None, "a model with weights needs timm"
    assert spec.origin is not None
    file = Path(spec.origin).parent / "data" / "_info" / "imagenet_synsets.txt"
    return tuple(file.read_text(encoding="utf-8").split())
