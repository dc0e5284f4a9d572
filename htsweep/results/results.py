"""`Results`: all that one results folder has of one study, read or computed only once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from htsweep import selection
from htsweep.commands import RESULTS
from htsweep.errors import HtsweepError, did_you_mean
from htsweep.ledger import Ledger, Store, Table, kept
from htsweep.ledger.names import LISTS
from htsweep.ledger.tables import Kind
from htsweep.planning import roster
from htsweep.planning.plan import Plan, plan
from htsweep.planning.screen import Verdict, plan_of, without_dropped
from htsweep.results import chosen, tables
from htsweep.results.screen import judge
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

    from tasks.outputs import Outputs


def trials(study: Study, results: str | Path = RESULTS) -> pd.DataFrame:
    """One row per ended trial of the study: how it ended, its sweep, point, factors, parameters."""
    return Results(study, str(results)).trials


def measurements(
    study: Study, results: str | Path = RESULTS, columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """One row per measurement of the study's trials: what was varied, `step`, what was measured.

    `columns` are the measured columns to read; None: all.
    """
    return Results(study, str(results)).measurements(columns)


@final
@dataclass(frozen=True, eq=False)
class Results:
    """A study, and what the ledger at `location` had of it when first read.

    Everything is read lazily and at most once: the trials as one table, the measurements column by
    column, as far as they are needed. Only `reread()` sees what ended later.
    """

    study: Study
    location: str = RESULTS
    """The folder or the URI, as the user gave it."""
    _measured: dict[tuple[Kind, bool], _Measured] = field(
        default_factory=dict, init=False, repr=False
    )
    """The measurements that were read, by kind and whether they are of all pairs."""

    def __post_init__(self) -> None:
        """The study as its trials are named: with what was chosen for it in this place."""
        if chosen.asked(self.study) is not None:
            object.__setattr__(self, "study", chosen.settled(self.study, self.store))

    def reread(self) -> Results:
        """The same study at the same place with the same plan, which reads the ledger anew."""
        other = Results(self.study, self.location)
        for name in ("store", "ledger", "full_plan", "score_plan"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    @cached_property
    def store(self) -> Store:
        """Where the ledger is."""
        return Store(self.location)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger at `location`, which other studies share."""
        return Ledger(self.store)

    # -- what was planned

    @cached_property
    def full_plan(self) -> Plan:
        """The plan of the study, without regard to its screen."""
        return plan(self.study)

    @cached_property
    def score_plan(self) -> Plan | None:
        """The plan of the scores of the study's screen; None if it has no screen."""
        return plan_of(self.full_plan)

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """What the scores say about each pair; empty if the study has no screen."""
        if self.study.screen is None:
            return ()
        return judge(self.full_plan, self.recorded, self.ledger)

    @cached_property
    def plan(self) -> Plan:
        """The plan of what the screen keeps, which is everything until there are scores."""
        return without_dropped(self.full_plan, self.verdicts)

    @cached_property
    def factors(self) -> list[str]:
        """The columns that identify a row's cell of the grid, or variant of an ablation."""
        return list(self.study.grid) if self.study.ablate is None else list(self.full_plan.factors)

    @cached_property
    def parameters(self) -> list[str]:
        """The parameters that are searched in any sweep and are not factors."""
        return [name for name in self.varied if name not in self.factors]

    @cached_property
    def varied(self) -> list[str]:
        """The factors, and the parameters that are searched in any sweep."""
        return tables.varied(self.full_plan)

    # -- what was recorded

    @cached_property
    def recorded(self) -> Table:
        """The ledger's trials, including those of other studies, each with the end that counts.

        Raises:
            LedgerError: an object exists but cannot be read.
        """
        return self.ledger.trials()

    @cached_property
    def ends(self) -> Table:
        """As `recorded`, but with every end of each trial, even those that a later one replaced."""
        return self.ledger.trials(every=True)

    def rows(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows of `recorded`, with a few thousand in memory at a time."""
        return iter(()) if self._empty else roster.rows(self.recorded, columns)

    @cached_property
    def state(self) -> str:
        """A digest of the study and of what the ledger has of it; equal: so is every answer.

        What other studies have in the same ledger changes nothing.
        """
        later = self.ledger.later()
        there = {entry.name for entry in self.store.list(kept.FOLDER)}
        own: dict[str, str] = {}
        for planned in (self.full_plan, self.score_plan):
            if planned is None:
                continue
            columns = [*roster.COLUMNS, "record", "artifact"]
            for row, _ in roster.Roster(planned).own(self.rows(columns)):
                logits = "logits" if kept.of(row["artifact"]) in there else ""
                own[row["trial"]] = f"{row['record']}+{later.get(row['record'], '')}+{logits}"
        content = [self.study.name, self.study.text, sorted(own.items())]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    @cached_property
    def _empty(self) -> bool:
        # Making an empty table imports pandas, which a plan can do without.
        return "recorded" not in self.__dict__ and not self.ledger.records()

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per ended trial and sweep of the study that has it, in the order of its file.

        Columns: how it ended, its `sweep` and `point`, and one per factor and searched parameter.
        For a screened study, only the trials of the pairs that are kept.
        """
        return tables.trials(self.plan, self.recorded, self.varied)

    def outputs(self, trial: str) -> dict[int, dict[str, Outputs]]:
        """What is kept of a trial's model: step -> split -> logits, labels and, if kept, features.

        Raises:
            HtsweepError: the study has no such trial, or nothing of it is kept.
            LedgerError: what is kept cannot be read.
        """
        rows = self.trials.loc[self.trials["trial"] == trial, "artifact"]
        if rows.empty:
            known = self.trials["trial"].tolist()
            raise HtsweepError(f"no trial {trial!r} of the study; {did_you_mean(trial, known)}")
        name = kept.of(rows.iloc[0])
        steps = kept.read(self.store, name) if name else None
        if not steps:
            raise HtsweepError(
                f"of trial {trial} no logits are kept; `keep: logits` (or `features`) in the study "
                "keeps those of trials that run from then on"
            )
        return steps

    @cached_property
    def trials_of_all_pairs(self) -> pd.DataFrame:
        """As `trials`, but for a screened study with the ended trials of dropped pairs too."""
        if self.plan is self.full_plan:
            return self.trials
        return tables.trials(self.full_plan, self.recorded, self.varied)

    def measurements(
        self,
        columns: Sequence[str] | None = None,
        *,
        kind: Kind = "any",
        all_pairs: bool = False,
    ) -> pd.DataFrame:
        """One row per measurement of `trials`: what was varied, `step`, and what was measured.

        Only requested columns are read, and nothing is read if the last reading had all of them.
        The table is shared: do not write to it.

        Args:
            columns: names of what was measured; None: all.
            kind: only `numbers` or only `lists`; `any`: both, and where trials measured numbers and
                lists under one name, the lists have that name followed by `[]`.
            all_pairs: those of `trials_of_all_pairs`.

        Raises:
            LedgerError: not all measurements of a trial that counts can be read.
        """
        all_pairs = all_pairs and self.plan is not self.full_plan
        read = self._measured.get((kind, all_pairs))
        if read is None or not read.has(columns):
            # Columns read before are read again together with the new ones: callers that need more
            # later should ask for everything first.
            more = () if read is None or read.columns is None else read.columns
            wanted = None if columns is None else list(dict.fromkeys([*columns, *more]))
            read = self._read(wanted, kind, all_pairs)
            self._measured[kind, all_pairs] = read
        return read.select(columns)

    def _read(self, columns: Sequence[str] | None, kind: Kind, all_pairs: bool) -> _Measured:
        ended = self.trials_of_all_pairs if all_pairs else self.trials
        measured = self.ledger.measurements(
            columns, self._ends_of(ended["trial"].unique().tolist()), kind
        )
        table = tables.measurements(self.study, ended, measured, self.varied)
        known = None if columns is None else frozenset(map(_bare, columns))
        return _Measured(known, table, len(tables.keys(self.varied)))

    def lists(self, columns: Sequence[str], trials: Sequence[str]) -> pd.DataFrame:
        """`trial`, `step` and the list `columns` of some trials.

        The lists of all trials may not fit in memory.
        """
        table: pd.DataFrame = self.ledger.measurements(
            columns, self._ends_of(trials), "lists"
        ).to_pandas()
        return table

    def _ends_of(self, trials: Sequence[str]) -> Table:
        """The rows of `recorded` of some trials."""
        return tables.rows_of(self.recorded, trials)

    @cached_property
    def choice(self) -> pd.DataFrame:
        """What the study's protocol picks: (`sweep`, `point`, `step`).

        A sweep without a whole point has no row.
        """
        measured = self.measurements(selection.columns(self.study.select), kind="numbers")
        return selection.choice(measured, self.study.select, self.study.repetitions)


@final
@dataclass(frozen=True, eq=False)
class _Measured:
    """Measurements that were read."""

    columns: frozenset[str] | None
    """The names that were asked for; None: all."""
    table: pd.DataFrame
    keys: int
    """How many of the table's first columns identify the trial of a row."""

    def has(self, columns: Sequence[str] | None) -> bool:
        """Whether these include all of `columns`; None: all that was measured."""
        if self.columns is None:
            return True
        return columns is not None and self.columns.issuperset(map(_bare, columns))

    def select(self, columns: Sequence[str] | None) -> pd.DataFrame:
        """The table as if only `columns` had been read; no copy is made if that is all of it."""
        if columns is None:
            return self.table
        wanted = set(map(_bare, columns))
        names = [str(name) for name in self.table.columns]
        kept = [
            *names[: self.keys],
            *(name for name in names[self.keys :] if name == "step" or _bare(name) in wanted),
        ]
        return self.table if len(kept) == len(names) else self.table[kept]


def _bare(column: str) -> str:
    """The measured name of a column; numbers and lists of one name are read together."""
    return column.removesuffix(LISTS)
