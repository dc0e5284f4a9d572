"""Proposes the next point from space, index and history alone; adaptive samplers use Optuna.

Points of `grid`, `random` and `qmc` depend on the space and the index alone
(planning/sequences.py). The first point is the default configuration if every dimension has a
default, so that a sweep always includes the paper's constants.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from htsweep.planning import sequences
from htsweep.planning.dimension import Dimension, Space, text_of
from htsweep.planning.sequences import drawn, nth, share_of, size

History = Sequence[tuple[Mapping[str, Any], Sequence[float] | None]]
"""(parameters, objective values) of the points so far; values are None if there are none."""


def propose(
    space: Space,
    sampler: str,
    directions: Sequence[str],
    history: History,
    *,
    index: int,
    seed_name: str = "",
) -> dict[str, Any] | None:
    """The parameters of point `index` of a sweep, or None if there are no more.

    `grid` gives each point once and ends. `tpe` and `nsga2` give no point of the history, and end
    when the space is used up. `random` and `qmc` ignore the history: they never end, and repeat
    points of a finite space.

    Args:
        space: what is searched.
        sampler: grid, random, qmc, tpe or nsga2.
        directions: `maximize` or `minimize`, one per objective.
        history: the earlier points; only tpe and nsga2 use it.
        index: 0, 1, 2, ...
        seed_name: makes adaptive searches of different sweeps differ.

    Raises:
        ValueError: the sampler is `grid`, and a range has no `grid` values.
    """
    if not space:
        return {} if index == 0 else None
    if sampler in ("grid", "random", "qmc"):
        return sequences.point(space, sampler, index)
    if index == 0 and sequences.has_default(space):
        return {dimension.key: dimension.default for dimension in space}
    return _adaptive(space, sampler, directions, history, index=index, seed_name=seed_name)


def _adaptive(
    space: Space,
    sampler: str,
    directions: Sequence[str],
    history: History,
    *,
    index: int,
    seed_name: str,
) -> dict[str, Any] | None:
    # The study may have narrowed a range since an earlier launch: points outside it do not count.
    inside = [
        (parameters, values)
        for parameters, values in history
        if all(
            dimension.key in parameters and dimension.has(parameters[dimension.key])
            for dimension in space
        )
    ]
    known = {
        text_of({dimension.key: parameters[dimension.key] for dimension in space})
        for parameters, _ in inside
    }
    whole = size(space, sampler)
    if whole is not None and len(known) >= whole:
        return None
    point = _ask(
        space, sampler, directions, inside, seed=int(share_of(seed_name, sampler, index) * 2**31)
    )
    if text_of(point) not in known:
        return point
    # The sampler repeated a known point: any other point tells more.
    if whole is not None:
        lists = [dimension.values or () for dimension in space]
        start = _part(share_of("again", seed_name, index), whole)
        return next(
            other
            for step in range(whole)
            if text_of(other := nth(space, lists, (start + step) % whole)) not in known
        )
    others = (drawn(space, "again", index, attempt) for attempt in range(1000))
    return next((other for other in others if text_of(other) not in known), None)


_POPULATION = 10


def _ask(
    space: Space, sampler: str, directions: Sequence[str], history: History, *, seed: int
) -> dict[str, Any]:
    """The next point of Optuna's sampler; its study is rebuilt from the history at every call."""
    import optuna

    # Optuna spends most of its time copying trials, so fixed dimensions are not passed to it.
    free = [dimension for dimension in space if not dimension.fixed]
    distributions = {dimension.key: _distribution(dimension) for dimension in free}
    trials, complete = [], 0
    for parameters, values in history:
        measured = values is not None and all(map(math.isfinite, values))
        trials.append(
            optuna.trial.create_trial(
                params={
                    dimension.key: _coded(parameters[dimension.key], dimension)
                    for dimension in free
                },
                distributions=distributions,
                values=list(values or ()) if measured else None,
                # A failed point counts as still running: the constant liar avoids both.
                state=optuna.trial.TrialState.COMPLETE
                if measured
                else optuna.trial.TrialState.RUNNING,
                # NSGA-II keeps its generations here; without them it would start over each time.
                system_attrs={"NSGAIISampler:generation": complete // _POPULATION}
                if sampler == "nsga2"
                else None,
            )
        )
        complete += measured
    with _quiet():
        wanted = [optuna.study.StudyDirection[direction.upper()] for direction in directions]
        study = optuna.create_study(directions=wanted, sampler=_sampler(sampler, seed))
        study.add_trials(trials)
        asked = study.ask(distributions)
    return {
        dimension.key: dimension.at(0)
        if dimension.fixed
        else _decoded(asked.params[dimension.key], dimension)
        for dimension in space
    }


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences Optuna's log, and its warnings of options that were experimental before 5.0."""
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
    """The sampler with every option pinned: Optuna's defaults change between versions."""
    from optuna.samplers import NSGAIISampler, TPESampler, nsgaii

    if name == "tpe":
        # Options that Optuna 5.0 deprecates (gamma, weights, the Parzen estimator's) are not
        # pinned, since setting them warns.
        return TPESampler(
            seed=seed,
            n_startup_trials=5,
            n_ei_candidates=24,
            multivariate=True,
            group=False,
            constant_liar=True,
        )
    return NSGAIISampler(
        seed=seed,
        population_size=_POPULATION,
        mutation_prob=None,
        crossover_prob=0.9,
        swapping_prob=0.5,
        crossover=nsgaii.UniformCrossover(swapping_prob=0.5),
    )


def _distribution(dimension: Dimension) -> Any:
    from optuna import distributions as of

    if dimension.choices is not None:
        # Optuna's choices must be scalars, so each choice is passed as text.
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
    return dimension.choices[dimension.chosen[value]]


def _part(share: float, whole: int) -> int:
    """`share` of `whole`, rounded down; `whole` may be too large for a float."""
    return int(share * whole) if whole.bit_length() < 1000 else int(share * 2**53) * whole >> 53
