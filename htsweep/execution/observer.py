"""Watches Tune's loop for the launch: starts, deaths of actors, and what the loop waits for."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import MutableMapping
from typing import Any, NamedTuple

import ray
from ray import tune

from htsweep.errors import ResourceError
from htsweep.execution import ray_internals, ray_nodes
from htsweep.execution.channel import Channel
from htsweep.execution.ray_load import PLACE
from htsweep.execution.trainee import NodeDrains

WAIT_SECONDS = 60.0
"""How often the user is informed while no trial has a worker."""
NODE_SECONDS = 30.0
"""How long Ray may take to notice that a node has ended, after an actor there has died."""
LOSSES = 5
"""How often a trial may lose its node before that counts as a death of its own."""


class _Death(NamedTuple):
    """The death of the actor that ran a trial, on a node of a cluster."""

    trial: str
    why: str
    node: str
    when: float


class Observer(tune.Callback):
    """Reports starts, why an actor died, that Tune's loop is alive, and what it waits for."""

    def __init__(
        self,
        running: MutableMapping[str, str],
        channel: Channel,
        nodes: ray_nodes.Nodes,
        *,
        elsewhere: bool,
        shapes: MutableMapping[str, ray_nodes.Shape] | None = None,
    ) -> None:
        """Watches the trials that Tune has.

        Args:
            running: Tune's id -> our id.
            channel: to the launch.
            nodes: of the Ray.
            elsewhere: whether they run on nodes of a cluster.
            shapes: Tune's id -> what the trial takes; of ended trials they are removed.
        """
        self._shapes = {} if shapes is None else shapes
        self._elsewhere = elsewhere
        self._running, self._channel, self._nodes = running, channel, nodes
        self._slots = 0
        self._deaths: list[_Death] = []
        self._losses: Counter[str] = Counter()
        self._lost: set[str] = set()
        self._started: set[str] = set()
        self._reported = self._busy = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Reports that a trial got a slot."""
        self._started.add(trial.trial_id)
        self._channel.send("started", trial=self._running[trial.trial_id])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Reports that the actor of a trial died, and why."""
        why = str(trial.get_error() or "the worker's process ended")
        ours = self._running.pop(trial.trial_id)
        death = _Death(ours, why, ray_internals.told(f"{PLACE}{ours}"), time.monotonic())
        ray_internals.forget(f"{PLACE}{ours}")  # the next attempt may be elsewhere
        if self._elsewhere:
            self._deaths.append(death)
        else:
            self._channel.send("died", trial=death.trial, why=why)

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Reports what there is to report."""
        self.look()

    def look(self) -> None:
        """Reports once a second that the loop is alive; once a minute without a worker, why.

        Tune's steps alone are not enough: without a trial, a step lasts until the next one comes.
        """
        now = time.monotonic()
        if now - self._reported < 1:
            return
        self._reported = now
        self._deaths = [death for death in self._deaths if not self._explained(death, now)]
        self._started &= self._running.keys()
        for ended in self._shapes.keys() - self._running.keys():
            del self._shapes[ended]
        waiting: list[ray_nodes.Shape] = []
        for shape in self._shapes.values():
            if shape not in waiting:
                waiting.append(shape)
        self._nodes.see(waiting)
        slots = self._nodes.slots
        self._channel.send("alive", **({"slots": slots} if slots != self._slots else {}))
        self._slots = slots
        if self._started or not self._running:
            self._busy = now
            return
        in_vain = self._nodes.overdue(waiting)
        if in_vain:
            self._channel.send("refused", kind=ResourceError.__name__, text=in_vain)
        elif now - self._busy >= WAIT_SECONDS:
            self._busy = now
            why = self._nodes.waits_for() or waits_for()
            self._channel.send(
                "notice", text=f"no trial has a worker yet after {WAIT_SECONDS:.0f} s: {why}"
            )

    def _explained(self, death: _Death, now: float) -> bool:
        """Reports how a trial came to lose its actor; False while that is not known yet."""
        # Without a node, the actor died before it had begun the trial.
        # A node that has drained may be gone by now, but its actors said why they ended.
        drains = NodeDrains.__name__ in death.why or death.node in ray_internals.draining()
        if (drains or death.node not in ray_nodes.living_ids()) and self._losses[
            death.trial
        ] < LOSSES:
            self._losses[death.trial] += 1
            if death.node and death.node not in self._lost:
                self._lost.add(death.node)
                self._channel.send(
                    "notice",
                    text=f"a node of the cluster {'drains' if drains else 'ended'} "
                    f"({death.node[:8]}); its trials go on "
                    "elsewhere from what they saved last, as the same attempts",
                )
            self._channel.send("returned", trial=death.trial, again=True)
            return True
        if now - death.when < NODE_SECONDS and self._losses[death.trial] < LOSSES:
            return False
        self._channel.send("died", trial=death.trial, why=death.why)
        return True


def waits_for() -> str:
    """What a launch without workers waits for, and where to find the logs."""
    free = ray.available_resources()  # type: ignore[no-untyped-call]
    nodes = len(ray_nodes.living())
    offer = (
        ", ".join(
            f"{name} {amount:g}" for name, amount in sorted(free.items()) if name in ("CPU", "GPU")
        )
        or "no CPU"
    )
    return (
        f"Ray has {nodes} node{'s' if nodes != 1 else ''} with {offer} free, and its workers have "
        "not started; their logs "
        f"are in {ray_internals.logs_folder()}"
    )
