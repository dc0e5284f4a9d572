"""Brings the results of several machines or colleagues together in one folder.

A trial's id says what was run, and objects are named by what they hold, so that this is a copy of
what is not there yet. What was trained once is then trained for all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any, final

from htsweep.analysis.matching import COSTS
from htsweep.errors import HtsweepError
from htsweep.ledger import Ledger, Store
from htsweep.planning.keeping import amount

FOLDERS = ("artifacts", "logits", "logs", "remeasured", "measurements", "trials")
"""What is copied, in this order: the rows of `trials`, which commit the rest, come last."""
MOST_NAMED = 5
_AT_ONCE = 8


@final
@dataclass(frozen=True)
class Gathered:
    """What came from each folder, and which trials were measured differently in several."""

    copied: Mapping[str, tuple[int, int, int]]
    """Folder -> its trials that are done, those of them that are new, and the bytes copied."""
    differing: Sequence[str]
    """The trials that several folders have with other numbers, costs aside."""
    trials: int
    """How many trials are done in all."""
    into: str

    def lines(self) -> list[str]:
        """What was done, in lines."""
        lines = [
            f"{place}: trials done {done:,}, new {new:,}; {amount(size)} copied"
            for place, (done, new, size) in self.copied.items()
        ]
        if self.differing:
            some = ", ".join(self.differing[:MOST_NAMED])
            more = len(self.differing) - MOST_NAMED
            lines.append(
                f"warning: with the same configuration, several folders have other numbers for "
                f"these trials: {some}{f' and {more} more' if more > 0 else ''}. Of each, the "
                "earliest attempt counts, or else the first by name. Other hardware or versions "
                "round otherwise; `htsweep compare` says how large the differences are"
            )
        return [*lines, f"{self.into}: trials done {self.trials:,}"]


def gather(sources: Sequence[str], into: str) -> Gathered:
    """Copies what `sources` have and `into` lacks; no object of either is changed or removed.

    A launch may be under way in any of them: trials that end meanwhile come with the next call.

    Args:
        sources: folders or URIs of results.
        into: folder or URI; made if it is not there.

    Raises:
        HtsweepError: a source holds no results, or is the same as another or as `into`.
        LedgerError: an object cannot be read or written. What was copied stays, and the same call
            goes on from there.
    """
    target, stores = Store(into), [Store(source) for source in sources]
    _distinct([target, *stores])
    for store in stores:
        if not store.list("trials"):
            raise HtsweepError(
                f"{store.uri} holds no results: it has no trials. Name the folder that a launch "
                "was given as --results"
            )
    copied = {}
    for store in stores:
        before = _done(target)
        size = _copied(store, target)
        own = _done(store)
        copied[store.uri] = len(own), len(own - before), size
    return Gathered(copied, tuple(_differing(target)), len(_done(target)), target.uri)


def _distinct(stores: Sequence[Store]) -> None:
    seen: set[str] = set()
    for store in stores:
        if store.uri.rstrip("/") in seen:
            raise HtsweepError(
                f"{store.uri} is named twice; name each folder once, and none that is --results"
            )
        seen.add(store.uri.rstrip("/"))


def _done(store: Store) -> set[str]:
    rows = Ledger(store).trials(["trial", "kind", "status"]).to_pylist()
    return {row["trial"] for row in rows if row["kind"] == "trial" and row["status"] == "done"}


def _copied(source: Store, target: Store) -> int:
    """The bytes that were copied."""
    for attempt in range(4):
        try:
            return _copied_once(source, target)
        except FileNotFoundError:  # a launch there compacts: the next listing has the merged object
            time.sleep(0.5 * attempt)
    raise HtsweepError(f"{source.uri}: objects vanish while they are copied; try again later")


def _copied_once(source: Store, target: Store) -> int:
    # What commits is listed first, so that all that it names was there before.
    committing = source.list(FOLDERS[-1])
    size = 0
    for folder in FOLDERS:
        listed = committing if folder == FOLDERS[-1] else source.list(folder)
        there = {entry.name for entry in target.list(folder)}
        names = [entry.name for entry in listed if entry.name not in there]

        def copy(name: str) -> int:
            data = source.read(name)
            target.write(name, data)
            return len(data)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            size += sum(pool.map(copy, names))
    return size


def _differing(store: Store) -> Iterator[str]:
    """The trials of which two ends that are done have other numbers, costs aside."""
    ledger = Ledger(store)
    table = ledger.trials(every=True)
    ended: dict[str, list[int]] = {}
    for place, (trial, status) in enumerate(
        zip(table.column("trial").to_pylist(), table.column("status").to_pylist(), strict=True)
    ):
        if status == "done":
            ended.setdefault(trial, []).append(place)
    several = {trial: places for trial, places in ended.items() if len(places) > 1}
    if not several:
        return
    # One end of each at a time: the ledger has one number for a trial and step.
    most = max(map(len, several.values()))
    told: dict[str, list[object]] = {trial: [] for trial in several}
    for turn in range(most):
        places = [own[turn] for own in several.values() if len(own) > turn]
        rows = ledger.measurements(trials=table.take(places)).to_pylist()
        for trial, own in groupby(rows, key=lambda row: str(row["trial"])):
            told[trial].append([_measured(row) for row in own])
    yield from (trial for trial, ends in told.items() if any(end != ends[0] for end in ends[1:]))


def _measured(row: Mapping[str, Any]) -> dict[str, str]:
    """A measurement's numbers and lists as text, so that NaN equals NaN."""
    return {
        name: repr(value)
        for name, value in row.items()
        if value is not None and name != "record" and not any(cost in name for cost in COSTS)
    }
