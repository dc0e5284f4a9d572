"""Models of timm: built, and what of them the rest of this folder asks for. timm is imported only where one is built."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tasks import cache

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Stages, Tap


def versions() -> list[str]:
    """What a timm model is like depends on these; neither is imported."""
    return [version("timm"), version("torch")]


def whole(name: str, image_size: int, pretrained: bool = False) -> nn.Module:
    """The timm model with its classifier, for images of a size; 0 is its own."""
    import timm

    settings = timm.get_pretrained_cfg(name)
    size: dict[str, Any] = (
        {"img_size": image_size}
        if settings is not None and settings.fixed_input_size and image_size
        else {}
    )
    return timm.create_model(name, pretrained=pretrained, **size)


def has_weights(name: str) -> bool:
    """Whether timm has pretrained weights of this name; timm is imported once for this."""

    def ask() -> bool:
        import timm

        settings = timm.get_pretrained_cfg(name)
        return settings is not None and bool(settings.has_weights)

    return bool(cache.remembered(["has weights", *versions(), name], ask))


def headless(
    name: str, channels: int, image_size: int, pretrained: bool
) -> tuple[nn.Module, int, Tap, Stages]:
    """The timm model without its classifier, its features, and what gives its maps.

    Where it is going to have `pretrained` weights, what fits images to these stands before it.
    """
    import timm
    from torch import nn

    from tasks.model import Fitted

    settings = timm.get_pretrained_cfg(name)
    # Transformers of a fixed input size must be told of another one; convolutional models take no
    # such argument.
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
    """Features that the head is given: models with a convolution or layer between pooling and head have their own number."""
    return int(getattr(trunk, "head_hidden_size", None) or trunk.num_features)


def tap(backbone: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Features and the feature maps of the stages, in one pass."""
    from torch import nn

    trunk: Any = trunk_of(backbone)
    if isinstance(backbone, nn.Sequential):
        images = backbone[0](images)
    # The features of the last layer and the output of each stage, as [B, channels, h, w] also for
    # transformers.
    last, stages = trunk.forward_intermediates(images, output_fmt="NCHW")
    return trunk.forward_head(last, pre_logits=True), stages


def stages(backbone: nn.Module) -> list[tuple[nn.Module, int]]:
    """The modules whose outputs are the feature maps, each with the dimension that holds channels."""
    trunk: Any = trunk_of(backbone)
    # Swin and its like keep channels last; their feature maps have them first all the same.
    channels = 3 if getattr(trunk, "output_fmt", "NCHW") == "NHWC" else 1
    return [(trunk.get_submodule(stage["module"]), channels) for stage in trunk.feature_info]


def trunk_of(backbone: nn.Module) -> nn.Module:
    """The timm model; where it has pretrained weights, what fits images to it stands before."""
    from torch import nn

    return backbone[1] if isinstance(backbone, nn.Sequential) else backbone
