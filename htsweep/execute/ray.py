"""Runs an agenda under Ray Tune, on a local Ray of its own or on a cluster; the home of Ray.

Tune places the work and nothing else. Its searcher asks our agenda, its trainable runs a whole trial in one step and is
reused, its snapshots and loggers are off: the ledger is the record.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import ray
from ray import tune
from ray._private import worker
from ray._private.state import state
from ray.air._internal import usage
from ray.tune.search import Searcher

from htsweep.errors import HtsweepError, ResourceError
from htsweep.execute import trial
from htsweep.execute.agenda import Agenda
from htsweep.execute.machine import cores
from htsweep.execute.trial import Outcome, Terms
from htsweep.execute.watch import Watch
from htsweep.jobs import Job

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # A snapshot of Tune's own state would be rewritten whole, 10 KB a trial, for nothing.
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_WARN_THRESHOLD_S": "1000",
    "RAY_TRAIN_ENABLE_STATE_TRACKING": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@contextlib.contextmanager
def connected(terms: Terms, address: str | None) -> Iterator[int]:
    """A Ray to run on; yields how many trials it runs at once now.

    Raises:
        ResourceError: no node has, or can get, what a trial takes.
        HtsweepError: the cluster cannot be reached.
    """
    os.environ.update({key: value for key, value in _QUIET.items() if key not in os.environ})
    logging.getLogger("ray").setLevel(logging.ERROR)
    folder = None
    if address is None:
        # A Ray of our own: beside any other on this machine, with its own folder, gone with this launch.
        folder = tempfile.mkdtemp(prefix="htsweep-ray-")
        options: dict[str, Any] = {"num_cpus": cores(), "_temp_dir": folder, "include_dashboard": False}
    else:
        options = {}
        _answers(address)
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, configure_logging=True,
                 **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise
        raise HtsweepError(_unreachable(address, str(error))) from None
    # Ray 2.60 prints what its daemon says of a dead worker and has no switch for it; the trial's record says it better.
    worker.print_to_stdstream = lambda *_, **__: None
    try:
        _feasible(terms)
        yield _slots(terms)
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def execute(agenda: Agenda, terms: Terms, watch: Watch) -> None:
    """Runs until the agenda is finished, or closed and drained; call inside `connected`."""
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # it calls every failed trial an error of its own
    storage = tempfile.mkdtemp(prefix="htsweep-tune-")
    # Tune asks for this many trials ahead of free slots, so that an autoscaler sees what is to come.
    # What was handed out cannot be taken back, so that a budget of GPU hours, which only results use up, allows one.
    ahead = 1 if agenda.plan.study.budget.gpu_hours is not None else max(2 * agenda.slots, min(200, agenda.left))
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(ahead)
    # Ray 2.60 counts the callbacks for its usage statistics, and to do so imports MLflow: a second, and 100 MB.
    usage.tag_callbacks = lambda callbacks: False
    feed = Feed(agenda, terms, watch)
    sent = json.dumps(asdict(replace(terms, own_process=True)))
    trainable = tune.with_resources(tune.with_parameters(Trainee, terms=sent), {"cpu": terms.cpu, "gpu": terms.gpu})
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=feed, num_samples=-1, reuse_actors=True,
            trial_name_creator=lambda one: one.trial_id, trial_dirname_creator=lambda one: one.trial_id,
        ),
        run_config=tune.RunConfig(
            name="launch", storage_path=storage, verbose=0, log_to_file=False, callbacks=[Observer(feed)],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    previous: dict[int, Any] = {}
    interrupted: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        """Ends Tune's loop tidily."""
        if interrupted:  # the second time, at once
            signal.signal(number, previous[number])
            raise KeyboardInterrupt
        interrupted.append(number)
        agenda.close("interrupted")
        # Tune ends its loop, and its trials, on this signal.
        signal.raise_signal(signal.SIGUSR1)

    # Until Tune has its own handler, the signal must not end the process.
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, interrupt)
    try:
        tuner.fit()
    finally:
        for caught, handler in previous.items():
            signal.signal(caught, handler)
        signal.signal(signal.SIGUSR1, before)
        shutil.rmtree(storage, ignore_errors=True)
    if interrupted:
        raise KeyboardInterrupt


class Trainee(tune.Trainable):
    """The Tune trainable: one step is one whole trial; its process goes on to the next."""

    def setup(self, config: dict[str, Any], terms: str = "") -> None:
        """Takes the first job."""
        self._job, self._terms = config["job"], terms

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next job; the trial itself resets what the last one may have left."""
        self._job = new_config["job"]
        return True

    def step(self) -> dict[str, Any]:
        """Runs the job to its end."""
        sent, terms = json.loads(self._job), json.loads(self._terms)
        if sent["deadline"] is not None and time.time() > sent["deadline"]:
            return {"done": True}  # the budget ran out while it waited for a slot
        terms["paths"] = tuple(terms["paths"])
        terms["objectives"] = tuple(tuple(one) for one in terms["objectives"])
        outcome = trial.run(Job(**sent["job"]), Terms(**terms), sent["artifacts"], sent["attempt"])
        return {"outcome": json.dumps(asdict(outcome)), "done": True}


class Feed(Searcher):
    """The searcher that hands Tune the agenda's jobs."""

    def __init__(self, agenda: Agenda, terms: Terms, watch: Watch) -> None:
        super().__init__(metric=None, mode=None)
        self.agenda, self.terms, self.watch = agenda, terms, watch
        self.jobs: dict[str, tuple[Job, float]] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles what it is given, to restore from it; we never restore.
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Feed:
        return self

    def suggest(self, trial_id: str) -> Any:
        """The next job, FINISHED, or None: ask again."""
        job = self.agenda.next()
        if job is None:
            return self.FINISHED if self.agenda.finished else None
        self.jobs[trial_id] = (job, time.time())
        sent = {"job": asdict(job), "artifacts": self.agenda.artifacts(job), "attempt": self.agenda.attempt(job),
                "deadline": self.agenda.deadline}
        return {"job": json.dumps(sent, default=dict)}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Takes in a trial that ended; of one whose process ended, the observer learns why right after."""
        if error:
            return
        job, _ = self.jobs.pop(trial_id)
        if result and "outcome" in result:
            self._ended(job, Outcome(**json.loads(result["outcome"])))
        else:  # the launch was interrupted, or out of budget
            self.agenda.withdraw(job)

    def died(self, trial_id: str, why: str) -> None:
        """Takes in a trial whose process ended under it."""
        job, started = self.jobs.pop(trial_id)
        self._ended(job, trial.died(job, self.terms, self.agenda.attempt(job), why, started))

    def _ended(self, job: Job, outcome: Outcome) -> None:
        self.agenda.end(job, outcome)
        self.watch.ended(self.agenda, job, outcome)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: what is to do follows from the ledger."""


class Observer(tune.Callback):
    """Tells of starts, of why a trial's process ended, and that time goes by."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Says that a slot took the trial."""
        self.feed.watch.started(self.feed.agenda, self.feed.jobs[trial.trial_id][0])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Passes the reason on."""
        self.feed.died(trial.trial_id, str(trial.get_error() or "the worker's process ended"))

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Passes the time."""
        self.feed.watch.tick(self.feed.agenda)


def _answers(address: str) -> None:
    """Raises HtsweepError where nothing listens at HOST:PORT: Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "://" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise HtsweepError(_unreachable(address, str(error))) from None


def _unreachable(address: str, why: str) -> str:
    return (f"--address {address}: no Ray cluster answers there ({why}); `ray status --address {address}` says what is wrong. "
            "A cluster that asks for a token needs RAY_AUTH_MODE=token and its token on this machine")


def _feasible(terms: Terms) -> None:
    """Raises ResourceError where no node, and no node type of the autoscaler, has what a trial takes."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    wanted = {"CPU": terms.cpu, "GPU": terms.gpu}

    def fits(resources: dict[str, float]) -> bool:
        return all(resources.get(name, 0) >= amount for name, amount in wanted.items())

    if any(map(fits, nodes)) or any(map(fits, _node_types())):
        return
    best = {name: max((node.get(name, 0) for node in nodes), default=0) for name in wanted}
    lacking = [f"{name.lower()} {amount:g} (the largest node has {best[name]:g})"
               for name, amount in wanted.items() if amount > best[name]]
    msg = f"resources: a trial takes {' and '.join(lacking) or wanted}; no node of this Ray has that at once, and none can " \
          "be had; lower it in the study, or launch on a cluster that has it"
    raise ResourceError(msg)


def _node_types() -> list[dict[str, float]]:
    """The resources of the node types that the cluster's autoscaler can start."""
    # Ray 2.60 offers no public call for this; without an autoscaler there is nothing to read.
    try:
        config = state.get_cluster_config()
    except Exception:
        return []
    return [dict(group.resources) for group in getattr(config, "node_group_configs", ())
            if getattr(group, "max_count", 0) != 0]


def _slots(terms: Terms) -> int:
    there = ray.cluster_resources()  # type: ignore[no-untyped-call]
    fits = [there.get(name, 0) / amount for name, amount in (("CPU", terms.cpu), ("GPU", terms.gpu)) if amount]
    return max(1, int(min(fits))) if fits else 1

