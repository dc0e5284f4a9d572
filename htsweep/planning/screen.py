"""The pairs of source model and target in a study, and the plan of their scores; pure.

A score is computed before any trial of its pair runs, by a task that `predicts`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, final

from htsweep.planning import task
from htsweep.planning.jobs import digest
from htsweep.planning.plan import Plan, Sweep
from htsweep.planning.task import Task
from htsweep.study.schema import Study

SCORE = "score"
"""The scoring task's setting that names the score."""
COLUMNS = ("pair", "target", SCORE, "repetition", "value", "seconds", "kept")
"""The columns of a table of scores, besides the factors of the pairs and other measurements."""


@final
@dataclass(frozen=True)
class Pair:
    """A source model and target data, and the sweeps of a study that start from them."""

    id: str
    factors: Mapping[str, Any]
    """Its values of the study's factors that identify a pair."""
    given: Mapping[str, Any]
    """The config that the scoring task gets, without score."""
    target: str
    """A label of its target data; only pairs with the same label are compared."""
    sweeps: frozenset[str]
    configs: Mapping[str, Mapping[str, Any]]
    """Score -> the scoring task's config."""

    @property
    def label(self) -> str:
        """Its factors in words: `dataset=mnist-uci, backbone=lenet_bn`."""
        return ", ".join(f"{name}={value}" for name, value in self.factors.items()) or self.id


@final
@dataclass(frozen=True)
class Verdict:
    """The score of a pair, and whether its trials will run."""

    pair: Pair
    value: float | None
    """The mean over repetitions of the deciding score; None if a repetition lacks it."""
    scored: int
    """How many repetitions have it."""
    repetitions: int
    """How many repetitions should have it."""
    kept: bool


def pairs_of(study: Study, sweeps: Iterable[Sweep]) -> tuple[Pair, ...]:
    """The pairs from which `sweeps` start, in their order; `study` must have a screen."""
    screen = study.screen
    assert screen is not None
    scoring = task.of(study, screen.task)
    starts: dict[str, list[Sweep]] = {}
    for sweep in sweeps:
        starts.setdefault(json.dumps(given_of(scoring, sweep.base), sort_keys=True), []).append(
            sweep
        )
    pairs: dict[str, Pair] = {}
    shared: dict[str, Mapping[str, Any]] = {}
    for text, members in starts.items():
        given = json.loads(text)
        configs = {
            score: scoring.resolve({**given, **screen.fixed, SCORE: score})
            for score in screen.scores
        }
        # Only what some score looks at distinguishes pairs.
        looks = {
            digest({key: value for key, value in scoring.meaning(config).items() if key in given})
            for config in configs.values()
        }
        name = digest(sorted(looks))
        shared[name] = scoring.comparable(configs[screen.decisive])
        factors = {
            key: members[0].base.get(key, members[0].factors.get(key))
            for key in study.factors
            if key in given
        }
        ids = frozenset(sweep.id for sweep in members)
        before = pairs.get(name)
        pairs[name] = (
            Pair(name, factors, given, "", ids, configs)
            if before is None
            else replace(before, sweeps=before.sweeps | ids)
        )
    labels = _labels(shared)
    return tuple(replace(pair, target=labels[pair.id]) for pair in pairs.values())


def given_of(scoring: Task, config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a trial's resolved config whose keys are also settings of `scoring`."""
    return {key: config[key] for key in scoring.settings or {} if key in config}


def study_of(study: Study, pairs: Sequence[Pair]) -> Study | None:
    """The study of the scores of `pairs`; None if `study` has no screen. `plan_of` gives its plan.

    The budget of hours covers both; the budget of trials counts only the study's own.
    """
    screen = study.screen
    if screen is None:
        return None
    names = dict.fromkeys(name for pair in pairs for name in pair.factors)
    grid = {
        name: _distinct([pair.factors[name] for pair in pairs if name in pair.factors])
        for name in names
    }
    return study.model_copy(
        update={
            "task": screen.task,
            "grid": {**grid, SCORE: screen.scores},
            "repetitions": screen.repetitions or study.repetitions,
            "search": None,
            "objectives": [],
            "stop": None,
            "select": "last",
            "baseline": None,
            "non_disruption": None,
            "ablate": None,
            "screen": None,
            "fixed": screen.fixed,
            "budget": study.budget.model_copy(update={"trials": None}),
        }
    )


def plan_of(planned: Plan) -> Plan | None:
    """The plan of the scores, a sweep per score and pair; None if the study has no screen.

    Its trials are shared with any study of the scoring task.
    """
    if planned.study.screen is None:
        return None
    pairs = pairs_of(planned.study, planned.sweeps)
    study = study_of(planned.study, pairs)
    assert study is not None
    scoring = task.of(study)
    sweeps: dict[str, Sweep] = {}
    for score in planned.study.screen.scores:
        for pair in pairs:
            config = pair.configs[score]
            sweep = Sweep(
                digest([study.task, scoring.meaning(config)]),
                {**pair.factors, SCORE: score},
                config,
                (),
                1,
            )
            sweeps.setdefault(sweep.id, sweep)
    return Plan(study, scoring, tuple(sweeps.values()))


def decide(
    values: Mapping[str, float | None],
    targets: Mapping[str, str],
    keep: int | Literal["all"] | None,
    margin: float | None,
) -> frozenset[str]:
    """The pairs to keep: the best of each target with their ties, and pairs without a value.

    What is dropped stays dropped when more values become known.

    Args:
        values: pair -> score, higher is better; None if it is not known.
        targets: pair -> target; values are compared within a target.
        keep: how many to keep of each target, or `all`.
        margin: instead of `keep`, how far below the best of its target a pair may be.
    """
    dropped: set[str] = set()
    for target in set(targets.values()):
        known = {
            pair: value
            for pair, value in values.items()
            if targets[pair] == target and value is not None
        }
        best = sorted(known.values(), reverse=True)
        if margin is not None:
            dropped |= {pair for pair, value in known.items() if best[0] - value > margin}
        elif isinstance(keep, int) and keep < len(best):
            dropped |= {pair for pair, value in known.items() if value < best[keep - 1]}
    return frozenset(values) - dropped


def without_dropped(planned: Plan, verdicts: Sequence[Verdict]) -> Plan:
    """The plan without the sweeps of dropped pairs."""
    dropped: set[str] = set()
    for verdict in verdicts:
        if not verdict.kept:
            dropped |= verdict.pair.sweeps
    if not dropped:
        return planned
    return replace(
        planned, sweeps=tuple(sweep for sweep in planned.sweeps if sweep.id not in dropped)
    )


def _labels(shared: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Pair -> a label of its target: the entries of `comparable` that distinguish the targets."""
    keys = list(dict.fromkeys(key for entries in shared.values() for key in entries))
    telling: list[str] = []
    targets = 1
    for key in keys:
        count = len(
            {digest([entries.get(name) for name in (*telling, key)]) for entries in shared.values()}
        )
        if count > targets:
            telling.append(key)
            targets = count
    named = telling or keys[:1]
    texts = {
        pair: [_said(key, entries[key]) for key in named if entries.get(key) is not None]
        for pair, entries in shared.items()
    }
    return {pair: ", ".join(parts) or "all pairs" for pair, parts in texts.items()}


def _said(name: str, value: Any) -> str:
    """A target's entry in words: `uci`, `missing_ratio 0.5`."""
    return value if isinstance(value, str) else f"{name} {json.dumps(value)}"


def _distinct(values: Iterable[Any]) -> list[Any]:
    return list({json.dumps(value, sort_keys=True): value for value in values}.values())
