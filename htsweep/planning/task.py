"""Tasks by name, and what the orchestrator may ask of one (docs/architecture.md, "What a task is")."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from htsweep.errors import did_you_mean

Config = Mapping[str, Any]
Measurement = Mapping[str, Any]
SOURCE, BOUND = "source", "bound"
ROLES = (SOURCE, BOUND)
"""What a config may be beside a competitor: `source`, the model before adaptation, which is on a
front like any other choice; `bound`, an upper bound that saw what nobody has, which takes no part
in any comparison and is only shown beside it.
"""


class UnknownTask(LookupError):
    """No task answers to the name; the text says which do."""


@final
@dataclass(frozen=True)
class Task:
    """A task by its name; every question has an answer also where the function carries none."""

    name: str
    run: Callable[[Config, Any], Iterator[Measurement]]

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """Every config key that the task reads, or None: any key is accepted."""
        return getattr(self.run, "settings", None)

    @property
    def metrics(self) -> Sequence[str]:
        """The columns that the task may yield; empty where it does not say."""
        return tuple(getattr(self.run, "metrics", None) or ())

    @property
    def measured_with(self) -> Mapping[str, str]:
        """Column -> the config key without which (0, or not there) it is not measured."""
        return dict(getattr(self.run, "measured_with", None) or {})

    @property
    def predicts(self) -> str | None:
        """The column by which it predicts how well a transfer will go, higher being better; None: it predicts nothing."""
        return getattr(self.run, "predicts", None)

    def comparable(self, config: Config) -> dict[str, Any]:
        """What two resolved configs must share for what they predict to be comparable; what a person knows it by first."""
        return dict(self._ask("comparable", config, config))

    def resolve(self, config: Config) -> dict[str, Any]:
        """The canonical config: two that mean the same are equal."""
        return dict(self._ask("resolve", config, config))

    def meaning(self, config: Config) -> dict[str, Any]:
        """What the id of a trial is made of."""
        return dict(self._ask("meaning", config, config))

    def problems(self, config: Config) -> list[tuple[str, str]]:
        """(key, what is wrong) for a resolved config."""
        return list(self._ask("problems", config, ()))

    def notes(self, config: Config) -> list[tuple[str, str]]:
        """(key, what a person should know of it, though nothing is wrong) for a resolved config without problems."""
        return list(self._ask("notes", config, ()))

    def unmeasured(self, config: Config) -> dict[str, str]:
        """Column -> why no trial of a resolved config without problems can measure it."""
        return dict(self._ask("unmeasured", config, {}))

    def stages(self, config: Config) -> dict[str, tuple[str, dict[str, Any]]]:
        """The stages that a resolved config needs: name -> (task, config)."""
        return dict(self._ask("stages", config, {}))

    def spaces(self, config: Config) -> list[str]:
        """The search spaces whose parameters the config has."""
        return list(self._ask("spaces", config, ()))

    def role(self, config: Config) -> str:
        """What a resolved config is in a comparison: one of `ROLES`, or empty for one that competes with the others.

        Raises:
            ValueError: the task answers something else.
        """
        answer = self._ask("role", config, "")
        if answer not in ("", *ROLES):
            raise ValueError(
                f"task '{self.name}' answers role(config) with {answer!r}; it must be "
                f"{', '.join(map(repr, ROLES))} or ''"
            )
        return str(answer)

    @property
    def empty(self) -> str:
        """The chain of methods that has no member, as the task calls it; empty where it does not say."""
        return str(getattr(self.run, "empty", ""))

    @property
    def combined(self) -> Mapping[str, Sequence[str]]:
        """Scores that are combinations of others: name -> the scores that are weighed by what was achieved elsewhere."""
        return dict(getattr(self.run, "combined", None) or {})

    @property
    def terms(self) -> str:
        """What the columns begin with that are terms of a bound on the target's loss; empty: it measures none."""
        return str(getattr(self.run, "terms", ""))

    def _ask(self, question: str, config: Config, otherwise: Any) -> Any:
        answer = getattr(self.run, question, None)
        return otherwise if answer is None else answer(config)


@functools.cache
def find(name: str) -> Task:
    """The task called `name`: `toy`, `holistic_transfer:source`, `my_lab.tasks:segment`.

    Raises:
        UnknownTask: nothing answers to the name.
    """
    module_name, _, function = name.partition(":")
    module = _module(module_name)
    function = function or module_name.rpartition(".")[2]
    run = getattr(module, function, None)
    if not callable(run):
        found = [
            key
            for key, value in vars(module).items()
            if callable(value) and not key.startswith("_")
        ]
        raise UnknownTask(
            f"{module.__name__} has no task '{function}'; {did_you_mean(function, found)}"
        )
    return Task(name, run)


def known() -> dict[str, str]:
    """The tasks of the package `tasks`: name -> its first line."""
    import tasks

    return {name: (find(name).run.__doc__ or "").strip().partition("\n")[0] for name in tasks.NAMES}


def beside(folder: Path) -> None:
    """Lets a study name the modules that lie beside it: its folder joins the import path."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.append(place)


def _module(name: str) -> Any:
    for candidate in (f"tasks.{name}", name):
        try:
            spec = importlib.util.find_spec(candidate)
        except (ImportError, ValueError):
            spec = None
        if spec is not None:
            return importlib.import_module(candidate)
    raise UnknownTask(
        f"no task '{name}'; {did_you_mean(name, known())} (or one's own as module:function)"
    )
