"""Transferability scores by name: each a number that predicts how well a transfer will go, the higher the better.

`NAME` stands for a function of this folder, `module:function` for one of a user's own: it takes the
`Evidence` and parameters with defaults, and returns a number, or several of which one is called
`transferability`. Parameter `p` of a score is the config key `GROUP.p`, where scores that compute
the same share a group. Nothing here imports torch, sklearn or ot.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import math
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, final

from tasks.parameters import Choices, Range, settings_of
from tasks.scores.evidence import NEEDS, Evidence
from tasks.task import Setting

__all__ = [
    "NAMES",
    "NEEDS",
    "Choices",
    "Evidence",
    "Range",
    "compute",
    "find",
    "group",
    "known",
    "needs",
    "parameters",
    "parts",
    "problem",
    "settings",
    "unmet",
]

Score = Callable[..., float | Mapping[str, float]]


@final
@dataclass(frozen=True, slots=True)
class Entry:
    """Where a score lives, whose parameters it has, what it cannot do without, and what it tells beside the number."""

    module: str
    group: str
    needs: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ()


OTCE = ("otce/wasserstein", "otce/conditional_entropy")
TTA = tuple(
    f"tta/{part}"
    for part in (
        "reweighted_source_loss",
        "conditional_entropy",
        "lipschitz",
        "wasserstein",
        "prior_gap",
        "bound",
        "tighter_bound",
        "transformed_source_loss",
        "transformed_target_loss",
        "transformed_target_accuracy",
        "target_loss",
        "target_accuracy",
        "uncovered_classes",
    )
)
MISSING = frozenset({"head", "missing_classes", "shared_classes"})
ENTRIES = {
    "nce": Entry("named", "nce", frozenset({"head"})),
    "leep": Entry("named", "leep", frozenset({"head"})),
    "n_leep": Entry("named", "n_leep"),
    "logme": Entry("named", "logme"),
    "h_score": Entry("named", "h_score"),
    "shrunk_h_score": Entry("named", "shrunk_h_score", parts=("shrunk_h_score/shrinkage",)),
    "transrate": Entry("named", "transrate"),
    "otce_w": Entry("named", "otce", frozenset({"source_data"}), OTCE),
    "otce_ce": Entry("named", "otce", frozenset({"source_data"}), OTCE),
    "source_accuracy": Entry("named", "source_accuracy", frozenset({"head", "source_data"})),
    "nearest_class_mean": Entry("named", "nearest_class_mean"),
    "linear_probe": Entry("named", "linear_probe", parts=("linear_probe/train_accuracy",)),
    "missing_push": Entry("named", "missing_push", MISSING),
    "missing_interference": Entry(
        "named",
        "missing_interference",
        MISSING | {"source_data"},
        ("missing_interference/change", "missing_interference/margin"),
    ),
    "missing_retained": Entry(
        "named",
        "missing_retained",
        MISSING | {"source_data"},
        ("missing_retained/start", "missing_retained/seen"),
    ),
    "tta": Entry("task_transfer", "tta", frozenset({"source_data"}), TTA),
    "tta_features_only": Entry("task_transfer", "tta", frozenset({"source_data"}), TTA),
    "tta_fixed": Entry("task_transfer", "tta", frozenset({"source_data"}), TTA),
    "tta_unlabelled": Entry("task_transfer", "tta", frozenset({"source_data"}), TTA),
}
NAMES = tuple(ENTRIES)


def known() -> dict[str, str]:
    """The scores: name -> a line about it."""
    return {name: (find(name).__doc__ or "").strip().partition("\n")[0] for name in NAMES}


@functools.cache
def find(name: str) -> Score:
    """The function called `name`, or `module:function`.

    Raises:
        ValueError: nothing answers to the name; lists what does.
    """
    if ":" in name:
        return _own(name)
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(
            f"no score '{name}'; {hint}known: {', '.join(NAMES)}, or one's own as module:function"
        )
    found: Score = getattr(importlib.import_module(f"tasks.scores.{ENTRIES[name].module}"), name)
    return found


def problem(name: str) -> str:
    """What is wrong with a score's name, with the remedy; empty where nothing is."""
    try:
        find(name)
    except ValueError as error:
        return str(error)
    return ""


def group(name: str) -> str:
    """What the config keys of a score's parameters begin with: `otce` for both `otce_w` and `otce_ce`."""
    return ENTRIES[name].group if name in ENTRIES else name


@functools.cache
def parameters(name: str) -> Mapping[str, Setting]:
    """The settings of a score's parameters by config key: `otce.samples`."""
    function = find(name)
    return settings_of(function, group(name), _marks(function))


@functools.cache
def settings() -> Mapping[str, Setting]:
    """The parameters of all known scores by config key."""
    return {key: setting for name in NAMES for key, setting in parameters(name).items()}


def needs(name: str) -> frozenset[str]:
    """What a score cannot do without, of `NEEDS`; of a user's own what its attribute `needs` says, nothing without one."""
    return ENTRIES[name].needs if name in ENTRIES else frozenset(getattr(find(name), "needs", ()))


def unmet(name: str, offers: Collection[str]) -> list[str]:
    """Why a source and target that offer these things cannot be scored so, a sentence for each thing that is not there."""
    return [
        f"'{name}' {NEEDS[need]}; leave it out" for need in sorted(needs(name) - frozenset(offers))
    ]


def parts(name: str) -> tuple[str, ...]:
    """The names of the numbers that a score may tell beside `transferability`; of a user's own none are known beforehand."""
    return ENTRIES[name].parts if name in ENTRIES else ()


def compute(name: str, evidence: Evidence, parameters: Mapping[str, Any]) -> dict[str, float]:
    """The score's number as `transferability`, the higher the better, and the parts that it tells beside it.

    Args:
        name: a score's name.
        evidence: what it looks at.
        parameters: config keys and values; keys of other scores are passed over, what is not given
            has its default.

    Raises:
        ValueError: the evidence cannot be scored, or the score gave something else than finite
            numbers.
    """
    start = f"{group(name)}."
    own = {parameter.name for parameter, _, _ in _marks(find(name))}
    given = {
        key.removeprefix(start): value for key, value in parameters.items() if key.startswith(start)
    }
    found = find(name)(evidence, **{key: value for key, value in given.items() if key in own})
    numbers = dict(found) if isinstance(found, Mapping) else {"transferability": found}
    if "transferability" not in numbers:
        raise ValueError(
            f"'{name}' gave {sorted(numbers)}, but one of its numbers must be called "
            "'transferability'"
        )
    wrong = {key: value for key, value in numbers.items() if not math.isfinite(value)}
    if wrong:
        raise ValueError(f"'{name}' gave {wrong}, but a score must be finite")
    return {key: float(value) for key, value in numbers.items()}


@functools.cache
def _marks(function: Score) -> tuple[tuple[inspect.Parameter, type, tuple[Any, ...]], ...]:
    """Each parameter after the evidence, its type, and the marks of its annotation."""
    own = list(inspect.signature(function).parameters.values())[1:]
    # The evidence's annotation is left alone: its name may be known to type checkers only.
    notes = types.SimpleNamespace(
        __annotations__={one.name: one.annotation for one in own if one.annotation is not one.empty}
    )
    kinds = typing.get_type_hints(
        notes, vars(importlib.import_module(function.__module__)), include_extras=True
    )
    found = []
    for parameter in own:
        kind, *marks = typing.get_args(kinds.get(parameter.name)) or (
            kinds.get(parameter.name, float),
        )
        found.append((parameter, kind, tuple(marks)))
    return tuple(found)


def _own(name: str) -> Score:
    module, _, attribute = name.partition(":")
    try:
        function: Score = getattr(importlib.import_module(module), attribute)
        others = list(inspect.signature(function).parameters.values())[1:]
    except Exception as error:  # a user's module may raise anything
        raise ValueError(
            f"the score '{name}' cannot be had: {type(error).__name__}: {error}; it must be a "
            "function of an "
            "importable module that takes the evidence"
        ) from error
    bare = [one.name for one in others if one.default is one.empty]
    if bare:
        raise ValueError(
            f"the score '{name}' has parameters without a default: {', '.join(bare)}; give each one"
        )
    strange = frozenset(getattr(function, "needs", ())) - frozenset(NEEDS)
    if strange:
        raise ValueError(
            f"the score '{name}' needs {', '.join(sorted(strange))}, which nothing offers; "
            f"known: {', '.join(NEEDS)}"
        )
    return function
