"""cluster.yaml, against Ray's own schema."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler

from htsweep import document

FILE = Path(__file__).parent.parent / "cluster.yaml"


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    found = document.read(FILE)
    assert not found.problems
    return dict(found.value)


def schema() -> dict[str, Any]:
    return dict(json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text()))


def test_it_fits_ray_s_schema(cluster: dict[str, Any]) -> None:
    jsonschema.validate(cluster, schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**cluster, "max_wrokers": 3}, schema())


def test_ray_s_own_check_takes_it(cluster: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(cluster)
    validate_config(prepared)
    assert prepared["available_node_types"]["gpu"]["max_workers"] == 8


def test_a_cpu_head_and_gpu_workers_from_none(cluster: dict[str, Any]) -> None:
    kinds = cluster["available_node_types"]
    assert "GPU" not in kinds["head"]["resources"]
    assert kinds["gpu"]["resources"]["GPU"] >= 1
    assert kinds["gpu"]["min_workers"] == 0
    assert kinds["gpu"]["max_workers"] <= cluster["max_workers"]


def test_every_node_asks_for_the_token_and_has_it(cluster: dict[str, Any]) -> None:
    for commands in (cluster["head_start_ray_commands"], cluster["worker_start_ray_commands"]):
        assert any(command.startswith("RAY_AUTH_MODE=token ray start") for command in commands)
    assert "~/.ray/auth_token" in cluster["file_mounts"]


def test_nothing_is_open_to_the_world(cluster: dict[str, Any]) -> None:
    assert "0.0.0.0" not in json.dumps(cluster)
    assert cluster["provider"]["use_internal_ips"] is True
    assert any("--dashboard-host=127.0.0.1" in command for command in cluster["head_start_ray_commands"])
    # Without a group of the user's, Ray makes one whose SSH port is open to all.
    assert all(kind["node_config"]["SecurityGroupIds"] for kind in cluster["available_node_types"].values())
