"""How a score declares itself: `@score` on a function that asks by name for what it reads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, final

from tasks.scores.evidence import NEEDS

Kind = Literal["score", "control", "proposal", "part", "bound"]
KINDS: Mapping[Kind, str] = {
    "score": "predicts how well a transfer will go",
    "control": "a simple quantity that a score has to beat",
    "proposal": "a score of this project, in no paper",
    "part": "one of the members of its group, whose combination is fitted to outcomes",
    "bound": "has parts GROUP/... that are the terms of a bound on the target's loss",
}
Function = TypeVar("Function", bound=Callable[..., Any])


@final
@dataclass(frozen=True, slots=True)
class Declaration:
    """What a score says of itself."""

    needs: frozenset[str] = frozenset()
    """What it cannot do without, of `NEEDS`."""
    parts: tuple[str, ...] = ()
    """Columns that it may give beside `transferability`."""
    group: str = ""
    """Scores that compute the same share a group, and with it their parameters; empty: alone."""
    kind: Kind = "score"
    """What it is in a comparison of scores, of `KINDS`."""


def score(
    *,
    needs: Iterable[str] = (),
    parts: Iterable[str] = (),
    group: str = "",
    kind: Kind = "score",
) -> Callable[[Function], Function]:
    """Decorator that attaches a declaration to the function of a score, which stays as it is.

    The function asks by name for what it reads: a parameter without a default is a member of
    `Evidence` (`features`, `labels`, `probabilities`, ...), or all of it if it is called
    `evidence`; `seed` is a seed that follows from the repetition. Every other parameter has a
    default, and is a setting of the study. What it returns is the number, the higher the better;
    or a tuple of the number and the `parts`, in their order; or a mapping with `transferability`
    and the parts by name.

    Args:
        needs: what it cannot do without, of `tasks.scores.NEEDS`.
        parts: the columns that it gives beside `transferability`.
        group: what its settings begin with, if it shares them with other scores; default: its name.
        kind: what it is in a comparison, of `KINDS`.

    Raises:
        ValueError: a need or a kind that nobody knows.
    """
    strange = frozenset(needs) - frozenset(NEEDS)
    if strange:
        raise ValueError(
            f"a score needs {', '.join(sorted(strange))}, which nothing offers; known: "
            f"{', '.join(NEEDS)}"
        )
    if kind not in KINDS:
        raise ValueError(f"a score is of the kind '{kind}'; known: {', '.join(KINDS)}")
    declaration = Declaration(frozenset(needs), tuple(parts), group, kind)

    def attach(function: Function) -> Function:
        vars(function)["declaration"] = declaration
        return function

    return attach


def declaration_of(function: Callable[..., Any]) -> Declaration:
    """What the function of a score declares; nothing if it is not decorated."""
    declaration = getattr(function, "declaration", None)
    return declaration if isinstance(declaration, Declaration) else Declaration()


def reads(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters that are filled from the evidence, `seed` among them."""
    return tuple(
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name == "seed" or parameter.default is parameter.empty
    )
