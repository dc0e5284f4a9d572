"""What Ray runs on a node for trials: one actor, which is given one trial after another.

The trials themselves run in a process beside it (htsweep/execution/worker.py).
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import ray
from ray import tune

from htsweep.errors import LedgerError
from htsweep.execution import ray_checks, ray_internals, ray_load, shipping
from htsweep.execution.ray_load import PLACE
from htsweep.execution.trial import LEFT
from htsweep.execution.work import Work, from_json
from htsweep.execution.worker import Worker

RECALLED = "recalled"
"""The word that is set once no work should start any more."""
DRAIN_SECONDS = 3.0
"""How often a node of a cluster is asked whether it will end soon."""


class NodeDrains(Exception):
    """The node will end soon, so that this actor ends; the launch then looks for another node."""


class Trainee(tune.Trainable):
    """The Tune trainable: one step is one whole trial, run by a process beside this one.

    It is reused for one trial after another.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Keeps the first work."""
        self._config, self._worker = config, Worker()
        self._drains = threading.Event()
        if config["elsewhere"]:
            threading.Thread(target=self._watch_node, daemon=True).start()
            ray_load.report_here()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Keeps the next work."""
        self._config = new_config
        return True

    def step(self) -> dict[str, Any]:
        """Runs the work to its end."""
        work = from_json(self._config["work"])
        if self._drains.is_set():
            raise NodeDrains
        if work.deadline is not None and time.time() > work.deadline:
            return {"done": True}  # the budget ran out while it waited for a slot
        if ray_internals.told(RECALLED):
            return {"done": True}
        conditions, elsewhere = work.conditions, self._config["elsewhere"]
        place = str(ray.get_runtime_context().get_node_id())
        if elsewhere:
            ray_internals.tell(f"{PLACE}{work.job.trial}", place)
        asked = elsewhere or conditions.gpu > 0
        if asked and not ray_checks.admitted(conditions.results, conditions.gpu):
            return {"done": True}  # the launch says why
        if elsewhere:
            work = moved(work, self._config["ships"])
            lacks = lacking(work, self._config["paths"])
            if lacks:
                return {"refused": lacks, "done": True}
        try:
            outcome = self._worker.run(work)
        except LedgerError as error:
            return {"refused": str(error), "done": True}
        if outcome.status == LEFT:
            raise NodeDrains
        return {"outcome": json.dumps(asdict(outcome)), "node": place, "done": True}

    def _watch_node(self) -> None:
        """Has the trial save its state and leave, once Ray was told that this node will end."""
        own = str(ray.get_runtime_context().get_node_id())
        while not self._drains.is_set():
            time.sleep(DRAIN_SECONDS)
            with contextlib.suppress(Exception):  # the control store may be away for a while
                if own in ray_internals.draining():
                    self._drains.set()
        self._worker.leave()

    def cleanup(self) -> None:
        """Ends the process that runs the trials."""
        self._worker.close()


def lacking(work: Work, paths: Sequence[str]) -> str:
    """Why a trial that reads the paths, as the launch's machine has them, cannot run here; or "".

    Args:
        work: as it is on this node.
        paths: those that its config names.
    """
    origin, here = work.conditions.moved or ("", "")
    return ray_checks.missing(
        [shipping.moved(path, origin, here) if origin else path for path in paths]
    )


def moved(work: Work, origin: str) -> Work:
    """The work with the paths that it has on this node of a cluster.

    Args:
        work: as the launch's machine made it.
        origin: the study's folder there, whose files were sent along; "": none were.
    """
    here = shipping.unpacked(sys.path) if origin else None
    if here is None:
        return work
    conditions = work.conditions
    return replace(
        work,
        conditions=replace(
            conditions,
            paths=(str(here), *conditions.paths),
            folder=shipping.moved(conditions.folder, origin, str(here)),
            moved=(origin, str(here)),
        ),
    )
