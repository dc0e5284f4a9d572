"""How models compute: types, memory layout, compilation; imports no torch.

All of them change numbers in their last digits or more. So they are part of what a trial means, and
none is chosen by measuring on the machine at hand: trials of one study would differ by where they
ran. `benchmarks/precision.py` measures them, for a study to name what is fastest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks import methods
from tasks.task import Setting

BFLOAT16, FLOAT16 = "bfloat16", "float16"
TYPES = {
    BFLOAT16: "as wide a range as float32, and three digits",
    FLOAT16: "four digits, and a range that overflows: the loss is scaled, and a step whose "
    "gradient overflows is left out (Micikevicius et al., ICLR 2018, arXiv:1710.03740)",
}


def _apart(config: Mapping[str, Any]) -> str:
    return (
        "trials whose values differ compute with other rounding, so that differences between them "
        "are not of the method alone"
    )


AMP = {
    "amp": Setting(
        bool,
        False,
        varied=_apart,
        doc="compute in half precision where it is safe, such as convolutions and products of "
        "matrices, in training; faster on a GPU, other numbers",
    )
}
SETTINGS = {
    "amp_dtype": Setting(
        str, BFLOAT16, choices=lambda: TYPES, varied=_apart, doc="the half precision of `amp`"
    ),
    "channels_last": Setting(
        bool,
        True,
        varied=_apart,
        doc="keep images and convolutions with channels last in memory; without, some models are "
        "faster on some machines",
    ),
    "compile": Setting(
        bool,
        False,
        varied=_apart,
        doc="compile the training pass by torch.compile, for each size of a batch; takes a C++ "
        "compiler, and on a CPU about 20 s before the first step",
    ),
}
"""Left out of a resolved config at their defaults, so that older configs keep their meaning."""


def canonical(config: dict[str, Any]) -> dict[str, Any]:
    """The config without the settings that are at their defaults."""
    return {
        key: value
        for key, value in config.items()
        if key not in SETTINGS
        or value != SETTINGS[key].default
        or type(value) is not type(SETTINGS[key].default)
    }


def without(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config without any of these settings, where nothing is trained."""
    return {key: value for key, value in config.items() if key not in {**AMP, **SETTINGS}}


def is_plain(config: Mapping[str, Any]) -> bool:
    """Whether a resolved config computes in full precision, as without these settings."""
    return not config.get("amp") and not any(key in config for key in SETTINGS)


def problems(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, what is wrong) with these settings of a resolved, otherwise valid config."""
    if "amp_dtype" in config and not config.get("amp"):
        yield (
            "amp_dtype",
            f"'{config['amp_dtype']}' has no effect without amp: true; give both or neither",
        )
    method = config.get("method", methods.EMPTY)
    if not methods.trains(method):
        return
    members = methods.members(method, config)
    own = [name for name, member in members.items() if member.optimise]
    if config.get("amp_dtype") == FLOAT16 and own:
        yield (
            "amp_dtype",
            f"'{own[0]}' optimises in its own way, in which a gradient that overflows float16 "
            "cannot be left out; take bfloat16",
        )
    mapping = [name for name, member in members.items() if member.maps or member.convolutions]
    if config.get("compile") and mapping:
        yield (
            "compile",
            f"'{mapping[0]}' looks at feature maps, whose pass is not compiled; leave it out",
        )
