"""Builds and inspects timm models; timm is imported only when one is built."""

from __future__ import annotations

from functools import cache as once
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tasks import cache

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Stages, Tap


@once
def versions() -> tuple[str, str]:
    """The versions that a timm model depends on; neither package is imported."""
    # Reading a package's metadata takes 2 ms, and each cell of a study's grid asks.
    return version("timm"), version("torch")


def whole(name: str, image_size: int, pretrained: bool = False, classes: int = 0) -> nn.Module:
    """The timm model with its classifier, for images of this size; 0 is the model's own.

    With `classes`, the classifier has that many outputs in place of the model's own number.
    """
    import timm

    settings = timm.get_pretrained_cfg(name)
    size: dict[str, Any] = (
        {"img_size": image_size}
        if settings is not None and settings.fixed_input_size and image_size
        else {}
    )
    outputs: dict[str, Any] = {"num_classes": classes} if classes else {}
    return timm.create_model(name, pretrained=pretrained, **size, **outputs)


def classes(name: str) -> int:
    """How many classes the weights that timm has for this name tell apart."""

    def ask() -> int:
        import timm

        settings = timm.get_pretrained_cfg(name)
        return 0 if settings is None else int(settings.num_classes)

    return int(cache.remembered(["classes", *versions(), name], ask))


def own_size(name: str) -> int:
    """Pixels a side of images as the model's pretrained configuration says; 224 without one."""

    def ask() -> int:
        import timm

        settings = timm.get_pretrained_cfg(name)
        return 224 if settings is None else int(settings.input_size[-1])

    return int(cache.remembered(["own size", *versions(), name], ask))


def has_weights(name: str) -> bool:
    """Whether timm has pretrained weights for this name; imports timm at most once per machine."""

    def ask() -> bool:
        import timm

        settings = timm.get_pretrained_cfg(name)
        return settings is not None and bool(settings.has_weights)

    return bool(cache.remembered(["has weights", *versions(), name], ask))


def projects(settings: Any) -> bool:
    """Whether a model's outputs are CLIP's projection, not classes; `settings` are timm's of it.

    timm gives their number as that of classes. Those that were fine-tuned to ImageNet have classes.
    """
    name = f"{settings.architecture}.{settings.tag}"
    return "clip" in name and not any(data in name for data in ("_in1k", "_in12k", "_in22k"))


def headless(
    name: str, channels: int, image_size: int, pretrained: bool
) -> tuple[nn.Module, int, Tap, Stages]:
    """The timm model without its classifier, its width, and functions for its feature maps.

    With `pretrained`, a `Fitted` module before it prepares images as pretrained weights expect.
    """
    import timm
    from torch import nn

    from tasks.model import Fitted

    settings = timm.get_pretrained_cfg(name)
    # Transformers with a fixed input size need it; convolutional models have no such argument.
    size: dict[str, Any] = (
        {"img_size": image_size} if settings is not None and settings.fixed_input_size else {}
    )
    if not pretrained:
        trunk = timm.create_model(name, num_classes=0, in_chans=channels, **size)
        return trunk, width(trunk), tap, stages
    trunk = timm.create_model(name, num_classes=0, **size)
    fitted = (
        Fitted(settings.mean, settings.std, image_size)
        if settings is not None
        else Fitted((0.5,) * 3, (0.5,) * 3)
    )
    return nn.Sequential(fitted, trunk), width(trunk), tap, stages


def width(trunk: Any) -> int:
    """The number of features that the head receives.

    It differs from `num_features` in models with a layer between pooling and head.
    """
    return int(getattr(trunk, "head_hidden_size", None) or trunk.num_features)


def tap(backbone: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The features and the feature maps of the stages, in one pass."""
    from torch import nn

    trunk: Any = trunk_of(backbone)
    if isinstance(backbone, nn.Sequential):
        images = backbone[0](images)
    # NCHW gives maps [B, channels, h, w] for transformers too.
    last, stages = trunk.forward_intermediates(images, output_fmt="NCHW")
    features = trunk.forward_head(last, pre_logits=True)
    if isinstance(backbone, nn.Sequential):
        for after in list(backbone)[2:]:
            features = after(features)
    return features, stages


def stages(backbone: nn.Module) -> list[tuple[nn.Module, int]]:
    """The modules whose outputs are the feature maps, each with its channel dimension."""
    trunk: Any = trunk_of(backbone)
    # Swin and similar models put channels last inside, although their feature maps are NCHW.
    channels = 3 if getattr(trunk, "output_fmt", "NCHW") == "NHWC" else 1
    return [(trunk.get_submodule(stage["module"]), channels) for stage in trunk.feature_info]


def has_convolutions(trunk: Any) -> bool:
    """Whether each stage of a model ends with a convolution that a norm follows."""
    from tasks.model import last_convolutions

    try:
        modules = [module for module, _ in stages(trunk)]
    except (AttributeError, KeyError, TypeError):  # a model may tell nothing of its stages
        return False
    return last_convolutions(trunk, modules) is not None


def drop_paths(name: str, rate: float) -> dict[str, float]:
    """The modules of stochastic depth that timm gives a model at this rate: name -> own rate."""
    import timm
    import torch
    from timm.layers.drop import DropPath

    try:
        with torch.device("meta"):
            trunk = timm.create_model(name, num_classes=0, drop_path_rate=rate)
    except TypeError:  # the model has no such argument
        return {}
    return {
        place: module.drop_prob or 0.0
        for place, module in trunk.named_modules()
        if isinstance(module, DropPath)
    }


def uses_drop_path(name: str) -> bool:
    """Whether stochastic depth has an effect: some models have its modules, but call none."""
    import timm
    import torch

    called: list[str] = []
    with torch.device("meta"):
        trunk = timm.create_model(name, num_classes=0)
        settings = timm.get_pretrained_cfg(name)
        size = (3, 224, 224) if settings is None else settings.input_size
        set_drop_path(trunk, name, 0.5)
        for place in drop_paths(name, 0.5):
            trunk.get_submodule(place).register_forward_hook(
                lambda *_, place=place: called.append(place)
            )
        trunk.train()(torch.empty(2, *size))
    return bool(called)


def set_drop_path(backbone: nn.Module, name: str, rate: float) -> None:
    """Puts timm's modules of stochastic depth into a backbone; they have no parameters."""
    from timm.layers.drop import DropPath

    trunk = trunk_of(backbone)
    for place, own_rate in drop_paths(name, rate).items():
        parent, _, attribute = place.rpartition(".")
        setattr(trunk.get_submodule(parent), attribute, DropPath(own_rate))


def layers(trunk: Any) -> dict[nn.Parameter, int]:
    """The number of each parameter's layer, as timm's layer decay groups them."""
    from timm.models import group_parameters

    numbers = group_parameters(trunk, trunk.group_matcher(coarse=False), reverse=True)
    return {parameter: numbers[name] for name, parameter in trunk.named_parameters()}


def trunk_of(backbone: nn.Module) -> nn.Module:
    """The timm model, without the `Fitted` module that precedes it if it has pretrained weights."""
    from torch import nn

    from tasks.model import Fitted

    if isinstance(backbone, nn.Sequential) and isinstance(backbone[0], Fitted):
        return backbone[1]
    return backbone
