"""Methods by name: one file a paper, each a function whose parameters are the method's, with the paper's defaults.

`NAME` stands for `tasks/methods/NAME.py`, `module:function` for one of a user's own, `a+b` for a chain. Parameter `p` of
method `m` is the config key `m.p`. Nothing here imports torch.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.methods.method import Method, Range, View, chain, contradictions
from tasks.task import Setting

__all__ = [
    "Method", "Range", "View", "build", "canonical", "chain", "find", "known", "parameters", "problems", "settings",
    "spaces", "trains",
]

NAMES = (
    "plain", "l2sp", "frozen_classifier", "linear_probe", "wise_ft", "lolsgd", "selective_distillation", "oracle", "source",
)


def known() -> dict[str, str]:
    """The methods there are: name -> a line about it."""
    return {name: (find(name).__doc__ or "").strip().partition("\n")[0] for name in NAMES}


@functools.cache
def find(name: str) -> Callable[..., Method]:
    """The function called `name`, or `module:function`.

    Raises:
        ValueError: nothing answers to the name; lists what does.
    """
    if ":" in name:
        return _own(name)
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(f"no method '{name}'; {hint}known: {', '.join(NAMES)}, or one's own as module:function")
    return getattr(importlib.import_module(f"tasks.methods.{name}"), name)


@functools.cache
def parameters(name: str) -> Mapping[str, Setting]:
    """The settings of a method's parameters by config key: `l2sp.backbone`."""
    function = find(name)
    kinds = typing.get_type_hints(function, include_extras=True)
    docs = dict(re.findall(r"^\s+(\w+): (.+)$", inspect.getdoc(function) or "", re.MULTILINE))
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        kind, *marks = typing.get_args(kinds.get(parameter.name)) or (kinds.get(parameter.name, float),)
        limits = next((mark for mark in marks if isinstance(mark, Range)), Range(float("-inf"), float("inf")))
        found[f"{name}.{parameter.name}"] = Setting(
            kind, parameter.default, low=limits.low, high=limits.high, doc=docs.get(parameter.name, ""),
        )
    return found


@functools.cache
def settings() -> Mapping[str, Setting]:
    """The parameters of all known methods by config key."""
    return {key: setting for name in NAMES for key, setting in parameters(name).items()}


def canonical(method: str | Sequence[str]) -> str:
    """One name for all chains that mean the same: `a+b`, without `plain`, sorted where order cannot matter.

    Only what happens after training has an order; such methods keep theirs and stand last. A chain with an unknown name
    is only joined, for `problems` to judge.
    """
    return _canonical(method if isinstance(method, str) else "+".join(method))


@functools.cache
def problems(method: str) -> tuple[str, ...]:
    """What is wrong with a canonical chain, each with the remedy."""
    names = method.split("+")
    found: list[str] = []
    for name in dict.fromkeys(names):
        try:
            find(name)
        except ValueError as error:
            found.append(str(error))
        if names.count(name) > 1:
            found.append(f"'{name}' stands {names.count(name)} times in '{method}', with one set of parameters; keep one")
    return tuple(found or contradictions({name: _default(name) for name in names}))


@functools.cache
def spaces(method: str) -> tuple[str, ...]:
    """The members of a canonical chain that have parameters."""
    return tuple(name for name in method.split("+") if parameters(name))


@functools.cache
def trains(method: str) -> bool:
    """Whether a canonical chain trains at all, so that training settings matter to it; True where a name is unknown."""
    try:
        return all(_default(name).adapts for name in method.split("+"))
    except ValueError:
        return True


def build(method: str, config: Mapping[str, Any]) -> Method:
    """The method that a canonical chain stands for, with the config's parameters."""
    members = []
    for name in method.split("+"):
        given = {key.removeprefix(f"{name}."): config[key] for key in parameters(name) if key in config}
        members.append(find(name)(**given))
    return chain(*members)


@functools.cache
def _canonical(text: str) -> str:
    names = [name.strip() for name in text.split("+") if name.strip() not in ("", "plain")]
    try:
        last = [name for name in names if _default(name).finish is not None]
    except ValueError:
        return "+".join(names)
    return "+".join(sorted(name for name in names if name not in last) + last) or "plain"


@functools.cache
def _default(name: str) -> Method:
    return find(name)()


def _own(name: str) -> Callable[..., Method]:
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
        made = function()
    except Exception as error:  # a user's module may raise anything
        raise ValueError(f"the method '{name}' cannot be had: {type(error).__name__}: {error}; it must be a function of "
                         "an importable module whose parameters have defaults") from error
    if not isinstance(made, Method):
        raise ValueError(f"'{name}' must return a tasks.methods.Method, but got {type(made).__name__}")
    return function
