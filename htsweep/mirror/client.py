"""Writes runs through MLflow's client, wherever the tracking store is: three requests a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import htsweep.mirror.internals  # noqa: F401  (before MLflow: says what it lacks)

# isort: split
from mlflow.entities import Metric, Param, RunStatus, ViewType
from mlflow.tracking import MlflowClient

from htsweep.mirror.run import RECORD, TRIAL, Copy

METRICS, PARAMETERS = 900, 100
"""The most metrics and parameters of a request.

MLflow takes 1,000 metrics, 100 parameters, and 1,000 of both together.
"""
PAGE = 1000


@final
@dataclass(frozen=True)
class Kept:
    """An existing run: its id, what it is a copy of, and whether it was written completely."""

    run: str
    trial: str
    record: str
    whole: bool


@final
class Requests:
    """The runs of one experiment in any tracking store."""

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        self._client = client
        self._experiment = experiment

    def kept(self) -> list[Kept]:
        """The existing copies, oldest first."""
        copies: list[Kept] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                f"tags.`{TRIAL}` != ''",
                ViewType.ACTIVE_ONLY,
                PAGE,
                ["attributes.start_time"],
                token,
            )
            running = RunStatus.to_string(RunStatus.RUNNING)
            for run in page:
                tags = run.data.tags
                copies.append(
                    Kept(
                        run.info.run_id,
                        tags[TRIAL],
                        tags.get(RECORD, ""),
                        run.info.status != running,
                    )
                )
            token = page.token
            if not token:
                return copies

    def add(self, copies: Sequence[Copy], added: Callable[[Kept], None]) -> None:
        """Writes the copies, and calls `added` with each that is complete.

        A run that dies between its first and last request stays RUNNING, by which `kept` recognises
        it.
        """
        for copy in copies:
            run = self._client.create_run(
                self._experiment, copy.started, copy.tags, copy.name
            ).info.run_id
            parameters = [Param(key, value) for key, value in copy.parameters.items()]
            # A step has no time of its own; all steps become known when the trial ends.
            metrics = [Metric(key, value, copy.ended, step) for key, value, step in copy.points]
            while parameters or metrics:
                self._client.log_batch(run, metrics[:METRICS], parameters[:PARAMETERS])
                metrics, parameters = metrics[METRICS:], parameters[PARAMETERS:]
            self._client.set_terminated(run, copy.status, copy.ended)
            added(Kept(run, copy.tags[TRIAL], copy.tags[RECORD], True))

    def tagged(self, key: str) -> dict[str, str]:
        """The value of tag `key` of each run that has it."""
        values: dict[str, str] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment], f"tags.`{key}` != ''", ViewType.ACTIVE_ONLY, PAGE, None, token
            )
            values |= {run.info.run_id: run.data.tags[key] for run in page}
            token = page.token
            if not token:
                return values

    def tag(self, key: str, values: Mapping[str, str | None]) -> None:
        """Sets the tag `key` of each run; None removes it."""
        for run, value in values.items():
            if value is None:
                self._client.delete_tag(run, key)
            else:
                self._client.set_tag(run, key, value)

    def remove(self, runs: Sequence[str]) -> None:
        """Moves incomplete or outdated runs to MLflow's bin."""
        for run in runs:
            self._client.delete_run(run)
