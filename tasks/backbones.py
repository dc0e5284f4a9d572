"""Models by name: `lenet_bn`, or any timm model; timm is imported only for the latter."""

from __future__ import annotations

import difflib
import functools
import importlib.util
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from tasks import cache, checkpoints, timm_models, timm_names, weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Model, Stages, Tap

LENET_STAGES = (3, 7)
"""The layers of lenet_bn whose outputs are the maps of its stages."""
LENET_BYTES = 142_000
"""About the size of the state of lenet_bn without its head."""


@final
@dataclass(frozen=True, slots=True)
class Traits:
    """The properties of a backbone that matter to methods."""

    stages: int
    batch_norm: bool
    classifier: bool
    """Whether its pretrained weights include a classifier."""
    norms: bool = True
    """Whether it has norm layers of any kind."""
    attention: bool = False
    """Whether it has attention layers."""
    blocks: bool = False
    """Whether it is timm's vision transformer, with an MLP after attention in each block."""
    convolutions: bool = False
    """Whether each stage ends with a convolution that a norm follows."""


def known() -> dict[str, str]:
    """Our own backbones: name -> one-line description."""
    return {
        "lenet_bn": "two convolutions with batch norm and a hidden layer, 36 thousand parameters; "
        "for small images"
    }


def canonical(name: str) -> str:
    """The current name of a backbone: timm has renamed models, and knows their old names."""
    if name == "lenet_bn" or name in timm_names.models():
        return name
    return timm_names.renamed().get(name) or name


@functools.cache
def problem(name: str) -> str | None:
    """What is wrong with a backbone's name, or None.

    Imports timm only if the name has a weights tag that cannot be found in timm's source text.
    """
    if name == "lenet_bn":
        return None
    if importlib.util.find_spec("timm") is None:
        return (
            f"the backbone '{name}' is looked up in timm, which is not installed; install timm or "
            "take lenet_bn"
        )
    names = timm_names.models()
    model, dot, tag = name.partition(".")
    if model in names:
        known: Collection[str] = timm_names.tags().get(model, ()) if dot else (tag,)
        return (
            None
            if tag in known or tag in (known := _tags_of(model))
            else _no_tag(model, tag, known)
        )
    if name in timm_names.renamed():
        return f"timm has removed the backbone '{name}'; take another"
    near = " or ".join(difflib.get_close_matches(name, ["lenet_bn", *names], n=3))
    hint = f"did you mean {near}? " if near else ""
    return (
        f"no backbone '{name}'; {hint}known: lenet_bn and the {len(names)} models of timm "
        "(timm.list_models())"
    )


def classifier(backbone: str, source: str, image_size: int = 0) -> bool:
    """Whether a backbone has a classifier with weights from `source` ("": trained here)."""
    return traits(backbone).classifier and not weights.headless(backbone, source, image_size)


def size_problem(name: str, channels: int, size: int, fitted: bool) -> str | None:
    """Why a backbone cannot take images [channels, size, size], or None.

    `fitted` says whether it has pretrained weights, for which grey images become RGB.
    """
    wrong = _probed(name, channels, size, fitted)["error"]
    return (
        f"'{name}' takes no images of {size} x {size} pixels: {wrong}; give it another image_size"
        if wrong
        else None
    )


def batch_problem(name: str, channels: int, size: int, fitted: bool) -> str | None:
    """Why a backbone cannot train on batches of one image [channels, size, size], or None."""
    if _probed(name, channels, size, fitted)["values"] != 1:
        return None
    return (
        f"on images of {size} x {size} pixels a batch norm of '{name}' gets one value per channel "
        "from each image, and in a batch of one image that value has no variance"
    )


def _no_tag(model: str, tag: str, known: Sequence[str]) -> str:
    """Says that timm's model has no such weights, and which it has, the most similar first."""
    near = difflib.get_close_matches(tag, known, n=3, cutoff=0)
    rest = f" and {len(known) - len(near)} more" if len(known) > len(near) else ""
    has = ", ".join(f"{model}.{near_name}" for near_name in near) or "none by name"
    return f"timm's {model} has no weights named '{tag}'; it has {has}{rest}"


def _tags_of(model: str) -> list[str]:
    """The names of a timm model's weights from timm itself, which is imported once for this."""

    def ask() -> list[str]:
        import timm

        listed = timm.list_models(f"{model}.*", include_tags=True)
        return [name.partition(".")[2] for name in listed]

    return list(cache.remembered(["tags", *timm_models.versions(), model], ask))


def _probed(name: str, channels: int, size: int, fitted: bool) -> dict[str, Any]:
    """What a training pass on such images gives: `values` and `error`, either of which may be None.

    `values` is the smallest number of values per channel that an image gives any batch norm.
    """
    if name == "lenet_bn":
        return {"values": (size // 4) ** 2, "error": None}
    answer: dict[str, Any] = cache.remembered(
        ["probe", *timm_models.versions(), name, channels, size, fitted],
        lambda: _probe(name, channels, size, fitted),
    )
    return answer


def _probe(name: str, channels: int, size: int, fitted: bool) -> dict[str, Any]:
    import torch
    from torch import nn

    seen: list[int] = []
    try:
        with torch.device("meta"):
            trunk = timm_models.headless(name, channels, size, fitted)[0]
            trunk = timm_models.trunk_of(trunk)
            for module in trunk.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.register_forward_pre_hook(
                        lambda module, given: seen.append(
                            given[0].numel() // (given[0].shape[0] * module.num_features)
                        )
                    )
            trunk.train()(torch.empty(2, 3 if fitted else channels, size, size))
    except Exception as error:  # timm's models reject image sizes with many kinds of errors
        return {
            "values": None,
            "error": (str(error).strip() or type(error).__name__).splitlines()[0],
        }
    return {"values": min(seen, default=None), "error": None}


@functools.cache
def traits(name: str) -> Traits:
    """The traits of a backbone.

    A timm model is built for this once per machine, without weights: importing timm takes seconds.
    """
    if name == "lenet_bn":
        return Traits(stages=2, batch_norm=True, classifier=True, convolutions=True)

    def ask() -> list[Any]:
        import timm
        import torch
        from timm.models.vision_transformer import Block, VisionTransformer
        from torch.nn.modules.batchnorm import _BatchNorm

        from tasks.adapters import of_attention
        from tasks.model import NORMS

        with torch.device("meta"):
            trunk = timm.create_model(name, num_classes=0)
        settings = timm.get_pretrained_cfg(name)
        return [
            len(getattr(trunk, "feature_info", ())),
            any(isinstance(module, _BatchNorm) for module in trunk.modules()),
            settings is None or (settings.num_classes > 0 and not timm_models.projects(settings)),
            any(isinstance(module, NORMS) for module in trunk.modules()),
            any(
                isinstance(module, torch.nn.Linear) and of_attention(place)
                for place, module in trunk.named_modules()
            ),
            isinstance(trunk, VisionTransformer)
            and all(isinstance(block, Block) for block in trunk.blocks),
            timm_models.has_convolutions(trunk),
        ]

    question = [
        "traits of norms, attention, heads, blocks, stages",
        *timm_models.versions(),
        name,
    ]
    return Traits(*cache.remembered(question, ask))


def has_drop_path(name: str) -> bool:
    """Whether a backbone has blocks that stochastic depth can skip."""
    if name == "lenet_bn":
        return False
    return bool(
        cache.remembered(
            ["drop path", *timm_models.versions(), name],
            lambda: timm_models.uses_drop_path(name),
        )
    )


def layers(backbone: nn.Module) -> dict[nn.Parameter, int]:
    """The layer of each parameter of a backbone, from 0 at the input; timm's grouping."""
    from torch import nn

    trunk = timm_models.trunk_of(backbone)
    if hasattr(trunk, "group_matcher"):
        by_layer = timm_models.layers(trunk)
        # CLIP's projection, of no timm model, is a layer of its own after the last.
        rest = [weight for weight in backbone.parameters() if weight not in by_layer]
        return by_layer | dict.fromkeys(rest, 1 + max(by_layer.values()))
    # Of our own models, each layer with weights is one, and a norm belongs to the one before it.
    numbers: dict[nn.Parameter, int] = {}
    number = -1
    for module in backbone.modules():
        number += isinstance(module, (nn.Conv2d, nn.Linear))
        numbers |= dict.fromkeys(module.parameters(recurse=False), max(number, 0))
    return numbers


@functools.cache
def weight(name: str) -> int:
    """About how many bytes the state of a backbone takes in a file, without or with its head.

    A timm model is built for this once per machine, without weights.
    """
    if name == "lenet_bn":
        return LENET_BYTES

    def ask() -> int:
        import torch

        with torch.device("meta"):
            state = timm_models.whole(name, 0).state_dict()
        return sum(values.numel() * values.element_size() for values in state.values())

    return int(cache.remembered(["weight", *timm_models.versions(), name], ask))


def own_size(name: str) -> int:
    """Pixels a side of the images that a backbone is made for; of an unknown one, 224.

    For a timm model as its pretrained configuration says; for lenet_bn 32, as LeNet-5.
    """
    if name == "lenet_bn":
        return 32
    return 224 if problem(name) else timm_models.own_size(name)


def build(
    name: str, channels: int, image_size: int, classes: int, *, pretrained: bool = False
) -> Model:
    """The backbone with a linear head of `classes` outputs, initialised from torch's seed.

    With `pretrained`, the model first resizes and normalises images as pretrained weights expect.
    """
    from torch import channels_last, nn

    from tasks.model import Model

    trunk, width, tap, stages = (
        _lenet_bn(channels, image_size)
        if name == "lenet_bn"
        else timm_models.headless(name, channels, image_size, pretrained)
    )
    # channels_last: on a CPU a training step on small images takes about 60 % of the time, mostly
    # due to pooling.
    return Model(trunk, nn.Linear(width, classes), tap, stages).to(memory_format=channels_last)


def pretrained(name: str, image_size: int, source: str, classes: int = 0) -> Model:
    """A timm model with pretrained weights and its classifier, for grey or RGB images of any size.

    Args:
        name: the timm model.
        image_size: pixels a side that images are resized to; 0 leaves them as they are.
        source: where the weights are from: `timm`, a name in `weights.SHIPPED`, or a file.
        classes: outputs of the classifier in a file; 0: the model's own number.

    Raises:
        ValueError: the weights do not fit the model, or its classifier is not one linear layer.
    """
    import timm
    from torch import channels_last, nn

    from tasks.model import Fitted, Model

    settings = timm.get_pretrained_cfg(name)
    trunk: Any = timm_models.whole(name, image_size, pretrained=source == "timm", classes=classes)
    head = trunk.get_classifier()
    if source != "timm":
        fit = checkpoints.fit(trunk, weights.file_of(source))
        # Not strict: `fit` allows a missing classifier and missing batch-norm counters.
        trunk.load_state_dict(fit.state, strict=False)
        head = nn.Identity() if fit.headless else head
    if isinstance(head, nn.Identity):
        # Self-supervised weights have no classifier; planning rejects methods that need one.
        head = _no_head(timm_models.width(trunk))
    if not isinstance(head, nn.Linear):
        raise ValueError(
            f"the classifier of '{name}' is {type(head).__name__}, not one linear layer; take "
            "another backbone"
        )
    trunk.reset_classifier(0)
    mean, spread = (
        (settings.mean, settings.std) if settings is not None else ((0.5,) * 3, (0.5,) * 3)
    )
    trunk = nn.Sequential(Fitted(mean, spread, image_size), trunk)
    return Model(trunk, head, timm_models.tap, timm_models.stages).to(memory_format=channels_last)


def _no_head(width: int) -> nn.Linear:
    """A head without outputs; draws no random numbers."""
    from torch import nn

    # One output first: torch warns when it initialises an empty layer.
    head: nn.Linear = nn.utils.skip_init(nn.Linear, width, 1)
    head.out_features = 0
    head.weight, head.bias = (
        nn.Parameter(parameter.detach()[:0]) for parameter in (head.weight, head.bias)
    )
    return head


def _lenet_bn(channels: int, image_size: int) -> tuple[nn.Module, int, Tap, Stages]:
    from torch import nn

    if image_size < 4:
        raise ValueError(
            f"lenet_bn takes images of 4 pixels or more, but got image_size={image_size}"
        )
    # Pooling before batch norm leaves a quarter of the values: a step takes 3/4 of the time.
    layers = [
        nn.Conv2d(channels, 8, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 32, 3, padding=1, bias=False),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(32),
        nn.ReLU(),
    ]
    if image_size // 4 != 4:
        layers.append(nn.AdaptiveAvgPool2d(4))
    return (
        nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU()),
        64,
        _lenet_tap,
        _lenet_stages,
    )


def _lenet_tap(trunk: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    stages = []
    # Layer by layer: slicing a Sequential builds a new one, which is slow on small images.
    for number, layer in enumerate(trunk.children()):
        images = layer(images)
        if number in LENET_STAGES:
            stages.append(images)
    return images, stages


def _lenet_stages(trunk: nn.Module) -> list[tuple[nn.Module, int]]:
    layers = list(trunk.children())
    return [(layers[number], 1) for number in LENET_STAGES]
