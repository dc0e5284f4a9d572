"""The keys of a study file and their types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, final

from pydantic import BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, Tag

from htsweep.study.resources import Resources

Positive = Annotated[float, Field(gt=0)]
Reason = Literal["raised", "out_of_memory", "diverged", "time_limit", "died"]


CHAIN = "method"
"""The key whose value may be a chain: a list of names, or `a+b`."""


def members(chain: Any) -> list[str]:
    """The names in a chain, which may be a list or `a+b`; empty if it is neither."""
    if isinstance(chain, list):
        return [str(name) for name in chain]
    return re.split(r"\s*\+\s*", chain.strip()) if isinstance(chain, str) and chain.strip() else []


class Section(BaseModel):
    """A part of the study file: typed, frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@final
class Search(Section):
    """How each sweep is searched."""

    sampler: Literal["grid", "random", "qmc", "tpe", "nsga2"] = "grid"
    trials: Annotated[int, Field(ge=1)] | None = None
    """Points per sweep, each with all its repetitions; an upper limit if the sampler is `grid`."""
    spaces: dict[str, dict[str, Any]] = {}
    """Overrides by space name; the name `all` adds dimensions to every sweep."""
    only_listed: bool = False
    """Whether only what `spaces` lists is searched, and other parameters keep their defaults."""


@final
class Objective(Section):
    """A column to maximise or minimise; a test column needs `oracle: true`."""

    metric: str
    direction: Literal["maximize", "minimize"] = "maximize"
    oracle: bool = False


@final
class Stop(Section):
    """Asynchronous successive halving inside each sweep and repetition."""

    first: Annotated[int, Field(ge=1)]
    """The step of the first rung; each next one is `eta` times as far."""
    eta: Annotated[int, Field(ge=2)] = 3


@final
class Budget(Section):
    """When a launch ends. It is not part of a trial's id, so raising it continues the study."""

    trials: Annotated[int, Field(ge=0)] | None = None
    """The most trials of the study, over all its launches."""
    wall_hours: Annotated[float, Field(ge=0)] | None = None
    """The most hours of one launch."""
    gpu_hours: Annotated[float, Field(ge=0)] | None = None
    """The most GPU hours of the study, over all its launches."""


@final
class Retry(Section):
    """How often one launch tries a trial, and after which failures it tries again."""

    attempts: Annotated[int, Field(ge=1, le=100)] = 2
    reasons: list[Reason] = ["died", "out_of_memory", "time_limit"]


@final
class Ablation(Section):
    """A full config and its components, which are left out one by one (planning/ablation.py)."""

    full: dict[str, Any]
    components: (
        Annotated[
            Annotated[list[str], Tag("list")]
            | Annotated[dict[str, dict[str, Any] | None], Tag("mapping")],
            Discriminator(lambda value: "mapping" if isinstance(value, dict) else "list"),
        ]
        | None
    ) = None
    """Members of the chain `full.method`, or name -> the keys that change without it.

    None: all members.
    """
    controls: dict[str, str] = {}
    """Member -> the method that replaces it in another variant."""
    alone: bool = False
    factorial: bool = False

    @property
    def parts(self) -> dict[str, Mapping[str, Any] | None]:
        """Component -> the keys that change without it, or None for a member of the chain."""
        if isinstance(self.components, dict):
            return dict(self.components)
        return dict.fromkeys(
            members(self.full.get(CHAIN)) if self.components is None else self.components
        )

    @property
    def keys(self) -> list[str]:
        """The keys in which variants may differ: those of `full`, and those of components."""
        changed = [key for keys in self.parts.values() for key in keys or ()]
        return list(dict.fromkeys([*self.full, *changed]))


@final
class Screen(Section):
    """Scores that predict how well each pair of source and target does, and which to keep."""

    scores: Annotated[list[str], Field(min_length=1)]
    """The scores to compute for every pair of the study; higher predicts better."""
    by: str | None = None
    """The score that decides; None: the first."""
    keep: (
        Annotated[
            Annotated[int, Field(ge=1), Tag("number")] | Annotated[Literal["all"], Tag("word")],
            Discriminator(lambda value: "word" if isinstance(value, str) else "number"),
        ]
        | None
    ) = None
    """How many of the best pairs of each target are kept; `all` drops none."""
    margin: Annotated[float, Field(ge=0)] | None = None
    """Instead of `keep`: how far below the best a pair may be, in units of the score."""
    repetitions: Annotated[int, Field(ge=1)] | None = None
    """Repetitions of each score; None: the study's number."""
    fixed: dict[str, Any] = {}
    """Settings of the scoring task."""
    task: str = "transferability"

    @property
    def decisive(self) -> str:
        """The name of the score that decides."""
        return self.by or self.scores[0]


@final
class Study(Section):
    """A checked study; `planning.reading.read` makes one from a file."""

    study: str
    task: str
    grid: dict[str, list[Any]] = {}
    repetitions: Annotated[int, Field(ge=1)] = 1
    search: Search | None = None
    objectives: list[Objective] = []
    stop: Stop | None = None
    select: str = "last"
    baseline: Any = None
    """The value of `compared` to compare the others with; None: the report decides."""
    labels: dict[str, str] = {}
    """What values of factors are called in tables and figures: `{l2sp: L2-SP}`."""
    blocks: list[str] = []
    """The factors whose values are independent of each other, for the report's mean ranks.

    Empty: what shares a source or target domain is one block (htsweep/analysis/blocks.py).
    """
    non_disruption: Annotated[float, Field(ge=0, le=1)] | None = None
    """Points that lose more missing accuracy than this against the source model are marked.

    It is a fraction.
    """
    ablate: Ablation | None = None
    screen: Screen | None = None
    keep: Literal["features", "logits", "nothing"] | None = None
    """What is kept of the outputs of each trial's model.

    `features`: what the classifier sees, beside the logits. None: logits, unless they take too much
    space (htsweep/planning/keeping.py).
    """
    metrics: list[str] = []
    """The names of metrics of these logits, measured in addition to what the task yields."""
    fixed: dict[str, Any] = {}
    share_trainings: bool | None = None
    """Whether trials that differ only in what follows their training share it.

    None: they do, unless the weights that are kept for it take too much space
    (htsweep/planning/sharing.py).
    """
    resources: Resources = Resources()
    budget: Budget = Budget()
    retry: Retry = Retry()
    _file: Path = PrivateAttr(default=Path())
    _folder: Path = PrivateAttr(default=Path())
    _source: str = PrivateAttr(default="")
    _text: str = PrivateAttr(default="")
    _overrides: tuple[str, ...] = PrivateAttr(default=())

    @property
    def name(self) -> str:
        """The study's name: the key `study`, by default the name of the file."""
        return self.study

    @property
    def file(self) -> Path:
        """The file it was read from."""
        return self._file

    @property
    def folder(self) -> Path:
        """The folder of its file, from which relative paths in it are taken; a link is followed."""
        return self._folder

    @property
    def source(self) -> str:
        """The file's text as it was read."""
        return self._source

    @property
    def text(self) -> str:
        """The file's text as it was read, with the command-line overrides added as comments."""
        return self._text

    @property
    def overrides(self) -> tuple[str, ...]:
        """The `key=value` overrides it was read with."""
        return self._overrides

    @property
    def factors(self) -> tuple[str, ...]:
        """The keys that differ between cells: those of the grid, then others of the ablation."""
        return tuple(dict.fromkeys([*self.grid, *(self.ablate.keys if self.ablate else ())]))

    @property
    def compared(self) -> str | None:
        """The factor whose values are compared: `method`, else the last; None if nothing varies."""
        return "method" if "method" in self.factors else next(reversed(self.factors), None)

    @property
    def directions(self) -> tuple[str, ...]:
        """The objectives' directions, in order."""
        return tuple(objective.direction for objective in self.objectives)


SECTIONS: Mapping[str, type[BaseModel]] = {
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
"""Key of the study file -> the type of its section; "" is the file itself."""
