"""What a study file may say: its keys and their types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, Tag

Positive = Annotated[float, Field(gt=0)]
Reason = Literal["raised", "out_of_memory", "diverged", "time_limit", "died"]


CHAIN = "method"
"""The key whose value may be a chain: a list of names, or `a+b`."""


def members(chain: Any) -> list[str]:
    """The names of a chain, written as a list or as `a+b`; none for what is no chain."""
    if isinstance(chain, list):
        return [str(name) for name in chain]
    return re.split(r"\s*\+\s*", chain.strip()) if isinstance(chain, str) and chain.strip() else []


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
    components: (
        Annotated[
            Annotated[list[str], Tag("list")]
            | Annotated[dict[str, dict[str, Any] | None], Tag("mapping")],
            Discriminator(lambda value: "mapping" if isinstance(value, dict) else "list"),
        ]
        | None
    ) = None
    """Members of the chain `full.method`; or name -> the keys as they are without it. None: all
    members.
    """
    controls: dict[str, str] = {}
    """Member -> the method that takes its place in a variant of its own."""
    alone: bool = False
    factorial: bool = False

    @property
    def parts(self) -> dict[str, Mapping[str, Any] | None]:
        """Component -> the keys as they are without it; None: a member of the chain. Where none are named: all members."""
        if isinstance(self.components, dict):
            return dict(self.components)
        return dict.fromkeys(
            members(self.full.get(CHAIN)) if self.components is None else self.components
        )

    @property
    def keys(self) -> list[str]:
        """The keys that tell the variants apart, or the variants from the grid's other cells: `full`'s and what is changed."""
        changed = [key for keys in self.parts.values() for key in keys or ()]
        return list(dict.fromkeys([*self.full, *changed]))


@final
class Screen(Section):
    """Scores that predict the outcome of each pair of source model and target data, and which pairs are kept for them."""

    scores: Annotated[list[str], Field(min_length=1)]
    """Computed for every pair of the study; higher predicts better."""
    by: str | None = None
    """The score that decides; None: the first."""
    keep: (
        Annotated[
            Annotated[int, Field(ge=1), Tag("number")] | Annotated[Literal["all"], Tag("word")],
            Discriminator(lambda value: "word" if isinstance(value, str) else "number"),
        ]
        | None
    ) = None
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
    """How much missing accuracy a point may lose against the source model before it is marked, as a
    fraction.
    """
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
        return tuple(dict.fromkeys([*self.grid, *(self.ablate.keys if self.ablate else ())]))

    @property
    def compared(self) -> str | None:
        """The factor whose values are compared: `method`, else the last; None where nothing varies."""
        return "method" if "method" in self.factors else next(reversed(self.factors), None)

    @property
    def directions(self) -> tuple[str, ...]:
        """The objectives' directions, in order."""
        return tuple(objective.direction for objective in self.objectives)


SECTIONS: Mapping[str, type[Section]] = {
    "": Study,
    "search": Search,
    "objectives": Objective,
    "stop": Stop,
    "resources": Resources,
    "budget": Budget,
    "retry": Retry,
    "ablate": Ablation,
    "screen": Screen,
}
"""The key of the study file -> what may stand under it; "": the file itself."""
