"""Two studies, or two states of one, compared: whether and by how much their numbers differ."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from htsweep.commands import given
from htsweep.errors import HtsweepError, LedgerError, did_you_mean
from htsweep.results.results import Results
from htsweep.results.tables import Members
from htsweep.selection.infinities import with_infinities
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

NAMED = 5
"""How many trials, values or columns a message lists before it says how many more there are."""
Ends = Callable[[Mapping[str, Any]], bool]
"""Whether an end of a trial (a row of the ledger's trials) belongs to a state."""


@final
@dataclass(frozen=True)
class Comparison:
    """The result of comparing A and B."""

    a: str
    """What A is, in words."""
    b: str
    table: pd.DataFrame
    """The factors, `metric`, `trials`, `n`, `a`, `b`, `difference` (B - A), `low`, `high`, `p`,
    `p_holm`, `verdict`.
    """
    trials: pd.DataFrame
    """A row per pair: `trial_a`, `trial_b`, what both vary, `repetition`, `status_a`, `status_b`,
    `equal`, `first`.
    """
    only_a: pd.DataFrame
    """The trials of A without a match in B."""
    only_b: pd.DataFrame
    notes: Sequence[str]
    """What else the two differ in: factors, columns, ambiguous trials."""

    @property
    def matched(self) -> int:
        """The number of pairs of trials."""
        return len(self.trials)

    @property
    def equal(self) -> int:
        """The number of pairs whose status, steps and numbers are equal bit for bit."""
        return int(self.trials["equal"].sum())

    def lines(self) -> list[str]:
        """The comparison as text; the first line says whether anything differs at all."""
        text_lines = [
            f"{self.matched} trials matched, {self.equal} bit for bit equal (time and memory aside)"
            + ("" if self.equal == self.matched else f", {self.matched - self.equal} differ"),
            f"A: {self.a}",
            f"B: {self.b}",
            *self.notes,
        ]
        text_lines += [
            line
            for line in (_only("A", self.only_a), _only("B", self.only_b), self._ended())
            if line
        ]
        if self.table.empty:
            return text_lines
        shown = self.table.rename(columns={"a": "A", "b": "B", "difference": "B - A"})
        table = shown.to_string(index=False, float_format=lambda number: f"{number:.4g}", na_rep="")
        return [
            *text_lines,
            "",
            table,
            "",
            "n: repetitions, the unit of pairing (means over their trials, each at its last step); "
            "low, high: 95 %, Student's t; p: exact sign-flip test; p_holm: of a group and metric",
        ]

    def json(self) -> str:
        """The comparison as JSON, for programs."""
        return json.dumps(
            {
                "a": self.a,
                "b": self.b,
                "matched": self.matched,
                "equal": self.equal,
                "notes": list(self.notes),
                "table": _rows(self.table),
                "differing": _rows(self.trials[~self.trials["equal"]]),
                "only_a": _rows(self.only_a),
                "only_b": _rows(self.only_b),
            },
            indent=2,
        )

    def _repr_html_(self) -> str:
        import html

        return f"<pre>{html.escape(self.lines()[0])}</pre>{self.table.to_html(index=False)}"

    def _ended(self) -> str:
        """A line on the trials that ended differently from their match; empty if there are none."""
        other = self.trials[self.trials["status_a"] != self.trials["status_b"]]
        if other.empty:
            return ""
        counts = Counter(zip(other["status_a"], other["status_b"], strict=True))
        counted = ", ".join(f"{count} {a} in A and {b} in B" for (a, b), count in counts.items())
        return f"ended otherwise: {counted} ({_listed(other['trial_a'].tolist())})"


@final
@dataclass(frozen=True)
class _State:
    """Trials and measurements of a study: all that count, or those of one state."""

    words: str
    trials: pd.DataFrame
    measured: pd.DataFrame


@with_infinities
def compare(
    a: Study,
    b: Study | None = None,
    results: str | Path = "results",
    results_b: str | Path | None = None,
    *,
    before: str | None = None,
    commit: str | None = None,
    columns: Sequence[str] = (),
) -> Comparison:
    """The differences of B from A, trial by trial and as paired differences (`.table`).

    A and B are two studies; one study in two results folders (`results_b`); or two states of one:
    what ended `before` a time against what ended since, or what ran at `commit` against what ran at
    others. A launch never runs again what is done, so a ledger has a trial in both states only
    where it was merged from two ledgers. To see what a change of the code does, launch into another
    folder and compare the two.

    Args:
        a: a study.
        b: another; None: the same.
        results: folder or URI of A's results.
        results_b: of B's; None: the same.
        before: a date or time (ISO 8601, local time if it names no zone).
        commit: the beginning of a commit's id.
        columns: the metrics to compare; none: the accuracies.

    Raises:
        HtsweepError: there is nothing to compare with, or no such state or column.
    """
    from htsweep.analysis import matching
    from htsweep.analysis.design import design

    results, results_b = str(results), None if results_b is None else str(results_b)
    here, other_results = _sides(
        a, b, results, results_b, by_time=bool(before), by_commit=bool(commit)
    )
    varied = list(dict.fromkeys([*here.varied, *other_results.varied]))
    first, other = _states(here, other_results, before, commit, names=varied)
    matched = matching.match(first.trials, other.trials, varied)
    metrics = _metrics(first, other, columns)
    factors = [
        name
        for name in dict.fromkeys([*here.factors, *other_results.factors])
        if name in matched.keys
    ]
    compared = a.compared if a.compared in factors else None
    table = matching.differences(
        matched.pairs,
        first.measured,
        other.measured,
        design(factors, factors, compared),
        metrics=metrics,
    )
    equal = matching.equal(matched.pairs, first.measured, other.measured)
    pairs = matched.pairs.drop_duplicates(["trial_a", "trial_b"]).merge(
        equal, on=["trial_a", "trial_b"]
    )
    notes = [*_differ(matched.differ), *_columns_of_one(first, other)]
    if matched.ambiguous:
        notes.append(
            f"{matched.ambiguous} trials answer to several on the other side and are left out: "
            "matched by "
            f"{', '.join((*matched.keys, 'repetition'))}, but they differ in more"
        )
    if pairs.empty and (before or commit):
        notes.append(
            "no trial ended on both sides: a launch never runs again what is done. To see what a "
            "change does, launch "
            "into another folder DIR, and compare the two: "
            f"{given(a, results).verb('compare', '--results-b', 'DIR')}"
        )
    return Comparison(first.words, other.words, table, pairs, matched.only_a, matched.only_b, notes)


def _sides(
    a: Study,
    b: Study | None,
    results: str,
    results_b: str | None,
    *,
    by_time: bool,
    by_commit: bool,
) -> tuple[Results, Results]:
    """The results of A and of B; the same object twice if two states of it are compared.

    Raises:
        HtsweepError: the arguments do not go together, or A and B are the same.
    """
    if by_time and by_commit:
        raise HtsweepError(
            "--before and --commit each divide a study's trials in two: give one of them"
        )
    here = Results(a, results)
    if by_time or by_commit:
        if b is not None or results_b is not None:
            raise HtsweepError(
                "--before and --commit compare two states of one study in one folder: leave out "
                "the other study "
                "and --results-b"
            )
        return here, here
    other_results = Results(b or a, results_b or results)
    if b is None and here.store.uri == other_results.store.uri:
        raise HtsweepError(
            f"nothing to compare '{a.name}' with: give a second study, another folder of results "
            "(--results-b), a "
            "date (--before) or a commit (--commit)"
        )
    return here, other_results


def _states(
    here: Results,
    there: Results,
    before: str | None,
    commit: str | None,
    *,
    names: Sequence[str],
) -> tuple[_State, _State]:
    """A and B; `names` are the factors and parameters that either varies."""
    if here is not there:
        return _state(here, "", _any, names), _state(there, "", _any, names)
    words, ends = _until(before) if before else _at(here, commit or "")
    return _state(here, words[0], ends[0], names), _state(here, words[1], ends[1], names)


def _any(end: Mapping[str, Any]) -> bool:
    return True


def _until(before: str) -> tuple[tuple[str, str], tuple[Ends, Ends]]:
    """What ended before a time, and what ended since, with words for each."""
    try:
        moment = datetime.fromisoformat(before).astimezone()
    except ValueError:
        raise HtsweepError(
            f"--before {before}: no date or time; write it as 2026-11-01 or 2026-11-01T14:30"
        ) from None
    at, moment_text = moment.timestamp(), moment.isoformat(sep=" ", timespec="minutes")
    return (f"ended before {moment_text}", f"ended since {moment_text}"), (
        lambda end: end["ended"] < at,
        lambda end: end["ended"] >= at,
    )


def _at(results: Results, commit: str) -> tuple[tuple[str, str], tuple[Ends, Ends]]:
    """What ran at a commit, and what ran at others, with words for each."""
    known = {str(head)[:12] for head in results.ends.column("commit").to_pylist() if head}
    heads = {known_commit for known_commit in known if known_commit.startswith(commit.lower()[:12])}
    if not commit or len(heads) != 1:
        what = f"{len(heads)} commits begin so" if heads else "no trial ran at it"
        raise HtsweepError(
            f"--commit {commit}: {what} ({results.study.name} in {results.location}); "
            f"{did_you_mean(commit, known) or 'no trial there has its commit recorded'}"
        )
    [head] = heads

    def ran_at(end: Mapping[str, Any]) -> bool:
        return str(end["commit"] or "").startswith(head)

    return (f"ran at commit {head}", f"ran at other commits than {head}"), (
        ran_at,
        lambda end: not ran_at(end),
    )


def _state(results: Results, words: str, ends: Ends, names: Sequence[str]) -> _State:
    """The study's trials with an end in this state, and the measurements of the ends that count."""
    import pandas as pd

    from htsweep.ledger.record import RANK

    study, table = results.study, results.ends
    members = Members(results.full_plan)
    best: dict[str, tuple[tuple[int, int, str], int]] = {}
    rows: list[dict[str, Any]] = table.to_pylist()
    for number, row in enumerate(rows):
        if row["kind"] == "trial" and ends(row) and members.places(row):
            key = (RANK.get(row["status"], 9), -(row["attempt"] or 0), row["record"])
            best[row["trial"]] = min(best.get(row["trial"], (key, number)), (key, number))
    counting = sorted(number for _, number in best.values())
    # In the order of the study's file, whatever ended first.
    order = {sweep.id: number for number, sweep in enumerate(results.full_plan.sweeps)}
    placed = sorted(
        (
            (order[sweep], index, rows[number]["repetition"], number, values)
            for number in counting
            for sweep, _, index, _, *values in members.places(rows[number])
        ),
        key=lambda place: place[:4],
    )
    chosen = [
        _row(rows[number], dict(zip(members.names, values, strict=True)), names)
        for *_, number, values in placed
    ]
    if not chosen:
        raise LedgerError(
            f"{results.location} has no trial of study '{study.name}'"
            f"{f' that {words}' if words else ''}"
        )
    measured = results.ledger.measurements(trials=table.take(counting)).to_pandas()
    about = ", ".join(
        part
        for part in (
            f"{study.name} in {results.location}",
            words,
            _code([rows[counted_row] for counted_row in counting]),
        )
        if part
    )
    return _State(f"{about}: {len(counting)} trials", pd.DataFrame(chosen), measured)


def _row(end: Mapping[str, Any], place: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A trial with all that either study varies; what its own does not is taken from its config."""
    config = json.loads(end["config"])
    values = {name: place[name] if name in place else config.get(name) for name in names}
    row_values = {
        name: json.dumps(value) if isinstance(value, list | dict) else value
        for name, value in values.items()
    }
    return {
        "trial": end["trial"],
        "repetition": end["repetition"],
        "status": end["status"],
        **row_values,
    }


def _code(ends: Sequence[Mapping[str, Any]]) -> str:
    """`code 1a2b3c4 (60, 2 with uncommitted changes), 5d6e7f8`."""
    versions = []
    for commit in dict.fromkeys(end["commit"] for end in ends if end["commit"]):
        mine = [end for end in ends if end["commit"] == commit]
        dirty = sum(bool(end["dirty"]) for end in mine)
        versions.append(
            f"{commit[:7]} ({len(mine)}{f', {dirty} with uncommitted changes' if dirty else ''})"
        )
    return f"code {', '.join(versions)}" if versions else ""


def _metrics(first: _State, other: _State, columns: Sequence[str]) -> list[str]:
    """The metrics to compare.

    Raises:
        HtsweepError: a requested one is not on both sides, or is not a number.
    """
    import pandas as pd

    from htsweep.analysis.matching import shared_numbers
    from htsweep.analysis.summary import metrics_of

    numbers = [
        name
        for name in shared_numbers(first.measured, other.measured)
        if all(pd.api.types.is_numeric_dtype(state.measured[name]) for state in (first, other))
    ]
    wrong = [name for name in columns if name not in numbers]
    if wrong:
        raise HtsweepError(
            "; ".join(
                f"--columns: no number '{name}' on both sides; {did_you_mean(name, numbers)}"
                for name in wrong
            )
        )
    return list(columns) or metrics_of(numbers)


def _differ(differ: Mapping[str, tuple[tuple[Any, ...], tuple[Any, ...]]]) -> list[str]:
    return [
        f"A and B differ in {name}: {_listed(in_a)} against {_listed(in_b)}"
        for name, (in_a, in_b) in differ.items()
    ]


def _columns_of_one(first: _State, other: _State) -> list[str]:
    columns = []
    for name, mine, its in (("A", first, other), ("B", other, first)):
        alone = [
            str(column) for column in mine.measured.columns if column not in its.measured.columns
        ]
        if alone:
            columns.append(f"measured in {name} alone, and not compared: {_listed(alone)}")
    return columns


def _only(name: str, trials: pd.DataFrame) -> str:
    """`only in A: 3 trials (method=l2sp repetition=0, ...)`."""
    if trials.empty:
        return ""
    keys = [column for column in trials.columns if column not in ("trial", "status", "repetition")]
    examples = [
        " ".join(
            f"{key}={row[key]}"
            for key in (*keys, "repetition")
            if row[key] is not None and row[key] == row[key]
        )
        for row in trials.to_dict("records")
    ]
    return f"only in {name}: {len(trials)} trials ({_listed(examples)})"


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values[:NAMED])) + (
        f", and {len(values) - NAMED} more" if len(values) > NAMED else ""
    )


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(table.to_json(orient="records", double_precision=15))
    return rows
