"""Brings MLflow up to date with a study: `htsweep mirror`, and the end of a launch."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from htsweep.commands import Given, on_results, quoted, shown
from htsweep.errors import HtsweepError, LedgerError
from htsweep.ledger import Store
from htsweep.mirror.coverage import (
    Mirrored,
    MirroredRows,
    copied_as,
    coverage,
    database_beside,
    record_of,
    uri_of,
)
from htsweep.report import build, current
from htsweep.results import Results

if TYPE_CHECKING:
    from htsweep.mirror.copying import Mirror
    from htsweep.mirror.run import Run

LOOK_SECONDS = 1.0
READ_AT_ONCE = 5000
"""How many trials' measurements are in memory at a time."""


def copy(results: Results, uri: str = "") -> str:
    """Brings MLflow at `uri` up to date with the ledger, and says what was written.

    The study's run gets its report and figures, and each trial that a protocol selects a tag that
    says so.

    Raises:
        HtsweepError: MLflow still lacks something; the message says why, and how many runs it has.
    """
    study, location = results.study, results.location
    address = uri_of(results.store, uri)
    _report(results)
    written, mirrored = settle(results, uri, patience=0.0)
    if not mirrored.whole:
        asked = Given(str(study.file), study.overrides, location, mirror=uri)
        raise HtsweepError("\n".join([*mirrored.notes, *mirrored.lacking(asked)]))
    looks = [] if uri else [f"To look at them: {quoted(['htsweep', 'ui', *on_results(location)])}"]
    return "\n".join(
        [
            *mirrored.notes,
            f"MLflow at {shown(address)} has all {mirrored.of} ended trials of study "
            f"'{study.name}'; "
            f"{written} were copied now",
            *looks,
        ]
    )


def ui(location: str, port: int) -> int:
    """Runs the MLflow UI on the results' database until Ctrl-C."""
    from htsweep.mirror.serving import ui

    return ui(database_beside(Store(location)), location, port)


def probe(folder: Path) -> None:
    """Writes a run to a new database in `folder` and reads it back; raises if that fails."""
    from htsweep.mirror import address
    from htsweep.mirror.copying import Mirror
    from htsweep.mirror.run import Run

    run = Run(
        "probe", "probe", "done", {}, {}, [{"step": 0, "value": 1.0}], time.time(), time.time()
    )
    uri = address.of_database(folder / "probe.db")
    if Mirror(uri, "doctor").write([run]) != 1 or Mirror(uri, "doctor").write([run]) != 0:
        msg = "MLflow did not keep what was written"
        raise OSError(msg)


def settle(results: Results, uri: str, patience: float) -> tuple[int, Mirrored]:
    """Brings MLflow up to date; returns how many runs were written, and what it then has.

    MLflow's runs are compared with the ledger, so that it does not matter what happened before: a
    killed mirror, a deleted database, ledger objects merged while they were read.

    Args:
        results: of the study; read again for every try.
        uri: the tracking URI; "" for the database beside the results.
        patience: seconds given to a tracking store that does not answer.
    """
    from htsweep.mirror.copying import Mirror, explained, may_pass

    address, until, tries = uri_of(results.store, uri), time.monotonic() + patience, 0
    written, notes = 0, []
    while True:
        tries += 1
        try:
            mirror = Mirror(address, results.study.name, ours=not uri)
            notes += mirror.notes
            written += _bring(mirror, results)
            return written, _concluded(mirror, results, tuple(notes))
        except Exception as error:
            # Always try twice: the second try makes again what the first found broken.
            if tries > 1 and (time.monotonic() > until or not may_pass(error)):
                covered = coverage(results, uri)
                return written, Mirrored(
                    covered.runs, covered.of, explained(error, address), tuple(notes)
                )
            time.sleep(min(LOOK_SECONDS, patience))
            results = results.reread()


def _bring(mirror: Mirror, results: Results) -> int:
    """Writes a run for every ended trial whose run is missing or outdated; returns how many."""
    members = MirroredRows(results)
    wanted = members.wanted(results)
    missing = sorted(mirror.lacking(wanted))
    every = set(results.ends.column("record").to_pylist()) if missing else set()
    written = 0
    for start in range(0, len(missing), READ_AT_ONCE):
        part = {record_of(wanted[trial]) for trial in missing[start : start + READ_AT_ONCE]}
        written += mirror.write(
            run
            for row, measured in results.ledger.fresh(every - part)
            if row["record"] in part
            for run in runs_of(members, row, measured)
        )
    return written


def _concluded(mirror: Mirror, results: Results, notes: tuple[str, ...]) -> Mirrored:
    """Adds the study's own run and the tags of selected trials; returns what MLflow then has."""
    wanted = MirroredRows(results).wanted(results)
    lacking = mirror.lacking(wanted)
    unread = (
        f"what {len(lacking)} of them measured cannot be read from the ledger" if lacking else ""
    )
    try:
        _conclude(mirror, results)
    except LedgerError as error:
        unread = unread or str(error)
    return Mirrored(len(wanted) - len(lacking), len(wanted), unread, notes)


def runs_of(
    members: MirroredRows, row: Mapping[str, Any], measured: Sequence[Mapping[str, Any]]
) -> Iterator[Run]:
    """The run of a ledger's row, if it belongs to the study or its screen."""
    from htsweep.mirror.run import Run

    place = members.place(row)
    if place is None:
        return
    study, names, (sweep, point, index, _, *values) = place
    varied = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    factors = {name: str(value) for name, value in varied.items() if name in study.factors}
    about = {
        "study": study.name,
        "sweep": sweep,
        "point": point,
        "point_index": str(index),
        "task": row["task"],
        "repetition": str(row["repetition"]),
        "attempt": str(row["attempt"]),
        "reason": row["reason"],
        "commit": row["commit"],
        "dirty": None if row["dirty"] is None else str(row["dirty"]).lower(),
        "node": row["node"],
        "device": row["device"],
        "version": row["version"],
        "log": row["log"],
    }
    tags = {**factors, **{name: value for name, value in about.items() if value}}
    yield Run(
        row["trial"],
        copied_as(row["record"], row.get("later", "")),
        row["status"],
        tags,
        {**json.loads(row["config"]), **varied},
        measured,
        row["started"],
        row["ended"],
    )


def _conclude(mirror: Mirror, results: Results) -> None:
    """Writes the study's report and figures, and the tags of selected trials."""
    answer = current.answer_in(build.folder_of(results))
    mirror.write_study(results.study.text, _artifacts(results), answer)
    mirror.select(selected(results))


def selected(results: Results) -> dict[str, list[str]]:
    """Trial -> the named protocols that pick its point, of those that its measurements allow."""
    from htsweep import selection

    reads = {name: selection.columns(name) or [] for name in selection.NAMES}
    measured = results.measurements(
        sorted({column for columns in reads.values() for column in columns})
    )
    protocols_of: dict[str, list[str]] = {}
    if measured.empty:
        return protocols_of
    trials = measured[["trial", "sweep", "point"]].drop_duplicates()
    for name in selection.possible(measured.columns):
        try:
            choice = selection.choice(measured, name, results.study.repetitions)
        except HtsweepError:
            continue  # it does not apply, for instance because there are no proxy runs
        for trial in trials.merge(choice, on=["sweep", "point"])["trial"].unique():
            protocols_of.setdefault(trial, []).append(name)
    return protocols_of


def _artifacts(results: Results) -> dict[str, Path]:
    """The files of the study's folder, by their paths in it."""
    folder = build.folder_of(results)
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }  # those are being written


def _report(results: Results) -> None:
    """Writes the study's report if it has none, unless there is nothing to report or no space."""
    folder = build.folder_of(results)
    if (folder / "report.html").exists():
        return
    with contextlib.suppress(HtsweepError, OSError):
        build.write(results, folder)
