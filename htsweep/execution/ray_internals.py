"""The private parts of Ray that are used, and what happens if another version lacks one.

`pyproject.toml` caps Ray at the version with which these were tested.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from htsweep.errors import HtsweepError, untested

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


def demand_is_impossible(tasks: Sequence[Mapping[str, float]] = ()) -> bool:
    """Whether the autoscaler (v2) says that no node it can start holds what waits.

    False while nodes start, have failed to start, or run besides the head: then the demand may
    exceed only what there is room for now. False also for the older autoscaler, which does not say.

    Args:
        tasks: what tasks of the launch ask for; its trials ask by placement groups.
    """
    client: Any = _part("ray._private.worker", "global_worker.gcs_client")
    reply = _part("ray.core.generated.autoscaler_pb2", "GetClusterStatusReply")()
    reply.ParseFromString(client.get_cluster_status(timeout_s=10))
    state = reply.autoscaling_state
    coming = (
        state.pending_instance_requests or state.pending_instances or state.failed_instance_requests
    )
    others = len(reply.cluster_resource_state.node_states) > 1
    single = [dict(one.resources_bundle) for one in state.infeasible_resource_requests]
    impossible = state.infeasible_gang_resource_requests or any(each in single for each in tasks)
    return bool(impossible) and not coming and not others


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
def _replaced(module: str, path: str, made: Callable[..., Mapping[str, Any]]) -> Iterator[None]:
    """Inside the block, attributes of a private part of Ray are others.

    If a later Ray lacks the part, nothing is replaced: only what that saves is lost.

    Args:
        module: the module.
        path: the part within it, such as a class; "": the module itself.
        made: from the part to its attributes in the block.
    """
    try:
        owner: Any = _part(module, path) if path else importlib.import_module(module)
        new = made(owner)
        old = {name: getattr(owner, name) for name in new}
    except (HtsweepError, ImportError, AttributeError):
        yield
        return
    try:
        for name, value in new.items():
            setattr(owner, name, value)
        yield
    finally:
        for name, value in old.items():
            setattr(owner, name, value)


def without_callback_statistics() -> contextlib.AbstractContextManager[None]:
    """Inside the block, keeps Ray from counting callbacks for its usage statistics.

    Ray 2.60 imports MLflow for that, which takes a second and 100 MB.
    """
    nothing = {"tag_callbacks": lambda callbacks: False}
    return _replaced("ray.air._internal.usage", "", lambda usage: nothing)


def with_actors_handed_on() -> contextlib.AbstractContextManager[None]:
    """Inside the block, a trial that gets a freed actor hands on the one that it had asked for.

    Ray 2.60 cancels the trial's request for resources instead, and makes another for the next
    trial: a placement group for each trial, which takes more processor time than all else that
    Tune's loop does.
    """

    def made(controller: Any) -> Mapping[str, Any]:
        original = controller._maybe_reuse_cached_actor
        arguments: Any = _part("ray.tune.experiment.trial", "_get_trainable_kwargs")

        def reuse(self: Any, trial: Any) -> bool:
            heir = _heir(self, trial)
            if heir is None:
                return bool(original(self, trial))
            asked = self._trial_to_actor.pop(trial)
            self._actor_to_trial.pop(asked)
            attributes = self._actor_manager._pending_actors_to_attrs
            cls, _, request = attributes[asked]
            attributes[asked] = cls, arguments(heir), request
            self._trial_to_actor[heir] = asked
            self._actor_to_trial[asked] = heir
            self._staged_trials.add(heir)
            self._actor_cache.increase_max(heir.placement_group_factory)
            return bool(original(self, trial))

        return {"_maybe_reuse_cached_actor": reuse}

    return _replaced("ray.tune.execution.tune_controller", "TuneController", made)


def without_calls_for_the_place() -> contextlib.AbstractContextManager[None]:
    """Inside the block, keeps Tune from asking an actor where it is, twice a trial.

    That is half of the calls that a trial takes, and nothing here reads the answers.
    """

    def keep(self: Any, ray_actor: Any) -> None:
        self.temporary_state.ray_actor = ray_actor

    return _replaced("ray.tune.experiment.trial", "Trial", lambda trials: {"set_ray_actor": keep})


def with_the_trainable_kept() -> contextlib.AbstractContextManager[None]:
    """Inside the block, Tune asks the control store once what a trial runs, not thrice a trial."""

    def made(registry: Any) -> Mapping[str, Any]:
        original_get, original_contains = registry.get, registry.contains
        kept: dict[tuple[str, str], Any] = {}

        def get(self: Any, category: str, key: str) -> Any:
            if (category, key) not in kept:
                kept[category, key] = original_get(self, category, key)
            return kept[category, key]

        def contains(self: Any, category: str, key: str) -> bool:
            return (category, key) in kept or bool(original_contains(self, category, key))

        return {"get": get, "contains": contains}

    return _replaced("ray.tune.registry", "_Registry", made)


def _heir(controller: Any, trial: Any) -> Any:
    """The trial that takes over the actor for which `trial` waits; None: it waits for none.

    None also if no actor has been freed for it, or if no trial that takes the same lacks one.
    """
    try:
        takes, asked = trial.placement_group_factory, controller._trial_to_actor.get(trial)
        if (
            asked not in controller._actor_manager._pending_actors_to_attrs
            or trial in controller._resetting_trials
            or not controller._actor_cache.has_cached_object(takes)
        ):
            return None
        for other in controller._pending_trials_list:
            staged = other in controller._staged_trials or other in controller._trial_to_actor
            if (
                not staged
                and other in controller._pending_trials
                and other.placement_group_factory == takes
            ):
                return other
    except AttributeError:  # another version of Ray
        pass
    return None


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
