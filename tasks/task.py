"""What a task says about itself, so that a plan can be made without training anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, final

Function = TypeVar("Function", bound=Callable[..., Any])


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """A config key that a task reads: its type, its default, and the values that it takes."""

    type: type
    default: Any
    low: float | None = None
    high: float | None = None
    choices: Callable[[], Mapping[str, str]] | Sequence[str] | None = None
    """Known names, or a function that gives them with a line about each."""
    open: bool = False
    """Whether names beside the `choices` may be right; then the task's `problems` judges them."""
    doc: str = ""
    examples: Sequence[Any] = ()
    """Values that a new study starts with, where one value is not enough."""


def declare(**answers: Any) -> Callable[[Function], Function]:
    """Decorator that hangs on a task what docs/architecture.md says one may answer: `settings`, `resolve` and so on.

    The task stays a plain generator function, so that it pickles by name and reads as one.
    """
    unknown = set(answers) - {
        "settings",
        "resolve",
        "meaning",
        "problems",
        "stages",
        "spaces",
        "metrics",
        "measured_with",
        "unmeasured",
        "notes",
        "predicts",
        "comparable",
        "role",
        "empty",
        "combined",
        "terms",
    }
    assert not unknown, f"nobody asks a task for {sorted(unknown)}"

    def hang(function: Function) -> Function:
        for question, answer in answers.items():
            setattr(function, question, answer)
        return function

    return hang


def filled(settings: Mapping[str, Setting], config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with defaults filled in and numbers in their setting's type, so that 1 and 1.0 mean the same.

    Keys that no setting knows stay as they are: whoever reads the config judges them.
    """
    full = {key: setting.default for key, setting in settings.items()}
    for key, value in config.items():
        whole = type(value) is int and key in settings and settings[key].type is float
        full[key] = float(value) if whole else value
    return full
