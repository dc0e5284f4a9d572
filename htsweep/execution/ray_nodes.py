"""The nodes of a Ray: what they have, what its autoscaler can start, and what a launch waits for.

A node that is missing now may come: an autoscaler starts nodes when work waits. What its node types
offer is in its configuration, which is read on the head, or known from its answer to the demand.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from htsweep.errors import ResourceError
from htsweep.execution import ray_internals
from htsweep.execution.work import ACCELERATOR

WAIT_MINUTES = 30.0
"""How long a launch waits for a node that an autoscaler should start, unless the user says."""
CONFIG_SECONDS = 20.0
"""How long reading the autoscaler's configuration on the head may take."""
REFUSED_SECONDS = 5.0
"""For how long an autoscaler must have found the demand impossible before it is believed."""
HEAD = "node:__internal_head__"

Shape = Mapping[str, float]
"""What a trial takes, by Ray's names: `CPU`, `GPU` and, for a type of GPU, `accelerator_type:X`."""


@final
@dataclass(frozen=True)
class NodeType:
    """A kind of node that an autoscaler can start."""

    name: str
    resources: Shape
    """What such a node has; empty if the configuration does not say."""
    most: int
    """How many of them there may be."""

    def fits(self, shape: Shape) -> bool:
        """Whether a node of this type has, or may have, what a trial takes.

        A configuration need not say which type of GPU a node has.
        """
        says = any(name.startswith(ACCELERATOR) for name in self.resources)
        known = {name: amount for name, amount in shape.items() if says or name in ("CPU", "GPU")}
        return not self.resources or _fits(self.resources, known)

    def __str__(self) -> str:
        return f"{self.name} ({_words(self.resources) or 'resources unknown'}, at most {self.most})"


@final
class Nodes:
    """Whether trials of some shapes have, or can get, a node.

    Args:
        shapes: what trials take.
        wait_minutes: the longest wait for a node; None: `WAIT_MINUTES` with an autoscaler, else
            none.
    """

    def __init__(self, shapes: Sequence[Shape], wait_minutes: float | None = None) -> None:
        self._shapes = list(shapes)
        self._autoscales = True
        self._types: Sequence[NodeType] | None = None
        """What the autoscaler can start; None if that is not known."""
        self._asked = wait_minutes
        self._since = self._possible = time.monotonic()

    def begin(self) -> str:
        """What the launch has to wait for; "" if all shapes have a node now.

        Raises:
            ResourceError: a shape has no node and can never get one.
        """
        if not self._missing():
            return ""
        self._autoscales, self._types = _autoscaler()
        for shape in self._missing():
            joins = self._types is None or (not self._autoscales and bool(self._asked))
            if not joins and not any(one.fits(shape) for one in self._types or ()):
                raise ResourceError(self._impossible(shape))
        self._since = self._possible = time.monotonic()
        return self.waits_for()

    def waits_for(self) -> str:
        """Which nodes the launch waits for, who may start them, and for how long it waits."""
        missing = self._missing()
        if not missing:
            return ""
        fitting = [str(one) for one in self._types or () if any(map(one.fits, missing))]
        who = (
            f"the autoscaler, which can start {', '.join(fitting)}"
            if fitting
            else "the autoscaler, whose node types are not known here"
            if self._autoscales
            else "a node that joins by hand, as the cluster has no autoscaler"
        )
        return (
            f"no node has {' or '.join(map(_words, missing))} yet, which a trial takes; waiting "
            f"for {who}, for at most {self._minutes:g} min (--wait-for-nodes)"
        )

    def see(self, shapes: Iterable[Shape]) -> None:
        """Takes note of shapes that trials have, which may not have been known before."""
        self._shapes += [shape for shape in shapes if shape not in self._shapes]

    @property
    def slots(self) -> int:
        """How many trials of the smallest shape run at once on the present nodes; at least 1.

        A trial runs on one node, so that each node counts for itself.
        """
        nodes = living()
        return max(1, *(sum(_holds(node, shape) for node in nodes) for shape in self._shapes))

    def overdue(self, waiting: Sequence[Shape] = ()) -> str:
        """Why waiting any longer is in vain; "" while it is not. Call it every second or so.

        Args:
            waiting: the shapes of the trials that wait; none: any of the shapes.
        """
        now = time.monotonic()
        shapes = waiting or self._shapes
        missing = self._missing(shapes)
        if len(missing) < len(shapes) or not missing:
            self._since = self._possible = now
            return ""
        if not (self._autoscales and ray_internals.demand_is_impossible(missing)):
            self._possible = now
        elif now - self._possible >= REFUSED_SECONDS:
            return self._impossible(missing[0])
        if now - self._since < self._minutes * 60:
            return ""
        return (
            f"no node with {' or '.join(map(_words, missing))} came within {self._minutes:g} min. "
            "Nothing is lost. `ray status` on the head says what the autoscaler tried; then launch "
            "again, with a larger --wait-for-nodes if nodes take that long"
        )

    @property
    def _minutes(self) -> float:
        if self._asked is not None:
            return self._asked
        return WAIT_MINUTES if self._autoscales else 0.0

    def _missing(self, shapes: Sequence[Shape] = ()) -> list[Shape]:
        """The shapes that no node has at once; of all shapes, unless some are given."""
        nodes = living()
        return [
            shape
            for shape in shapes or self._shapes
            if not any(_fits(node, shape) for node in nodes)
        ]

    def _impossible(self, shape: Shape) -> str:
        offers = [*living(), *(one.resources for one in self._types or ())]
        best = {name: max((one.get(name, 0) for one in offers), default=0) for name in shape}
        lacking = [
            f"{name.lower()} {amount:g} (the largest node has {best[name]:g})"
            for name, amount in shape.items()
            if amount > best[name] and not name.startswith(ACCELERATOR)
        ]
        lacking += [
            f"a GPU of type {name.removeprefix(ACCELERATOR)} (the nodes have {_types_in(offers)})"
            for name in shape
            if name.startswith(ACCELERATOR) and not best[name]
        ]
        start = "its autoscaler can start none" if self._autoscales else "none can be had"
        return (
            f"resources: a trial takes {' and '.join(lacking) or _words(shape)}; no node of this "
            f"Ray has that at once, and {start}; lower it in the study, or launch on a cluster "
            "that has it (with --wait-for-nodes MINUTES a launch waits for nodes that join by hand)"
        )


def living() -> list[dict[str, float]]:
    """The resources of the nodes that are alive."""
    return [
        node["Resources"]
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    ]


def living_ids() -> set[str]:
    """The ids of the nodes that are alive."""
    return {
        node["NodeID"]
        for node in ray.nodes()  # type: ignore[no-untyped-call]
        if node["Alive"]
    }


def _holds(node: Shape, shape: Shape) -> int:
    ratios = [node.get(name, 0) / amount for name, amount in shape.items() if amount]
    return int(min(ratios) + 1e-9) if ratios else 1


def _fits(resources: Shape, shape: Shape) -> bool:
    return all(resources.get(name, 0) >= amount for name, amount in shape.items())


def _words(shape: Shape) -> str:
    named = [name.removeprefix(ACCELERATOR) for name in shape if name.startswith(ACCELERATOR)]
    return " ".join(
        [*(f"{name} {shape[name]:g}" for name in ("CPU", "GPU") if shape.get(name)), *named]
    )


def _types_in(nodes: Sequence[Shape]) -> str:
    """The types of GPU that nodes have, in words."""
    names = {name for node in nodes for name in node if name.startswith(ACCELERATOR)}
    return ", ".join(sorted(name.removeprefix(ACCELERATOR) for name in names)) or "none"


def _autoscaler() -> tuple[bool, Sequence[NodeType] | None]:
    """Whether the cluster has an autoscaler, and what it can start; None if that is not known."""
    head = next(
        (
            node["NodeID"]
            for node in ray.nodes()  # type: ignore[no-untyped-call]
            if node["Alive"] and HEAD in node["Resources"]
        ),
        None,
    )
    if head is None:
        return True, None
    here = NodeAffinitySchedulingStrategy(head, soft=False)
    task: Any = ray.remote(configured)
    task = task.options(num_cpus=0, max_retries=0, scheduling_strategy=here)
    port = ray.get_runtime_context().gcs_address.rpartition(":")[2]
    try:
        found = ray.get(task.remote(port), timeout=CONFIG_SECONDS)
    except Exception:  # the head lacks htsweep, or starts no worker: then nothing is known
        return True, None
    if found is None:
        return True, None
    return bool(found), [NodeType(*one) for one in found]


def configured(port: str) -> list[tuple[str, dict[str, float], int]] | None:
    """What the autoscaler on this machine can start, as (name, resources, how many).

    Empty if the Ray at the port has none; None if its autoscaler runs elsewhere, as under KubeRay.
    """
    import yaml  # type: ignore[import-untyped]

    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # it has ended
            continue
        if not any(word.endswith("/monitor.py") for word in words):
            continue
        options = dict(word.partition("=")[::2] for word in words if word.startswith("--"))
        if options.get("--gcs-address", "").rpartition(":")[2] != port:
            continue
        path = options.get("--autoscaling-config")
        if not path:
            return []
        try:
            config: Any = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
        except OSError:
            return None
        return _types(config)
    return None


def _types(config: Mapping[str, Any]) -> list[tuple[str, dict[str, float], int]]:
    """The node types of an autoscaler's configuration, without those of which there may be none."""
    most, head = int(config.get("max_workers", 2)), config.get("head_node_type")
    found = []
    for name, one in config.get("available_node_types", {}).items():
        # On machines of one's own, the head's type is that of the workers too, and says how many.
        limit = int(one.get("max_workers", 0 if name == head else most))
        if limit > 0:
            found.append((name, dict(one.get("resources") or {}), limit))
    return found
