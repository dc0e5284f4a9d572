"""Pretrained weights in files: finds a backbone's tensors in a checkpoint, or says what is wrong.

A checkpoint is read by torch with `weights_only`, or by safetensors; no code in it is run. The
tensors may be nested under `model`, `state_dict_ema`, `module.` or any other prefix, as long as
every name and shape of the backbone is present. Their order does not matter.
"""

from __future__ import annotations

import argparse
import pathlib
import pickle
import re
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tasks import foreign_names

if TYPE_CHECKING:
    from torch import Tensor, nn

VERSION = 1
"""To be raised when other files would be accepted, or other tensors of a file taken."""
PREFERRED = ("state_dict_ema", "model_ema", "state_dict", "model", "teacher")
"""Which of several copies of the weights in a file is taken: averaged ones first, as in timm."""
COUNTERS = "num_batches_tracked"
"""Batch norm's batch counter: old checkpoints lack it, and nothing here depends on it."""
NAMED = 4

_STARTS = (
    (
        b"version https://git-lfs",
        "is a git-lfs pointer, not the file that it stands for; run `git lfs pull`",
    ),
    (b"<!doctype html", "is an HTML page, not a checkpoint; download it again"),
    (b"<html", "is an HTML page, not a checkpoint; download it again"),
)


class Misfit(ValueError):
    """A file's weights cannot be loaded or do not fit; the message begins with the file."""


@final
@dataclass(frozen=True)
class Fit:
    """The tensors of a file that belong to a backbone."""

    state: Mapping[str, Tensor]
    """By the backbone's names."""
    headless: bool
    """Whether the file lacks the classifier that the backbone has."""
    said: str
    """A note on how they were found; empty if there is nothing to say."""


def file_problem(file: Path) -> str | None:
    """What is wrong with a weights file by its first bytes, or None; imports no torch."""
    try:
        with file.open("rb") as stream:
            start = stream.read(64)
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    if not start:
        return f"{file} is empty (0 bytes)"
    return next(
        (f"{file} {said}" for begin, said in _STARTS if start.lstrip().lower().startswith(begin)),
        None,
    )


def fit(model: nn.Module, file: Path) -> Fit:
    """The model's tensors in `file`, by name and shape; the classifier's may be absent.

    Raises:
        Misfit: none fit; names what the file has, what was expected, and the first differences.
    """
    wanted = _Wanted.by(model)
    tensors = _flat(read(file))
    if not tensors:
        raise Misfit(f"{file} holds no tensors by name; save a model's state_dict()")
    states = {prefix: _below(tensors, prefix) for prefix in wanted.prefixes(tensors)}
    misfits = {
        prefix: wanted.misfit(state)
        for prefix, state in states.items()
        if not wanted.lacking(state)
    }
    fits = {prefix: states[prefix] for prefix, misfit in misfits.items() if not misfit}
    if fits:
        prefix, said = _meant(file, fits, wanted)
        return _checked(file, fits[prefix], wanted, said)
    for convert in foreign_names.CONVERSIONS:
        for prefix in _wrappers(tensors):
            state = convert(_below(tensors, prefix), model)
            if state and not wanted.lacking(state) and not wanted.misfit(state):
                place = f", taken from {prefix.rstrip('.')!r} in the file" if prefix else ""
                return _checked(
                    file, state, wanted, f"names of another make, turned into timm's{place}"
                )
    why = next(iter(misfits.values()), "") or _names(tensors, wanted)
    raise Misfit(f"{file} does not fit {wanted.name}: {why}")


@final
@dataclass(frozen=True)
class _Wanted:
    """The tensors that a backbone expects."""

    name: str
    shapes: Mapping[str, tuple[int, ...]]
    head: frozenset[str]
    """The names of the classifier's tensors."""

    @classmethod
    def by(cls, model: nn.Module) -> _Wanted:
        """The tensors that `model` expects."""
        shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
        classifier: Any = model.get_classifier()  # type: ignore[operator]
        heads = {
            id(layer) for layer in (classifier if isinstance(classifier, tuple) else (classifier,))
        }
        places = tuple(f"{name}." for name, module in model.named_modules() if id(module) in heads)
        name = getattr(model, "pretrained_cfg", {}).get("architecture", type(model).__name__)
        return cls(
            name,
            shapes,
            frozenset(name for name in shapes if name.startswith(places))
            if places
            else frozenset(),
        )

    def prefixes(self, names: Iterable[str]) -> list[str]:
        """The prefixes that may precede the backbone's names in a file."""
        anchor = next(name for name in self.shapes if name not in self.head)
        return [
            name.removesuffix(anchor)
            for name in names
            if name == anchor or name.endswith(f".{anchor}")
        ]

    def headless(self, state: Collection[str]) -> bool:
        """Whether a state has no tensor of the backbone's classifier."""
        return bool(self.head) and self.head.isdisjoint(state)

    def lacking(self, state: Collection[str]) -> list[str]:
        """The backbone's names that a state lacks; the whole classifier may be absent."""
        optional = self.head if self.headless(state) else frozenset()
        return [
            name
            for name in self.shapes
            if name not in state and name not in optional and not name.endswith(COUNTERS)
        ]

    def misfit(self, state: Mapping[str, Tensor]) -> str:
        """What is wrong with a state that has all of the backbone's names; empty if it fits."""
        has = {name: tuple(state[name].shape) for name in self.shapes if name in state}
        odd = [name for name, shape in has.items() if shape != self.shapes[name]]
        if odd:
            differences = ", ".join(
                f"{name} is {list(has[name])} in the file, and {list(self.shapes[name])} was "
                "expected"
                for name in odd[:NAMED]
            )
            more = f", and {len(odd) - NAMED} more" if len(odd) > NAMED else ""
            return f"{differences}{more}; {self._remedy(odd)}"
        # More tensors in modules that the backbone has: another model that begins the same way.
        modules = {name.partition(".")[0] for name in self.shapes}
        longer = [
            name for name in state if name not in self.shapes and name.partition(".")[0] in modules
        ]
        return (
            (
                f"the file has {len(longer)} extra tensors in parts that the backbone has, such as "
                f"{', '.join(longer[:NAMED])}; give the weights of this very model"
            )
            if longer
            else ""
        )

    def _remedy(self, odd: Sequence[str]) -> str:
        if self.head.issuperset(odd):
            return (
                "its classifier is for another number of classes: take these tensors out of the "
                "file to start from the rest"
            )
        if any(name.endswith("pos_embed") for name in odd):
            return "give the `image_size` that the weights were trained with"
        return "give the weights of this very model"


def read(file: Path) -> Any:
    """The content of a checkpoint, memory-mapped if possible; no code in it is run.

    Raises:
        Misfit: the file cannot be read, or asks for code to be run.
    """
    problem = file_problem(file)
    if problem:
        raise Misfit(problem)
    try:
        return _safetensors(file) if file.suffix == ".safetensors" else _torch(file)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        if asked is None:
            raise Misfit(
                f"{file} is no checkpoint that torch can read: {str(error).splitlines()[0]}"
            ) from None
        raise Misfit(
            f"{file} asks Python to run {asked[1]}, which a file of weights need not do and which "
            "might do harm; save model.state_dict() alone"
        ) from None
    except Exception as error:  # a damaged archive may raise anything
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Misfit(f"{file} is cut short or no checkpoint: {first}") from error


def _torch(file: Path) -> Any:
    import numpy as np
    import torch

    # Types that training scripts save besides the weights and that hold only data.
    harmless: list[Any] = [
        argparse.Namespace,
        types.SimpleNamespace,
        pathlib.PosixPath,
        pathlib.PurePosixPath,
        np.dtype,
        *{type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")},
    ]
    scalar = np.float64(0).__reduce__()[0]
    harmless += [scalar, (scalar, "numpy.core.multiarray.scalar")]  # numpy 1's name
    with torch.serialization.safe_globals(harmless):
        try:
            return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
        except RuntimeError:  # the format of torch < 1.6 cannot be memory-mapped
            return torch.load(file, map_location="cpu", weights_only=True)


def _safetensors(file: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(file)


def _flat(value: Any, prefix: str = "") -> dict[str, Tensor]:
    """The tensors in nested mappings, by dotted name."""
    from torch import Tensor

    tensors: dict[str, Tensor] = {}
    for key, item in value.items() if isinstance(value, Mapping) else ():
        if isinstance(item, Tensor):
            tensors[f"{prefix}{key}"] = item
        elif isinstance(item, Mapping):
            tensors |= _flat(item, f"{prefix}{key}.")
    return tensors


def _wrappers(tensors: Mapping[str, Tensor]) -> list[str]:
    """The usual prefixes that the file has: none or one of `PREFERRED`, perhaps with `module.`."""
    places = ["", *(f"{name}." for name in PREFERRED)]
    return [
        f"{place}{module}"
        for place in places
        for module in ("", "module.")
        if any(name.startswith(f"{place}{module}") for name in tensors)
    ]


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _meant(
    file: Path, fits: Mapping[str, Mapping[str, Tensor]], wanted: _Wanted
) -> tuple[str, str]:
    """The prefix of the copy of the weights to take, and a note about the choice."""

    def rank(prefix: str) -> int:
        first = prefix.partition(".")[0]
        return PREFERRED.index(first) if first in PREFERRED else len(PREFERRED)

    best = min(map(rank, fits))
    first = [prefix for prefix in fits if rank(prefix) == best]
    if len(first) > 1:
        raise Misfit(
            f"{file} holds the backbone {len(first)} times, under "
            f"{' and '.join(map(repr, first))}; save one of them"
        )
    prefix = first[0]
    others = ", ".join(repr(other.rstrip(".")) for other in fits if other != prefix)
    rest = [name for name in fits[prefix] if name not in wanted.shapes]
    descriptions = [
        f"taken from {prefix.rstrip('.')!r} in the file" if prefix else "",
        f"rather than {others}" if others else "",
        f"not used: {len(rest)} tensors such as {', '.join(rest[:NAMED])}"
        if rest and prefix
        else "",
    ]
    return prefix, ", ".join(part for part in descriptions if part)


def _checked(file: Path, state: Mapping[str, Tensor], wanted: _Wanted, said: str) -> Fit:
    """The fit, if all its values are finite."""
    import torch

    kept = {name: state[name] for name in wanted.shapes if name in state}
    odd = [
        name
        for name, tensor in kept.items()
        if tensor.is_floating_point() and not torch.isfinite(tensor).all()
    ]
    if odd:
        raise Misfit(
            f"{file} holds values that are not finite (NaN or infinity) in {len(odd)} tensors, "
            f"such as {', '.join(odd[:NAMED])}; it was saved from a training that diverged"
        )
    headless = wanted.headless(kept)
    return Fit(
        kept,
        headless,
        "; ".join(
            part for part in (said, "the file has no classifier" if headless else "") if part
        ),
    )


def _names(tensors: Mapping[str, Tensor], wanted: _Wanted) -> str:
    """What the file has and what was expected, if the names disagree."""
    prefixes = {
        "",
        *(".".join(name.split(".")[:depth]) + "." for name in tensors for depth in (1, 2)),
    }
    nearest = max(
        (_below(tensors, prefix).keys() for prefix in sorted(prefixes)),
        key=lambda names: len(names & wanted.shapes.keys()),
    )
    sentences = [f"it has {len(tensors)} tensors, {len(wanted.shapes)} were expected"]
    for what, names in (
        ("it lacks", [name for name in wanted.shapes if name not in nearest]),
        ("it has others:", [name for name in nearest if name not in wanted.shapes]),
    ):
        sentences += (
            [f"{what} {', '.join(names[:NAMED])}{' and more' if len(names) > NAMED else ''}"]
            if names
            else []
        )
    return "; ".join(sentences) + "; give the weights of this very model, by timm's names"
