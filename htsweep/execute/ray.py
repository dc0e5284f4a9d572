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
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any, final

from htsweep.errors import HtsweepError, ResourceError
from htsweep.execute import trial
from htsweep.execute.agenda import Agenda
from htsweep.execute.machine import cores, gpus
from htsweep.execute.trial import Outcome, Terms
from htsweep.execute.watch import Watch
from htsweep.planning import Job

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


def check(terms: Terms, address: str | None) -> None:
    """Raises ResourceError where a Ray of our own would lack what a trial takes; costs nothing."""
    if address is not None:
        return
    for what, wanted, there in (("cpu", terms.cpu, cores()), ("gpu", terms.gpu, gpus())):
        if wanted > there:
            msg = f"resources.{what}: a trial takes {wanted:g}, but this machine has {there}; lower it, or launch on a " \
                  "cluster that has more with --address"
            raise ResourceError(msg)


@contextlib.contextmanager
def connected(terms: Terms, address: str | None) -> Iterator[int]:
    """A Ray to run on; yields how many trials it runs at once now.

    Raises:
        ResourceError: no node has, or can get, what a trial takes.
        HtsweepError: the cluster cannot be reached.
    """
    os.environ.update({key: value for key, value in _QUIET.items() if key not in os.environ})
    import ray

    logging.getLogger("ray").setLevel(logging.ERROR)
    folder = None
    if address is None:
        # A Ray of our own: beside any other on this machine, with its own folder, gone with this launch.
        folder = tempfile.mkdtemp(prefix="htsweep-ray-")
        options: dict[str, Any] = {"num_cpus": cores(), "_temp_dir": folder, "include_dashboard": False}
    else:
        options = {}
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, configure_logging=True,
                 **options)
    except (ConnectionError, RuntimeError, ValueError) as error:
        if address is None:
            raise
        msg = f"--address {address}: no Ray cluster answers there ({error}); `ray status --address {address}` says what " \
              "is wrong. A cluster that asks for a token needs RAY_AUTH_MODE=token and its token on this machine"
        raise HtsweepError(msg) from None
    try:
        _feasible(terms)
        yield _slots(terms)
    finally:
        ray.shutdown()
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def execute(agenda: Agenda, terms: Terms, watch: Watch) -> None:
    """Runs until the agenda is finished, or closed and drained; call inside `connected`."""
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    storage = tempfile.mkdtemp(prefix="htsweep-tune-")
    # Tune asks for this many trials ahead of free slots, so that an autoscaler sees what is to come.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(2 * agenda.slots, min(200, agenda.slots + agenda.pending)))
    feed = _feed(agenda, terms, watch)
    bare = asdict(replace(terms, own_process=True))
    trainable = tune.with_resources(_trainee(json.dumps(bare)), {"cpu": terms.cpu, "gpu": terms.gpu})
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=feed, num_samples=-1, reuse_actors=True,
            trial_name_creator=lambda one: one.trial_id, trial_dirname_creator=lambda one: one.trial_id,
        ),
        run_config=tune.RunConfig(
            name="launch", storage_path=storage, verbose=0, log_to_file=False, callbacks=[_observer(feed)],
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    )
    previous = {}
    interrupted: list[int] = []

    def interrupt(number: int, frame: Any) -> None:
        """Ends Tune's loop tidily; the second time, at once."""
        if interrupted:
            signal.signal(number, previous[number])
            raise KeyboardInterrupt
        interrupted.append(number)
        agenda.close("interrupted")
        # Tune ends its loop, and its trials, on this signal.
        signal.raise_signal(signal.SIGUSR1)

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, interrupt)
    before = signal.getsignal(signal.SIGUSR1)
    try:
        tuner.fit()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.signal(signal.SIGUSR1, before)
        shutil.rmtree(storage, ignore_errors=True)
    if interrupted:
        raise KeyboardInterrupt


def _trainee(terms: str) -> type:
    """The Tune trainable: one step is one whole trial; its process goes on to the next."""
    from ray import tune

    class Trainee(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.job = config["job"]

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.job = new_config["job"]
            return True

        def step(self) -> dict[str, Any]:
            sent = json.loads(self.job)
            settings = json.loads(terms)
            settings["paths"] = tuple(settings["paths"])
            settings["objectives"] = tuple(tuple(one) for one in settings["objectives"])
            outcome = trial.run(Job(**sent["job"]), Terms(**settings), sent["artifacts"], sent["attempt"])
            return {"outcome": json.dumps(asdict(outcome)), "done": True}

    return Trainee


def _feed(agenda: Agenda, terms: Terms, watch: Watch) -> Any:
    """The searcher that hands Tune the agenda's jobs."""
    from ray.tune.search import Searcher

    class Feed(Searcher):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(metric=None, mode=None)
            self.jobs: dict[str, tuple[Job, float]] = {}

        def suggest(self, trial_id: str) -> Any:
            job = agenda.next()
            if job is None:
                return self.FINISHED if agenda.finished else None
            self.jobs[trial_id] = (job, time.time())
            sent = {"job": asdict(job), "artifacts": agenda.artifacts(job), "attempt": agenda.attempt(job)}
            watch.started(agenda, job)
            return {"job": json.dumps(sent, default=dict)}

        def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
            if error:  # why, the observer learns right after
                return
            job, _ = self.jobs.pop(trial_id)
            if result and "outcome" in result:
                self.ended(job, Outcome(**json.loads(result["outcome"])))
            else:  # the launch was interrupted
                agenda.withdraw(job)

        def died(self, trial_id: str, why: str) -> None:
            """Takes in a trial whose process ended under it."""
            job, started = self.jobs.pop(trial_id)
            self.ended(job, trial.died(job, terms, agenda.attempt(job), why, started))

        def tick(self) -> None:
            watch.tick(agenda)

        def ended(self, job: Job, outcome: Outcome) -> None:
            agenda.end(job, outcome)
            watch.ended(agenda, job, outcome)

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the ledger is the record."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing: what is to do follows from the ledger."""

    return Feed()


def _observer(feed: Any) -> Any:
    """The callback that tells the feed why a trial's process ended."""
    from ray.tune import Callback

    class Observer(Callback):  # type: ignore[misc]
        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
            error = trial.get_pickled_error()
            feed.died(trial.trial_id, f"{type(error).__name__}: {error}" if error else "the worker's process ended")

        def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
            feed.tick()

    return Observer()


def _feasible(terms: Terms) -> None:
    """Raises ResourceError where no node, and no node type of the autoscaler, has what a trial takes."""
    import ray

    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
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
    from ray._private.state import state

    # Ray 2.60 offers no public call for this; without an autoscaler there is nothing to read.
    try:
        config = state.get_cluster_config()
    except Exception:
        return []
    return [dict(group.resources) for group in getattr(config, "node_group_configs", ())
            if getattr(group, "max_count", 0) != 0]


def _slots(terms: Terms) -> int:
    import ray

    there = ray.cluster_resources()
    fits = [there.get(name, 0) / amount for name, amount in (("CPU", terms.cpu), ("GPU", terms.gpu)) if amount]
    return max(1, int(min(fits))) if fits else 1

