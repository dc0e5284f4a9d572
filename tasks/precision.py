"""How models compute: types, memory layout, compilation; imports no torch.

All of them change numbers in their last digits or more. So they are part of what a trial means, and
no trial chooses them by measuring where it runs: trials of one study would differ by that. With
`precision: auto` a study's fastest way is measured once for each backbone and image size, and from
then on is what the study says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tasks import methods
from tasks.task import Setting

BFLOAT16, FLOAT16 = "bfloat16", "float16"
TYPES = {
    BFLOAT16: "as wide a range as float32, and three digits",
    FLOAT16: "four digits, and a range that overflows: the loss is scaled, and a step whose "
    "gradient overflows is left out (Micikevicius et al., ICLR 2018, arXiv:1710.03740)",
}

EVALUATION, FLOAT32, TRAINED = "evaluation_precision", "float32", "trained"
MEASURED = {
    FLOAT32: "in full precision, whatever it is trained in",
    TRAINED: "in the half precision of `amp`, as it is trained; without `amp` in full precision",
}
"""The precisions in which a model may be measured."""


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

AUTO, CHANNELS_FIRST, COMPILED = "auto", "channels_first", "compiled"
TYPE_WAYS: Mapping[str, Mapping[str, Any]] = {
    "full": {},
    "bfloat16": {"amp": True},
    "float16": {"amp": True, "amp_dtype": FLOAT16},
}
OTHERS: Mapping[str, Mapping[str, Any]] = {
    CHANNELS_FIRST: {"channels_last": False},
    COMPILED: {"compile": True},
}
WAYS: Mapping[str, Mapping[str, Any]] = {
    "+".join([name, *more]): {
        **ways,
        **{key: value for part in more for key, value in OTHERS[part].items()},
    }
    for name, ways in TYPE_WAYS.items()
    for more in ((), (CHANNELS_FIRST,), (COMPILED,), (CHANNELS_FIRST, COMPILED))
}
"""Names of ways to compute -> the settings that they stand for."""
PRECISION = {
    "precision": Setting(
        str,
        "",
        choices=lambda: {
            **{name: _line(settings) for name, settings in WAYS.items()},
            AUTO: "the fastest of these, measured once for each backbone and image size",
        },
        open=True,
        doc="all of amp, amp_dtype, channels_last and compile by one name, or a list of "
        "BACKBONE@PIXELS=NAME; auto: measured once by `htsweep plan STUDY --measure`",
    )
}


def _line(settings: Mapping[str, Any]) -> str:
    said = [f"{key}: {str(value).lower()}" for key, value in settings.items()]
    return ", ".join(said) or "as without the setting"


def shape(config: Mapping[str, Any], size: int) -> str:
    """What the speed of a step depends on: `resnet18@224`."""
    return f"{config['backbone']}@{size}"


def chosen(config: dict[str, Any], size: Callable[[], int]) -> dict[str, Any]:
    """The config with the settings that its `precision` stands for in its place.

    A model is measured as it is trained only where that is half precision, so that what means the
    same has the same id. `auto` stays: it stands for nothing before it is measured. So does what is
    wrong, for `problems` to report.

    Args:
        config: a config that is otherwise resolved.
        size: returns the pixels a side of its images.
    """
    found = _chosen(config, size)
    if not found.get("amp") and "precision" not in found:
        found.pop(EVALUATION, None)
    return found


def _chosen(config: dict[str, Any], size: Callable[[], int]) -> dict[str, Any]:
    given = config.pop("precision", "")
    if given in ("", [], None):
        return config
    try:
        own = shape(config, size())
    except (ValueError, LookupError, OSError):  # unknown data, for `problems` to report
        return {**config, "precision": given}
    for entry in [given] if isinstance(given, str) else given:
        of, named, way = str(entry).rpartition("=")
        if named and of.strip() != own:
            continue
        if way.strip() == AUTO:
            return {**config, "precision": AUTO}
        if way.strip() in WAYS and is_plain(config):
            return {**config, **WAYS[way.strip()]}
        break
    return {**config, "precision": given}


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
    if config.get("precision", AUTO) != AUTO:
        yield "precision", _misnamed(config["precision"], is_plain(config))
        return
    if "amp_dtype" in config and not config.get("amp"):
        yield (
            "amp_dtype",
            f"'{config['amp_dtype']}' has no effect without amp: true; give both or neither",
        )
    method = config.get("method", methods.EMPTY)
    if not methods.trains(method):
        return
    members = methods.members(method, config)
    own = [name for name, member in members.items() if member.optimise and not member.scaled]
    if config.get("amp_dtype") == FLOAT16 and own:
        yield (
            "amp_dtype",
            f"'{own[0]}' optimises in its own way and does not say that gradients that overflow "
            "float16 are left out (Method.scaled); take bfloat16",
        )
    mapping = [name for name, member in members.items() if member.maps or member.convolutions]
    if config.get("compile") and mapping:
        yield (
            "compile",
            f"'{mapping[0]}' looks at feature maps, whose pass is not compiled; leave it out",
        )


def _misnamed(given: Any, plain: bool) -> str:
    """Why `chosen` could not replace what was given."""
    if not plain:
        return (
            f"got {given!r}, but amp, amp_dtype, channels_last or compile is given as well; give "
            "either `precision` or these"
        )
    names = [
        str(entry).rpartition("=")[2].strip() for entry in ([given], given)[type(given) is list]
    ]
    unknown = [name for name in names if name not in WAYS and name != AUTO]
    if unknown:
        return f"got {unknown[0]!r}; known: {', '.join(WAYS)}, or {AUTO}"
    return f"got {given!r}, which says nothing of this backbone and image size; add it, or {AUTO}"
