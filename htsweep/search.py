"""Spaces, and the next point to try: pure functions of space, index and history; the home of Optuna.

Points of `grid`, `random` and `qmc` depend on the space and the index alone, so that methods which share a space get the same
points and their differences are paired. The first point is the default configuration wherever every dimension has a default:
a sweep always holds the paper's constants.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from htsweep.errors import did_you_mean

Number = int | float
History = Sequence[tuple[Mapping[str, Any], Sequence[float] | None]]
"""(parameters, objective values) of the points so far; None: not measured, or failed."""


@final
@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter and the values that it may take: a range, or choices."""

    key: str
    low: Number | None = None
    high: Number | None = None
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] | None = None
    grid: tuple[Any, ...] | None = None
    """What the sampler `grid` tries; for choices, all of them."""
    default: Any = None

    def at(self, share: float) -> Any:
        """The value at `share` in [0, 1) of the dimension, even in the logarithm where `log` is set."""
        if self.choices is not None:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        assert self.low is not None
        assert self.high is not None
        if self.integer:
            # Each whole number has an equal share of the (log) range.
            low, high = self.low - 0.5, self.high + 0.5
            value = math.exp(_between(math.log(low), math.log(high), share)) if self.log else _between(low, high, share)
            return min(max(round(value), int(self.low)), int(self.high))
        if self.log:
            value = math.exp(_between(math.log(self.low), math.log(self.high), share))
        else:
            value = _between(self.low, self.high, share)
        return min(max(value, float(self.low)), float(self.high))

    @property
    def listed(self) -> tuple[Any, ...] | None:
        """The values that the sampler `grid` tries, the default first; None where there is no end to them."""
        values = self.choices if self.choices is not None else self.grid
        if values is None or self.default not in values:
            return values
        return (self.default, *(value for value in values if value != self.default))


Space = tuple[Dimension, ...]
"""The dimensions of a sweep, sorted by key."""

_KEYS = ("low", "high", "log", "integer", "choices", "grid", "default")


def read_dimension(key: str, value: Any) -> Dimension:
    """The dimension that `value` means: a scalar is fixed, a list gives choices, a mapping a range or choices.

    Raises:
        ValueError: lists every rule that is broken, then what came.
    """
    if isinstance(value, list):
        value = {"choices": value}
    if not isinstance(value, Mapping):
        return Dimension(key, choices=(value,), default=value)
    wrong = [f"unknown key '{name}'; {did_you_mean(str(name), _KEYS)}" for name in value if name not in _KEYS]
    wrong += _broken(value)
    if wrong:
        raise ValueError("; ".join(wrong))
    choices = tuple(value["choices"]) if "choices" in value else None
    grid = tuple(value["grid"]) if "grid" in value else None
    # Of mere choices the first is the default: a list in a study begins with what the user holds for usual.
    default = value.get("default", choices[0] if choices else None)
    return Dimension(key, value.get("low"), value.get("high"), bool(value.get("log")), bool(value.get("integer")), choices,
                     grid, default)


def size(space: Space, sampler: str) -> int | None:
    """How many points the sampler can give; None: no end.

    Raises:
        ValueError: the sampler is `grid`, and a range has no `grid` values.
    """
    lists = [dimension.listed if sampler == "grid" else dimension.choices for dimension in space]
    if sampler == "grid":
        endless = [dimension.key for dimension, values in zip(space, lists, strict=True) if values is None]
        if endless:
            msg = f"a grid over a range never ends ({', '.join(endless)}): give `grid: [...]` values, or a list of choices, " \
                  "or take the sampler random, qmc or tpe"
            raise ValueError(msg)
    return math.prod(len(values) for values in lists if values is not None) if None not in lists else None


def propose(
    space: Space, sampler: str, directions: Sequence[str], history: History, index: int, seed_name: str = ""
) -> dict[str, Any] | None:
    """The parameters of point `index` of a sweep, or None where there are no more.

    Args:
        space: what is searched.
        sampler: grid, random, qmc, tpe or nsga2.
        directions: `maximize` or `minimize`, one per objective.
        history: the earlier points; only tpe and nsga2 look at it.
        index: 0, 1, 2, ...
        seed_name: sets adaptive searches of different sweeps apart.
    """
    if not space:
        return {} if index == 0 else None
    if sampler == "grid":
        return _grid(space, index)
    defaults = {dimension.key: dimension.default for dimension in space}
    has_default = None not in defaults.values()
    if index == 0 and has_default:
        return defaults
    past = [dict(parameters) for parameters, _ in history]
    fresh = None
    if sampler in ("tpe", "nsga2"):
        limit = size(space, sampler)
        if limit is not None and len({json.dumps(one, sort_keys=True) for one in past}) >= limit:
            return None
        fresh = _adaptive(space, sampler, directions, history, index, seed_name)
        if fresh not in past:
            return fresh
    number = index - has_default
    candidates = (_random(space, number if attempt == 0 else 10_000 * attempt + number) for attempt in range(1000))
    if sampler == "qmc":
        return _sobol(space, number)
    if sampler == "random":
        return next(candidates)
    # The adaptive sampler came back to a point that is known: a random one that is not teaches more.
    return next((one for one in candidates if one not in past), None)


def _grid(space: Space, index: int) -> dict[str, Any] | None:
    lists = [dimension.listed for dimension in space]
    size(space, "grid")
    values = next(itertools.islice(itertools.product(*(one or () for one in lists)), index, None), None)
    return None if values is None else dict(zip((dimension.key for dimension in space), values, strict=True))


def _random(space: Space, number: int) -> dict[str, Any]:
    """Each dimension has a stream of its own: one that is added leaves the draws of the others as they were."""
    return {dimension.key: dimension.at(_share("random", dimension.key, number)) for dimension in space}


def _sobol(space: Space, number: int) -> dict[str, Any]:
    from scipy.stats import qmc

    sequence = qmc.Sobol(len(space), scramble=True, rng=20231107)
    if number:
        sequence.fast_forward(number)
    [shares] = sequence.random(1)
    return {dimension.key: dimension.at(float(share)) for dimension, share in zip(space, shares, strict=True)}


def _adaptive(
    space: Space, sampler: str, directions: Sequence[str], history: History, index: int, seed_name: str
) -> dict[str, Any]:
    """What Optuna's sampler asks for next, from a study rebuilt from the history: nothing is kept between calls."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    seed = int(_share(seed_name, sampler, index) * 2**31)
    wanted: list[Any] = list(directions)
    study = optuna.create_study(directions=wanted, sampler=_sampler(sampler, seed))
    distributions = {dimension.key: _distribution(dimension) for dimension in space}
    state = optuna.trial.TrialState
    for parameters, values in history:
        running = values is None or not all(map(math.isfinite, values))
        study.add_trial(optuna.trial.create_trial(
            params={key: _coded(value, distributions[key]) for key, value in parameters.items()}, distributions=distributions,
            values=None if running else list(values or ()), state=state.RUNNING if running else state.COMPLETE,
            # NSGA-II keeps its generations here; without them it would begin anew each time.
            system_attrs={"NSGAIISampler:generation": len(study.trials) // _POPULATION} if sampler == "nsga2" else None,
        ))
    asked = study.ask(distributions)
    return {dimension.key: _decoded(asked.params[dimension.key], dimension) for dimension in space}


_POPULATION = 10


def _sampler(name: str, seed: int) -> Any:
    """Every option that matters is pinned: defaults change between Optuna's versions, and points with them."""
    import warnings

    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return optuna.samplers.TPESampler(seed=seed, n_startup_trials=5, n_ei_candidates=24, multivariate=True,
                                              group=False, constant_liar=True)
        return optuna.samplers.NSGAIISampler(seed=seed, population_size=_POPULATION, crossover_prob=0.9, swapping_prob=0.5)


def _distribution(dimension: Dimension) -> Any:
    import optuna.distributions as of

    if dimension.choices is not None:
        # Optuna's choices are scalars; a list is one by its text.
        return of.CategoricalDistribution([_text(choice) for choice in dimension.choices])
    assert dimension.low is not None
    assert dimension.high is not None
    if dimension.integer:
        return of.IntDistribution(int(dimension.low), int(dimension.high), log=dimension.log)
    return of.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


def _coded(value: Any, distribution: Any) -> Any:
    return _text(value) if hasattr(distribution, "choices") else value


def _decoded(value: Any, dimension: Dimension) -> Any:
    if dimension.choices is None:
        return value
    return next(choice for choice in dimension.choices if _text(choice) == value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _share(*names: object) -> float:
    """A number in [0, 1) that the names alone give."""
    digest = hashlib.sha256(json.dumps(list(map(str, names))).encode()).digest()
    return int.from_bytes(digest[:7]) / 2**56


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _broken(value: Mapping[str, Any]) -> list[str]:
    """The rules that a mapping breaks."""
    if ("choices" in value) == ("low" in value or "high" in value):
        return [f"either `low` and `high`, or `choices`, but got {sorted(value)}"]
    for name in ("choices", "grid"):
        if name in value and (not isinstance(value[name], list) or not value[name]):
            return [f"`{name}` must be a list with at least one value, but got {value[name]!r}"]
    for name in ("log", "integer"):
        if not isinstance(value.get(name, False), bool):
            return [f"`{name}` must be true or false, but got {value[name]!r}"]
    if "choices" in value:
        wrong = "default" in value and value["default"] not in value["choices"]
        return [f"`default` must be one of the choices, but got {value['default']!r}"] if wrong else []
    return _broken_range(value)


def _broken_range(value: Mapping[str, Any]) -> list[str]:
    low, high = value.get("low"), value.get("high")
    for name, end in (("low", low), ("high", high)):
        if isinstance(end, bool) or not isinstance(end, int | float) or not math.isfinite(end):
            return [f"`{name}` must be a finite number, but got {end!r}"]
    assert low is not None
    assert high is not None
    wrong = []
    if not low < high:
        wrong.append(f"`low < high` must hold, but got low={low}, high={high}")
    if value.get("log") and low <= 0:
        wrong.append(f"`log` needs low > 0, but got low={low}")
    if value.get("integer") and not (float(low).is_integer() and float(high).is_integer()):
        wrong.append(f"`integer` needs whole ends, but got low={low}, high={high}")
    outside = [one for one in [*value.get("grid", ()), *([value["default"]] if "default" in value else [])]
               if isinstance(one, bool) or not isinstance(one, int | float) or not low <= one <= high]
    if outside:
        wrong.append(f"`grid` and `default` must lie in [{low}, {high}], but got {', '.join(map(repr, outside))}")
    return wrong
