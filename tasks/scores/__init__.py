"""Transferability scores by name; a higher score predicts a better transfer.

`NAME` is a function in this folder, `module:function` a user's own; both are declared by `@score`
(`declaration.py`). Parameter `p` of a score is the config key `GROUP.p`; scores that compute the
same thing share a group. Nothing here imports torch, sklearn or ot.
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
from typing import Any

from tasks.parameters import Choices, Range, settings_of
from tasks.scores.declaration import (
    KINDS,
    Declaration,
    declaration_of,
    described,
    reads,
    score,
)
from tasks.scores.evidence import NEEDS, Evidence
from tasks.task import Setting

__all__ = [
    "KINDS",
    "NAMES",
    "NEEDS",
    "Choices",
    "Declaration",
    "Evidence",
    "Range",
    "choices_unmet",
    "combined",
    "compute",
    "declaration",
    "described",
    "find",
    "group",
    "known",
    "needs",
    "parameters",
    "parts",
    "problem",
    "score",
    "settings",
    "terms",
    "unmet",
]

Score = Callable[..., float | tuple[float, ...] | Mapping[str, float]]

MODULES = {
    "nce": "label_statistics",
    "leep": "label_statistics",
    "n_leep": "label_statistics",
    "logme": "logme",
    "h_score": "separation",
    "shrunk_h_score": "separation",
    "transrate": "separation",
    "otce_w": "transport",
    "otce_ce": "transport",
    "source_accuracy": "controls",
    "nearest_class_mean": "controls",
    "linear_probe": "controls",
    "missing_push": "missing",
    "missing_interference": "missing",
    "missing_retained": "missing",
    "tta": "task_transfer",
    "tta_features_only": "task_transfer",
    "tta_fixed": "task_transfer",
    "tta_unlabelled": "task_transfer",
}
"""Name of a score -> the module of this folder with its function; add new scores here."""
NAMES = tuple(MODULES)
MISSING_EVIDENCE = {
    "probabilities": "the score reads the source model's own classifier, and these weights come "
    "without one; use one that reads features alone, such as logme or n_leep",
    "source_features": "the score compares with images of the source domain, of which this source "
    "has none; leave it out",
    "held_features": "no source image was held out of source training; hold some out, with "
    "source_validation above 0",
}
MISSING_EVIDENCE |= {
    "head": MISSING_EVIDENCE["probabilities"],
    "source_labels": MISSING_EVIDENCE["source_features"],
    "held_labels": MISSING_EVIDENCE["held_features"],
}
"""Member of the evidence -> the error message if a score reads it and it is not available."""


def known() -> dict[str, str]:
    """The scores: name -> one-line description."""
    return {name: (find(name).__doc__ or "").strip().partition("\n")[0] for name in NAMES}


@functools.cache
def find(name: str) -> Score:
    """The function called `name`, or `module:function`.

    Raises:
        ValueError: no score has this name; lists those that exist.
    """
    if ":" in name:
        return _own(name)
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(
            f"no score '{name}'; {hint}known: {', '.join(NAMES)}, or your own as module:function"
        )
    function: Score = getattr(importlib.import_module(f"tasks.scores.{MODULES[name]}"), name)
    return function


def problem(name: str) -> str:
    """What is wrong with a score's name, with the remedy; empty if it is valid."""
    try:
        find(name)
    except ValueError as error:
        return str(error)
    return ""


def declaration(name: str) -> Declaration:
    """The declaration of a score."""
    return declaration_of(find(name))


def group(name: str) -> str:
    """The prefix of the config keys of a score: `otce` for both `otce_w` and `otce_ce`."""
    own = declaration(name).group
    module, colon, _ = name.partition(":")
    return f"{module}{colon}{own}" if own and colon else own or name


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
    """What a score needs, of `NEEDS`."""
    return declaration(name).needs


def unmet(name: str, offers: Collection[str]) -> list[str]:
    """Why a source and target with these offers cannot be scored, a sentence per unmet need."""
    return [
        f"'{name}' {NEEDS[need]}; leave it out" for need in sorted(needs(name) - frozenset(offers))
    ]


def combined() -> dict[str, tuple[str, ...]]:
    """Combined scores: `GROUP (fitted)` -> the scores of the group with the kind `part`."""
    parts_of: dict[str, tuple[str, ...]] = {}
    for name in NAMES:
        if declaration(name).kind == "part":
            key = f"{group(name)} (fitted)"
            parts_of[key] = (*parts_of.get(key, ()), name)
    return parts_of


def terms() -> str:
    """The prefix of the columns with the terms of the bound on the target's loss."""
    groups = {group(name) for name in NAMES if declaration(name).kind == "bound"}
    assert len(groups) == 1, f"one table shows the terms of one bound, but there are {groups}"
    return f"{groups.pop()}/"


def choices_unmet(
    name: str, config: Mapping[str, Any], offers: Collection[str]
) -> list[tuple[str, str]]:
    """(key, what is wrong) for each parameter whose value needs something that is not offered."""
    wrong = []
    for parameter, _, marks in _marks(find(name)):
        key = f"{group(name)}.{parameter.name}"
        for choices in (mark for mark in marks if isinstance(mark, Choices)):
            need = choices.needs.get(config.get(key, parameter.default))
            if need and need not in offers:
                others = [choice for choice in choices.names if choices.needs.get(choice) is None]
                remedy = f"give {' or '.join(map(repr, others))}"
                wrong.append((key, f"'{config[key]}' {NEEDS[need]}; {remedy}"))
    return wrong


def parts(name: str) -> tuple[str, ...]:
    """The columns that a score declares besides `transferability`."""
    return declaration(name).parts


def compute(name: str, evidence: Evidence, parameters: Mapping[str, Any]) -> dict[str, float]:
    """The score as `transferability`, higher being better, with its parts.

    Args:
        name: the name of a score.
        evidence: what the score reads.
        parameters: config keys and values; other scores' keys are ignored, missing ones default.

    Raises:
        ValueError: the evidence cannot be scored, or the score did not return finite numbers.
    """
    function, start = find(name), f"{group(name)}."
    own = {parameter.name for parameter, _, _ in _marks(function)}
    given = {
        key.removeprefix(start): value for key, value in parameters.items() if key.startswith(start)
    }
    read = {
        part: _read(evidence, part, seed=declaration(name).group or name)
        for part in reads(function)
    }
    returned = function(**read, **{key: value for key, value in given.items() if key in own})
    numbers = _named(name, returned)
    wrong = {key: value for key, value in numbers.items() if not math.isfinite(value)}
    if wrong:
        raise ValueError(f"'{name}' gave {wrong}, but a score must be finite")
    return {key: float(value) for key, value in numbers.items()}


def _read(evidence: Evidence, name: str, *, seed: str) -> Any:
    """The value that is passed to a score's parameter of this name."""
    if name == "seed":
        return evidence.seed(seed)
    if name == "evidence":
        return evidence
    value = getattr(evidence, name)
    if value is None or (name.startswith("held_") and not len(value)):
        raise ValueError(MISSING_EVIDENCE[name])
    return value


def _named(name: str, returned: Any) -> dict[str, float]:
    """What a score returned, by column."""
    if isinstance(returned, tuple):
        columns = ("transferability", *parts(name))
        if len(returned) != len(columns):
            raise ValueError(
                f"'{name}' gave {len(returned)} numbers, but declares {len(columns)}: "
                f"{', '.join(columns)}"
            )
        return dict(zip(columns, returned, strict=True))
    numbers = dict(returned) if isinstance(returned, Mapping) else {"transferability": returned}
    if "transferability" not in numbers:
        raise ValueError(
            f"'{name}' gave {sorted(numbers)}, but one of its numbers must be called "
            "'transferability'"
        )
    return numbers


@functools.cache
def _marks(function: Score) -> tuple[tuple[inspect.Parameter, type, tuple[Any, ...]], ...]:
    """Each parameter that is a setting, with its type and the marks in its annotation."""
    read = reads(function)
    own = [
        declared
        for declared in inspect.signature(function).parameters.values()
        if declared.name not in read
    ]
    # Other annotations are not resolved: their names may exist only under TYPE_CHECKING.
    notes = types.SimpleNamespace(
        __annotations__={
            declared.name: declared.annotation
            for declared in own
            if declared.annotation is not declared.empty
        }
    )
    kinds = typing.get_type_hints(
        notes, vars(importlib.import_module(function.__module__)), include_extras=True
    )
    settings_found = []
    for parameter in own:
        kind, *marks = typing.get_args(kinds.get(parameter.name)) or (
            kinds.get(parameter.name, float),
        )
        settings_found.append((parameter, kind, tuple(marks)))
    return tuple(settings_found)


def _own(name: str) -> Score:
    module, _, attribute = name.partition(":")
    try:
        function: Score = getattr(importlib.import_module(module), attribute)
        read = reads(function)
    except Exception as error:  # a user's module may raise anything
        raise ValueError(
            f"the score '{name}' cannot be loaded: {type(error).__name__}: {error}; it must be a "
            "function of an importable module"
        ) from error
    if hasattr(function, "needs"):
        raise ValueError(
            f"the score '{name}' has an attribute `needs`, which nobody reads; declare it by "
            "@score(needs=...) from tasks.scores"
        )
    readable = {"evidence", "seed", "domain_labels", *Evidence.__dataclass_fields__} - {"device"}
    strange = [part for part in read if part not in readable]
    if strange:
        raise ValueError(
            f"the score '{name}' has parameters without a default: {', '.join(strange)}; give each "
            f"one, or ask by name for what it reads: {', '.join(sorted(readable))}"
        )
    if set(read) <= {"seed"}:
        raise ValueError(
            f"the score '{name}' reads nothing; let it take `evidence`, or members of it by name: "
            f"{', '.join(sorted(readable - {'evidence', 'seed'}))}"
        )
    return function
