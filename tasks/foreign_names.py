"""Rules that rename tensors of other libraries' checkpoints to timm's names.

The caller checks whether the result fits.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

Conversion = Callable[[Mapping[str, "Tensor"], "nn.Module"], "dict[str, Tensor] | None"]
"""Returns a state with the names of a timm model, or None if it does not know the format."""


def by_timm(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor] | None:
    """The state renamed by timm's own filter for the model, or None if that changes any tensor."""
    module = sys.modules[type(model).__module__]
    convert: Callable[..., Mapping[str, Tensor]] | None = getattr(
        module, "checkpoint_filter_fn", None
    )
    if convert is None:
        return None
    try:
        renamed = dict(convert(dict(state), model))
    except Exception:  # the filter expects names that the state lacks
        return None
    given = {id(tensor) for tensor in state.values()}
    return renamed if all(id(tensor) in given for tensor in renamed.values()) else None


_OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
}
_PLAIN = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
    "_se_reduce": "se.conv_reduce",
    "_se_expand": "se.conv_expand",
}


def by_efficientnet(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor] | None:
    """The state of the PyTorch port of EfficientNet (2019), renamed to timm's names.

    The port numbers all blocks consecutively, timm within each stage. A block that expands has a
    convolution and a norm before the depthwise one; the port numbers that norm 0, timm 1.
    """
    if "_conv_stem.weight" not in state:
        return None
    places = sorted(
        {
            (int(match[1]), int(match[2]))
            for name in model.state_dict()
            if (match := re.match(r"blocks\.(\d+)\.(\d+)\.", name))
        }
    )
    renamed: dict[str, Tensor] = {}
    for name, tensor in state.items():
        block = re.match(r"_blocks\.(\d+)\.(\w+)\.(\w+)$", name)
        if block is None:
            module, _, rest = name.rpartition(".")
            renamed[f"{_OUTER.get(module, module)}.{rest}"] = tensor
            continue
        number, module, rest = int(block[1]), block[2], block[3]
        parts = _EXPANDED if f"_blocks.{number}._expand_conv.weight" in state else _PLAIN
        if number >= len(places) or module not in parts:
            return None
        stage, place = places[number]
        renamed[f"blocks.{stage}.{place}.{parts[module]}.{rest}"] = tensor
    return renamed


CONVERSIONS: Sequence[Conversion] = (by_efficientnet, by_timm)
