"""Layers put into the blocks of a vision transformer, which no weight of the source can hold.

Bottlenecks and prompts are children of the blocks, so that a copy of the model has copies of them,
and act by hooks, so that all other weights keep their names. They have a nonlinearity, or make the
sequence longer: unlike the weights of `tasks/adapters.py` they cannot be merged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast, final

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import gelu, linear, relu

from tasks import timm_models
from tasks.model import Model


@final
class Bottleneck(nn.Module):
    """scale f(x D + d) U + u for tokens [..., width], with D [width, bottleneck]; zero at first."""

    def __init__(
        self, like: Tensor, width: int, bottleneck: int, *, scale: float = 1.0, smooth: bool = False
    ) -> None:
        super().__init__()
        self.scale, self.activation = scale, gelu if smooth else relu
        self.down = nn.Parameter(like.new_zeros(bottleneck, width))
        self.down_bias = nn.Parameter(like.new_zeros(bottleneck))
        self.up = nn.Parameter(like.new_zeros(width, bottleneck))
        self.up_bias = nn.Parameter(like.new_zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """What is added, of the shape of `tokens`."""
        hidden = self.activation(linear(tokens, self.down, self.down_bias))
        return self.scale * linear(hidden, self.up, self.up_bias)


@final
class Prompts(nn.Module):
    """Tokens [count, width] that a block sees after its first ones; zero at first."""

    def __init__(self, like: Tensor, width: int, count: int) -> None:
        super().__init__()
        self.tokens = nn.Parameter(like.new_zeros(count, width))

    def forward(self, batch: int) -> Tensor:
        """The tokens for each image of a batch, [batch, count, width]."""
        return self.tokens.expand(batch, -1, -1)


@final
class _Carried:
    """What the prompts have become, between two blocks of one forward pass."""

    tokens: Tensor | None = None


def blocks(model: Model) -> list[Any]:
    """The blocks of the vision transformer."""
    return list(cast(Any, timm_models.trunk_of(model.backbone)).blocks)


def insert_after(layer: nn.Module, name: str, bottleneck: Bottleneck) -> None:
    """Adds to the layer's output what the bottleneck, its child `name`, makes of it."""
    layer.add_module(name, bottleneck)
    layer.register_forward_hook(lambda module, _, made: made + getattr(module, name)(made))


def insert_beside(layer: nn.Module, name: str, bottleneck: Bottleneck) -> None:
    """Adds to the layer's output what the bottleneck, its child `name`, makes of its input."""
    layer.add_module(name, bottleneck)
    layer.register_forward_hook(lambda module, given, made: made + getattr(module, name)(given[0]))


def insert_prompts(model: Model, name: str, count: int, *, deep: bool) -> None:
    """Puts prompts before the first block, or with `deep` new ones before each, as child `name`.

    They come after the class token and are taken away behind each block, so that pooling and
    feature maps are of the image's own tokens; what a block made of shallow prompts the next sees.
    """
    trunk = cast(Any, timm_models.trunk_of(model.backbone))
    first, carried, all_blocks = int(trunk.num_prefix_tokens), _Carried(), blocks(model)
    for number, block in enumerate(all_blocks):
        if deep or not number:
            like = next(block.parameters())
            block.add_module(name, Prompts(like, int(trunk.embed_dim), count))
        block.carried = carried  # no module: a copy of the model has one copy of it
        last = deep or number == len(all_blocks) - 1
        block.register_forward_pre_hook(_before(name, first))
        block.register_forward_hook(_behind(first, count, last=last))


def draw(
    model: Model, name: str, change: Callable[[dict[str, Tensor], Generator], None], seed: int
) -> None:
    """Initialises what was put in as `name`; `change` draws a state by a generator of its own."""
    generator = Generator().manual_seed(seed)
    for module in named(model, name):
        state = {key: value.cpu().clone() for key, value in module.state_dict().items()}
        with torch.no_grad():
            change(state, generator)
        module.load_state_dict(state)


def named(model: Model, name: str) -> list[nn.Module]:
    """The modules that were put into the backbone under a name, in order."""
    return [
        module
        for place, module in model.backbone.named_modules()
        if isinstance(module, (Bottleneck, Prompts)) and place.rpartition(".")[2] == name
    ]


def parameters(model: Model, name: str) -> list[nn.Parameter]:
    """The parameters of what was put into the backbone under a name."""
    return [parameter for module in named(model, name) for parameter in module.parameters()]


def _before(name: str, first: int) -> Callable[[Any, tuple[Tensor, ...]], tuple[Tensor, ...]]:
    def change(block: Any, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        tokens, *rest = given
        own = getattr(block, name, None)
        prompts = block.carried.tokens if own is None else own(len(tokens))
        return torch.cat([tokens[:, :first], prompts.to(tokens.dtype), tokens[:, first:]], 1), *rest

    return change


def _behind(
    first: int, count: int, *, last: bool
) -> Callable[[Any, tuple[Tensor, ...], Tensor], Tensor]:
    def change(block: Any, _: tuple[Tensor, ...], made: Tensor) -> Tensor:
        block.carried.tokens = None if last else made[:, first : first + count]
        return torch.cat([made[:, :first], made[:, first + count :]], 1)

    return change
