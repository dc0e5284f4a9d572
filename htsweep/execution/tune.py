"""Starts Ray or joins a cluster, and has Tune place the work.

This runs in the process of htsweep/execution/driver.py. Tune only places work: its searcher hands
out what the launch sent, its trainable runs a whole trial in one step and is reused, and its
snapshots and loggers are off. The ledger is the record.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from htsweep.errors import HtsweepError, LedgerError
from htsweep.execution import (
    ray_checks,
    ray_internals,
    ray_load,
    ray_metrics,
    ray_nodes,
    ray_probing,
    shipping,
)
from htsweep.execution.channel import Channel, Commands
from htsweep.execution.near import Near
from htsweep.execution.observer import Observer
from htsweep.execution.trainee import RECALLED, Trainee
from htsweep.execution.work import shape

LOST_EXIT = 70
PROBES_SECONDS = 5.0
"""How long probes for `gpu: auto` may take to end once the launch ends."""


def serve(work: Commands, channel: Channel, options: Mapping[str, Any]) -> None:
    """Starts Ray or joins a cluster, and places the work that comes until there is no more.

    Raises:
        ResourceError: no node has, or can get, what a trial needs.
        HtsweepError: no cluster answers, or this Ray lacks a part that is used.
    """
    ending = threading.Event()
    threading.Thread(target=_watch_daemons, args=[channel, ending], daemon=True).start()
    try:
        _connect(options)
        ray_internals.check_node()
        nodes = ray_nodes.Nodes(options["shapes"], options["wait"])
        waits_for = nodes.begin()
        logs, had = ray_internals.logs_folder(), ray_nodes.living()
        channel.send("slots", slots=nodes.slots, logs=logs, had=had)
        if waits_for:
            channel.send("notice", text=waits_for)
        threading.Thread(target=_recall, args=[channel], daemon=True).start()
        if options["address"] is not None or any(each["GPU"] for each in options["shapes"]):
            _check_nodes(channel, ending)
        probes = (channel, nodes, options, ending)
        probing = threading.Thread(target=ray_probing.answer, args=probes, daemon=True)
        if options["address"] is not None:
            probing.start()
        with (
            ray_internals.without_callback_statistics(),
            ray_internals.with_actors_handed_on(),
            ray_internals.without_calls_for_the_place(),
            ray_internals.with_the_trainable_kept(),
        ):
            _place(work, channel, options, nodes, ending=ending)
        ending.set()
        if probing.is_alive():  # it takes back what it has given to Ray
            probing.join(PROBES_SECONDS)
        ray_internals.forget("")
    finally:
        ending.set()
    ray.shutdown()


def _recall(channel: Channel) -> None:
    """Tells the workers, once the launch takes work back, to start none."""
    channel.recalled.wait()
    ray_internals.tell(RECALLED, "yes")


def _check_nodes(channel: Channel, ending: threading.Event) -> None:
    """Answers, in a thread, each node that asks whether trials may run on it."""

    def refuse(reason: str) -> None:
        channel.send("refused", kind=HtsweepError.__name__, text=reason)

    def note(text: str) -> None:
        channel.send("notice", text=text)

    arguments = (refuse, note, ending)
    threading.Thread(target=ray_checks.answer, args=arguments, daemon=True).start()


def _connect(options: Mapping[str, Any]) -> None:
    """Starts Ray, or joins the cluster at the address."""
    # Until Tune installs its own handler, this signal must end the process, not leave Ray half
    # started.
    signal.signal(signal.SIGUSR1, lambda *_: sys.exit(1))
    address = options["address"]
    if address is None:
        # Trials do not use Ray's object store, so the smallest is enough.
        ray.init(
            address="local",
            num_cpus=options["cores"],
            num_gpus=options["gpus"],
            _temp_dir=options["folder"],
            include_dashboard=False,
            object_store_memory=128 * 2**20,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    else:
        _answers(address)
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"working_dir": options["ships"]} if options["ships"] else None,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise HtsweepError(_unreachable(address, str(error))) from None


def _place(
    work: Commands,
    channel: Channel,
    options: Mapping[str, Any],
    nodes: ray_nodes.Nodes,
    *,
    ending: threading.Event,
) -> None:
    """Runs Tune until the launch says that no more work comes, or stops it."""
    # Tune would log every failed trial as an error.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    feed = Feed(work, channel, options)
    observer = Observer(
        feed.running,
        channel,
        nodes,
        elsewhere=options["address"] is not None,
        shapes=feed.shapes,
    )
    feed.idle = observer.look
    if options["address"] is not None:
        watching = (feed.running, channel, ending)
        threading.Thread(target=ray_load.watch, args=watching, name="nodes", daemon=True).start()
    tune.Tuner(
        tune.with_resources(Trainee, _takes),
        tune_config=tune.TuneConfig(
            search_alg=feed,
            scheduler=Near(),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=lambda trial: trial.trial_id,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="launch",
            storage_path=options["storage"],
            verbose=0,
            log_to_file=False,
            callbacks=[observer],
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    for trial in [*feed.running.values(), *feed.left()]:
        channel.send("returned", trial=trial, again=False)


def _takes(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """What a trial takes; an actor is reused only for a trial that takes the same."""
    return tune.PlacementGroupFactory(
        [{name: amount for name, amount in config["shape"].items() if amount}]
    )


def _needs(artifacts: Mapping[str, Mapping[str, str]], paths: Sequence[str]) -> list[str]:
    """What a node caches for a trial: the artifacts of its stages, and data in folders."""
    return [*paths, *sorted(name for files in artifacts.values() for name in files.values())]


class Feed(Searcher):
    """The searcher through which Tune gets the launch's work."""

    def __init__(self, work: Commands, channel: Channel, options: Mapping[str, Any]) -> None:
        super().__init__(metric=None, mode=None)
        self._shared = {
            "elsewhere": options["address"] is not None,
            "ships": options["origin"] if options["ships"] else "",
        }
        self.running: dict[str, str] = {}
        """Tune's id -> our id, for all trials that Tune has been given."""
        self.shapes: dict[str, ray_nodes.Shape] = {}
        """Tune's id -> what the trial takes."""
        self.idle: Callable[[], None] = lambda: None
        """Is called when there is no work; Tune asks again every second, and does nothing else.

        What a launch must learn in that time, such as that a trial lost its node and should run
        again, would come only once Tune had another trial, which may be never.
        """
        self._work, self._channel = work, channel
        self._metrics = ray_metrics.Metrics()
        channel.seen = self._metrics.take
        self._over = False

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its searcher in order to restore it, which never happens here.
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Feed:
        return self

    def suggest(self, trial_id: str) -> Any:
        """The next work; FINISHED if no more comes; None if Tune should ask again."""
        try:
            work = None if self._over else self._work.get_nowait()
        except queue.Empty:
            self.idle()
            return None
        if work is None:
            self._over = True
            return self.FINISHED
        self.running[trial_id], text = work
        content = json.loads(text)
        self._metrics.know(content["job"], content["conditions"])
        conditions = content["conditions"]
        paths = sorted(set(shipping.paths_in(content["job"]["config"])))
        takes = shape(conditions["cpu"], conditions["gpu"], conditions["accelerator"])
        self.shapes[trial_id] = takes
        return {
            "work": text,
            "paths": paths if self._shared["elsewhere"] else [],
            "shape": takes,
            "needs": _needs(content["artifacts"], paths),
            **self._shared,
        }

    def left(self) -> list[str]:
        """Our ids of the work that Tune has not asked for."""
        left = []
        with contextlib.suppress(queue.Empty):
            while True:
                work = self._work.get_nowait()
                left += [work[0]] if work is not None else []
        return left

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Reports the end of a trial; if its actor died, the observer does that right after."""
        if error:
            return
        trial = self.running.pop(trial_id)
        # The ledger takes no record, so nothing that runs would count.
        if result and "refused" in result:
            self._channel.send("refused", kind=LedgerError.__name__, text=result["refused"])
        elif result and "outcome" in result:
            self._channel.send("ended", trial=trial, outcome=json.loads(result["outcome"]))
        else:  # the launch was interrupted, or out of budget
            self._channel.send("returned", trial=trial, again=False)

    def save(self, checkpoint_path: str) -> None:
        """Does nothing: the ledger is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Does nothing: what to run follows from the ledger."""


def _watch_daemons(channel: Channel, ending: threading.Event) -> None:
    """Ends this process once a daemon of the Ray that it started has ended.

    Ray itself would first try for a minute.
    """
    while not ending.wait(0.5):
        ended = ray_internals.ended_daemon()
        if ended and not ending.is_set():
            channel.send("lost", why=f"Ray's {ended} ended")
            os._exit(LOST_EXIT)


def _answers(address: str) -> None:
    """Raises HtsweepError if nothing listens at HOST:PORT; Ray itself would try for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon or "://" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        raise HtsweepError(_unreachable(address, str(error))) from None


def _unreachable(address: str, why: str) -> str:
    return (
        f"--address {address}: no Ray cluster answers there ({why}); `ray status --address "
        f"{address}` says what is wrong. "
        "A cluster that asks for a token needs RAY_AUTH_MODE=token and its token on this machine"
    )
