"""Tasks by name, and the questions to a task (docs/contracts.md, "What a task is")."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from htsweep.buckets import Reader
from htsweep.errors import did_you_mean
from htsweep.planning import paths
from htsweep.study.schema import Study
from tasks import buckets

Config = Mapping[str, Any]
Measurement = Mapping[str, Any]
SOURCE, BOUND = "source", "bound"
buckets.reader = Reader()  # whoever asks tasks for anything comes by here
ROLES = (SOURCE, BOUND)
"""The roles of configs that are not competitors.

`source` is the model before adaptation, which may be on a front like any other choice. `bound` is
an upper bound that used data which nobody has; it is shown next to comparisons but takes part in
none.
"""


class UnknownTask(LookupError):
    """There is no task of that name; the message lists those that exist."""


@final
@dataclass(frozen=True)
class Task:
    """A task by its name, with a default for every attribute that its function lacks."""

    name: str
    run: Callable[[Config, Any], Iterator[Measurement]]
    folder: Path | None = None
    """The folder of the study that asks, from which relative paths are taken; None: they are left
    to the task, which takes them from the working folder."""

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """Config key -> its declaration, for every key that the task reads; None: any key."""
        return getattr(self.run, "settings", None)

    @property
    def metrics(self) -> Sequence[str]:
        """The columns that the task may yield; empty if it does not declare them."""
        return tuple(getattr(self.run, "metrics", None) or ())

    @property
    def measured_with(self) -> Mapping[str, str]:
        """Column -> the config key that must be set and not 0 for it to be measured."""
        return dict(getattr(self.run, "measured_with", None) or {})

    @property
    def predicts(self) -> str | None:
        """The column that predicts how well a transfer will go (higher is better), or None."""
        return getattr(self.run, "predicts", None)

    def comparable(self, config: Config) -> dict[str, Any]:
        """What two resolved configs must share for their predictions to be comparable."""
        return dict(self._ask("comparable", config, config))

    def resolve(self, config: Config) -> dict[str, Any]:
        """The canonical config: configs that mean the same become equal."""
        if self.folder is not None:
            config = paths.located(self.settings, config, self.folder)
        return dict(self._ask("resolve", config, config))

    def meaning(self, config: Config) -> dict[str, Any]:
        """The values from which the id of a trial is computed."""
        return dict(self._ask("meaning", config, config))

    def problems(self, config: Config) -> list[tuple[str, str]]:
        """(key, problem) for a resolved config."""
        return list(self._ask("problems", config, ()))

    def notes(self, config: Config) -> list[tuple[str, str]]:
        """(key, what users should know about it) for a resolved config without problems."""
        return list(self._ask("notes", config, ()))

    def unmeasured(self, config: Config) -> dict[str, str]:
        """Column -> why no trial of a resolved config without problems can measure it."""
        return dict(self._ask("unmeasured", config, {}))

    def stages(self, config: Config) -> dict[str, tuple[str, dict[str, Any]]]:
        """Name -> (task, config) of the stages that a resolved config needs."""
        return dict(self._ask("stages", config, {}))

    @property
    def shares(self) -> bool:
        """Whether trials of the task may share a training."""
        return getattr(self.run, "trajectory", None) is not None

    def trajectory(self, config: Config) -> Any:
        """The training of a resolved config, with `task`, `config`, `recorded` and `tail`.

        None if the config does not train, or its training cannot be shared (docs/contracts.md,
        "What a task is").
        """
        return self._ask("trajectory", config, None)

    def spaces(self, config: Config) -> list[str]:
        """The names of the search spaces whose parameters the config has."""
        return list(self._ask("spaces", config, ()))

    def role(self, config: Config) -> str:
        """The role of a resolved config in comparisons: one of `ROLES`, or "" if it competes.

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
        """The task's name for a chain without methods; "" if it has none."""
        return str(getattr(self.run, "empty", ""))

    @property
    def combined(self) -> Mapping[str, Sequence[str]]:
        """Combined score -> the scores in it, weighted by what pairs of other targets achieved."""
        return dict(getattr(self.run, "combined", None) or {})

    @property
    def terms(self) -> str:
        """The prefix of columns that are terms of a bound on the target's loss; empty: none."""
        return str(getattr(self.run, "terms", ""))

    @property
    def keeps(self) -> bool:
        """Whether its trials hand over their models' outputs to be kept."""
        return getattr(self.run, "keeps", None) is not None

    def kept(self, config: Config) -> Any:
        """The `Keeps` of a resolved config (tasks/task.py); None: nothing, or unknown how much."""
        return self._ask("keeps", config, None)

    def evidence(self, config: Config) -> Any:
        """The `Evidence` of a resolved config (tasks/task.py); None: the task does not say."""
        return self._ask("evidence", config, None)

    def steps(self, config: Config) -> Any:
        """The `Steps` of a resolved config (tasks/task.py); None: the task does not say."""
        return self._ask("steps", config, None)

    def tested(self, config: Config, repetition: int, seed: Callable[..., int]) -> Any:
        """The `ImagesTested` (tasks/task.py) of a repetition; None: the task cannot say.

        Args:
            config: a resolved config.
            repetition: its number.
            seed: from names to the repetition's seed.
        """
        answer = getattr(self.run, "tested", None)
        return None if answer is None else answer(config, repetition, seed)

    @property
    def influence(self) -> Callable[[Any], Mapping[str, Any]] | None:
        """Kept test outputs -> column -> how much each image moves it; None: not known."""
        return getattr(self.run, "influence", None)

    @property
    def timed(self) -> Any:
        """The setting whose fastest value a study may ask for (`Timed`, tasks/task.py), or None."""
        return getattr(self.run, "timed", None)

    def fetched(self, config: Config) -> Mapping[str, Callable[[], None]]:
        """What a resolved config needs from elsewhere, each with a function that fetches it."""
        return dict(self._ask("fetched", config, {}))

    def _ask(self, question: str, config: Config, otherwise: Any) -> Any:
        answer = getattr(self.run, question, None)
        return otherwise if answer is None else answer(config)


@functools.cache
def find(name: str) -> Task:
    """The task called `name`: `toy`, `holistic_transfer:source`, `my_lab.tasks:segment`.

    Raises:
        UnknownTask: there is no such task.
    """
    module_name, _, function = name.partition(":")
    module = _module(module_name)
    function = function or module_name.rpartition(".")[2]
    run = getattr(module, function, None)
    if not callable(run):
        names = [
            key
            for key, value in vars(module).items()
            if callable(value) and not key.startswith("_")
        ]
        raise UnknownTask(
            f"{module.__name__} has no task '{function}'; {did_you_mean(function, names)}"
        )
    return Task(name, run)


def of(study: Study, name: str = "") -> Task:
    """The task of a study, or another one that it names, with relative paths of the study's folder.

    Raises:
        UnknownTask: there is no such task.
    """
    return replace(find(name or study.task), folder=study.folder)


def known() -> dict[str, str]:
    """The tasks that users are offered: name -> the first line of its docstring."""
    import tasks

    return {
        name: (find(name).run.__doc__ or "").strip().partition("\n")[0]
        for name in tasks.NAMES
        if name not in tasks.HIDDEN
    }


def beside(folder: Path) -> None:
    """Adds a study's folder to the import path, for the modules that the study names."""
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
        f"unknown task '{name}'; {did_you_mean(name, known())} (or your own as module:function)"
    )
