"""Pretrained weights in files: which tensors of a checkpoint are a backbone's, by their names, and what is wrong with a file.

A checkpoint is read by torch with `weights_only`, or by safetensors; nothing in it is run. Its tensors are found wherever they
lie in it, under `model`, `state_dict_ema`, `module.` or whatever else comes before their names, if every name and every shape of
the backbone is there. Order decides nothing.
"""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from torch import Tensor, nn

VERSION = 1
"""Changes when another file, or other tensors of one, would be taken."""
PREFERRED = ("state_dict_ema", "model_ema", "state_dict", "model", "teacher")
"""Of several copies of the weights in a file, the first of these is taken: averaged ones before others, as timm does."""
COUNTERS = "num_batches_tracked"
"""Batch norm's count of batches: old checkpoints lack it, and nothing here depends on it."""
NAMED = 4

_STARTS = (
    (b"version https://git-lfs", "is a git-lfs pointer, not the file that it stands for; run `git lfs pull`"),
    (b"<!doctype html", "is an HTML page, not a checkpoint; download it again"), (b"<html", "is an HTML page, not a checkpoint; "
                                                                                  "download it again"),
)


class Misfit(ValueError):
    """A file's weights cannot be had, or are not the backbone's; the text begins with the file."""


@final
@dataclass(frozen=True)
class Fit:
    """The tensors of a file that are a backbone's."""

    state: Mapping[str, Tensor]
    """By the backbone's own names."""
    headless: bool
    """Whether the file has no classifier where the backbone has one."""
    said: str
    """What a person should know of how they were found; empty where there is nothing to say."""


def file_problem(file: Path) -> str | None:
    """What is wrong with a file of weights that its first bytes show, or None; imports no torch."""
    try:
        with file.open("rb") as stream:
            start = stream.read(64)
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    if not start:
        return f"{file} is empty (0 bytes)"
    return next((f"{file} {said}" for begin, said in _STARTS if start.lstrip().lower().startswith(begin)), None)


def fit(model: nn.Module, file: Path) -> Fit:
    """The tensors of `file` that are the model's, by name and shape; its classifier's may be absent.

    Raises:
        Misfit: says what the file has, what was expected, and the first names that differ.
    """
    own = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    head = _head_names(model)
    found = _flat(read(file))
    if not found:
        raise Misfit(f"{file} holds no tensors by name; save a model's state_dict()")
    places = [prefix for prefix in _prefixes(found, own, head) if not _lacking(_below(found, prefix), own, head)]
    misfits: list[str] = []
    fits = {prefix: state for prefix in places
            if not (wrong := _wrong(state := _below(found, prefix), own, head)) or misfits.append(wrong)}
    if fits:
        return _fitted(file, fits, own, head)
    for convert in (_efficientnet, _renamed_by_timm):
        for prefix in _wrappers(found):
            state = convert(_below(found, prefix), model)
            if state and not _lacking(state, own, head) and not _wrong(state, own, head):
                return _checked(file, state, own, head, f"names of another make, turned into timm's{_under(prefix)}")
    raise Misfit(f"{file} does not fit {_name(model)}: {misfits[0] if misfits else _names(found, own)}")


def read(file: Path) -> Any:
    """What a checkpoint holds, its tensors mapped from the file where that can be; no code in it is run.

    Raises:
        Misfit: it cannot be read, or asks for code to be run.
    """
    problem = file_problem(file)
    if problem:
        raise Misfit(problem)
    try:
        return _safetensors(file) if file.suffix == ".safetensors" else _torch(file)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)|(?:global|class) (\S+)", str(error))
        name = (asked[1] or asked[2]) if asked else ""
        if not name:
            raise Misfit(f"{file} is no checkpoint that torch can read: {str(error).splitlines()[0]}") from None
        raise Misfit(f"{file} asks Python to run {name}, which a file of weights need not and might do harm; save "
                     "model.state_dict() alone") from None
    except Exception as error:  # a damaged archive may raise anything
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Misfit(f"{file} is cut short or no checkpoint: {first}") from error


def _torch(file: Path) -> Any:
    import numpy as np
    import torch

    # What training scripts keep beside the weights, and what holds data alone.
    harmless: list[Any] = [argparse.Namespace, types.SimpleNamespace, pathlib.PosixPath, pathlib.PurePosixPath, np.dtype,
                           *{type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")}]
    scalar = np.float64(0).__reduce__()[0]
    harmless += [scalar, (scalar, "numpy.core.multiarray.scalar")]  # its name before numpy 2
    with torch.serialization.safe_globals(harmless):
        try:
            return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format of torch before 1.6 cannot be mapped
            return torch.load(file, map_location="cpu", weights_only=True)


def _safetensors(file: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(file)


def _flat(value: Any, prefix: str = "") -> dict[str, Tensor]:
    """The tensors in nested mappings by dotted name."""
    from torch import Tensor

    found: dict[str, Tensor] = {}
    for key, item in value.items() if isinstance(value, Mapping) else ():
        if isinstance(item, Tensor):
            found[f"{prefix}{key}"] = item
        elif isinstance(item, Mapping):
            found |= _flat(item, f"{prefix}{key}.")
    return found


def _prefixes(found: Mapping[str, Tensor], own: Mapping[str, Any], head: frozenset[str]) -> list[str]:
    """What may come before the backbone's names in the file."""
    anchor = next((name for name in own if name not in head), "")
    return [name.removesuffix(anchor) for name in found if name == anchor or name.endswith(f".{anchor}")]


def _wrappers(found: Mapping[str, Tensor]) -> list[str]:
    """What comes before the names of most tensors of a checkpoint: nothing, or one of `PREFERRED`; and `module.` behind it."""
    places = ["", *(f"{name}." for name in PREFERRED)]
    return [f"{place}{module}" for place in places for module in ("", "module.")
            if any(name.startswith(f"{place}{module}") for name in found)]


def _below(found: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in found.items() if name.startswith(prefix)}


def _lacking(state: Mapping[str, Tensor], own: Mapping[str, Any], head: frozenset[str]) -> list[str]:
    """Names of the backbone that the state lacks; all of the classifier's may be absent."""
    optional = frozenset[str]() if head & state.keys() else head
    return [name for name in own if name not in state and name not in optional and not name.endswith(COUNTERS)]


def _wrong(state: Mapping[str, Tensor], own: Mapping[str, Any], head: frozenset[str]) -> str:
    """What is wrong with a state that has all of the backbone's names; empty where nothing is."""
    has = {name: tuple(state[name].shape) for name in own if name in state}
    shapes = [(name, shape) for name, shape in has.items() if shape != own[name]]
    if shapes:
        told = ", ".join(f"{name} is {list(shape)} in the file, and {list(own[name])} was expected"
                         for name, shape in shapes[:NAMED])
        more = f", and {len(shapes) - NAMED} more" if len(shapes) > NAMED else ""
        hint = ("; its classifier is for another number of classes: take these tensors out of the file to start from the rest"
                if {name for name, _ in shapes} <= head else "; give `image_size` as the weights had it"
                if any(name.endswith("pos_embed") for name, _ in shapes) else "; give the weights of this very model")
        return told + more + hint
    # Parts that the backbone has, with more in them: another model, which happens to begin alike.
    modules = {name.partition(".")[0] for name in own}
    more_of = [name for name in state if name not in own and name.partition(".")[0] in modules]
    return (f"the file has {len(more_of)} tensors more in parts that the backbone has, such as {', '.join(more_of[:NAMED])}; "
            "give the weights of this very model") if more_of else ""


def _fitted(
    file: Path, fits: Mapping[str, Mapping[str, Tensor]], own: Mapping[str, Any], head: frozenset[str],
) -> Fit:
    """The state of the one prefix that is meant."""
    ranks = {prefix: PREFERRED.index(first) if (first := prefix.partition(".")[0]) in PREFERRED else len(PREFERRED)
             for prefix in fits}
    first = [prefix for prefix, rank in ranks.items() if rank == min(ranks.values())]
    if len(first) > 1:
        raise Misfit(f"{file} holds the backbone {len(first)} times, under {' and '.join(map(repr, first))}; save one of them")
    prefix = first[0]
    rest = [name for name in fits[prefix] if name not in own]
    told = [f"taken from {prefix.rstrip('.')!r} in the file" if prefix else "",
            f"rather than {', '.join(repr(other.rstrip('.')) for other in fits if other != prefix)}" if len(fits) > 1 else "",
            f"not used: {len(rest)} tensors such as {', '.join(rest[:NAMED])}" if rest and prefix else ""]
    return _checked(file, fits[prefix], own, head, ", ".join(part for part in told if part))


def _checked(file: Path, state: Mapping[str, Tensor], own: Mapping[str, Any], head: frozenset[str], said: str) -> Fit:
    import torch

    kept = {name: state[name] for name in own if name in state}
    odd = [name for name, tensor in kept.items() if tensor.is_floating_point() and not torch.isfinite(tensor).all()]
    if odd:
        raise Misfit(f"{file} holds values that are no numbers (NaN or infinity) in {len(odd)} tensors, such as "
                     f"{', '.join(odd[:NAMED])}; it was saved from a training that diverged")
    headless = bool(head) and not head & state.keys()
    return Fit(kept, headless, "; ".join(part for part in (said, "the file has no classifier" if headless else "") if part))


def _names(found: Mapping[str, Tensor], own: Mapping[str, Any]) -> str:
    """What the file has and what was expected, where names disagree."""
    shared = max(_prefixed(found), key=lambda names: len(names & own.keys()))
    lacking, more = [name for name in own if name not in shared], [name for name in sorted(shared) if name not in own]
    told = [f"it has {len(found)} tensors, {len(own)} were expected"]
    told += [f"it lacks {', '.join(lacking[:NAMED])}{' and more' if len(lacking) > NAMED else ''}"] if lacking else []
    told += [f"it has {', '.join(more[:NAMED])}{' and more' if len(more) > NAMED else ''} instead"] if more else []
    return "; ".join(told) + "; give the weights of this very model, by timm's names"


def _prefixed(found: Mapping[str, Tensor]) -> Iterator[frozenset[str]]:
    """The names in the file without each thing that comes before them."""
    prefixes = {""} | {".".join(name.split(".")[:depth]) + "." for name in found for depth in (1, 2)}
    for prefix in sorted(prefixes):
        yield frozenset(_below(found, prefix))


def _under(prefix: str) -> str:
    return f", taken from {prefix.rstrip('.')!r} in the file" if prefix else ""


def _head_names(model: nn.Module) -> frozenset[str]:
    """The names of the classifier's tensors."""
    head: Any = model.get_classifier()  # type: ignore[operator]
    heads = {id(one) for one in (head if isinstance(head, tuple) else (head,))}
    places = [name for name, module in model.named_modules() if id(module) in heads]
    return frozenset(name for name in model.state_dict() if any(name.startswith(f"{place}.") for place in places))


def _name(model: nn.Module) -> str:
    return str(getattr(model, "pretrained_cfg", {}).get("architecture", type(model).__name__))


def _renamed_by_timm(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor] | None:
    """The state by timm's own rules for models of its authors, where these give names alone and change no tensor."""
    import sys

    module = sys.modules[type(model).__module__]
    convert: Callable[..., Mapping[str, Tensor]] | None = getattr(module, "checkpoint_filter_fn", None)
    if convert is None:
        return None
    try:
        renamed = dict(convert(dict(state), model))
    except Exception:  # rules for names that are not there
        return None
    given = {id(tensor) for tensor in state.values()}
    return renamed if all(id(tensor) in given for tensor in renamed.values()) else None


_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_EXPANDED = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2", "_project_conv": "conv_pwl",
             "_bn2": "bn3", "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2",
          "_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}


def _efficientnet(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor] | None:
    """The state of an EfficientNet as its PyTorch port of 2019 names it, by timm's names.

    The port counts all blocks in one row, timm within stages; a block that expands has a convolution and a norm before the
    depthwise one, which the port calls 0 and timm 1.
    """
    if "_conv_stem.weight" not in state:
        return None
    places = sorted({(int(found[1]), int(found[2])) for name in model.state_dict()
                     if (found := re.match(r"blocks\.(\d+)\.(\d+)\.", name))})
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
