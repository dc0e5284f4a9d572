"""What the nodes of a Ray cluster use, and which trials run there: said by the nodes themselves.

A thread beside each actor has its node say what it uses, in a word that all processes of the job
can read (htsweep/execution/ray_internals.py); a thread beside Tune reads these words. Both look
every few seconds, whatever number of trials runs: no trial waits for it.
"""

from __future__ import annotations

import contextlib
import json
import platform
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, final

import ray

from htsweep.execution import ray_internals, ray_nodes
from htsweep.execution.channel import Channel
from htsweep.execution.load import sample

BEAT_SECONDS = 5.0
ASK_SECONDS = 30.0
"""After so long, it is asked again where a trial runs."""
LOAD = "load/"
"""Before a node's id: the word with its host's name and load."""
PLACE = "place/"
"""Before a trial's id: the word that says on which node of a cluster it runs."""


def report_here() -> None:
    """Has this node say what it uses, from a thread of this process, until the process ends."""
    node = str(ray.get_runtime_context().get_node_id())
    threading.Thread(target=_report, args=[node], name="load", daemon=True).start()


def _report(node: str) -> None:
    while True:
        # Ray ends this process with the job; until then, its store may be away for a moment.
        with contextlib.suppress(Exception):
            report_once(node)
        time.sleep(BEAT_SECONDS)


def report_once(node: str) -> bool:
    """Says what this node uses, unless another process here has just done so; whether it did."""
    word = ray_internals.told(f"{LOAD}{node}")
    if word and time.time() - json.loads(word)["load"]["at"] < 0.8 * BEAT_SECONDS:
        return False
    content = {"name": platform.node(), "load": asdict(sample())}
    ray_internals.tell(f"{LOAD}{node}", json.dumps(content))
    return True


def watch(running: Mapping[str, str], channel: Channel, over: threading.Event) -> None:
    """Sends, every few seconds until `over`, the living nodes and the trials on each.

    Args:
        running: Tune's id -> our id, of the trials that Tune has; another thread changes it.
        channel: the pipe to the launch.
        over: set once Ray ends.
    """
    places = Places()
    while not over.wait(BEAT_SECONDS):
        with contextlib.suppress(Exception):
            channel.send("nodes", nodes=nodes(places.of(list(running.values()))))


def nodes(places: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each living node that has said what it uses, with the trials on it.

    Args:
        places: trial -> the id of the node on which it runs.
    """
    living, found = ray_nodes.living_ids(), []
    for word in ray_internals.words(LOAD):
        node = word.removeprefix(LOAD)
        if node in living:
            trials = sorted(trial for trial, place in places.items() if place == node)
            found.append({**json.loads(ray_internals.told(word)), "trials": trials})
    return found


@final
class Places:
    """On which nodes trials run; what is known is asked again now and then, as trials may move."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}
        self._ended: set[str] = set()

    def of(self, running: Sequence[str]) -> dict[str, str]:
        """Trial -> the id of its node, of those of `running` that have begun."""
        now = time.monotonic()
        began = {word.removeprefix(PLACE) for word in ray_internals.words(PLACE)}
        # What has ended is forgotten, or the words of a long launch would grow without end. Not at
        # once: it may just be tried again.
        ended = began.difference(running)
        for trial in ended & self._ended:
            ray_internals.forget(f"{PLACE}{trial}")
        self._ended = ended - self._ended
        known = {}
        for trial in began.intersection(running):
            known[trial] = self._known.get(trial, ("", 0.0))
            if not known[trial][0] or now - known[trial][1] > ASK_SECONDS:
                known[trial] = ray_internals.told(f"{PLACE}{trial}"), now
        self._known = known
        return {trial: node for trial, (node, _) in known.items() if node}
