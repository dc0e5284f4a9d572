"""Measures finished trials again from their kept logits: nothing is trained."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from htsweep.commands import RESULTS
from htsweep.errors import HtsweepError, LedgerError
from htsweep.ledger import kept, remeasured
from htsweep.planning import metrics
from htsweep.planning.metrics import Metric, MetricError
from htsweep.results.results import Results
from htsweep.study.schema import Study

if TYPE_CHECKING:
    from tasks.outputs import Outputs

AT_ONCE = 2000
"""Rows of an object: what was measured by then is not lost if this process dies."""
CLOSE = 1e-9
"""Relative: another processor or another version of numpy may round differently; more than this is
another number.
"""
_SHOWN = 3


@final
@dataclass(frozen=True)
class Remeasured:
    """What was measured of the finished trials of a study."""

    study: str
    measured: int
    """Trials whose logits were read."""
    nothing_kept: int
    """Finished trials of which there are no logits."""
    added: Mapping[str, int]
    """Column -> how many numbers were added: of steps that lacked it, or had another."""
    changed: Mapping[str, int]
    """Column -> steps that have another number than the metric gives now, and keep it."""
    failed: Mapping[str, tuple[int, str]]
    """Metric -> how often it raised something, and what it did first."""
    unreadable: Sequence[str] = ()
    """What is wrong with logits that are there and cannot be read."""
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """What a person reads of it."""
        count = sum(self.added.values())
        said = [
            f"{self.study}: read the logits of {self.measured} finished trials in "
            f"{self.seconds:.3g} s; {count} numbers added"
        ]
        if self.added:
            said.append(f"added   {', '.join(sorted(self.added))}")
        if self.nothing_kept:
            said.append(
                f"nothing {self.nothing_kept} finished trials have no logits (they ended before "
                "logits were kept, or the study kept none), and lack these columns"
            )
        for name, (times, first) in self.failed.items():
            said.append(f"failed  {name}, {times} times: {first}")
        if self.changed:
            steps = sum(self.changed.values())
            said.append(
                f"changed {steps} numbers are others than the metrics give now, and stay as they "
                f"are ({', '.join(sorted(self.changed)[:_SHOWN])}): was a function changed? "
                "--replace takes the new ones"
            )
        said += [f"broken  {text}" for text in self.unreadable[:_SHOWN]]
        if len(self.unreadable) > _SHOWN:
            said.append(f"broken  and {len(self.unreadable) - _SHOWN} more objects")
        return said


@dataclass
class _Tally:
    """What is counted on the way."""

    measured: int = 0
    nothing_kept: int = 0
    added: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    failed: dict[str, tuple[int, str]] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)


def remeasure(study: Study, results: str | Path = RESULTS, *, replace: bool = False) -> Remeasured:
    """Adds to the ledger what it lacks of the study's metrics of finished trials.

    All of them are measured, whatever the ledger has, so that a metric whose function was changed
    is noticed. It may be done at any time and any number of times, and ended at any moment.

    Args:
        study: it names the metrics.
        results: a folder or a URI.
        replace: take what the metrics give now also where the ledger has another number.

    Raises:
        HtsweepError: the study names no metrics.
        LedgerError: the results cannot be read or written.
    """
    if not study.metrics:
        raise HtsweepError(
            f"study '{study.name}' names no metrics; add a line such as `metrics: [ece]` to "
            f"{study.file}. There are {', '.join(metrics.known())}, and your own as module:function"
        )
    began, of = time.monotonic(), Results(study, str(results))
    asked, tally = [metrics.find(name) for name in study.metrics], _Tally()
    waiting: list[dict[str, Any]] = []
    for row in _new_rows(of, asked, tally, replace=replace):
        waiting.append(row)
        if len(waiting) == AT_ONCE:
            remeasured.add(of.store, waiting)
            waiting = []
    if waiting:
        remeasured.add(of.store, waiting)
        remeasured.merge(of.store)
    return Remeasured(
        study.name,
        tally.measured,
        tally.nothing_kept,
        tally.added,
        tally.changed,
        tally.failed,
        tally.unreadable,
        time.monotonic() - began,
    )


def _new_rows(
    of: Results, asked: Sequence[Metric], tally: _Tally, *, replace: bool
) -> Iterator[dict[str, Any]]:
    """A row of `remeasured` for each step of a finished trial that gets numbers, or other ones."""
    ended = of.trials.drop_duplicates("trial")
    ended = ended[ended["status"] != "failed"]
    known = _known(of, ended["trial"].tolist())
    for trial, record, artifact in zip(
        ended["trial"], ended["record"], ended["artifact"], strict=True
    ):
        steps = _kept(of, artifact, tally)
        for step, outputs in (steps or {}).items():
            have = known.get((trial, step))
            if have is None:  # kept of a step that was not measured
                continue
            row = {}
            for column, value in _measured(asked, outputs, tally).items():
                before = have.get(column)
                if before is None:
                    row[column] = value
                elif not math.isclose(before, value, rel_tol=CLOSE, abs_tol=CLOSE):
                    if replace:
                        row[column] = value
                    else:
                        tally.changed[column] += 1
            tally.added.update(row.keys())
            if row:
                yield {"record": record, "trial": trial, "step": step, **row}


def _kept(of: Results, artifact: str | None, tally: _Tally) -> dict[int, dict[str, Outputs]] | None:
    """What is kept of a trial; counts it."""
    name = kept.of(artifact)
    try:
        steps = kept.read(of.store, name) if name else None
    except LedgerError as error:
        tally.unreadable.append(str(error))
        return None
    if steps is None:
        tally.nothing_kept += 1
    else:
        tally.measured += 1
    return steps


def _known(of: Results, trials: Sequence[str]) -> dict[tuple[str, int], dict[str, float]]:
    """(trial, step) -> what the ledger has of the study's metrics there."""
    table = of.measurements(kind="numbers")
    table = table[table["trial"].isin(trials)].drop_duplicates(["trial", "step"])
    names = [name for name in map(str, table.columns) if metrics.asked(name, of.study.metrics)]
    values: list[list[float]] = table[names].to_numpy(float).tolist()
    return {
        (trial, int(step)): {
            name: value for name, value in zip(names, row, strict=True) if value == value
        }
        for trial, step, row in zip(table["trial"], table["step"], values, strict=True)
    }


def _measured(
    asked: Sequence[Metric], outputs: Mapping[str, Outputs], tally: _Tally
) -> dict[str, float]:
    """Column -> number of the metrics on all splits; of one that raises something, nothing."""
    row: dict[str, float] = {}
    for metric in asked:
        try:
            found = metrics.measured([metric], outputs)
            if twice := sorted(row.keys() & found.keys()):
                raise MetricError(f"another metric of the study measures {twice[0]} too")
            row |= found
        except MetricError as error:
            times, first = tally.failed.get(metric.name, (0, str(error)))
            tally.failed[metric.name] = (times + 1, first)
    return row
