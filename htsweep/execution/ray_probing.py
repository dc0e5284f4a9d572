"""Measures for `gpu: auto` on the nodes of a cluster, before the trials that need it.

For each type of GPU that trials ask for, a task of Ray takes a whole one, as their first trial
would: that is the demand for which an autoscaler starts a node. It goes the way of a trial: the
node is checked, and the study's files are there. A thread beside Tune passes on what it says. The
launch hands out no trial until it is over (htsweep/execution/loop.py): what a trial takes is fixed
when Ray gets it, and the first of them would keep the GPU from the probe.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from htsweep.errors import HtsweepError
from htsweep.execution import ray_checks, ray_internals, ray_nodes, shipping, trial
from htsweep.execution.channel import Channel
from htsweep.execution.fractions import Fractions
from htsweep.execution.observer import WAIT_SECONDS, waits_for
from htsweep.execution.probing import probe_missing
from htsweep.execution.trainee import lacking, moved
from htsweep.execution.work import Work, from_json, shape, to_json
from htsweep.ledger import Store

SAID = "probe/"
"""Before a number and the number of a line: the word with a line that a probe says."""
POLL_SECONDS = 0.5
RETRIES = 2
"""How often a probe begins again after its process or its node has ended."""


def answer(
    channel: Channel, nodes: ray_nodes.Nodes, options: Mapping[str, Any], over: threading.Event
) -> None:
    """Measures what the launch asks for, each time that it asks, until `over`.

    Args:
        channel: the pipe to the launch.
        nodes: of the Ray.
        options: of this process.
        over: set once Ray ends.
    """
    ships = options["origin"] if options["ships"] else ""
    while not over.is_set():
        try:
            works = channel.probes.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        try:
            _Probes(works, ships, channel).follow(nodes, over)
        except Exception as error:  # whatever it is, the launch waits for the end
            channel.send("notice", text=_failed(error))
        channel.send("probed")


class _Probes:
    """The tasks of one request, one for each type of GPU."""

    def __init__(self, texts: Sequence[str], ships: str, channel: Channel) -> None:
        ray_internals.forget(SAID)
        self._channel = channel
        self._tasks: dict[Any, tuple[str, ray_nodes.Shape]] = {}
        """The task -> its number, and what it takes."""
        self._said: set[str] = set()
        kinds: dict[str, list[Work]] = {}
        for work in map(from_json, texts):
            kinds.setdefault(work.conditions.accelerator, []).append(work)
        # A process that has used a GPU keeps a part of it.
        task: Any = ray.remote(max_calls=1)(measured)
        for number, (accelerator, alike) in enumerate(kinds.items()):
            takes = shape(max(work.conditions.cpu for work in alike), 1.0, accelerator)
            own = {name: amount for name, amount in takes.items() if name not in ("CPU", "GPU")}
            placed = task.options(
                num_cpus=takes["CPU"], num_gpus=1, resources=own, max_retries=RETRIES
            )
            paths = {path for work in alike for path in shipping.paths_in(work.job.config)}
            name = f"{SAID}{number}"
            given = [to_json(work) for work in alike]
            self._tasks[placed.remote(name, given, sorted(paths), ships)] = name, takes

    def follow(self, nodes: ray_nodes.Nodes, over: threading.Event) -> None:
        """Passes on what the tasks say, until they have ended, or cannot begin.

        A node that does not come within the patience of `--wait-for-nodes` is left to the trials,
        which the launch hands out then: they say so, unless others of them can run meanwhile.
        """
        noticed = time.monotonic()
        while self._tasks and not over.is_set():
            ended, _ = ray.wait(list(self._tasks), num_returns=1, timeout=POLL_SECONDS)
            self._pass_on()
            for task in ended:
                del self._tasks[task]
                try:
                    ray.get(task)
                except RayError as error:
                    self._channel.send("notice", text=_failed(error))
            if self._tasks and nodes.overdue([takes for _, takes in self._tasks.values()]):
                break
            if any(self._begun(name) for name, _ in self._tasks.values()):
                noticed = time.monotonic()
            elif self._tasks and time.monotonic() - noticed >= WAIT_SECONDS:
                noticed = time.monotonic()
                text = f"no GPU to measure on yet after {WAIT_SECONDS:.0f} s"
                why = nodes.waits_for() or waits_for()
                self._channel.send("notice", text=f"gpu: auto: {text}: {why}")
        for task in self._tasks:
            ray.cancel(task, force=True)

    def _pass_on(self) -> None:
        for word in ray_internals.words(SAID):
            if word not in self._said:
                self._said.add(word)
                text = ray_internals.told(word).strip()
                if text:
                    self._channel.send("notice", text=text)

    def _begun(self, name: str) -> bool:
        return any(word.startswith(f"{name}/") for word in self._said)


def measured(name: str, works: Sequence[str], paths: Sequence[str], ships: str) -> None:
    """Measures shapes on this node, and writes that to the results; runs as a task of Ray.

    Args:
        name: of the words in which it says what it does.
        works: a trial of each shape, as JSON.
        paths: what their configs read, as the launch's machine has it.
        ships: the study's folder there, if its files were sent along; "": none were.

    Raises:
        HtsweepError: trials cannot run here.
    """
    lines = iter(range(10**6))

    def note(text: str) -> None:
        ray_internals.tell(f"{name}/{time.time_ns()}-{next(lines)}", f"{text} ")

    note("")
    here = [moved(from_json(work), ships) for work in works]
    results = here[0].conditions.results
    if not ray_checks.admitted(results, 1.0):
        return  # the launch says why
    lacks = lacking(here[0], paths)
    if lacks:
        raise HtsweepError(lacks)
    # In the cache of this node, the launch would not find it.
    fractions = Fractions(Store(results), cached=False)
    for work in here:
        trial.prepare(work)
    # A node may have ended while another task measured, of which this is the next attempt.
    probe_missing([work for work in here if not fractions.has(work)], fractions, note)


def _failed(error: Exception) -> str:
    """What a launch says of a probe that failed or died."""
    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = lines[0][:300].rstrip(".") if lines else ""
    kind = "" if isinstance(cause, HtsweepError) else f"{type(cause).__name__}: "
    return (
        f"gpu: auto: measuring on the cluster failed: {kind}{said}. What it has not measured takes "
        "a whole GPU until the next launch"
    )
