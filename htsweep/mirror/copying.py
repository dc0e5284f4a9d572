"""Mirror: finds the runs that MLflow lacks, or has incomplete or outdated, and writes them.

Writing is idempotent.
"""

from __future__ import annotations

import contextlib
import errno
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol, final

import htsweep.mirror.internals  # noqa: F401  (before MLflow: says what it lacks)

# isort: split
from mlflow.entities import Experiment, ViewType
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from htsweep.commands import shown
from htsweep.errors import HtsweepError
from htsweep.files import put
from htsweep.mirror import address, database, schema
from htsweep.mirror.client import Kept, Requests
from htsweep.mirror.colours import with_colour
from htsweep.mirror.internals import SqlAlchemyStore
from htsweep.mirror.rows import Rows
from htsweep.mirror.run import LONGEST_TAG, NAME, SELECTED, Copy, Run, copy_of, cut
from htsweep.mirror.view import AXES, TAG, view

BATCH = 1000
OUTAGES = (MlflowException, SQLAlchemyError, sqlite3.Error, OSError)
"""What is raised if a tracking store, its database or its disk fails."""
PASSING = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR)
LASTING = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG)
PACKAGES = {"psycopg": "'psycopg[binary]'"}
"""A module -> the argument that installs it, where its name alone installs only half of it."""
COLOURS = "htsweep.colours"
"""The experiment's tag with the colour of each method."""
KIND = ("mlflow.experimentKind", "custom_model_development")
"""Marks an experiment with training runs; without it the UI opens pages for language models."""
STUDY = "htsweep.study"
"""The tag of the study's own run."""


class Runs(Protocol):
    """The access to an experiment's runs: `Rows` or `Requests`."""

    def kept(self) -> list[Kept]:
        """The existing copies."""

    def add(self, copies: Sequence[Copy], added: Callable[[Kept], None]) -> None:
        """Writes the copies, and calls `added` with each that is complete."""

    def tagged(self, key: str) -> dict[str, str]:
        """The value of tag `key` of each run that has it."""

    def tag(self, key: str, values: Mapping[str, str | None]) -> None:
        """Sets the tag `key` of each run; None removes it."""

    def remove(self, runs: Sequence[str]) -> None:
        """Removes runs."""


DESCRIPTION = "mlflow.note.content"
"""The tag that MLflow shows as an experiment's description."""


@final
class Mirror:
    """The copy of one study in MLflow."""

    def __init__(
        self, uri: str, study: str, axes: tuple[str, str] = AXES, *, ours: bool = False
    ) -> None:
        """Opens or creates the experiment `study`, and reads its tags.

        Args:
            uri: MLflow's tracking URI; a SQLite database is created if it does not exist.
            study: the experiment's name.
            axes: the metrics across and up in the chart that the UI opens.
            ours: whether htsweep alone has chosen the database; a broken one is then renamed, and
                a new one created.

        Raises:
            HtsweepError: a SQLite database cannot be used as it is, or MLflow does not know the
                URI.
            Exception: one of `OUTAGES`; the tracking store does not answer.
        """
        uri = address.resolved(uri)
        self._database = address.database_of(uri)
        self._ours = ours
        self.notes: list[str] = []
        """What was wrong with the database and has been repaired."""
        store, root = None, None
        if self._database is not None:
            self.notes += schema.prepared(self._database, ours)
            root = self._database.parent / database.ARTIFACTS
            store = SqlAlchemyStore(uri, address.location(root))  # type: ignore[no-untyped-call]
        self._client = MlflowClient(uri)
        experiment = _experiment(self._client, study, root)
        self.experiment: str = experiment.experiment_id
        """The experiment's id, for links."""
        self._study = study
        self._tags: Mapping[str, str] = dict(experiment.tags)
        self._colours: dict[str, str] = json.loads(self._tags.get(COLOURS, "{}"))
        self._tag(*KIND)
        self._tag(TAG, view(experiment.creation_time or 0, axes))
        if self._database is not None:
            # A maker that was killed before it tagged the experiment left one that was not healed.
            database.relocate(self._database)
        self._runs: Runs = (
            Requests(self._client, self.experiment)
            if store is None
            else Rows(store, self.experiment)
        )
        self._index: dict[str, Kept] | None = None

    def lacking(self, wanted: Mapping[str, str]) -> set[str]:
        """The trials of `wanted` (trial -> record that counts) without a complete run now."""
        with self._guarded():
            self._index = self._looked()
            return {
                trial
                for trial, record in wanted.items()
                if trial not in self._index or self._index[trial].record != record
            }

    def write(self, runs: Iterable[Run]) -> int:
        """Writes the runs that MLflow lacks or has incomplete, and returns how many.

        A run of another record of the same trial is replaced, and so is an incomplete one. If this
        raises, call it again with the same runs: what was written is not written twice.

        Args:
            runs: the last record of each trial; read a thousand at a time.
        """
        coming, written = iter(runs), 0
        while batch := list(islice(coming, BATCH)):
            with self._guarded():
                written += self._write({run.trial: run for run in batch})
        return written

    def _write(self, wanted: Mapping[str, Run]) -> int:
        index = self._looked() if self._index is None else self._index
        missing = [
            run
            for run in wanted.values()
            if run.trial not in index or index[run.trial].record != run.record
        ]
        outdated = [index.pop(run.trial).run for run in missing if run.trial in index]

        def added(kept: Kept) -> None:
            index[kept.trial] = kept

        self._index = None  # after any error from here on, look again
        self._paint(missing)
        if outdated:
            self._runs.remove(outdated)
        if missing:
            self._runs.add(
                [copy_of(run, self._colours.get(run.tags.get("method", ""))) for run in missing],
                added,
            )
        self._index = index
        return len(missing)

    def select(self, selected: Mapping[str, Sequence[str]]) -> int:
        """Brings the tags `SELECTED` of all runs up to date, and returns how many it changed.

        Args:
            selected: trial -> the protocols that pick its point; other trials get no tag.
        """
        with self._guarded():
            return self._select(selected)

    def _select(self, selected: Mapping[str, Sequence[str]]) -> int:
        index = self._looked() if self._index is None else self._index
        self._index = index
        wanted = {
            kept.run: cut(",".join(selected[trial]), LONGEST_TAG)
            for trial, kept in index.items()
            if selected.get(trial)
        }
        tagged = self._runs.tagged(SELECTED)
        changed: dict[str, str | None] = {
            run: value for run, value in wanted.items() if tagged.get(run) != value
        }
        changed |= dict.fromkeys(run for run in tagged if run not in wanted)
        if changed:
            self._runs.tag(SELECTED, changed)
        return len(changed)

    def write_study(
        self, text: str, artifacts: Mapping[str, Path] | None = None, answer: str = ""
    ) -> None:
        """Writes the study's YAML, as `study.yaml`, and its files to the study's own run.

        Args:
            text: the study's YAML.
            artifacts: `figures/frontier.png` -> the file, whose own name is the last part.
            answer: what the study found, for the experiment's description; "" leaves that alone.
        """
        with self._guarded():
            if answer:
                self._tag(DESCRIPTION, answer)
            run = self._own_run()
            self._keep(run, text, artifacts or {})
            if run.info.end_time is None:
                self._client.set_terminated(run.info.run_id)

    def _keep(self, run: MlflowRun, text: str, artifacts: Mapping[str, Path]) -> None:
        """Keeps the study's YAML and its files as artifacts of `run`."""
        folder = (
            address.path_of(run.info.artifact_uri or "") if self._database is not None else None
        )
        if folder is not None:
            # Not through MLflow 3.17's client, which remembers the place of artifacts by the run's
            # id. A run of copied results has the same id as the original, so it would write there.
            put(folder / "study.yaml", text)
            for name, path in artifacts.items():
                put(folder / name, path.read_bytes())
            return
        self._client.log_text(run.info.run_id, text, "study.yaml")
        for name, path in artifacts.items():
            self._client.log_artifact(run.info.run_id, str(path), name.rpartition("/")[0] or None)

    def _own_run(self) -> MlflowRun:
        """The study's own run; if two mirrors made one each, one goes to MLflow's bin."""
        runs = self._client.search_runs(
            [self.experiment],
            f"tags.`{STUDY}` != ''",
            ViewType.ACTIVE_ONLY,
            order_by=["attributes.start_time", "attributes.run_id"],
        )
        for surplus in runs[1:]:
            self._client.delete_run(surplus.info.run_id)
        if runs:
            return runs[0]
        tags = {STUDY: self._study, "study": self._study, NAME: f"study {self._study}"}
        return self._client.create_run(self.experiment, tags=tags)

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """On an error inside, renames a broken database, so that the next mirror creates one."""
        try:
            yield
        except Exception:
            self._index = None
            if self._ours and self._database is not None and database.is_broken(self._database):
                database.set_aside(self._database)
            raise

    def _looked(self) -> dict[str, Kept]:
        """Trial -> its copy; removes incomplete and duplicate ones."""
        index: dict[str, Kept] = {}
        surplus = []
        for kept in self._runs.kept():
            if kept.whole and kept.trial not in index:
                index[kept.trial] = kept
            else:
                surplus.append(kept.run)
        if surplus:
            self._runs.remove(surplus)
        return index

    def _paint(self, runs: Iterable[Run]) -> None:
        """Gives each new method a colour."""
        for method in dict.fromkeys(run.tags["method"] for run in runs if "method" in run.tags):
            self._colours = with_colour(self._colours, method)
        if self._colours:
            self._tag(COLOURS, json.dumps(self._colours))

    def _tag(self, key: str, value: str) -> None:
        if self._tags.get(key) == value:
            return
        try:
            self._client.set_experiment_tag(self.experiment, key, value)
        except MlflowException as error:
            if "UNIQUE" not in str(error):
                raise
            # MLflow 3.17 adds the tag after checking that it does not exist; another mirror added
            # it in between.
            self._client.set_experiment_tag(self.experiment, key, value)
        self._tags = {**self._tags, key: value}


def explained(error: BaseException, uri: str) -> str:
    """Why a mirror at `uri` failed, and a remedy if one is known; without passwords."""
    inner = schema.cause(error)
    path = None if isinstance(error, HtsweepError) else address.database_of(uri)
    if isinstance(error, HtsweepError):
        text = str(error)
    elif isinstance(error, ModuleNotFoundError):
        package = PACKAGES.get(error.name or "", error.name)
        text = (
            f"MLflow needs the package {error.name} for this tracking URI, which is not installed: "
            f"uv pip install {package}"
        )
    elif not isinstance(error, OUTAGES):
        text = _first_line(error)
    elif path is not None:
        text = f"{path}: {database.said(inner, path)}"
    elif isinstance(inner, OSError):
        text = f"MLflow at {shown(uri)} does not answer: {_first_line(inner)}"
    else:
        text = f"MLflow at {shown(uri)} refuses: {_first_line(error)}"
    return text.replace(uri, shown(uri)) if uri else text


def may_pass(error: BaseException) -> bool:
    """Whether waiting may help: after an outage or another writer, but not if a disk is full."""
    inner = schema.cause(error)
    if isinstance(error, HtsweepError):
        return False
    if isinstance(inner, sqlite3.Error):
        return (getattr(inner, "sqlite_errorcode", 0) or 0) & 0xFF in PASSING
    if isinstance(inner, OSError):
        return inner.errno not in LASTING
    if not isinstance(error, MlflowException):
        return True
    return int(error.get_http_status_code()) >= 500  # type: ignore[no-untyped-call]


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"[:300]


def _experiment(client: MlflowClient, name: str, artifacts: Path | None) -> Experiment:
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        try:
            client.create_experiment(
                name, None if artifacts is None else address.location(artifacts / name)
            )
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
        experiment = client.get_experiment_by_name(name)
        assert experiment is not None
    if experiment.lifecycle_stage == "deleted":
        client.restore_experiment(experiment.experiment_id)
    return experiment
