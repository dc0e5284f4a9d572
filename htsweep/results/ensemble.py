"""Ensembles of finished trials: the mean of their probabilities, from kept logits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from htsweep import selection
from htsweep.commands import RESULTS
from htsweep.errors import HtsweepError, did_you_mean
from htsweep.results.results import Results
from htsweep.results.tables import cell
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

    from tasks.outputs import Outputs

FEWEST_LETTERS = 4
"""Of a trial's id, so many letters name it if no other begins with them."""
TOGETHER = "together"
"""What the rows of the ensemble are called in the table."""
ACCURACIES = {"seen": "seen_accuracy", "missing": "missing_accuracy", "overall": "overall_accuracy"}


@final
@dataclass(frozen=True)
class _Member:
    """What a name on the command line stands for."""

    name: str
    rows: pd.DataFrame
    """Trials with `step`: the one with that id, or those at the point and step that were chosen."""
    fixed: frozenset[str]
    """The factors that the name gives; the others are paired."""


def ensemble(study: Study, members: Sequence[str], results: str | Path = RESULTS) -> pd.DataFrame:
    """The test accuracies of each member and of the mean of their probabilities, from kept logits.

    A member is a trial's id (or its first letters), or which trials are meant: `KEY=VALUE`, several
    separated by commas, or a value of the compared factor alone. Of these the trials at the point
    and step that the study's protocol chooses are taken, and those of the same repetition and of
    the same other factors are put together.

    Returns:
        One row per member and group, and one `together`: `member`, the factors that the members
        do not name, `seen`, `missing`, `overall` (fractions, means over `n` ensembles; NaN where
        there is no image), `n`.

    Raises:
        HtsweepError: a name means no trial or too many, no logits were kept, or members were tested
            on other images.
    """
    of = Results(study, str(results))
    if len(members) < 2:
        raise HtsweepError(f"an ensemble takes two trials or more, but got {len(members)}")
    meant = [_member(of, name) for name in members]
    groups = _paired(of, meant)
    rows = [row for values, trials in groups for row in _measured(of, meant, trials, values)]
    import pandas as pd

    frame = pd.DataFrame(rows)
    by = [name for name in frame.columns if name not in ACCURACIES]
    # Members and groups in the order that they came in
    means = frame.groupby(by, sort=False, dropna=False)
    table: pd.DataFrame = means[list(ACCURACIES)].mean().reset_index()
    return table.assign(n=means.size().to_numpy())


def lines(table: pd.DataFrame) -> list[str]:
    """The table as a person reads it, in percent."""
    shown = table.copy()
    for name in ACCURACIES:
        shown[name] = ["" if value != value else f"{100 * value:.2f} %" for value in shown[name]]
    text: str = shown.to_string(index=False, na_rep="")
    return text.splitlines()


def _member(of: Results, name: str) -> _Member:
    trials = of.trials[of.trials["status"] != "failed"]
    ids = trials["trial"]
    exact = trials[ids == name]
    found = exact if len(exact) else trials[ids.str.startswith(name)]
    if len(name) >= FEWEST_LETTERS and found["trial"].nunique() == 1:
        return _Member(name, found.head(1).assign(step=None), frozenset())
    if len(name) >= FEWEST_LETTERS and found["trial"].nunique() > 1:
        raise HtsweepError(
            f"'{name}' begins the ids of {found['trial'].nunique()} trials; give more letters"
        )
    values = _named(of, name)
    chosen = selection.at(of.measurements(selection.columns(of.study.select)), of.choice)
    for factor, text in values.items():
        chosen = chosen[[_text(value) == text for value in chosen[factor]]]
    if chosen.empty:
        raise HtsweepError(
            f"'{name}' is no trial's id, and no chosen point of the study is that; "
            f"{_known(of, values)}"
        )
    return _Member(name, chosen, frozenset(values))


def _named(of: Results, name: str) -> dict[str, str]:
    """Factor -> value, as text, that a name on the command line gives."""
    compared = of.study.compared
    if "=" not in name:
        if compared is None:
            raise HtsweepError(f"'{name}' is no trial's id, and the study has no factor")
        return {compared: "+".join(part.strip() for part in name.split("+"))}
    values = {}
    for part in name.split(","):
        factor, _, value = part.partition("=")
        if factor.strip() not in of.varied:
            raise HtsweepError(
                f"'{name}': the study varies no '{factor.strip()}'; "
                f"{did_you_mean(factor.strip(), of.varied)}"
            )
        values[factor.strip()] = value.strip()
    return values


def _known(of: Results, values: Mapping[str, str]) -> str:
    factor = next(iter(values))
    known = list(dict.fromkeys(map(_text, of.trials[factor])))
    return f"{factor} {values[factor]!r}: {did_you_mean(values[factor], known)}"


def _text(value: Any) -> str:
    """A factor's value as it is typed."""
    value = cell(value)
    if isinstance(value, str) and value.startswith("["):
        try:
            return "+".join(map(str, json.loads(value)))
        except ValueError:
            return value
    return f"{value:g}" if isinstance(value, float) else str(value)


def _paired(
    of: Results, meant: Sequence[_Member]
) -> list[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """(the factors of a group, a trial of each member) for each ensemble."""
    if all(not member.fixed for member in meant):
        return [({}, [_row(member.rows.iloc[0].to_dict()) for member in meant])]
    named = frozenset().union(*(member.fixed for member in meant))
    factors = [name for name in of.factors if name not in named]
    keys = [*factors, "repetition"]
    tables: list[dict[tuple[Any, ...], Mapping[str, Any]]] = []
    for member in meant:
        table: dict[tuple[Any, ...], Mapping[str, Any]] = {}
        for row in member.rows.to_dict("records"):
            key = tuple(_text(row[name]) for name in keys)
            if key in table and table[key]["trial"] != row["trial"]:
                raise HtsweepError(
                    f"'{member.name}' means several trials of repetition {row['repetition']}; name "
                    f"more of {', '.join(name for name in of.factors if name not in member.fixed)} "
                    "by KEY=VALUE"
                )
            table[key] = _row(row)
        tables.append(table)
    whole = [key for key in tables[0] if all(key in table for table in tables)]
    if not whole:
        raise HtsweepError(
            "no two of these trials have the same repetition and the same "
            f"{', '.join(factors) or 'factors'}"
        )
    return [
        (
            {name: tables[0][key][name] for name in factors},
            [table[key] for table in tables],
        )
        for key in whole
    ]


def _row(values: Mapping[Any, Any]) -> Mapping[str, Any]:
    return {str(name): value for name, value in values.items()}


def _measured(
    of: Results,
    meant: Sequence[_Member],
    trials: Sequence[Mapping[str, Any]],
    group: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """A row for each member of one ensemble, and one for all together."""
    import numpy as np

    from tasks.metrics import accuracies
    from tasks.output_metrics import probabilities

    answers = [_outputs(of, row) for row in trials]
    for row, outputs in zip(trials[1:], answers[1:], strict=True):
        _same_images(trials[0], answers[0], row, outputs)
    scores = [probabilities(outputs.logits) for outputs in answers]
    named = [(member.name, score) for member, score in zip(meant, scores, strict=True)]
    rows = []
    for name, score in [*named, (TOGETHER, np.mean(scores, axis=0))]:
        found = accuracies(score, answers[0].labels, answers[0].missing, answers[0].others)
        values = {short: found.get(long, float("nan")) for short, long in ACCURACIES.items()}
        rows.append({"member": name, **group, **values})
    return rows


def _outputs(of: Results, row: Mapping[str, Any]) -> Outputs:
    """A trial's outputs on test images, at the row's step or else at the last one that is kept."""
    trial = row["trial"]
    steps = of.outputs(trial)
    step = max(steps) if row["step"] is None else int(row["step"])
    from tasks.outputs import TEST

    if TEST not in steps.get(step, {}):
        raise HtsweepError(
            f"of trial {trial} no logits of test images at step {step} are kept; there are those "
            f"of step {', '.join(map(str, steps))}"
        )
    return steps[step][TEST]


def _same_images(
    first: Mapping[str, Any], one: Outputs, second: Mapping[str, Any], other: Outputs
) -> None:
    """Nothing, if two trials were tested on the same images and miss the same classes."""
    import numpy as np

    same = (
        one.images == other.images
        # Where a task does not name its images, only those of one repetition can be the same
        and (one.images != "" or first["repetition"] == second["repetition"])
        and one.logits.shape == other.logits.shape
        and np.array_equal(one.labels, other.labels)
    )
    if not same:
        raise HtsweepError(
            f"trials {first['trial']} and {second['trial']} were tested on other images; an "
            "ensemble takes trials of one repetition and one dataset"
        )
    if (one.missing, one.others) != (other.missing, other.others):
        raise HtsweepError(
            f"trials {first['trial']} and {second['trial']} miss other classes, so that seen and "
            "missing are not the same; an ensemble takes trials with the same missing classes"
        )
