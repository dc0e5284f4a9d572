"""Parts of Ray that are not public: each is there, or its absence is an error in words; patches are undone."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import tune
from ray._private import auto_init_hook
from ray.air.execution import ResourceManager, ResourceRequest
from ray.air.execution._internal.tracked_actor import TrackedActor
from ray.train._internal import storage as storage_module
from ray.train._internal.storage import StorageContext
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.registry import _Registry

from htsweep.errors import HtsweepError
from htsweep.execution import ray_internals, ray_process
from htsweep.execution.near import Near
from htsweep.execution.ray import Ray
from htsweep.study.resources import Amount

REMEDY = r"htsweep is tested with ray\[tune\].*<2\.61.* Install that: pip install 'ray\[tune\]"


def test_every_part_is_there_in_the_tested_version() -> None:
    from ray._private.node import Node

    assert ray_internals.ended_daemon() == ""  # no Ray runs here
    assert callable(
        ray_internals._part("ray.core.generated.autoscaler_pb2", "GetClusterStatusReply")
    )
    for name in ("put", "get", "del"):
        assert callable(ray_internals._part("ray.experimental.internal_kv", f"_internal_kv_{name}"))
    assert callable(Node.get_logs_dir_path)
    # What `ended_daemon` reads of a Ray that runs, tests/test_ray.py kills.


@pytest.mark.parametrize(
    ("module", "name", "use"),
    [
        ("ray._private.worker", "_global_node", ray_internals.check_node),
        ("ray._private.worker", "_global_node", ray_internals.logs_folder),
        ("ray._private.worker", "_global_node", ray_internals.ended_daemon),
        ("ray._private.worker", "global_worker", ray_internals.demand_is_impossible),
    ],
)
def test_a_part_that_is_gone_is_named_with_the_tested_version(
    monkeypatch: pytest.MonkeyPatch, module: str, name: str, use: Callable[[], object]
) -> None:
    ray_internals._part(module, name)
    monkeypatch.delattr(sys.modules[module], name)
    with pytest.raises(HtsweepError, match=rf"ray 2\.60\.\d+ lacks {module}\.{name}.*{REMEDY}"):
        use()
    monkeypatch.setitem(sys.modules, module, None)  # as if there were no such module
    with pytest.raises(HtsweepError, match=rf"lacks {module}\.{name}.*{REMEDY}"):
        use()


@pytest.mark.parametrize("lacking", ["all_processes", "get_logs_dir_path"])
def test_a_node_without_a_part_is_said(monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    ray_internals._own_node()
    parts = {"all_processes": {}, "get_logs_dir_path": lambda: "/logs"}
    worker = sys.modules["ray._private.worker"]
    monkeypatch.setattr(worker, "_global_node", SimpleNamespace(**parts))
    ray_internals.check_node()
    assert ray_internals.logs_folder() == "/logs"
    del parts[lacking]
    monkeypatch.setattr(worker, "_global_node", SimpleNamespace(**parts))
    with pytest.raises(HtsweepError, match=rf"_global_node\.{lacking}.*{REMEDY}"):
        ray_internals.check_node()


def test_a_daemon_that_has_ended_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ray_internals._own_node()

    def daemon(code: int | None) -> SimpleNamespace:
        return SimpleNamespace(process=SimpleNamespace(poll=lambda: code))

    processes = {"gcs_server": [daemon(None)], "raylet": [daemon(None), daemon(-9)]}
    monkeypatch.setattr(
        sys.modules["ray._private.worker"],
        "_global_node",
        SimpleNamespace(all_processes=processes),
    )
    assert ray_internals.ended_daemon() == "node manager (raylet)"


@pytest.mark.parametrize(
    ("impossible", "coming", "nodes", "verdict"),
    [(1, 0, 1, True), (0, 0, 1, False), (1, 1, 1, False), (1, 0, 2, False)],
)
def test_what_the_autoscaler_finds_impossible(
    monkeypatch: pytest.MonkeyPatch, impossible: int, coming: int, nodes: int, verdict: bool
) -> None:
    """Not what only has no room now: while nodes start, or others than the head run."""
    reply = ray_internals._part("ray.core.generated.autoscaler_pb2", "GetClusterStatusReply")()
    for _ in range(impossible):
        reply.autoscaling_state.infeasible_gang_resource_requests.add()
    for _ in range(coming):
        reply.autoscaling_state.pending_instance_requests.add()
    for _ in range(nodes):
        reply.cluster_resource_state.node_states.add()
    client = SimpleNamespace(get_cluster_status=lambda timeout_s: reply.SerializeToString())
    monkeypatch.setattr(
        sys.modules["ray._private.worker"], "global_worker", SimpleNamespace(gcs_client=client)
    )
    assert ray_internals.demand_is_impossible() is verdict
    request = reply.autoscaling_state.infeasible_resource_requests.add()
    del reply.autoscaling_state.infeasible_gang_resource_requests[:]
    request.resources_bundle.update({"CPU": 1.0, "GPU": 1.0})
    possible = coming or nodes > 1
    assert ray_internals.demand_is_impossible([{"CPU": 1, "GPU": 1}]) is not possible
    assert not ray_internals.demand_is_impossible([{"CPU": 1}]), "another's task"


def test_the_patch_is_undone_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.air._internal import usage

    original = usage.tag_callbacks

    def fails_inside() -> None:
        with ray_internals.without_callback_statistics():
            assert usage.tag_callbacks(["anything"]) is False
            raise KeyError

    with pytest.raises(KeyError):
        fails_inside()
    assert usage.tag_callbacks is original
    monkeypatch.delattr(usage, "tag_callbacks")
    with ray_internals.without_callback_statistics():  # then it only takes a second more
        assert not hasattr(usage, "tag_callbacks")
    assert not hasattr(usage, "tag_callbacks")


class Requests(ResourceManager):
    """Counts the requests for resources, each of which would be a placement group."""

    def __init__(self) -> None:
        self.made = self.cancelled = 0

    def request_resources(self, resource_request: ResourceRequest) -> None:
        self.made += 1

    def cancel_resource_request(self, resource_request: ResourceRequest) -> None:
        self.cancelled += 1

    def has_resources_ready(self, resource_request: ResourceRequest) -> bool:
        return False

    def acquire_resources(self, resource_request: ResourceRequest) -> Any:
        return None

    def free_resources(self, acquired_resource: Any) -> None:
        raise AssertionError

    def get_resource_futures(self) -> list[Any]:
        return []


def test_a_trial_that_gets_a_freed_actor_hands_on_the_one_that_it_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Tune's own loop, but for the call to the actor: no Ray runs."""
    monkeypatch.setattr(auto_init_hook, "enable_auto_connect", False)
    monkeypatch.setattr(storage_module, "_get_ray_train_session_dir", lambda: str(tmp_path))
    monkeypatch.setenv("TUNE_MAX_PENDING_TRIALS_PG", "16")
    requests, started = Requests(), list[str]()
    ray_actor = object()  # which nobody may call
    storage = StorageContext(storage_path=str(tmp_path), experiment_dir_name="launch")
    controller = TuneController(
        scheduler=Near(),
        storage=storage,
        reuse_actors=True,
        resource_manager_factory=lambda: requests,
    )
    monkeypatch.setattr(
        controller, "_schedule_trial_reset", lambda trial, *_: started.append(trial.trial_id)
    )
    tune.register_trainable("handed_on", lambda config: None)
    takes = tune.PlacementGroupFactory([{"CPU": 1}])

    def add(name: str) -> Trial:
        trial = Trial(
            "handed_on",
            trial_id=name,
            config={"shape": {"CPU": 1}, "needs": [], "name": name},
            placement_group_factory=takes,
            storage=storage,
        )
        controller.add_trial(trial)
        return trial

    def free_an_actor() -> None:
        actor = TrackedActor(len(started))
        controller._actor_manager._live_actors_to_ray_actors_resources[actor] = ray_actor, None
        assert controller._actor_cache.cache_object(takes, actor)

    with ray_internals.with_actors_handed_on(), ray_internals.without_calls_for_the_place():
        first, second = add("first"), add("second")
        controller._maybe_add_actors()
        assert requests.made == 2
        asked = controller._trial_to_actor[first]
        third = add("third")
        free_an_actor()
        controller._maybe_add_actors()
        assert started == ["first"]
        assert (requests.made, requests.cancelled) == (2, 0)
        assert controller._trial_to_actor[third] is asked
        assert controller._actor_to_trial[asked] is third
        _, given, _ = controller._actor_manager._pending_actors_to_attrs[asked]
        assert given["config"]["name"] == "third"
        assert {first, second, third} == controller._staged_trials
        # Nobody needs the next one: its request is taken back.
        controller._resetting_trials.add(first)
        free_an_actor()
        controller._scheduler_alg.on_trial_remove(None, first)
        controller._maybe_add_actors()
        assert started == ["first", "second"]
        assert (requests.made, requests.cancelled) == (2, 1)


def test_what_a_trial_runs_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        _Registry, "get", lambda self, category, key: asked.append(key) or (category, key)
    )
    monkeypatch.setattr(_Registry, "contains", lambda self, category, key: key == "there")
    with ray_internals.with_the_trainable_kept():
        registry = _Registry()
        assert not registry.contains("trainable_class", "gone")
        for _ in range(3):
            assert registry.contains("trainable_class", "there")
            assert registry.get("trainable_class", "there") == ("trainable_class", "there")
        assert registry.get("trainable_class", "other") == ("trainable_class", "other")
    assert asked == ["there", "other"]


@pytest.mark.parametrize(
    ("patch", "owner", "name"),
    [
        (ray_internals.with_actors_handed_on, TuneController, "_maybe_reuse_cached_actor"),
        (ray_internals.without_calls_for_the_place, Trial, "set_ray_actor"),
        (ray_internals.with_the_trainable_kept, _Registry, "get"),
        (ray_internals.with_the_trainable_kept, _Registry, "contains"),
    ],
)
def test_without_a_part_a_saving_is_lost_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, patch: Any, owner: type, name: str
) -> None:
    original = getattr(owner, name)
    with patch():
        assert getattr(owner, name) is not original
    assert getattr(owner, name) is original
    monkeypatch.delattr(owner, name)
    with patch():
        assert not hasattr(owner, name)
    assert not hasattr(owner, name)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("sys.modules['ray'] = None", "lacks ray, which"),
        ("sys.modules['ray.tune.search'] = None", r"lacks ray\.tune\.search"),
        ("import ray.tune; del ray.tune.Trainable", r"lacks ray\.tune\.Trainable"),
    ],
)
def test_a_ray_that_cannot_be_used_ends_the_launch_in_words(
    monkeypatch: pytest.MonkeyPatch, gone: str, said: str
) -> None:
    program = f"import sys; {gone}; {ray_process.PROGRAM}"
    monkeypatch.setattr(ray_process, "PROGRAM", program)
    with (
        pytest.raises(HtsweepError, match=rf"ray 2\.60\.\d+ {said}.*{REMEDY}"),
        Ray([Amount()]) as executor,
    ):
        executor.started()


def test_the_environment_of_the_launch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What quietens Ray is set for its own process."""
    import os

    monkeypatch.setattr(ray_process, "PROGRAM", "import sys; sys.exit('no Ray')")
    before = dict(os.environ)
    with pytest.raises(HtsweepError, match="no Ray"), Ray([Amount()]) as executor:
        executor.started()
    assert dict(os.environ) == before
