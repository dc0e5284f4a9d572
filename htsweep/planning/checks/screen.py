"""Checks the key `screen` against its scoring task and the rest of the study."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from htsweep.errors import Problem, did_you_mean
from htsweep.planning import ablation, task
from htsweep.planning.ablation import cells_of
from htsweep.planning.checks.asking import said_alone
from htsweep.planning.checks.size import MOST_CELLS
from htsweep.planning.dimension import repeated
from htsweep.planning.plan import Sweep, sweep_of
from htsweep.planning.screen import COLUMNS, SCORE, given_of, pairs_of
from htsweep.planning.settings import meant, refused
from htsweep.planning.spaces import Spaces
from htsweep.planning.task import Task
from htsweep.study.document import Located, Place
from htsweep.study.schema import Screen, Study


def problems(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """What is wrong with `screen`, whatever the pairs."""
    screen = study.screen
    if screen is None:
        return
    if study_task.predicts:
        yield where.problem(
            ("screen",),
            f"task '{study.task}' computes scores itself, so a screen would save nothing; remove "
            "`screen`, or set `task` to the task whose outcome the scores should predict",
        )
    yield from _rule(screen, where)
    try:
        scoring = task.of(study, screen.task)
    except task.UnknownTask as error:
        yield where.problem(("screen", "task"), str(error))
        return
    except Exception as error:  # a user's module may raise anything at import
        yield where.problem(
            ("screen", "task"), f"importing it raised {type(error).__name__}: {error}"
        )
        return
    if not scoring.predicts or SCORE not in (scoring.settings or {}):
        yield where.problem(
            ("screen", "task"),
            f"task '{screen.task}' computes no scores: a scoring task has `predicts` (a column) "
            "and a setting 'score'; name such a task, or remove the key",
        )
        return
    yield from _scores(screen, scoring, where)
    yield from _fixed(study, screen, scoring, where)
    yield from _factors(study, study_task, scoring, where)


def of_pairs(study: Study, study_task: Task, where: Located) -> Iterator[Problem]:
    """Problems that the scoring task finds in the pairs, and a screen that could drop none.

    It assumes that the study has no other mistakes.
    """
    screen = study.screen
    if screen is None:
        return
    scoring = task.of(study, screen.task)
    spaces = Spaces(study.search, study_task.settings)
    sweeps: dict[str, Sweep] = {}
    for cell in cells_of(study):
        sweep = sweep_of(study, study_task, cell, spaces)
        sweeps[sweep.id] = sweep
    starts_by_text: dict[str, Mapping[str, Any]] = {}
    for sweep in sweeps.values():
        start = given_of(scoring, sweep.base)
        starts_by_text.setdefault(repr(start), start)
    starts = list(starts_by_text.values())
    count = len(starts) * len(screen.scores)
    if count > MOST_CELLS:
        yield where.problem(
            ("screen", "scores"),
            f"{len(starts):,} pairs with {len(screen.scores):,} scores are {count:,} "
            f"sweeps, but a screen has at most {MOST_CELLS:,}; list fewer scores, or vary less "
            "under `grid`",
        )
        return
    wrong = [*_searched(study, scoring, sweeps, where), *_against(screen, scoring, starts, where)]
    yield from wrong
    if wrong or screen.keep == "all":
        return
    pairs = pairs_of(study, sweeps.values())
    if max(Counter(pair.target for pair in pairs).values()) == 1:
        shared = [name for name in scoring.settings or {} if name in (study_task.settings or {})]
        yield where.problem(
            ("screen",),
            "each target has only one pair, so there is nothing to drop: vary the source under "
            f"`grid` (any of {', '.join(shared)}), or set `keep: all` to compute the scores alone",
        )


def _rule(screen: Screen, where: Located) -> Iterator[Problem]:
    if screen.by is not None and screen.by not in screen.scores:
        yield where.problem(
            ("screen", "by"),
            f"'{screen.by}' is not one of `scores`; {did_you_mean(screen.by, screen.scores)}",
        )
    if (screen.keep is None) == (screen.margin is None):
        came = "neither" if screen.keep is None else "both"
        yield where.problem(
            ("screen",),
            f"a screen needs either `keep` (how many pairs of each target, or all) or `margin` "
            f"(how far below the best), but has {came}; set one of them",
        )


def _scores(screen: Screen, scoring: Task, where: Located) -> Iterator[Problem]:
    setting = (scoring.settings or {})[SCORE]
    twice, known = (
        set(repeated(screen.scores)),
        setting.choices() if callable(setting.choices) else setting.choices or (),
    )
    for index, score in enumerate(screen.scores):
        wrong = (
            f"the score '{score}' is listed twice; remove one"
            if index in twice
            else refused(setting, score)
            or ("" if score in known else " ".join(said_alone(scoring, SCORE, score)))
        )
        if wrong:
            yield where.problem(("screen", "scores", index), wrong)


def _fixed(study: Study, screen: Screen, scoring: Task, where: Located) -> Iterator[Problem]:
    settings = scoring.settings or {}
    for key, value in screen.fixed.items():
        place: Place = ("screen", "fixed", key)
        if key == SCORE:
            yield where.problem(place, "the scores are listed under `scores`; remove this key")
        elif key in study.factors:
            yield where.problem(
                place, "is a factor of the study, so it differs between pairs; remove it here"
            )
        elif key not in settings:
            # `my_lab.scores:entropy.weight` belongs to a user's own score: the task checks it.
            if ":" not in key:
                yield where.problem(
                    place, f"task '{screen.task}' has no such key; {meant(key, settings)}"
                )
        else:
            wrong = refused(settings[key], value)
            if wrong:
                yield where.problem(place, wrong)


def _factors(study: Study, study_task: Task, scoring: Task, where: Located) -> Iterator[Problem]:
    """Factors that are columns of tables of scores, and ablations that a screen would split."""
    screen, settings = study.screen, scoring.settings or {}
    assert screen is not None
    for key in study.factors:
        if key in settings and key in COLUMNS:
            at: Place = ("grid", key) if key in study.grid else ("ablate",)
            yield where.problem(
                at,
                f"'{key}' is a column of the tables of scores, "
                "so a study with a screen cannot vary it",
            )
    if study.ablate is None or screen.keep == "all":
        return
    changed = [
        {key: value for key, value in variant.changes.items() if key in settings}
        for variant in ablation.variants_of(study.ablate, study_task.empty)
    ]
    if any(changes != changed[0] for changes in changed):
        keys = sorted({key for changes in changed for key in changes})
        yield where.problem(
            ("screen",),
            f"the ablation changes {', '.join(keys)}, so its variants are different pairs, and "
            "dropping some would leave gaps in it; screen the sources in a separate study, or set "
            "`keep: all`",
        )


def _searched(
    study: Study, scoring: Task, sweeps: Mapping[str, Sweep], where: Located
) -> Iterator[Problem]:
    """Searched parameters that would make each point a pair of its own."""
    keys = {dimension.key for sweep in sweeps.values() for dimension in sweep.space} & set(
        scoring.settings or {}
    )
    for key in sorted(keys):
        spaces = study.search.spaces if study.search else {}
        at: Place = (
            ("search", "spaces", "all", key) if key in spaces.get("all", {}) else ("search",)
        )
        yield where.problem(
            at,
            f"'{key}' identifies a pair, so it cannot be searched; make it a factor under `grid`",
        )


def _against(
    screen: Screen, scoring: Task, starts: Sequence[Mapping[str, Any]], where: Located
) -> Iterator[Problem]:
    """Problems that the scoring task finds in a pair and a score, each once."""
    said: set[tuple[str, str]] = set()
    for given, (index, score) in itertools.product(starts, enumerate(screen.scores)):
        try:
            config: Mapping[str, Any] = scoring.resolve({**given, **screen.fixed, SCORE: score})
            wrong = list(scoring.problems(config))
        except (ValueError, LookupError, OSError) as error:
            wrong = [("", str(error))]
        for key, message in wrong:
            place: Place = (
                ("screen", "fixed", key) if key in screen.fixed else ("screen", "scores", index)
            )
            if (message, str(place)) not in said:
                said.add((message, str(place)))
                yield where.problem(place, f"score {score}: {message}")
