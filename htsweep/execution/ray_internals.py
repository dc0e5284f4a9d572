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


def demand_is_impossible() -> bool:
    """Whether the autoscaler (v2) says that no node it can start holds what waits.

    False while nodes start, have failed to start, or run besides the head: then the demand may
    exceed only what there is room for now. False also for the older autoscaler, which does not say.
    """
    client: Any = _part("ray._private.worker", "global_worker.gcs_client")
    reply = _part("ray.core.generated.autoscaler_pb2", "GetClusterStatusReply")()
    reply.ParseFromString(client.get_cluster_status(timeout_s=10))
    state = reply.autoscaling_state
    coming = (
        state.pending_instance_requests or state.pending_instances or state.failed_instance_requests
    )
    others = len(reply.cluster_resource_state.node_states) > 1
    return bool(state.infeasible_gang_resource_requests) and not coming and not others


def draining() -> set[str]:
    """The ids of the nodes that Ray was told will end soon."""
    return set(_part("ray._private.state", "state.get_draining_nodes")())


def tell(name: str, value: str) -> None:
    """Sets a word that all processes of this job can read, wherever they run."""
    _part("ray.experimental.internal_kv", "_internal_kv_put")(_key(name), value.encode())


def told(name: str) -> str:
    """A word that a process of this job has set by `tell`; "" if none has."""
    value = _part("ray.experimental.internal_kv", "_internal_kv_get")(_key(name))
    return bytes(value or b"").decode()


def words(prefix: str) -> list[str]:
    """The names, beginning with `prefix`, of the words of this job."""
    own = len(_key(""))
    keys = _part("ray.experimental.internal_kv", "_internal_kv_list")(_key(prefix))
    return sorted(bytes(key).decode()[own:] for key in keys)


def forget(name: str) -> None:
    """Removes all words of this job whose names begin with `name`."""
    _part("ray.experimental.internal_kv", "_internal_kv_del")(_key(name), del_by_prefix=True)


def _key(name: str) -> bytes:
    """Ray gives each process that uses it, and the workers of that process, one job id."""
    job = _part("ray", "get_runtime_context")().get_job_id()
    return f"htsweep/{job}/{name}".encode()


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
