"""Models by name: `lenet_bn`, or any timm model by its timm name. timm is imported only where one is asked for."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.model import Model


def known() -> dict[str, str]:
    """The backbones of our own: name -> a line about it."""
    return {"lenet_bn": "two convolutions with batch norm and a hidden layer, 36 thousand parameters; for small images"}


@functools.cache
def problem(name: str) -> str | None:
    """What is wrong with a backbone's name, or None; imports neither torch nor timm."""
    if name == "lenet_bn":
        return None
    if importlib.util.find_spec("timm") is None:
        return f"the backbone '{name}' is looked up in timm, which is not installed; install timm or take lenet_bn"
    names = timm_names()
    if name.partition(".")[0] in names:
        return None
    near = difflib.get_close_matches(name, ["lenet_bn", *names], n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f"no backbone '{name}'; {hint}known: lenet_bn and the {len(names)} models of timm (timm.list_models())"


@functools.cache
def timm_names() -> frozenset[str]:
    """The names of all timm models, read from timm's source: importing it would cost a plan seconds."""
    spec = importlib.util.find_spec("timm")
    assert spec is not None
    found: set[str] = set()
    for file in (Path(str(spec.origin)).parent / "models").glob("*.py"):
        found.update(re.findall(r"^@register_model\s*\ndef (\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE))
    return frozenset(found)


def build(
    name: str, channels: int, image_size: int, classes: int, pretrained: bool = False, to_be_loaded: bool = False
) -> Model:
    """The backbone `name` with a linear head of `classes` outputs, freshly initialised from torch's seed.

    With `pretrained` the backbone starts from timm's weights and standardises images as those expect; where a state is
    `to_be_loaded` afterwards, they are not fetched.
    """
    from torch import channels_last, nn

    from tasks.model import Model

    trunk, width = (
        _lenet_bn(channels, image_size) if name == "lenet_bn"
        else _timm(name, channels, image_size, pretrained, fetch=pretrained and not to_be_loaded)
    )
    # channels_last: a training step on small images takes about 60 % of the time on a CPU, pooling above all.
    return Model(trunk, nn.Linear(width, classes)).to(memory_format=channels_last)


def _lenet_bn(channels: int, image_size: int):
    from torch import nn

    if image_size < 4:
        raise ValueError(f"lenet_bn takes images of 4 pixels or more, but got image_size={image_size}")
    # Pooling comes before batch norm, which then sees a quarter of the values: a step takes three quarters of the time.
    layers = [
        nn.Conv2d(channels, 8, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 32, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(32), nn.ReLU(),
    ]
    if image_size // 4 != 4:
        layers.append(nn.AdaptiveAvgPool2d(4))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU()), 64


def _timm(name: str, channels: int, image_size: int, pretrained: bool, fetch: bool):
    import timm
    from torch import nn

    from tasks.model import Standardise

    settings = timm.get_pretrained_cfg(name)
    # Transformers of a fixed input size must be told of another one; convolutional models take no such argument.
    size = {"img_size": image_size} if settings is not None and settings.fixed_input_size else {}
    trunk = timm.create_model(name, pretrained=fetch, num_classes=0, in_chans=channels, **size)
    if not pretrained or settings is None:
        return trunk, trunk.num_features
    mean, spread = (tuple(value) if len(value) == channels else (sum(value) / len(value),) * channels
                    for value in (settings.mean, settings.std))
    return nn.Sequential(Standardise(mean, spread), trunk), trunk.num_features
