"""Removes what nobody will read: what killed trials left, and logits and weights on request."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from htsweep.errors import HtsweepError
from htsweep.ledger import Lease, Ledger, Store, kept
from htsweep.ledger.deleting import delete_each
from htsweep.ledger.store import Entry
from htsweep.planning.keeping import amount
from htsweep.planning.sharing import NAME as TRAJECTORY
from htsweep.results.results import Results

YOUNG_SECONDS = 3600.0
"""What no record names and was written within this time may be of a trial that is just ending."""
STATES = "states"


def clean(
    location: str,
    of: Results | None = None,
    *,
    logits: bool = False,
    trainings: bool = False,
    yes: bool = False,
) -> list[str]:
    """Removes what can be removed, if `yes`; what was, or would be, in lines.

    Args:
        location: folder or URI of the results.
        of: of which study; None: of all.
        logits: also the logits of finished trials.
        trainings: also the weights of trainings that trials shared. What needs them later trains
            again.
        yes: whether anything is removed.

    Raises:
        HtsweepError: something is to be removed, but a launch is under way.
        LedgerError: the results cannot be read or written.
    """
    store = Store(location)
    found = list(_garbage(store, of, logits=logits, trainings=trainings))
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for what, entry in found:
        counts[what] += 1
        sizes[what] += entry.size
    total = amount(sum(sizes.values()))
    lines = [f"{what}: {counts[what]} objects, {amount(sizes[what])}" for what in counts]
    if not found:
        return [f"{store.uri}: nothing to remove"]
    if not yes:
        return [*lines, f"nothing was removed; --yes removes these {len(found)} objects, {total}"]
    _refuse_while_launching(store)
    for _ in delete_each(store, [(entry.name,) for _, entry in found]):
        pass
    return [*lines, f"removed {len(found)} objects, {total}"]


def _garbage(
    store: Store, of: Results | None, *, logits: bool, trainings: bool
) -> Iterator[tuple[str, Entry]]:
    """(what it is, object) of all that can be removed."""
    table = Ledger(store).trials(["trial", "status", "artifact", "stages"], every=True).to_pylist()
    over = {row["trial"] for row in table if row["status"] != "failed"}
    named = {kept.of(row["artifact"]) for row in table if row["status"] != "failed"}
    own: Collection[str] | None = None if of is None else set(of.trials_of_all_pairs["trial"])
    if trainings:
        yield from _trainings(store, table, own)
    entries = [entry for folder in (kept.FOLDER, STATES) for entry in store.list(folder)]
    now = max((entry.modified for entry in entries), default=0.0)
    for entry in entries:
        folder, trial = entry.name.split("/")[:2]
        if own is not None and trial not in own:
            continue
        if folder == STATES:
            if trial in over:
                yield "states of trials that are over", entry
        elif entry.name in named:
            if logits:
                yield "logits of finished trials", entry
        elif logits or now - entry.modified > YOUNG_SECONDS:
            yield "logits that no trial names", entry


def _trainings(
    store: Store, table: Iterable[Mapping[str, Any]], own: Collection[str] | None
) -> Iterator[tuple[str, Entry]]:
    """The weights that shared trainings left, of all trials or of `own` alone."""
    needs = {row["trial"]: json.loads(row["stages"] or "{}") for row in table}
    shared = {stages[TRAJECTORY] for stages in needs.values() if TRAJECTORY in stages}
    used: set[str] = set()
    waiting = list(needs if own is None else own)
    while waiting:
        for stage in needs.get(waiting.pop(), {}).values():
            if stage not in used:
                used.add(stage)
                waiting.append(stage)
    for entry in store.list("artifacts"):
        if entry.name.split("/")[1] in shared & used:
            yield "weights of shared trainings", entry


def _refuse_while_launching(store: Store) -> None:
    names = {entry.name.split("/")[1] for entry in store.list("leases")}
    for name in sorted(names):
        holder = Lease(store, name).holder(sure=True) if name.startswith("study-") else None
        if holder is not None:
            raise HtsweepError(
                f"study '{name.removeprefix('study-')}' is being launched by process "
                f"{holder['pid']} on {holder['host']}, and its trials are writing here; nothing "
                "was removed. Wait for it, then give the same command"
            )
