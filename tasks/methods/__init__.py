"""Methods by name: one file a paper, each a function whose parameters are the method's, with the paper's defaults.

`NAME` stands for `tasks/methods/NAME.py`, `module:function` for one of a user's own, `a+b` for a
chain. Parameter `p` of method `m` is the config key `m.p`. Nothing here imports torch.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tasks.methods.method import (
    NEEDS,
    Choices,
    Learnt,
    Method,
    Range,
    SeenClasses,
    Stages,
    View,
    chain,
    contradictions,
    stage_indices,
)
from tasks.parameters import settings_of
from tasks.task import Setting

__all__ = [
    "EMPTY",
    "Choices",
    "Learnt",
    "Method",
    "Range",
    "SeenClasses",
    "Stages",
    "View",
    "build",
    "canonical",
    "chain",
    "counts_seen_classes",
    "decays",
    "find",
    "head_alone",
    "known",
    "learning",
    "learnt_keys",
    "measures",
    "members",
    "moves_norms",
    "needs",
    "observing",
    "parameters",
    "problems",
    "role",
    "settings",
    "spaces",
    "stage_problems",
    "steady",
    "tail",
    "trains",
    "unmet",
]

NAMES = (
    "plain",
    "source",
    "bn_statistics",
    "bn_affine",
    "linear_probe",
    "frozen_classifier",
    "lp_ft",
    "l2sp",
    "ewc",
    "selective_distillation",
    "feature_distillation",
    "feature_rank",
    "lolsgd",
    "local_sgd",
    "swa",
    "wise_ft",
    "source_ensemble",
    "oracle",
    "l2",
    "at",
    "delta",
    "bss",
    "stochnorm",
    "lwf",
    "bi_tuning",
    "co_tuning",
    "tred",
)

EMPTY = "plain"
"""The chain without members: plain fine-tuning."""


def known(offers: Collection[str] = frozenset(NEEDS)) -> dict[str, str]:
    """The methods that a task which offers these things can run: name -> a line about it."""
    return {
        name: (find(name).__doc__ or "").strip().partition("\n")[0]
        for name in NAMES
        if _default(name).needs <= frozenset(offers)
    }


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
        raise ValueError(
            f"no method '{name}'; {hint}known: {', '.join(NAMES)}, or your own as module:function"
        )
    function: Callable[..., Method] = getattr(
        importlib.import_module(f"tasks.methods.{name}"), name
    )
    return function


@functools.cache
def parameters(name: str) -> Mapping[str, Setting]:
    """The settings of a method's parameters by config key: `l2sp.backbone`."""
    function = find(name)
    parameters = inspect.signature(function).parameters.values()
    return settings_of(
        function, name, [(parameter, *_marks(name)[parameter.name]) for parameter in parameters]
    )


@functools.cache
def learnt_keys(name: str) -> tuple[str, ...]:
    """The config keys of a method's parameters that what it learns beforehand depends on."""
    return _marked(name, Learnt)


def learning(method: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The members of a canonical chain that learn something beforehand with the config's parameters; none if one is unknown."""
    try:
        return tuple(name for name in method.split("+") if _member(name, config).learn is not None)
    except ValueError:
        return ()


def measures(names: Collection[str]) -> tuple[str, ...]:
    """The columns that methods of these names report of what they learn beforehand."""
    return tuple(f"{name}/{number}" for name in names for number in _default(name).measures)


def counts_seen_classes(method: str) -> tuple[str, ...]:
    """The config keys of a canonical chain's parameters that count some of the seen classes; none if a name is unknown."""
    try:
        return tuple(key for name in method.split("+") for key in _marked(name, SeenClasses))
    except ValueError:
        return ()


@functools.cache
def needs(method: str) -> frozenset[str]:
    """What a canonical chain cannot do without, of `NEEDS`; nothing where a name is unknown."""
    try:
        return frozenset().union(*(_default(name).needs for name in method.split("+")))
    except ValueError:
        return frozenset()


def unmet(method: str, offers: Collection[str]) -> list[str]:
    """Why a task that offers these things cannot run a canonical chain, a reason for each member that cannot."""
    return [
        f"'{name}' {NEEDS[need]}; leave it out"
        for name in method.split("+")
        for need in sorted(needs(name) - frozenset(offers))
    ]


def stage_problems(config: Mapping[str, Any], count: Callable[[], int]) -> list[tuple[str, str]]:
    """(key, what is wrong) for each parameter that names a stage the backbone lacks; `count` is asked only if one does."""
    problems_found = []
    for name in str(config["method"]).split("+"):
        for key in _marked(name, Stages) if name in NAMES or ":" in name else ():
            try:
                wrong = [
                    number
                    for number in stage_indices(config[key])
                    if not -count() <= number < count()
                ]
            except ValueError as error:
                problems_found.append((key, str(error)))
                continue
            if wrong:
                problems_found.append(
                    (
                        key,
                        f"got {config[key]!r}, but the backbone '{config['backbone']}' has "
                        f"{count()} stages: "
                        f"give numbers from 1 to {count()}, or -1 (the last) to -{count()}",
                    )
                )
    return problems_found


@functools.cache
def settings() -> Mapping[str, Setting]:
    """The parameters of all known methods by config key."""
    return {key: setting for name in NAMES for key, setting in parameters(name).items()}


def canonical(method: str | Sequence[str]) -> str:
    """One name for all chains that mean the same: `a+b`, without `plain`, sorted where order cannot matter.

    Only what happens after training has an order; such methods keep theirs and stand last. A chain
    with an unknown name is only joined, for `problems` to judge.
    """
    return _canonical(method if isinstance(method, str) else "+".join(map(str, method)))


@functools.cache
def problems(method: str) -> tuple[str, ...]:
    """What is wrong with a canonical chain, each with the remedy."""
    names = method.split("+")
    wrong: list[str] = []
    for name in dict.fromkeys(names):
        try:
            find(name)
        except ValueError as error:
            wrong.append(str(error))
        if names.count(name) > 1:
            wrong.append(
                f"'{name}' is listed {names.count(name)} times in '{method}', with one set of "
                "parameters; remove all but one"
            )
    return tuple(wrong or contradictions({name: _default(name) for name in names}))


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


def role(method: str, config: Mapping[str, Any]) -> str:
    """What a canonical chain with a config's parameters is in a comparison: `source`, `bound`, or empty for a competitor.

    A chain of which any member sees all classes is a `bound`: nobody who lacks images of some
    classes can choose it. A chain that does nothing to the source model is the `source`.
    """
    try:
        members = [_member(name, config) for name in method.split("+")]
    except Exception:  # an unknown name, or a user's function that refuses the parameters
        return ""  # no trial of it can run, so there is nothing to compare
    if any(member.all_classes for member in members):
        return "bound"
    return "source" if all(member.untouched for member in members) else ""


@functools.cache
def decays(method: str) -> bool:
    """Whether a member of a canonical chain takes the place of weight decay; False where a name is unknown."""
    try:
        return any(_default(name).decays for name in method.split("+"))
    except ValueError:
        return False


@functools.cache
def moves_norms(method: str) -> bool:
    """Whether batch norm learns from batches in a canonical chain's training; True where a name is unknown."""
    try:
        return trains(method) and not any(
            "norms" in _default(name).frozen for name in method.split("+")
        )
    except ValueError:
        return True


def tail(method: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The members of a canonical chain that leave training as it is and act on its outcome.

    None of them where a name is unknown.
    """
    try:
        return tuple(name for name in method.split("+") if _member(name, config).after_training)
    except Exception:  # an unknown name, or a user's function that refuses the parameters
        return ()


def observing(names: Collection[str], config: Mapping[str, Any]) -> tuple[str, ...]:
    """Those of the members called `names` that must look at the run while it trains."""
    return tuple(name for name in names if _member(name, config).observes)


def head_alone(method: str, config: Mapping[str, Any]) -> bool:
    """Whether a canonical chain trains a linear head on frozen features, and nothing else."""
    return build(method, config).trains_head_alone if method != EMPTY else False


def steady(method: str, config: Mapping[str, Any]) -> bool:
    """Whether a canonical chain takes each step without regard to how long the run will be.

    Optimisations of their own, and what is called after each step, may ask; a penalty cannot.
    """
    members = [_member(name, config) for name in method.split("+")]
    return not any(member.optimise or member.stepped for member in members)


def build(
    method: str, config: Mapping[str, Any], learnt: Mapping[str, Any] | None = None
) -> Method:
    """The method that a canonical chain stands for, with the config's parameters and what its members have `learnt`."""
    return chain(*members(method, config, learnt).values())


def members(
    method: str, config: Mapping[str, Any], learnt: Mapping[str, Any] | None = None
) -> dict[str, Method]:
    """The members of a canonical chain by name, in its order; as for `build`."""
    by_name = {}
    for name in method.split("+"):
        member = _member(name, config)
        by_name[name] = _given(member, learnt[name]) if learnt and name in learnt else member
    return by_name


def _member(name: str, config: Mapping[str, Any]) -> Method:
    """The method called `name` with the config's parameters."""
    return find(name)(
        **{key.removeprefix(f"{name}."): config[key] for key in parameters(name) if key in config}
    )


def _given(method: Method, learnt: Any) -> Method:
    """The method with what it has learnt already."""
    prepare = method.prepare
    assert prepare is not None, "a method that learns prepares with what it learnt"
    return replace(
        method, learn=None, prepare=lambda student, transfer, _: prepare(student, transfer, learnt)
    )


@functools.cache
def _marks(name: str) -> Mapping[str, tuple[type, tuple[Any, ...]]]:
    """Each parameter's type and the marks of its annotation."""
    function = find(name)
    kinds = typing.get_type_hints(function, include_extras=True)
    marks_by_name = {}
    for parameter in inspect.signature(function).parameters:
        kind, *marks = typing.get_args(kinds.get(parameter)) or (kinds.get(parameter, float),)
        marks_by_name[parameter] = kind, tuple(marks)
    return marks_by_name


def _marked(name: str, mark: type) -> tuple[str, ...]:
    return tuple(
        f"{name}.{parameter}"
        for parameter, (_, marks) in _marks(name).items()
        if any(isinstance(candidate, mark) for candidate in marks)
    )


@functools.cache
def _canonical(text: str) -> str:
    names = [name.strip() for name in text.split("+") if name.strip() not in ("", EMPTY)]
    try:
        last = [
            name
            for name in names
            if _default(name).finish is not None or _default(name).output is not None
        ]
    except ValueError:
        return "+".join(names)
    return "+".join(sorted(name for name in names if name not in last) + last) or EMPTY


@functools.cache
def _default(name: str) -> Method:
    return find(name)()


def _own(name: str) -> Callable[..., Method]:
    module, _, attribute = name.partition(":")
    try:
        function: Callable[..., Method] = getattr(importlib.import_module(module), attribute)
        made = function()
    except Exception as error:  # a user's module may raise anything
        raise ValueError(
            f"the method '{name}' cannot be loaded: {type(error).__name__}: {error}; it must be a "
            "function of "
            "an importable module whose parameters have defaults"
        ) from error
    if not isinstance(made, Method):
        raise ValueError(
            f"'{name}' must return a tasks.methods.Method, but got {type(made).__name__}"
        )
    return function
