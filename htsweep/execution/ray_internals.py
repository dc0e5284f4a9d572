"""The private parts of Ray that are used, and what happens if another version lacks one.

`pyproject.toml` caps Ray at the version with which these were tested.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from htsweep.errors import untested

DAEMONS = {"gcs_server": "control store (GCS)", "raylet": "node manager (raylet)"}


def check_node() -> None:
    """Raises HtsweepError if Ray's object for this node lacks a part that is used.

    Call it once Ray has started.
    """
    node = _own_node()
    for part in ("all_processes", "get_logs_dir_path"):
        if not hasattr(node, part):
            raise untested("ray", f"ray._private.worker._global_node.{part}")


def logs_folder() -> str:
    """The folder for the logs of Ray's processes on this machine."""
    return str(_own_node().get_logs_dir_path())


def ended_daemon() -> str:
    """The title of a daemon that this process started and that has ended; "" while all run."""
    node = _own_node()  # None until the daemons have been started
    processes = getattr(node, "all_processes", {})
    for name, title in DAEMONS.items():
        if any(daemon.process.poll() is not None for daemon in processes.get(name, [])):
            return title
    return ""


def node_types() -> list[dict[str, float]]:
    """The resources of each node type that the cluster's autoscaler can start.

    Empty without an autoscaler.
    """
    config = _part("ray._private.state", "state.get_cluster_config")()
    groups = getattr(config, "node_group_configs", None) or ()
    return [dict(group.resources) for group in groups if getattr(group, "max_count", 0) != 0]


@contextlib.contextmanager
def without_callback_statistics() -> Iterator[None]:
    """Inside the block, keeps Ray from counting callbacks for its usage statistics.

    Ray 2.60 imports MLflow for that, which takes a second and 100 MB. If a later Ray counts in
    another way, only this saving is lost.
    """
    try:
        usage: Any = importlib.import_module("ray.air._internal.usage")
        original = usage.tag_callbacks
    except (ImportError, AttributeError):
        yield
        return
    usage.tag_callbacks = lambda callbacks: False
    try:
        yield
    finally:
        usage.tag_callbacks = original


def _own_node() -> Any:
    """Ray's object for the node that this process is on; None before Ray has started."""
    return _part("ray._private.worker", "_global_node")


def _part(module: str, path: str) -> Any:
    """A private part of a module.

    Raises:
        HtsweepError: this Ray does not have it.
    """
    try:
        part: Any = importlib.import_module(module)
        for name in path.split("."):
            part = getattr(part, name)
    except (ImportError, AttributeError) as error:
        raise untested("ray", f"{module}.{path}") from error
    return part
