"""From the ledger to the mirror: all at once, or while a launch goes on, in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from htsweep import reporting, results, screening
from htsweep.errors import HtsweepError, LedgerError
from htsweep.ledger import Ledger, Store
from htsweep.planning import plan
from htsweep.study import Study, read

if TYPE_CHECKING:
    from htsweep.mirror import Mirror, Run

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 30.0


def copy(study: Study, place: str, uri: str = "") -> str:
    """Brings MLflow at `uri` up to date with the ledger, whatever it has, and says what was written.

    The study's run has its report and figures, and each trial that a protocol selects says so in a tag.
    """
    from htsweep.mirror import Mirror

    store = Store(place)
    members = _members(study)
    ledger = Ledger(store)
    uri = uri or results.mirror_uri(store)
    mirror = Mirror(uri, study.name)
    best = {row["record"] for row in ledger.trials(["record"]).to_pylist()}
    runs = [run for row, measured in ledger.fresh(set()) if row["record"] in best
            for run in _runs(members, row, measured)]
    written = mirror.write(runs)
    _tell(study, place)
    _conclude(mirror, study, place)
    return f"{written} of {len(runs)} runs written to {uri}, the others were there already; htsweep ui shows them"


def ui(place: str, port: int) -> int:
    """Runs the MLflow UI on the results' database until Ctrl-C."""
    from htsweep.mirror import ui

    return ui(results.mirror_uri(Store(place)), port)


def probe(folder: Path) -> None:
    """Writes a run to a new database in `folder` and reads it back; raises where that fails."""
    from htsweep.mirror import Mirror, Run

    run = Run("probe", "probe", "done", {}, {}, [{"step": 0, "value": 1.0}], time.time(), time.time())
    mirror = Mirror(f"sqlite:///{folder / 'probe.db'}", "doctor")
    if mirror.write([run]) != 1 or Mirror(f"sqlite:///{folder / 'probe.db'}", "doctor").write([run]) != 0:
        msg = "MLflow did not keep what was written"
        raise OSError(msg)


def main(arguments: Sequence[str] | None = None) -> int:
    """Follows a launch until its standard input ends; 0 where MLflow then has all."""
    parser = argparse.ArgumentParser(prog="htsweep.following")
    parser.add_argument("--results", required=True)
    parser.add_argument("--uri", required=True)
    parser.add_argument("study")
    parser.add_argument("overrides", nargs="*")
    given = parser.parse_args(arguments)
    os.nice(10)  # training comes first
    over = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    study = read(given.study, given.overrides)
    ledger = Ledger(Store(given.results))
    before = ledger.records()
    while not over.wait(LOOK_SECONDS) and ledger.records() == before:
        pass  # MLflow is slow to import: not while the launch itself starts
    return _follow(study, ledger, given.results, given.uri, over)


def _follow(study: Study, ledger: Ledger, place: str, uri: str, over: threading.Event) -> int:
    from htsweep.mirror import Mirror, follow

    members = _members(study)
    seen: set[str] = set()

    def read_new() -> Iterator[Run]:
        for row, measured in ledger.fresh(seen):
            yield from _runs(members, row, measured)

    behind = follow(read_new, over.is_set, lambda: Mirror(uri, study.name), pause=LOOK_SECONDS, patience=PATIENCE_SECONDS)
    if behind:
        return 1
    _conclude(Mirror(uri, study.name), study, place)
    return 0


def _members(study: Study) -> list[tuple[Study, results.Members]]:
    """The study's trials, and the scores of its screen."""
    whole = plan(study)
    scored = screening.plan_of(whole)
    return [(one.study, results.Members(one)) for one in (whole, scored) if one is not None]


def _runs(
    listed: Sequence[tuple[Study, results.Members]], row: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]
) -> Iterator[Run]:
    """The run of a ledger's row, if it is one of the study's, or of its screen's."""
    from htsweep.mirror import Run

    for study, members, place in [(*one, place) for one in listed for place in one[1].places(row)][:1]:
        sweep, point, index, *values = place
        varied = {name: value for name, value in zip(members.names, values, strict=True) if value is not None}
        factors = {name: str(value) for name, value in varied.items() if name in study.factors}
        about = {"study": study.name, "sweep": sweep, "point": point, "point_index": str(index), "task": row["task"],
                 "repetition": str(row["repetition"]), "attempt": str(row["attempt"]), "reason": row["reason"],
                 "commit": row["commit"], "dirty": None if row["dirty"] is None else str(row["dirty"]).lower(),
                 "node": row["node"], "device": row["device"], "version": row["version"], "log": row["log"]}
        tags = {**factors, **{name: value for name, value in about.items() if value}}
        yield Run(row["trial"], row["record"], row["status"], tags, {**json.loads(row["config"]), **varied}, measured,
                  row["started"], row["ended"])


def _conclude(mirror: Mirror, study: Study, place: str) -> None:
    """What can be said once all trials are there: the study's report and figures, and who is selected."""
    mirror.write_study(study.text, _artifacts(study, place))
    mirror.select(selected(study, place))


def selected(study: Study, place: str) -> dict[str, list[str]]:
    """The protocols that pick a trial's point, by trial: of those with a name, all that what was measured can answer."""
    from htsweep import selection

    reads = {name: selection.columns(name) or [] for name in selection.NAMES}
    measured = results.measurements(study, place, sorted({column for columns in reads.values() for column in columns}))
    found: dict[str, list[str]] = {}
    if measured.empty:
        return found
    trials = measured[["trial", "sweep", "point"]].drop_duplicates()
    for name in selection.possible(measured.columns):
        try:
            choice = selection.choice(measured, name, study.repetitions)
        except HtsweepError:
            continue  # it has no answer for this study, such as proxy runs that were not asked for
        for trial in trials.merge(choice, on=["sweep", "point"])["trial"].unique():
            found.setdefault(trial, []).append(name)
    return found


def _artifacts(study: Study, place: str) -> dict[str, Path]:
    """What the study's folder has, by its path in there."""
    folder = reporting.folder_of(study, place)
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def _tell(study: Study, place: str) -> None:
    """Nothing; the study's folder then has a report, as a launch leaves one, unless there is nothing to report yet."""
    folder = reporting.folder_of(study, place)
    if (folder / "report.html").exists():
        return
    with contextlib.suppress(LedgerError):
        reporting.write(study, place, folder)


if __name__ == "__main__":
    sys.exit(main())
