"""Writes runs through MLflow's client, wherever the tracking store is: three requests a run.

A server answers each after a while, and several at a time, so that several runs are written at a
time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, final

import htsweep.mirror.internals  # noqa: F401  (before MLflow: says what it lacks)

# isort: split
from mlflow.entities import Metric, Param, RunStatus, ViewType
from mlflow.tracking import MlflowClient

from htsweep.mirror.run import RECORD, TRIAL, Copy

_T = TypeVar("_T")
_R = TypeVar("_R")
METRICS, PARAMETERS = 900, 100
"""The most metrics and parameters of a request.

MLflow takes 1,000 metrics, 100 parameters, and 1,000 of both together.
"""
PAGE = 1000
AT_ONCE = 4
"""How many runs are written at a time: as many as a server of MLflow has workers by default."""


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
        for kept in _each(self._add, copies):
            added(kept)

    def _add(self, copy: Copy) -> Kept:
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
        return Kept(run, copy.tags[TRIAL], copy.tags[RECORD], True)

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

        def set_one(pair: tuple[str, str | None]) -> None:
            run, value = pair
            if value is None:
                self._client.delete_tag(run, key)
            else:
                self._client.set_tag(run, key, value)

        for _ in _each(set_one, values.items()):
            pass

    def remove(self, runs: Sequence[str]) -> None:
        """Moves incomplete or outdated runs to MLflow's bin."""
        for _ in _each(self._client.delete_run, runs):
            pass


def _each(do: Callable[[_T], _R], values: Collection[_T]) -> Iterator[_R]:
    """What `do` returns of each value, in their order; several are done at a time.

    After an error nothing more begins, and the first error is raised.
    """
    pool = ThreadPoolExecutor(max(1, min(AT_ONCE, len(values))))
    try:
        yield from pool.map(do, values)
    finally:
        pool.shutdown(cancel_futures=True)
