"""What a task declares, so that a study can be planned without training, and what it runs with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tasks.outputs import Outputs

Config = Mapping[str, Any]
"""A task's settings by key, as a study gives them or as `resolve` completes them."""
Measurement = dict[str, Any]
"""What a task yields: an int `step`, and named numbers or lists of numbers."""
Problems = list[tuple[str, str]]
"""(key of the config, sentence about it)."""
Stages = dict[str, tuple[str, dict[str, Any]]]
"""Name of a stage -> (task that runs it, that task's config)."""


@final
@dataclass(frozen=True, slots=True)
class Trajectory:
    """The training behind a trial, as a stage shared by all trials that train the same way."""

    task: str
    """The task of the stage: it trains, and after each epoch writes what the trials need."""
    config: dict[str, Any]
    """The stage's resolved config: equal for all trials that train the same way."""
    recorded: dict[str, Any] = field(default_factory=dict)
    """What the stage must record for this trial besides the weights; empty: nothing.

    The distinct values over all trials that share the stage become its config's `members`.
    """
    tail: bool = False
    """Whether the trial does more than train, so that other trials probably share the training."""
    size: int = 0
    """About how many bytes of weights the stage keeps for this trial; 0: few, or not known.

    What it records for the trial is not included.
    """
    recorded_size: int = 0
    """About how many bytes it keeps of what it records for this trial."""


class Workspace(Protocol):
    """What a running task is given besides its config.

    The orchestrator provides one; a notebook or a test may provide its own.
    """

    @property
    def repetition(self) -> int:
        """The number of the repetition, from 0."""

    @property
    def device(self) -> str:
        """Where to compute, such as `cpu` or `cuda:0`."""

    @property
    def threads(self) -> int:
        """How many CPU threads to compute with."""

    @property
    def output(self) -> Path:
        """A folder; what a stage writes into it becomes its artifact."""

    @property
    def cache(self) -> Path:
        """A folder for decoded data, shared by all trials on a node."""

    @property
    def keeps_features(self) -> bool:
        """Whether `keep` takes features beside logits; a workspace may lack this."""

    def seed(self, *names: object) -> int:
        """A seed in [0, 2**31) that depends on the names and the repetition only."""

    def artifact(self, stage: str) -> Path:
        """The folder with the files that a stage wrote."""

    @property
    def trajectory(self) -> Path | None:
        """The folder of the shared training; None if the trial trains by itself."""

    def save(self, make: Callable[[], bytes], /) -> None:
        """Saves the state that a killed trial resumes from; calls `make` only if a save is due."""

    def load(self) -> bytes | None:
        """The last saved state, or None."""

    def keep(self, step: int, outputs: Mapping[str, Outputs], /) -> None:
        """Takes the model's outputs at a step, by split, before the step's measurement is yielded.

        A workspace may lack this method: `tasks.outputs.hand_over` then does nothing.
        """


Function = TypeVar("Function", bound=Callable[[Config, Any], Iterator[Measurement]])


@final
@dataclass(frozen=True, slots=True)
class Setting:
    """A config key that a task reads: its type, default, and valid values."""

    type: type
    default: Any
    low: float | None = None
    high: float | None = None
    choices: Callable[[], Mapping[str, str]] | Sequence[str] | None = None
    """Known names, or a function that returns them with a one-line description each."""
    open: bool = False
    """Whether other names than `choices` may be valid; the task's `problems` then checks them."""
    doc: str = ""
    varied: Callable[[Config], str] | None = None
    """What it means to vary this key in a study, given a resolved config; "": nothing special."""
    each: Callable[[Any], Sequence[Any]] | None = None
    """In a grid: the values that a text stands for, such as each of many targets; None: itself."""
    examples: Sequence[Any] = ()
    """Values that a new study starts with, if one value is not enough."""
    aliases: Sequence[str] = ()
    """What others call the key, such as `lr`: not accepted, but suggested for it."""
    describe: Callable[[str], str] | None = None
    """The whole description of one of `choices`; None: its line in `choices` is all there is."""
    words: Sequence[str] = ()
    """Texts that it accepts in place of a value, such as `auto`; `resolve` replaces them."""
    path: Callable[[str], tuple[str, str, str] | None] | None = None
    """Where a path stands in a text: what is before it, the path, and what follows; None: none.

    A relative one is taken from the folder of the study's file.
    """
    repeats: str = ""
    """Whose work it multiplies: `trial`, or the name of a stage such as `source`; "": nobody's.

    The time of a run is estimated from past runs that differ in such settings by their product.
    """


@final
@dataclass(frozen=True, slots=True)
class Keeps:
    """How much a trial passes to `Workspace.keep`, known before it runs."""

    images: Mapping[str, int]
    """Split -> number of its images."""
    classes: int
    """Number of logits per image."""
    measurements: int
    """How often outputs are passed on."""


@final
@dataclass(frozen=True, slots=True)
class Evidence:
    """What a trial's numbers rest on, so that a report knows what may count as independent."""

    target: str
    """The data that is tested on; trials of one target share images."""
    source: str = ""
    """The data that the source model learnt from; "": none, or not known."""
    model: str = ""
    """What the source model is apart from that data, such as its backbone."""
    tested: float | None = None
    """The share of the target's images that each repetition tests, drawn anew.

    1: all repetitions test the same images; None: not known, or each tests images of its own.
    """
    repetitions: int | None = None
    """How many repetitions there are data for; None: as many as are wanted."""


@final
@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of a trial, known before it runs; both in rising order."""

    yielded: Sequence[int]
    """The steps of its rows."""
    measured: Sequence[int]
    """Those of them at which the model is measured; its objectives are, too."""
    left_out_by: str = ""
    """The setting by which the others are not."""


@final
@dataclass(frozen=True, eq=False, slots=True)
class ImagesTested:
    """The images that a trial tests, as places in the pool that all repetitions draw from."""

    name: str
    """As `Outputs.images` of the trial's test images: equal names mean equal images in order."""
    units: NDArray[np.int64]
    """[N], equal numbers for what is no independent draw: an image, or images of one group."""


@final
@dataclass(frozen=True, slots=True)
class Timed:
    """A setting for which a study may say `auto`: the fastest of its values, measured once."""

    key: str
    """The setting; its value is a name, or a list of `SHAPE=NAME` with a name for each shape."""
    ways: Mapping[str, Mapping[str, Any]]
    """Each name with the settings that it stands for; the first is as without the setting."""
    task: str
    """The task that measures; it yields a row with the seconds of a step as `seconds/NAME`."""
    measured: Callable[[Config], tuple[str, Config]]
    """The shape of a resolved config, on which the speed depends, and what that task is given.

    The orchestrator adds `ways`, the names that all configs of the shape accept.
    """
    fastest: Callable[[Mapping[str, float]], str]
    """The name to take, given the seconds of those that were timed."""


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
    evidence: Callable[[Config], Evidence] | None = None,
    steps: Callable[[Config], Steps | None] | None = None,
    tested: Callable[[Config, int, Callable[..., int]], ImagesTested | None] | None = None,
    influence: Callable[[Outputs], Mapping[str, NDArray[np.float64]]] | None = None,
    timed: Timed | None = None,
    fetched: Callable[[Config], Mapping[str, Callable[[], None]]] | None = None,
    shape: Callable[[Config], dict[str, Any]] | None = None,
) -> Callable[[Function], Function]:
    """Decorator that attaches to a task the answers described in docs/contracts.md.

    The task stays a plain generator function, so that it can be pickled by name.

    Args:
        settings: every config key that the task reads.
        resolve: the canonical config; two configs that mean the same become equal.
        meaning: what a trial's id is the hash of: a resolved config, with data by content.
        problems: what is wrong with a resolved config.
        notes: what a user should know about a resolved config although nothing is wrong.
        unmeasured: column -> why no trial of a resolved config can measure it.
        stages: the stages that a resolved config needs.
        trajectory: the training behind a resolved config, which trials may share.
        spaces: the search spaces whose parameters a resolved config has.
        metrics: the columns that the task may yield.
        measured_with: column -> the config key that must be above 0 for it to be measured.
        predicts: the column that predicts how well trials with the same config keys will do.
        comparable: what two resolved configs must share for their predictions to be comparable.
        role: the role of a resolved config in a comparison: `source`, `bound`, or empty for a
            competitor.
        empty: the task's name for the chain without methods.
        combined: score -> the scores that it weighs by the results on other targets.
        terms: the column prefix of the terms of a bound on the target's loss.
        keeps: the outputs that a trial of a resolved config passes on; None if the amount is not
            known.
        evidence: the data that the numbers of a resolved config rest on.
        fetched: what a resolved config needs from elsewhere, with functions that fetch it.
        timed: the setting whose fastest value a study may ask for.
        steps: the steps at which a trial of a resolved config is measured; None if that is not
            known.
        tested: the test images of a resolved config, a repetition and its seeds by name.
        influence: test column -> how much each test image moves it, from the kept outputs.
        shape: what decides how much of a GPU a resolved config needs.
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
        "evidence": evidence,
        "steps": steps,
        "tested": tested,
        "influence": influence,
        "timed": timed,
        "fetched": fetched,
        "shape": shape,
    }

    def attach(function: Function) -> Function:
        vars(function).update({key: value for key, value in answers.items() if value is not None})
        return function

    return attach


def filled(settings: Mapping[str, Setting], config: Config) -> dict[str, Any]:
    """The config with defaults filled in, and ints as floats where the setting is a float.

    So 1 and 1.0 mean the same. Unknown keys are kept, for the task's `problems` to report.
    """
    full = {key: setting.default for key, setting in settings.items()}
    for key, value in config.items():
        whole = type(value) is int and key in settings and settings[key].type is float
        full[key] = float(value) if whole else value
    return full
