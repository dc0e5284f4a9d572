"""The declaration of a score: `@score` on a function whose parameters name what it reads."""

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
    """What a score declares."""

    needs: frozenset[str] = frozenset()
    """What it needs, of `NEEDS`."""
    parts: tuple[str, ...] = ()
    """Columns that it may return besides `transferability`."""
    group: str = ""
    """Scores that compute the same thing share a group, and so their parameters; empty: none."""
    kind: Kind = "score"
    """Its kind in a comparison of scores, of `KINDS`."""


def score(
    *,
    needs: Iterable[str] = (),
    parts: Iterable[str] = (),
    group: str = "",
    kind: Kind = "score",
) -> Callable[[Function], Function]:
    """Decorator that attaches a declaration to the function of a score without wrapping it.

    The function's parameters name what it reads: one without a default is a member of `Evidence`
    (`features`, `labels`, `probabilities`, ...), or all of it if it is called `evidence`; `seed` is
    a seed that depends on the repetition. Every other parameter has a default and is a setting of
    the study. The function returns the score, higher being better; or a tuple of the score and the
    `parts` in their order; or a mapping with `transferability` and the parts by name.

    Args:
        needs: what it needs, of `tasks.scores.NEEDS`.
        parts: the columns that it returns besides `transferability`.
        group: the prefix of its settings, if other scores share them; default: its name.
        kind: its kind in a comparison, of `KINDS`.

    Raises:
        ValueError: an unknown need or kind.
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
    """The declaration of a score's function; the default one if it is not decorated."""
    declaration = getattr(function, "declaration", None)
    return declaration if isinstance(declaration, Declaration) else Declaration()


def described(function: Callable[..., Any]) -> str:
    """All that a score says of itself: what it is, where it is from, what it needs and returns."""
    declared = declaration_of(function)
    said = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:")[0].strip()
    kind = f"A {declared.kind}: {KINDS[declared.kind]}." if declared.kind != "score" else ""
    # What comes after the comma is said where the need is not met.
    needed = " ".join(f"It {NEEDS[need].partition(',')[0]}." for need in sorted(declared.needs))
    columns = f"It also measures {', '.join(declared.parts)}." if declared.parts else ""
    return "\n\n".join(part for part in (said, kind, needed, columns) if part)


def reads(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the parameters that are filled from the evidence, including `seed`."""
    return tuple(
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name == "seed" or parameter.default is parameter.empty
    )
