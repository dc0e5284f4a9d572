"""Optimisers by name: those of torch, of timm, and a user's own, with arguments."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tasks import cache, calls
from tasks.calls import Refused

if TYPE_CHECKING:
    from torch.optim import Optimizer

DEFAULT = "sgd"
SETTINGS = {
    "lr": "learning_rate",
    "weight_decay": "weight_decay",
    "momentum": "momentum",
    "nesterov": "nesterov",
}
"""Arguments of optimisers that are settings of their own -> the setting."""
LINES = {
    "sgd": "stochastic gradient descent, with `momentum`, Nesterov's unless `nesterov` is false",
    "adamw": "Adam with decoupled weight decay (Loshchilov and Hutter, ICLR 2019)",
}


def takes(text: str, argument: str) -> bool:
    """Whether the optimiser has this argument; True if it cannot be made at all."""
    if text == DEFAULT:
        return argument in SETTINGS
    answer = _probed(text)
    return answer["error"] is not None or argument in answer["arguments"]


def problem(text: str) -> str | None:
    """What is wrong with an optimiser's name or arguments, or None; tries one step of it."""
    if text == DEFAULT:
        return None
    error: str | None = _probed(text)["error"]
    return error


def make(text: str, groups: Sequence[dict[str, Any]], **settings: float) -> Optimizer:
    """The optimiser of parameter groups.

    Args:
        text: its name, with arguments if any.
        groups: the parameter groups, as torch takes them.
        **settings: `lr`, `weight_decay`, `momentum` and `nesterov`; what it does not take is left
            out.

    Raises:
        Refused: no optimiser has this name.
        TypeError: it has no such argument.
    """
    call = _call(text)
    function = _find(call.name)
    known = inspect.signature(function).parameters
    given: dict[str, Any] = {name: value for name, value in settings.items() if name in known}
    if "nesterov" in given:
        given["nesterov"] = bool(given["nesterov"]) and given.get("momentum", 0) > 0
    if "foreach" in known:
        given["foreach"] = True
    made: Optimizer = function(list(groups), *call.values, **{**given, **call.named})
    return made


def _call(text: str) -> calls.Call:
    found = calls.read(text)
    if len(found) != 1:
        raise Refused(f"got {text!r}; give one optimiser")
    return found[0]


def _find(name: str) -> Callable[..., Any]:
    """The class of torch or timm with this name in any case, or what `module:name` names.

    Raises:
        Refused: there is none; says which names are similar.
    """
    import torch

    if ":" in name:
        own: Callable[..., Any] = calls.own(name)
        return own
    of_torch = {
        each.lower(): kind
        for each, kind in vars(torch.optim).items()
        if inspect.isclass(kind)
        and issubclass(kind, torch.optim.Optimizer)
        and kind is not torch.optim.Optimizer
    }
    if name.lower() in of_torch:
        return of_torch[name.lower()]
    optim: Any = importlib.import_module("timm.optim")
    of_timm: set[str] = set(optim.list_optimizers())
    if name.lower() in of_timm:
        made: Callable[..., Any] = optim.get_optimizer_class(name.lower())
        return made
    near = difflib.get_close_matches(name.lower(), sorted({*of_torch, *of_timm}), n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise Refused(
        f"no optimiser '{name}'; {hint}known: those of torch.optim "
        f"({', '.join(sorted(of_torch))}), of timm.optim (timm.optim.list_optimizers()), or your "
        "own as module:class"
    )


@functools.cache
def _probed(text: str) -> dict[str, Any]:
    """`arguments` that the optimiser takes, and the `error` that making and using it raises."""
    if ":" in text.partition("(")[0]:  # a user's own may change from one process to the next
        return _probe(text)
    key = ["optimiser", version("torch"), version("timm"), text]
    answer: dict[str, Any] = cache.remembered(key, lambda: _probe(text))
    return answer


def _probe(text: str) -> dict[str, Any]:
    import torch

    try:
        call = _call(text)
        for argument, setting in SETTINGS.items():
            if argument in call.named:
                raise Refused(
                    f"'{call.name}' is given {argument}, which is the setting `{setting}`; give it "
                    "there"
                )
        known = [*inspect.signature(_find(call.name)).parameters]
        strange = [name for name in call.named if name not in known]
        if strange:
            raise Refused(
                f"'{call.name}' has no argument {', '.join(strange)}; it has "
                f"{', '.join(name for name in known[1:] if name not in SETTINGS)}"
            )
        weights = [torch.nn.Parameter(torch.ones(3, 2)), torch.nn.Parameter(torch.ones(3))]
        optimiser = make(text, [{"params": weights}], lr=0.1, momentum=0.9, nesterov=True)
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        optimiser.step()
    except Refused as error:
        return {"arguments": [], "error": str(error)}
    except Exception as error:  # an optimiser, or a user's module, may raise anything
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return {"arguments": [], "error": f"the optimiser {text!r} cannot be used: {first}"}
    return {"arguments": known, "error": None}
