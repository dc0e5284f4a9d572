"""What a task says about itself, so that a study can be planned without training anything, and what it is given to run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, final

if TYPE_CHECKING:
    from tasks.outputs import Outputs

Config = Mapping[str, Any]
"""A task's settings by key, as a study gives them or as `resolve` completes them."""
Measurement = dict[str, Any]
"""What a task yields: an int `step`, and named numbers or lists of numbers."""
Problems = list[tuple[str, str]]
"""(key of the config, sentence about it)."""
Stages = dict[str, tuple[str, dict[str, Any]]]
"""Name of a stage -> (task that makes it, that task's config)."""


@final
@dataclass(frozen=True, slots=True)
class Trajectory:
    """The training that a trial is measured from, as a stage that trials of the same training share."""

    task: str
    """The task of the stage; it trains and leaves, after each epoch, what the trial needs."""
    config: dict[str, Any]
    """The stage's resolved config: equal for all trials that train alike."""
    recorded: dict[str, Any] = field(default_factory=dict)
    """What the stage must record for this trial beside the weights; empty: nothing.

    The distinct ones of all trials that share the stage become its config's `members`.
    """
    tail: bool = False
    """Whether the trial is more than its training, so that others of the same training are likely."""


class Workspace(Protocol):
    """What a running task is given beside its config; the orchestrator has one, and so may a notebook or a test."""

    @property
    def repetition(self) -> int:
        """The number of the repetition, from 0."""

    @property
    def device(self) -> str:
        """Where to compute: `cpu`, `cuda:0`."""

    @property
    def threads(self) -> int:
        """How many CPU threads to compute with."""

    @property
    def output(self) -> Path:
        """A folder; what a stage leaves in it becomes its artifact."""

    @property
    def cache(self) -> Path:
        """A folder for decoded data that all trials of a node share."""

    def seed(self, *names: object) -> int:
        """A seed in [0, 2**31) from the names and the repetition, and from nothing else."""

    def artifact(self, stage: str) -> Path:
        """The folder with the files that a stage left."""

    @property
    def trajectory(self) -> Path | None:
        """What the stage that trains for this trial and others has left; None: the trial trains."""

    def save(self, make: Callable[[], bytes], /) -> None:
        """Keeps a state from which a killed trial continues; calls `make` only when a save is due."""

    def load(self) -> bytes | None:
        """The last state that was saved; None if there is none."""

    def keep(self, step: int, outputs: Mapping[str, Outputs], /) -> None:
        """Takes what the model answers at a step, by split, before the step's measurement is yielded.

        A workspace may lack this member: `tasks.outputs.hand_over` then does nothing.
        """


Function = TypeVar("Function", bound=Callable[[Config, Any], Iterator[Measurement]])


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
    varied: Callable[[Config], str] | None = None
    """What it entails for trials of a resolved config that a study gives several values; "": nothing."""
    examples: Sequence[Any] = ()
    """Values that a new study starts with, where one value is not enough."""


@final
@dataclass(frozen=True, slots=True)
class Keeps:
    """How much a trial hands over by `Workspace.keep`, as far as that is known before it runs."""

    images: Mapping[str, int]
    """Split -> its images."""
    classes: int
    """Logits of each image."""
    measurements: int
    """How often they are handed over."""


def declare(
    *,
    settings: Mapping[str, Setting] | None = None,
    resolve: Callable[[Config], dict[str, Any]] | None = None,
    meaning: Callable[[Config], dict[str, Any]] | None = None,
    problems: Callable[[Config], Problems] | None = None,
    notes: Callable[[Config], Problems] | None = None,
    unmeasured: Callable[[Config], dict[str, str]] | None = None,
    stages: Callable[[Config], Stages] | None = None,
    trajectory: Callable[[Config], Trajectory | None] | None = None,
    spaces: Callable[[Config], list[str]] | None = None,
    metrics: Sequence[str] | None = None,
    measured_with: Mapping[str, str] | None = None,
    predicts: str | None = None,
    comparable: Callable[[Config], dict[str, Any]] | None = None,
    role: Callable[[Config], str] | None = None,
    empty: str | None = None,
    combined: Mapping[str, Sequence[str]] | None = None,
    terms: str | None = None,
    keeps: Callable[[Config], Keeps | None] | None = None,
) -> Callable[[Function], Function]:
    """Decorator that attaches to a task what docs/contracts.md says one may answer.

    The task stays a plain generator function, so that it pickles by name and reads as one.

    Args:
        settings: every config key that the task reads.
        resolve: the canonical config; two configs that mean the same become equal.
        meaning: what the id of a trial is a hash of: a resolved config, with data by content.
        problems: what is wrong with a resolved config.
        notes: what a person should know about a resolved config, although nothing is wrong.
        unmeasured: column -> why no trial of a resolved config can measure it.
        stages: the stages that a resolved config needs.
        trajectory: the training that a resolved config is measured from, which trials may share.
        spaces: the search spaces whose parameters a resolved config has.
        metrics: the columns that the task may yield.
        measured_with: column -> the config key without which (0) it is not measured.
        predicts: the column that predicts how well trials with the same config keys will go.
        comparable: what two resolved configs share if their predictions may be compared.
        role: what a resolved config is in a comparison: `source`, `bound`, or empty for a
            competitor.
        empty: the chain of methods that has no member, as the task calls it.
        combined: score -> the scores that it weighs by what was achieved on other targets.
        terms: what the names of columns begin with that are terms of a bound on the target's loss.
        keeps: the outputs that a trial of a resolved config hands over to be kept; None: how much
            is not known.
    """
    answers = {
        "settings": settings,
        "resolve": resolve,
        "meaning": meaning,
        "problems": problems,
        "notes": notes,
        "unmeasured": unmeasured,
        "stages": stages,
        "trajectory": trajectory,
        "spaces": spaces,
        "metrics": metrics,
        "measured_with": measured_with,
        "predicts": predicts,
        "comparable": comparable,
        "role": role,
        "empty": empty,
        "combined": combined,
        "terms": terms,
        "keeps": keeps,
    }

    def attach(function: Function) -> Function:
        vars(function).update({key: value for key, value in answers.items() if value is not None})
        return function

    return attach


def filled(settings: Mapping[str, Setting], config: Config) -> dict[str, Any]:
    """The config with defaults filled in and numbers in their setting's type, so that 1 and 1.0 mean the same.

    Keys that no setting knows stay as they are: whoever reads the config judges them.
    """
    full = {key: setting.default for key, setting in settings.items()}
    for key, value in config.items():
        whole = type(value) is int and key in settings and settings[key].type is float
        full[key] = float(value) if whole else value
    return full
