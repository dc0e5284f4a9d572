"""The model that every method works on: a backbone for features and a linear head for logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, linear, normalize
from torch.nn.utils import parametrize

Tap = Callable[[nn.Module, Tensor], tuple[Tensor, list[Tensor]]]
"""Returns a backbone's features and the feature maps of its stages in one forward pass."""
Stages = Callable[[nn.Module], list[tuple[nn.Module, int]]]
"""Returns the modules whose outputs are the feature maps, each with its channel dimension."""
NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.modules.instancenorm._InstanceNorm,
)


BETWEEN = (nn.Identity, nn.MaxPool2d, nn.AvgPool2d)
"""Layers that may stand between a convolution and its norm."""
MADE = ".parametrizations."
"""In the names of tensors that make another, as torch's parametrizations name them."""


@final
@dataclass(frozen=True, slots=True)
class Outputs:
    """A batch's features [B, width], logits [B, classes] and maps [B, channels, h, w] of stages."""

    features: Tensor
    logits: Tensor
    maps: Sequence[Tensor] = ()
    convolutions: Sequence[Tensor] = ()
    """What each stage's last convolution gives, before its norm, [B, channels, h, w]."""

    def in_full_precision(self) -> Outputs:
        """The same outputs in float32."""
        return Outputs(
            self.features.float(),
            self.logits.float(),
            [maps.float() for maps in self.maps],
            [maps.float() for maps in self.convolutions],
        )


@final
class Model(nn.Module):
    """Maps images [B, channels, H, W] to features [B, width] and logits [B, classes]."""

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Linear,
        tap: Tap | None = None,
        stages: Stages | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.dropout: nn.Module = nn.Identity()
        """What the head's input goes through; has no parameters."""
        self._tap = tap
        self._stages = stages

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features and logits of a batch."""
        features = self.backbone(as_float(images))
        return features, self.head(self.dropout(features))

    def outputs(self, images: Tensor, *, maps: bool = False, convolutions: bool = False) -> Outputs:
        """Features and logits of a batch, and with `maps` the feature maps of the stages.

        With `convolutions`, also the output of the last convolution of each stage.
        """
        if convolutions:
            found: list[Tensor] = []
            with ExitStack() as hooks:
                for layer in self.convolutions():
                    handle = layer.register_forward_hook(lambda _, __, made: found.append(made))
                    hooks.callback(handle.remove)
                outputs = self.outputs(images, maps=maps)
            return replace(outputs, convolutions=found)
        if not maps:
            return Outputs(*self(images))
        assert self._tap is not None, "this backbone gives no feature maps"
        features, stages = self._tap(self.backbone, as_float(images))
        return Outputs(features, self.head(self.dropout(features)), stages)

    def convolutions(self) -> list[nn.Module]:
        """The last convolution of each stage that a norm follows."""
        assert self._stages is not None, "this backbone gives no feature maps"
        found = last_convolutions(
            self.backbone, [module for module, _ in self._stages(self.backbone)]
        )
        assert found is not None, "planning rejects backbones without them"
        return found

    @contextmanager
    def changed(
        self,
        stage: int,
        change: Callable[[Tensor, int], Tensor | None],
        *,
        convolution: bool = False,
    ) -> Iterator[None]:
        """A context in which `change(output, channel dimension)` replaces a stage's output.

        With `convolution`, that of the stage's last convolution.

        The output has the backbone's own layout: [B, channels, h, w], [B, h, w, channels] or [B,
        tokens, channels]. If `change` returns None, the output stays as it is.
        """
        assert self._stages is not None, "this backbone gives no feature maps"
        module, channels = self._stages(self.backbone)[stage]
        if convolution:
            module, channels = self.convolutions()[stage], 1
        handle = module.register_forward_hook(
            lambda _, __, output: change(output, channels if output.ndim == 4 else output.ndim - 1)
        )
        try:
            yield
        finally:
            handle.remove()

    def with_head(self, head: nn.Linear) -> Model:
        """A model with the same backbone and another head."""
        return Model(self.backbone, head, self._tap, self._stages)

    def merge(self) -> None:
        """Replaces each weight that is made of others by its value, under its own name."""
        for module in list(self.modules()):
            made = getattr(module, "parametrizations", None)
            if not isinstance(made, nn.ModuleDict):
                continue
            values = {name: getattr(module, name).detach() for name in made}
            # Not `remove_parametrizations`: copies of a module share the class that it changes.
            module.__class__ = parametrize.type_before_parametrizations(module)
            del module.parametrizations
            for name, value in values.items():
                module.register_parameter(name, nn.Parameter(value))

    def state(self) -> dict[str, Tensor]:
        """The state by the names of a merged model, with weights that are made of others merged."""
        state: dict[str, Tensor] = self.state_dict()
        if not any(MADE in name for name in state):
            return state
        merged: dict[str, Tensor] = {}
        for name, value in state.items():
            if MADE not in name:
                merged[name] = value
            else:
                merged[_own(name)] = _tensor(self, _own(name)).detach()
        return merged

    @property
    def width(self) -> int:
        """The number of features."""
        return int(self.head.in_features)

    def norms(self) -> list[nn.Module]:
        """The backbone's norm layers."""
        return [module for module in self.backbone.modules() if isinstance(module, NORMS)]

    def parameters_of(self, part: str) -> list[nn.Parameter]:
        """The parameters of a part: `head`, or of the backbone `norms` or `weights`.

        `norms` are those of norm layers, `weights` all others of the backbone.
        """
        if part == "head":
            return list(self.head.parameters())
        norms = [parameter for norm in self.norms() for parameter in norm.parameters(recurse=False)]
        if part == "norms":
            return norms
        held = {id(parameter) for parameter in norms}
        return [parameter for parameter in self.backbone.parameters() if id(parameter) not in held]


def last_convolutions(backbone: nn.Module, stages: Sequence[nn.Module]) -> list[nn.Module] | None:
    """For each stage, in it or else before it, the last convolution that a norm follows.

    Shortcuts are passed over, and pooling between the two. None if they are not one for each stage.
    """
    leaves = [
        (place, module)
        for place, module in backbone.named_modules()
        if (isinstance(module, (nn.Conv2d, *NORMS)) or not [*module.children()])
        and not isinstance(module, BETWEEN)
        and "parametrizations" not in place
    ]
    convolutions = [
        (place, module)
        for (place, module), (_, behind) in pairwise(leaves)
        if isinstance(module, nn.Conv2d)
        and isinstance(behind, NORMS)
        and not {"downsample", "shortcut"} & {*place.split(".")}
    ]
    order = {id(module): number for number, module in enumerate(backbone.modules())}
    found: list[nn.Module] = []
    for stage in stages:
        within = {id(module) for module in stage.modules()}
        inner = [module for _, module in convolutions if id(module) in within]
        before = [module for _, module in convolutions if order[id(module)] < order[id(stage)]]
        found += (inner or before)[-1:]
    alone = len(found) == len(stages) == len({id(module) for module in found})
    return found if alone and found else None


def weights_of(part: nn.Module, names: Iterable[str] | None = None) -> list[Tensor]:
    """The weights that act in a part of a model, those made of others included.

    Args:
        part: a backbone or a head.
        names: their names in a plain model, for their order; default: all, in any order.
    """
    parameters = dict(part.named_parameters())
    if not any(MADE in name for name in parameters):
        return [parameters[name] for name in names] if names else list(parameters.values())
    found = {_own(name): None for name in parameters}
    return [_tensor(part, name) for name in (names or found)]


def _own(name: str) -> str:
    """The name that a tensor of a parametrization has in a plain model."""
    place, made, rest = name.partition(MADE)
    return f"{place}.{rest.partition('.')[0]}" if made else name


def _tensor(part: nn.Module, name: str) -> Tensor:
    place, _, attribute = name.rpartition(".")
    tensor: Tensor = getattr(part.get_submodule(place), attribute)
    return tensor


@final
class Fitted(nn.Module):
    """Prepares images for a pretrained backbone: size, channels, mean and standard deviation."""

    mean: Tensor
    spread: Tensor

    def __init__(self, mean: Sequence[float], spread: Sequence[float], size: int = 0) -> None:
        super().__init__()
        self.size = size
        # Not persistent: constants should be neither saved nor averaged between models.
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(spread).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(images - mean) / spread; a grey channel is repeated; resized if a size is set."""
        if self.size and images.shape[-1] != self.size:
            images = interpolate(
                images,
                (self.size, self.size),
                mode="bilinear",
                antialias=images.shape[-1] > self.size,
            )
        return (images - self.mean) / self.spread


@final
class Projected(nn.Module):
    """CLIP's embedding of features: a projection without bias, brought to length one."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        nn.init.normal_(self.weight, std=inputs**-0.5)

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings [B, outputs] of length one."""
        return normalize(linear(features, self.weight), dim=-1)


@final
class Normalised(nn.Module):
    """Features brought to length one, which are SigLIP's embedding of an image."""

    def forward(self, features: Tensor) -> Tensor:
        """Embeddings of length one, of the shape of `features`."""
        return normalize(features, dim=-1)


def as_float(images: Tensor) -> Tensor:
    """Images as float32 in [0, 1]; large sets are stored as uint8."""
    return images.float() / 255 if images.dtype == torch.uint8 else images
