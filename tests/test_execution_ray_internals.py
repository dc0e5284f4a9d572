"""Parts of Ray that are not public: each is there, or its absence is an error in words; patches are undone."""

import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from htsweep.errors import HtsweepError
from htsweep.execution import ray_internals, ray_process
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
