"""The scores of a study's pairs, and what their trials measured, as the analysis needs them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from htsweep.planning import task
from htsweep.planning.plan import Sweep
from htsweep.planning.screen import SCORE, pairs_of
from htsweep.results import screen
from htsweep.study.schema import Screen, Study

if TYPE_CHECKING:
    import pandas as pd

    from htsweep.analysis.conclusions import ScreenTables
    from htsweep.results.results import Results


def screen_tables(results: Results, columns: Sequence[str] | None = None) -> ScreenTables | None:
    """The screen's scores, and what the trials of all pairs measured, dropped ones included.

    None if the study has no screen. `columns` are the measurements to read; None: all.
    """
    from htsweep.analysis.conclusions import ScreenTables

    if results.study.screen is None:
        return None
    pair_of = {
        sweep: verdict.pair.id for verdict in results.verdicts for sweep in verdict.pair.sweeps
    }
    measured = results.measurements(columns, kind="numbers", all_pairs=True)
    scoring = task.find(results.study.screen.task)
    return ScreenTables(
        screen.scores(results),
        measured.assign(pair=measured["sweep"].map(pair_of)),
        scoring.combined,
        scoring.terms,
    )


def scores_of(results: Results) -> pd.DataFrame:
    """The scores of a study whose task `predicts`, in the form of `screen.scores`.

    A pair has the same name for all scores. Parameters of a score that the study varies
    (`group.steps`) are part of its name: `name, group.steps 400`.
    """
    measured = results.measurements(kind="numbers")
    column = task.find(results.study.task).predicts or ""
    varied = [name for name in results.varied if "." in name]
    last = measured[measured["status"] == "done"].groupby("trial", sort=False).tail(1)
    places = _places(results.study, results.full_plan.sweeps)
    table = last.assign(
        pair=[places[sweep][0] for sweep in last["sweep"]],
        target=[places[sweep][1] for sweep in last["sweep"]],
        score=[
            _named(places[row["sweep"]][2], {name: row[name] for name in varied})
            for row in last.to_dict("records")
        ],
        value=last[column] if column in last else float("nan"),
        kept=True,
    )
    took = results.trials.drop_duplicates("trial").set_index("trial")["seconds"]
    return table if "seconds" in table else table.assign(seconds=table["trial"].map(took))


def _places(study: Study, sweeps: Sequence[Sweep]) -> dict[str, tuple[str, str, str]]:
    """Sweep -> its pair, the pair's target, and the score."""
    places: dict[str, tuple[str, str, str]] = {}
    for score in dict.fromkeys(str(sweep.base[SCORE]) for sweep in sweeps):
        # The same study without what distinguishes scores, and with a screen: `pairs_of` then
        # decides which pairs are compared.
        grid = {
            name: values for name, values in study.grid.items() if name != SCORE and "." not in name
        }
        alike = study.model_copy(
            update={
                "grid": grid,
                "ablate": None,
                "screen": Screen(scores=[score], keep="all", task=study.task),
            }
        )
        mine = [sweep for sweep in sweeps if sweep.base[SCORE] == score]
        for pair in pairs_of(alike, mine):
            places |= dict.fromkeys(pair.sweeps, (pair.label, pair.target, score))
    return places


def _named(score: str, parameters: dict[str, object]) -> str:
    """A score's name with its own parameters that the study varies."""
    own = [
        f"{name} {value if not isinstance(value, float) else format(value, 'g')}"
        for name, value in parameters.items()
        if value is not None and value == value
    ]
    return ", ".join([score, *own])


def configured(ended: pd.DataFrame) -> pd.DataFrame:
    """Trials with the column `score`, taken from their configs where the study fixes it."""
    if SCORE in ended:
        return ended
    return ended.assign(**{SCORE: [json.loads(text).get(SCORE, "") for text in ended["config"]]})
