"""Spaces, and the next point to try: pure functions of space, index and history; the home of Optuna.

Points of `grid`, `random` and `qmc` depend on the space and the index alone, so that methods which share a space get the same
points and their differences are paired. The first point is the default configuration wherever every dimension has a default:
a sweep always holds the paper's constants.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from htsweep.dimension import Dimension, Space, read_dimension, text_of

__all__ = ["Dimension", "Space", "propose", "read_dimension", "size"]

History = Sequence[tuple[Mapping[str, Any], Sequence[float] | None]]
"""(parameters, objective values) of the points so far; None: not measured, or failed."""


def size(space: Space, sampler: str) -> int | None:
    """How many different points the sampler can give; None: no end.

    Raises:
        ValueError: the sampler is `grid`, and a range has no `grid` values.
    """
    lists = [dimension.listed if sampler == "grid" else dimension.values for dimension in space]
    unlisted = [dimension.key for dimension, values in zip(space, lists, strict=True) if values is None]
    if unlisted and sampler == "grid":
        msg = f"a grid does not know which values of a range to try ({', '.join(unlisted)}): give `grid: [...]` values, or a " \
              "list of choices, or take the sampler random, qmc or tpe"
        raise ValueError(msg)
    return None if unlisted else math.prod(len(values) for values in lists if values is not None)


def propose(
    space: Space, sampler: str, directions: Sequence[str], history: History, index: int, seed_name: str = ""
) -> dict[str, Any] | None:
    """The parameters of point `index` of a sweep, or None where there are no more.

    `grid` never gives a point twice and ends; `tpe` and `nsga2` give none that is in the history, and end where the space does;
    `random` and `qmc` know nothing of what came before: they never end, and in a finite space points come again.

    Args:
        space: what is searched.
        sampler: grid, random, qmc, tpe or nsga2.
        directions: `maximize` or `minimize`, one per objective.
        history: the earlier points; only tpe and nsga2 look at it.
        index: 0, 1, 2, ...
        seed_name: sets adaptive searches of different sweeps apart.

    Raises:
        ValueError: the sampler is `grid`, and a range has no `grid` values.
    """
    if not space:
        return {} if index == 0 else None
    if sampler == "grid":
        whole = size(space, "grid")
        assert whole is not None
        return _nth(space, [dimension.listed or () for dimension in space], index) if index < whole else None
    has_default = all(dimension.has_default for dimension in space)
    if index == 0 and has_default:
        return {dimension.key: dimension.default for dimension in space}
    if sampler == "random":
        return _random(space, index)
    if sampler == "qmc":
        # From element 0 on: without its first element a Sobol sequence is less even.
        return _sobol(space, index - has_default)
    return _adaptive(space, sampler, directions, history, index, seed_name)


def _nth(space: Space, lists: Sequence[Sequence[Any]], index: int) -> dict[str, Any]:
    """Element `index` of the product of the lists, the last one fastest, without walking there."""
    point = {}
    for dimension, values in zip(reversed(space), reversed(lists), strict=True):
        index, place = divmod(index, len(values))
        point[dimension.key] = values[place]
    return {dimension.key: point[dimension.key] for dimension in space}


def _random(space: Space, *names: object) -> dict[str, Any]:
    """Each dimension has a stream of its own: one that is added leaves the draws of the others as they were."""
    return {dimension.key: dimension.at(_share("random", dimension.key, *names)) for dimension in space}


def _sobol(space: Space, element: int) -> dict[str, Any]:
    # What is fixed takes no dimension of the sequence: to fix another parameter moves no point.
    free = [dimension.key for dimension in space if not dimension.fixed]
    row = _sobol_block(len(free), element // _BLOCK)[element % _BLOCK] if free else ()
    shares = dict(zip(free, row, strict=True))
    return {dimension.key: dimension.at(shares.get(dimension.key, 0.0)) for dimension in space}


_BLOCK = 256


@functools.lru_cache(maxsize=64)
def _sobol_block(width: int, block: int) -> list[list[float]]:
    """Elements [256 block, 256 (block + 1)) of the scrambled sequence."""
    from scipy.stats import qmc

    sequence = qmc.Sobol(width, scramble=True, rng=20231107)
    if block:  # SciPy 1.17: to go forward by 0 raises
        sequence.fast_forward(block * _BLOCK)
    rows: list[list[float]] = sequence.random(_BLOCK).tolist()
    return rows


def _adaptive(
    space: Space, sampler: str, directions: Sequence[str], history: History, index: int, seed_name: str
) -> dict[str, Any] | None:
    # Points of an earlier launch may lie outside a range that the study has narrowed since: they teach nothing here.
    inside = [(parameters, values) for parameters, values in history
              if all(dimension.key in parameters and dimension.has(parameters[dimension.key]) for dimension in space)]
    known = {text_of({dimension.key: parameters[dimension.key] for dimension in space}) for parameters, _ in inside}
    whole = size(space, sampler)
    if whole is not None and len(known) >= whole:
        return None
    point = _ask(space, sampler, directions, inside, int(_share(seed_name, sampler, index) * 2**31))
    if text_of(point) not in known:
        return point
    # The sampler came back to a point that is known: any other teaches more.
    if whole is not None:
        lists = [dimension.values or () for dimension in space]
        start = int(_share("again", seed_name, index) * whole)
        return next(one for step in range(whole) if text_of(one := _nth(space, lists, (start + step) % whole)) not in known)
    others = (_random(space, "again", index, attempt) for attempt in range(1000))
    return next((one for one in others if text_of(one) not in known), None)


_POPULATION = 10


def _ask(space: Space, sampler: str, directions: Sequence[str], history: History, seed: int) -> dict[str, Any]:
    """What Optuna's sampler asks for next, from a study rebuilt from the history: nothing is kept between calls."""
    import optuna

    # Most of the time goes into Optuna's copies of the trials: what is fixed is not shown to it.
    free = [dimension for dimension in space if not dimension.fixed]
    distributions = {dimension.key: _distribution(dimension) for dimension in free}
    trials, complete = [], 0
    for parameters, values in history:
        told = values is not None and all(map(math.isfinite, values))
        trials.append(optuna.trial.create_trial(
            params={dimension.key: _coded(parameters[dimension.key], dimension) for dimension in free},
            distributions=distributions, values=list(values or ()) if told else None,
            # A failed point is one that still runs: the constant liar keeps away from both.
            state=optuna.trial.TrialState.COMPLETE if told else optuna.trial.TrialState.RUNNING,
            # NSGA-II keeps its generations here; without them it would begin anew each time.
            system_attrs={"NSGAIISampler:generation": complete // _POPULATION} if sampler == "nsga2" else None,
        ))
        complete += told
    with _quiet():
        wanted = [optuna.study.StudyDirection[direction.upper()] for direction in directions]
        study = optuna.create_study(directions=wanted, sampler=_sampler(sampler, seed))
        study.add_trials(trials)
        asked = study.ask(distributions)
    return {dimension.key: dimension.at(0) if dimension.fixed else _decoded(asked.params[dimension.key], dimension)
            for dimension in space}


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna without its log and without warnings of options that were experimental before 5.0."""
    import warnings

    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _sampler(name: str, seed: int) -> Any:
    """Every option is pinned: defaults change between Optuna's versions, and points with them."""
    from optuna.samplers import NSGAIISampler, TPESampler, nsgaii

    if name == "tpe":
        # Not pinned: what Optuna 5.0 deprecates (gamma, weights, the Parzen estimator's), since setting it warns.
        return TPESampler(seed=seed, n_startup_trials=5, n_ei_candidates=24, multivariate=True, group=False,
                          constant_liar=True)
    return NSGAIISampler(seed=seed, population_size=_POPULATION, mutation_prob=None, crossover_prob=0.9, swapping_prob=0.5,
                         crossover=nsgaii.UniformCrossover(swapping_prob=0.5))


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions as of

    if dimension.choices is not None:
        # Optuna's choices are scalars; a list is one by its text.
        return of.CategoricalDistribution([text_of(choice) for choice in dimension.choices])
    low, high = dimension.ends
    if dimension.integer:
        return of.IntDistribution(int(low), int(high), log=dimension.log)
    return of.FloatDistribution(low, high, log=dimension.log)


def _coded(value: Any, dimension: Dimension) -> Any:
    if dimension.choices is not None:
        return text_of(value)
    return int(value) if dimension.integer else float(value)


def _decoded(value: Any, dimension: Dimension) -> Any:
    if dimension.choices is None:
        return value
    return next(choice for choice in dimension.choices if text_of(choice) == value)


def _share(*names: object) -> float:
    """A number in [0, 1) that the names alone give."""
    digest = hashlib.sha256(json.dumps(list(map(str, names))).encode()).digest()
    # 53 bits are what a float holds; more could round up to 1.
    return (int.from_bytes(digest[:7]) >> 3) / 2**53
