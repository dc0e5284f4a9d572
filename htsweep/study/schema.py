"""The study file, validated: every mistake at once, each with its line and, where one is near, what was meant."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, Tag, ValidationError

from htsweep.commands import quoted
from htsweep.errors import HtsweepError, Problem, StudyError
from htsweep.planning import ablation
from htsweep.study import document, messages
from htsweep.study.document import Document, Place
from htsweep.study.overrides import OWN, apply

Positive = Annotated[float, Field(gt=0)]
Reason = Literal["raised", "out_of_memory", "diverged", "time_limit", "died"]
_WRITE_ONE = f"To write one to start from: {quoted(['htsweep', 'new', 'study.yaml'])}"


class Section(BaseModel):
    """A part of the study file: typed, closed, frozen."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@final
class Search(Section):
    """How each sweep looks for its points."""

    sampler: Literal["grid", "random", "qmc", "tpe", "nsga2"] = "grid"
    trials: Annotated[int, Field(ge=1)] | None = None
    """Points per sweep, each with all its repetitions; with `grid`, at most these."""
    spaces: dict[str, dict[str, Any]] = {}
    """Overrides by space name; the name `all` adds dimensions to every sweep."""


@final
class Objective(Section):
    """A column that is made large or small; test columns only where `oracle` owns up to it."""

    metric: str
    direction: Literal["maximize", "minimize"] = "maximize"
    oracle: bool = False


@final
class Stop(Section):
    """Asynchronous successive halving inside each sweep and repetition."""

    first: Annotated[int, Field(ge=1)]
    """The step of the first rung; the next are `eta` times as far."""
    eta: Annotated[int, Field(ge=2)] = 3


@final
class Resources(Section):
    """What one trial takes."""

    cpu: Positive = 1
    gpu: Annotated[float, Field(ge=0)] = 0
    time_limit_seconds: Annotated[float, Field(gt=0, le=1e8)] | None = None


@final
class Budget(Section):
    """Where a launch ends tidily; not part of any trial's identity, so raising it continues."""

    trials: Annotated[int, Field(ge=0)] | None = None
    """Trials of the study over all its launches."""
    wall_hours: Annotated[float, Field(ge=0)] | None = None
    """Hours of one launch."""
    gpu_hours: Annotated[float, Field(ge=0)] | None = None
    """GPU hours of the study over all its launches."""


@final
class Retry(Section):
    """How often a trial that failed is tried in one launch, and for which reasons again."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 2
    reasons: list[Reason] = ["died", "out_of_memory", "time_limit"]


@final
class Ablation(Section):
    """A full config, and what it is without each of its components (htsweep/planning/ablation.py)."""

    full: dict[str, Any]
    components: Annotated[
        Annotated[list[str], Tag("list")] | Annotated[dict[str, dict[str, Any] | None], Tag("mapping")],
        Discriminator(lambda value: "mapping" if isinstance(value, dict) else "list"),
    ] | None = None
    """Members of the chain `full.method`; or name -> the keys as they are without it. None: all members."""
    controls: dict[str, str] = {}
    """Member -> the method that takes its place in a variant of its own."""
    alone: bool = False
    factorial: bool = False


@final
class Screen(Section):
    """Scores that predict the outcome of each pair of source model and target data, and which pairs are kept for them."""

    scores: Annotated[list[str], Field(min_length=1)]
    """Computed for every pair of the study; higher predicts better."""
    by: str | None = None
    """The score that decides; None: the first."""
    keep: Annotated[
        Annotated[int, Field(ge=1), Tag("number")] | Annotated[Literal["all"], Tag("word")],
        Discriminator(lambda value: "word" if isinstance(value, str) else "number"),
    ] | None = None
    """Pairs that are kept of each target data, the best; `all` drops none."""
    margin: Annotated[float, Field(ge=0)] | None = None
    """In place of `keep`: all pairs within this of the best, in the score's own unit."""
    repetitions: Annotated[int, Field(ge=1)] | None = None
    """Of each score; None: the study's."""
    fixed: dict[str, Any] = {}
    """Settings of the scoring task."""
    task: str = "transferability"

    @property
    def decisive(self) -> str:
        """The score that decides."""
        return self.by or self.scores[0]


@final
class Study(Section):
    """A study as its file says it, checked; `read` makes one."""

    study: str
    task: str
    grid: dict[str, list[Any]] = {}
    repetitions: Annotated[int, Field(ge=1)] = 1
    search: Search | None = None
    objectives: list[Objective] = []
    stop: Stop | None = None
    select: str = "last"
    baseline: Any = None
    """The value of `compared` that the others are compared with; None: the report decides."""
    non_disruption: Annotated[float, Field(ge=0, le=1)] | None = None
    """How much missing accuracy a point may lose against the source model before it is marked, as a fraction."""
    ablate: Ablation | None = None
    screen: Screen | None = None
    fixed: dict[str, Any] = {}
    resources: Resources = Resources()
    budget: Budget = Budget()
    retry: Retry = Retry()
    _file: Path = PrivateAttr(default=Path())
    _source: str = PrivateAttr(default="")
    _text: str = PrivateAttr(default="")
    _overrides: tuple[str, ...] = PrivateAttr(default=())

    @property
    def name(self) -> str:
        """The study's name: the key `study`, or the file's name."""
        return self.study

    @property
    def file(self) -> Path:
        """The file it was read from."""
        return self._file

    @property
    def source(self) -> str:
        """The file's text as it was read."""
        return self._source

    @property
    def text(self) -> str:
        """The file's text as it was read; overrides of the command line follow as comments."""
        return self._text

    @property
    def overrides(self) -> tuple[str, ...]:
        """The `key=value` overrides that it was read with."""
        return self._overrides

    @property
    def factors(self) -> tuple[str, ...]:
        """What differs between cells: the grid's keys, then those that only the ablation has."""
        return tuple(dict.fromkeys([*self.grid, *(ablation.keys_of(self.ablate) if self.ablate else ())]))

    @property
    def compared(self) -> str | None:
        """The factor whose values are compared: `method`, else the last; None where nothing varies."""
        return "method" if "method" in self.factors else next(reversed(self.factors), None)

    @property
    def directions(self) -> tuple[str, ...]:
        """The objectives' directions, in order."""
        return tuple(objective.direction for objective in self.objectives)


def read(file: str | Path, overrides: Sequence[str] = (), *, text: str | None = None) -> Study:
    """The study in `file`, with `key=value` overrides applied.

    Top-level keys that begin with `x-` are the user's own, a place for settings that merge keys and aliases share.

    Args:
        file: its path; the modules that lie beside it can be named by the study.
        overrides: `key=value`, as after `--set`.
        text: what the file held at an earlier time, to be read in place of what it holds now.

    Raises:
        StudyError: lists every mistake, with lines; nothing has been started.
    """
    path = Path(file)
    text = _text_of(path) if text is None else text
    parsed = document.parse(text)
    problems = list(parsed.problems)
    if not isinstance(parsed.value, dict):
        what = "the file is empty" if parsed.value is None else f"a study is a mapping, but got {messages.shown(parsed.value)}"
        raise StudyError(str(file), problems or [Problem("", f"{what}. {_WRITE_ONE}")])
    value = copy.deepcopy(parsed.value)
    value.setdefault("study", path.stem)
    where = Located(parsed, apply(value, overrides, problems))
    value = {key: item for key, item in value.items() if not key.startswith(OWN)}
    unread = list(problems)
    study, broken = _validated(value, where, problems)
    if study is not None:
        study._file = path
        study._overrides = tuple(overrides)
        study._source = text
        study._text = text + "".join(f"\n# --set {' '.join(override.splitlines())}" for override in overrides)
        problems += _checked(study, where, broken)
    if problems or study is None:
        # A value that could not be read stands for nothing: what else is wrong with it follows from that.
        said = {problem.key for problem in unread}
        raise StudyError(str(file), [*unread, *(problem for problem in problems[len(unread):] if problem.key not in said)])
    return study


def _checked(study: Study, where: Located, broken: set[str]) -> list[Problem]:
    from htsweep.planning.checks import check

    try:
        return check(study, where, broken)
    except HtsweepError:
        raise
    except Exception as error:  # what a user's own task answers may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        return [Problem("", f"checking the study raised {type(error).__name__}: {error} ({last.filename}, line {last.lineno}); "
                        "correct the task that raises it, or report it if the file is one of htsweep's")]


def _text_of(path: Path) -> str:
    try:
        return document.text_in(path)
    except document.Unreadable as error:
        raise StudyError(str(path), [error.problem]) from None
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        message = f"the study file cannot be read: {reason}. Give the path of a YAML file. {_WRITE_ONE}"
        raise StudyError(str(path), [Problem("", message)]) from None


@final
class Located:
    """Where each key of the study stands: a line of the file, or an override."""

    def __init__(self, parsed: Document, overridden: set[str]) -> None:
        self._parsed = parsed
        self._overridden = overridden

    def problem(self, place: Place, message: str) -> Problem:
        """The problem `message` at `place`."""
        key = ".".join(map(str, place))
        if any(key == name or key.startswith(f"{name}.") for name in self._overridden):
            return Problem(f"--set {key}", message)
        return Problem(key, message, self._parsed.line(place))


def _validated(value: dict[str, Any], where: Located, problems: list[Problem]) -> tuple[Study | None, set[str]]:
    """The study without its broken parts, so that what stands can be checked as well; and the broken keys."""
    broken: set[str] = set()
    for _ in range(2):
        try:
            return Study.model_validate(value), broken
        except ValidationError as error:
            for entry in error.errors():
                place: Place = tuple(part for part in entry["loc"])
                problems.append(where.problem(messages.real(place, value), messages.said(dict(entry), _MODELS)))
                broken.add(str(place[0]))
        if "task" in broken:  # it leaves nothing to check the rest against
            return None, broken
        value = {key: item for key, item in value.items() if key not in broken}
        value.setdefault("study", "unnamed")
    return None, broken


_MODELS: Mapping[str, type[Section]] = {
    "": Study, "search": Search, "objectives": Objective, "stop": Stop, "resources": Resources, "budget": Budget,
    "retry": Retry, "ablate": Ablation, "screen": Screen,
}
