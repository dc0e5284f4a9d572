"""Methods by name: one file per method, a function whose parameters have the paper's defaults.

`NAME` is the function in `tasks/methods/NAME.py`, `module:function` a user's own, and `a+b` a
chain. Parameter `p` of method `m` is the config key `m.p`. Nothing here imports torch.
"""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib
import inspect
import sys
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tasks.methods.method import (
    NEEDS,
    OF_BACKBONE,
    PARTS,
    Choices,
    Later,
    Learnt,
    Method,
    NewHead,
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
    "Later",
    "Learnt",
    "Method",
    "NewHead",
    "Range",
    "SeenClasses",
    "Stages",
    "View",
    "build",
    "canonical",
    "chain",
    "choice_problems",
    "counts_seen_classes",
    "decays",
    "describe",
    "find",
    "head_alone",
    "known",
    "later_keys",
    "learning",
    "learnt_keys",
    "measures",
    "members",
    "moves_norms",
    "needs",
    "observing",
    "parameters",
    "problems",
    "reading_labels",
    "role",
    "settings",
    "spaces",
    "stage_problems",
    "steady",
    "tail",
    "trains",
    "trains_norms_alone",
    "unmet",
    "without_later",
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
    "balanced_softmax",
    "feature_distillation",
    "feature_rank",
    "lolsgd",
    "local_sgd",
    "bitfit",
    "norm_tuning",
    "lora",
    "ssf",
    "ia3",
    "adapter",
    "adaptformer",
    "vpt",
    "swa",
    "ema",
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
    """The methods that a task with these offers can run: name -> one-line description."""
    return {
        name: (find(name).__doc__ or "").strip().partition("\n")[0]
        for name in NAMES
        if _default(name).needs <= frozenset(offers)
    }


def describe(name: str) -> str:
    """All that a method says of itself: its paper, what it does with its formula, what it needs.

    Raises:
        ValueError: no method has this name.
    """
    function = find(name)
    paper = (sys.modules[function.__module__].__doc__ or "").strip().partition("\n")[0]
    said = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:")[0].strip()
    # What comes after the comma is said where the need is not met.
    needed = [NEEDS[need].partition(",")[0] for need in sorted(needs(name))]
    return "\n".join([paper, "", said, *(f"\nIt {text}." for text in needed)]).strip()


@functools.cache
def find(name: str) -> Callable[..., Method]:
    """The function called `name`, or `module:function`.

    Raises:
        ValueError: no method has this name; lists those that exist.
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
def parameters(name: str, *, new_head: bool = False) -> Mapping[str, Setting]:
    """The settings of a method's parameters by config key: `l2sp.backbone`.

    With `new_head`, the defaults are those under a new head.
    """
    function = find(name)
    parameters = inspect.signature(function).parameters.values()
    return settings_of(
        function,
        name,
        [(parameter, *_marks(name)[parameter.name]) for parameter in parameters],
        new_head=new_head,
    )


@functools.cache
def learnt_keys(name: str) -> tuple[str, ...]:
    """The config keys of the parameters that a method's learning stage depends on."""
    return _marked(name, Learnt)


@functools.cache
def later_keys(name: str) -> tuple[str, ...]:
    """The config keys of the parameters that a resolved config lacks at their defaults."""
    return _marked(name, Later)


def without_later(config: dict[str, Any]) -> dict[str, Any]:
    """The config of a canonical chain without such parameters at their defaults."""
    for name in str(config["method"]).split("+"):
        with contextlib.suppress(ValueError):  # an unknown name, for `problems` to report
            for key in later_keys(name):
                if key in config and config[key] == parameters(name)[key].default:
                    del config[key]
    return config


def learning(method: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The members of a canonical chain with a learning stage; none if a name is unknown."""
    try:
        return tuple(name for name in method.split("+") if _member(name, config).learn is not None)
    except ValueError:
        return ()


def measures(names: Collection[str]) -> tuple[str, ...]:
    """The columns that the learning stages of these methods report."""
    return tuple(f"{name}/{number}" for name in names for number in _default(name).measures)


def counts_seen_classes(method: str) -> tuple[str, ...]:
    """The config keys of a canonical chain that count seen classes; none if a name is unknown."""
    try:
        return tuple(key for name in method.split("+") for key in _marked(name, SeenClasses))
    except ValueError:
        return ()


@functools.cache
def needs(method: str) -> frozenset[str]:
    """What a canonical chain needs, of `NEEDS`; nothing if a name is unknown."""
    try:
        return frozenset().union(*(_default(name).needs for name in method.split("+")))
    except ValueError:
        return frozenset()


def unmet(method: str, offers: Collection[str]) -> list[str]:
    """Why a task with these offers cannot run a canonical chain, a reason per unmet need."""
    return [
        f"'{name}' {NEEDS[need]}; leave it out"
        for name in method.split("+")
        for need in sorted(needs(name) - frozenset(offers))
    ]


def stage_problems(config: Mapping[str, Any], count: Callable[[], int]) -> list[tuple[str, str]]:
    """(key, what is wrong) for each parameter that names a stage the backbone lacks.

    `count` is called only if a parameter names stages.
    """
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
                        f"{count()} stages: give numbers from 1 to {count()}, or -1 (the last) to "
                        f"-{count()}",
                    )
                )
    return problems_found


def choice_problems(config: Mapping[str, Any], has: Callable[[str], bool]) -> list[tuple[str, str]]:
    """(key, what is wrong) for each parameter whose value needs what is not there.

    That is a trait of the backbone, of which `has` tells, or a setting that is above 0.
    """
    found = []
    for name in str(config["method"]).split("+"):
        for key, setting in parameters(name).items():
            value = config.get(key, setting.default)
            marks = _marks(name)[key.rpartition(".")[2]][1]
            choices = next((mark for mark in marks if isinstance(mark, Choices)), None)
            need = choices.needs.get(value) if choices else None
            if need in OF_BACKBONE:
                if not has(need):
                    found.append((key, f"'{value}' {NEEDS[need]}; take another value"))
            elif need and not config.get(need):
                found.append(
                    (
                        key,
                        f"'{value}' needs `{need}` above 0, and a source model that is trained "
                        "here; take another value",
                    )
                )
    return found


@functools.cache
def settings(*, new_head: bool = False) -> Mapping[str, Setting]:
    """The parameters of all known methods by config key, as `parameters` gives them."""
    return {
        key: setting
        for name in NAMES
        for key, setting in parameters(name, new_head=new_head).items()
    }


def canonical(method: str | Sequence[str]) -> str:
    """One name for all equivalent chains: `a+b`, without `plain`, sorted if order has no effect.

    Only methods that act after training depend on their order; they keep it and come last. A chain
    with an unknown name is only joined, for `problems` to report.
    """
    return _canonical(method if isinstance(method, str) else "+".join(map(str, method)))


@functools.cache
def problems(method: str) -> tuple[str, ...]:
    """What is wrong with a canonical chain, each with its remedy."""
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
    """Whether a canonical chain trains, so that training settings apply; True if unknown."""
    try:
        return all(_default(name).adapts for name in method.split("+"))
    except ValueError:
        return True


def role(method: str, config: Mapping[str, Any]) -> str:
    """A canonical chain's role in a comparison: `source`, `bound`, or empty for a competitor.

    A chain with a member that sees all classes is a `bound`: nobody without images of the missing
    classes can use it. A chain that leaves the source model unchanged is the `source`.
    """
    try:
        members = [_member(name, config) for name in method.split("+")]
    except Exception:  # an unknown name, or a user's function that rejects the parameters
        return ""  # no trial of it can run, so there is nothing to compare
    if any(member.all_classes for member in members):
        return "bound"
    return "source" if all(member.untouched for member in members) else ""


@functools.cache
def decays(method: str) -> bool:
    """Whether a member of a canonical chain replaces weight decay; False if a name is unknown."""
    try:
        return any(_default(name).decays for name in method.split("+"))
    except ValueError:
        return False


@functools.cache
def moves_norms(method: str) -> bool:
    """Whether batch norm is in train mode when a canonical chain trains; True if unknown."""
    try:
        return trains(method) and not any(
            "norms" in _default(name).frozen for name in method.split("+")
        )
    except ValueError:
        return True


@functools.cache
def trains_norms_alone(method: str) -> bool:
    """Whether a canonical chain changes only norm layers; False if a name is unknown."""
    try:
        members = [_default(name) for name in method.split("+")]
    except ValueError:
        return False
    return frozenset().union(*(member.frozen for member in members)) == PARTS - {"norms"}


def tail(method: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The members of a canonical chain that act only after training; none if a name is unknown."""
    try:
        return tuple(name for name in method.split("+") if _member(name, config).after_training)
    except Exception:  # an unknown name, or a user's function that rejects the parameters
        return ()


def observing(names: Collection[str], config: Mapping[str, Any]) -> tuple[str, ...]:
    """The members among `names` that observe the run while it trains."""
    return tuple(name for name in names if _member(name, config).observes)


def reading_labels(method: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The members of a canonical chain that work with the labels of a batch's images."""
    return tuple(name for name in method.split("+") if _member(name, config).reads_labels)


def head_alone(method: str, config: Mapping[str, Any]) -> bool:
    """Whether a canonical chain trains only a linear head on frozen features."""
    return build(method, config).trains_head_alone if method != EMPTY else False


def steady(method: str, config: Mapping[str, Any]) -> bool:
    """Whether the steps of a canonical chain are independent of the length of the run.

    `optimise` and `stepped` may depend on it; a penalty cannot.
    """
    members = [_member(name, config) for name in method.split("+")]
    return not any(member.optimise or member.stepped for member in members)


def build(
    method: str, config: Mapping[str, Any], learnt: Mapping[str, Any] | None = None
) -> Method:
    """The method of a canonical chain, with the config's parameters and the tensors `learnt`."""
    return chain(*members(method, config, learnt).values())


def members(
    method: str, config: Mapping[str, Any], learnt: Mapping[str, Any] | None = None
) -> dict[str, Method]:
    """The members of a canonical chain by name, in its order, built as by `build`."""
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
    """The method with tensors that are already learnt."""
    prepare = method.prepare
    assert prepare is not None, "a method that learns prepares with what it learnt"
    return replace(
        method, learn=None, prepare=lambda student, transfer, _: prepare(student, transfer, learnt)
    )


@functools.cache
def _marks(name: str) -> Mapping[str, tuple[type, tuple[Any, ...]]]:
    """Each parameter's type and the marks in its annotation."""
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
            "function of an importable module whose parameters have defaults"
        ) from error
    if not isinstance(made, Method):
        raise ValueError(
            f"'{name}' must return a tasks.methods.Method, but got {type(made).__name__}"
        )
    return function
