"""Mirror: which runs MLflow lacks, has torn or has outdated, and puts that right; idempotent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Protocol, final

from mlflow.entities import Experiment
from mlflow.exceptions import MlflowException
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
from mlflow.tracking import MlflowClient

from htsweep.errors import HtsweepError
from htsweep.mirror.client import Kept, Requests
from htsweep.mirror.colours import with_colour
from htsweep.mirror.rows import Rows
from htsweep.mirror.run import LONGEST_TAG, NAME, SELECTED, Copy, Run, copy_of, cut
from htsweep.mirror.view import AXES, TAG, view

SQLITE = "sqlite:///"
BATCH = 1000
COLOURS = "htsweep.colours"
"""The experiment's tag with the colour of each method."""
KIND = ("mlflow.experimentKind", "custom_model_development")
"""Says that there are training runs in it: otherwise the UI opens on its pages for language models."""
STUDY = "htsweep.study"
"""The tag of the study's own run."""


class Runs(Protocol):
    """Where runs are kept: `Rows` or `Requests`."""

    def kept(self) -> list[Kept]:
        """The copies that are there."""

    def add(self, copies: Sequence[Copy], added: Callable[[Kept], None]) -> None:
        """Writes the copies; `added` is told of each that is safe."""

    def tagged(self, key: str) -> dict[str, str]:
        """The value of tag `key` of each run that has it."""

    def tag(self, key: str, values: Mapping[str, str | None]) -> None:
        """Gives each run its value of tag `key`; None takes the tag away."""

    def remove(self, runs: Sequence[str]) -> None:
        """Removes runs."""


@final
class Mirror:
    """The copy of one study in MLflow."""

    def __init__(self, uri: str, study: str, axes: tuple[str, str] = AXES) -> None:
        """Opens the experiment `study`, or makes it, and looks at what it has.

        Args:
            uri: MLflow's tracking URI; a SQLite database is made where there is none.
            study: the experiment's name.
            axes: the metrics across and up in the chart that the UI opens.

        Raises:
            HtsweepError: a SQLite database that this MLflow cannot use.
            MlflowException: the tracking store does not answer.
        """
        uri = absolute(uri)
        database = database_of(uri)
        store = None if database is None else _opened(uri, database)
        self._client = MlflowClient(uri)
        experiment = _experiment(self._client, study, None if database is None else database.parent / "mlartifacts")
        self.experiment: str = experiment.experiment_id
        """The experiment's id, for links."""
        self._study = study
        self._runs: Runs = Requests(self._client, self.experiment) if store is None else Rows(store, self.experiment)
        self._tags: Mapping[str, str] = dict(experiment.tags)
        self._colours: dict[str, str] = json.loads(self._tags.get(COLOURS, "{}"))
        self._tag(*KIND)
        self._tag(TAG, view(experiment.creation_time or 0, axes))
        self._index: dict[str, Kept] | None = None

    def write(self, runs: Iterable[Run]) -> int:
        """How many of `runs` were written: those that are there already, and whole, are left as they are.

        A run of another record of the same trial is replaced, and so is one that was never finished. Where this raises,
        call it again with the same runs: what was written is not written twice.

        Args:
            runs: the last record of each trial; read a thousand at a time.
        """
        coming, written = iter(runs), 0
        while batch := list(islice(coming, BATCH)):
            written += self._write({run.trial: run for run in batch})
        return written

    def _write(self, wanted: Mapping[str, Run]) -> int:
        index = self._looked() if self._index is None else self._index
        missing = [run for run in wanted.values() if run.trial not in index or index[run.trial].record != run.record]
        outdated = [index.pop(run.trial).run for run in missing if run.trial in index]

        def added(kept: Kept) -> None:
            index[kept.trial] = kept

        self._index = None  # whatever breaks from here on: look again
        self._paint(missing)
        if outdated:
            self._runs.remove(outdated)
        if missing:
            self._runs.add([copy_of(run, self._colours.get(run.tags.get("method", ""))) for run in missing], added)
        self._index = index
        return len(missing)

    def select(self, selected: Mapping[str, Sequence[str]]) -> int:
        """How many runs' tag `SELECTED` was given, changed or taken away: those that are right are left as they are.

        Args:
            selected: the protocols that pick a trial's point, by trial; every other trial has no tag.
        """
        index = self._looked() if self._index is None else self._index
        self._index = index
        wanted = {kept.run: cut(",".join(selected[trial]), LONGEST_TAG) for trial, kept in index.items() if selected.get(trial)}
        there = self._runs.tagged(SELECTED)
        changed: dict[str, str | None] = {run: value for run, value in wanted.items() if there.get(run) != value}
        changed |= dict.fromkeys(run for run in there if run not in wanted)
        if changed:
            self._runs.tag(SELECTED, changed)
        return len(changed)

    def write_study(self, text: str, artifacts: Mapping[str, Path] | None = None) -> None:
        """Nothing; the study's own run then has its YAML as `study.yaml`, and the files under the names that `artifacts` gives.

        Args:
            text: the study's YAML.
            artifacts: `figures/frontier.png` -> the file; its last part is the file's own name.
        """
        found = self._client.search_runs([self.experiment], f"tags.`{STUDY}` != ''", max_results=1)
        if found:
            run = found[0].info.run_id
        else:
            tags = {STUDY: self._study, "study": self._study, NAME: f"study {self._study}"}
            run = self._client.create_run(self.experiment, tags=tags).info.run_id
        self._client.log_text(run, text, "study.yaml")
        for name, path in (artifacts or {}).items():
            self._client.log_artifact(run, str(path), name.rpartition("/")[0] or None)
        if not found or found[0].info.end_time is None:
            self._client.set_terminated(run)

    def _looked(self) -> dict[str, Kept]:
        """What is there, by trial; what is torn, or there twice, is removed."""
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
        """Gives each method that is new a colour."""
        for method in dict.fromkeys(run.tags["method"] for run in runs if "method" in run.tags):
            self._colours = with_colour(self._colours, method)
        if self._colours:
            self._tag(COLOURS, json.dumps(self._colours))

    def _tag(self, key: str, value: str) -> None:
        if self._tags.get(key) != value:
            self._client.set_experiment_tag(self.experiment, key, value)
            self._tags = {**self._tags, key: value}


def absolute(uri: str) -> str:
    """`uri`, where a SQLite file is named by its whole path: a URI never depends on the working folder."""
    database = database_of(uri)
    return uri if database is None else f"{SQLITE}{database}"


def database_of(uri: str) -> Path | None:
    """The file of a SQLite database; None where `uri` is something else."""
    return Path(uri.removeprefix(SQLITE)).absolute() if uri.startswith(SQLITE) else None


def _opened(uri: str, database: Path) -> SqlAlchemyStore:
    # Makes the tables where there are none. MLflow holds a lock of this machine meanwhile; nobody but the mirror writes.
    try:
        return SqlAlchemyStore(uri, str(database.parent / "mlartifacts"))  # type: ignore[no-untyped-call]
    except Exception as error:  # MLflow's, SQLAlchemy's, the file system's
        what = str(error).partition("\n")[0]
        raise HtsweepError(f"{database} cannot be used as MLflow's database: {what}. It is a copy of the ledger: move it away "
                           f"and run `htsweep mirror STUDY`, which makes a new one") from error


def _experiment(client: MlflowClient, name: str, artifacts: Path | None) -> Experiment:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            client.create_experiment(name, None if artifacts is None else str(artifacts / name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process was faster
                raise
        found = client.get_experiment_by_name(name)
        assert found is not None
    if found.lifecycle_stage == "deleted":
        client.restore_experiment(found.experiment_id)
    return found
