"""Each file of `clusters/` against Ray's own reading of it, without a cloud."""

import copy
import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import kuberay
import pytest
import yaml
from packaging.requirements import Requirement
from ray.autoscaler._private import providers
from ray.autoscaler._private.kuberay import autoscaling_config
from ray.autoscaler._private.util import prepare_config, validate_config

from htsweep.execution import ray_nodes

FOLDER = Path(__file__).parent.parent / "clusters"
BY_SSH = ("gcp", "azure", "on-premises")


def text(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def prepared(name: str) -> dict[str, Any]:
    found: dict[str, Any] = prepare_config(yaml.safe_load(text(name)))
    return found


def test_every_file_is_tested() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {*BY_SSH, "kuberay"}


@pytest.mark.parametrize("name", BY_SSH)
def test_ray_takes_it(name: str) -> None:
    cluster = prepared(name)
    validate_config(cluster)
    with pytest.raises(jsonschema.ValidationError):
        validate_config({**cluster, "max_wrokers": 3})


@pytest.mark.parametrize("name", BY_SSH)
def test_every_node_asks_for_the_token_and_nothing_is_open(name: str) -> None:
    cluster = prepared(name)
    for commands in ("head_start_ray_commands", "worker_start_ray_commands"):
        [start] = [command for command in cluster[commands] if "ray start" in command]
        assert "export RAY_AUTH_MODE=token;" in start.partition("ray start")[0]
    assert not re.search(
        r"0\.0\.0\.0|::/0|disabled", json.dumps(cluster["head_start_ray_commands"])
    )
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    if name != "on-premises":
        assert cluster["provider"]["use_internal_ips"] is True


@pytest.mark.parametrize("name", BY_SSH)
def test_nothing_is_installed_by_the_system_s_pip(name: str) -> None:
    """Ubuntu 24.04 and Debian 12 refuse it; Ray's defaults for some clouds call it on the head."""
    cluster = prepared(name)
    for node in ("head_setup_commands", "worker_setup_commands"):
        [command] = [one for one in cluster[node] if "--user uv" in one]
        assert "PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip" in command
        assert not [one for one in cluster[node] if re.match(r"pip3? ", one)]


@pytest.mark.parametrize("name", ["aws", "gcp", "azure"])
def test_this_machine_and_the_nodes_get_what_ray_needs_for_the_cloud(name: str) -> None:
    """The versions that Ray was made for among them, as its defaults for the cloud say."""
    file = FOLDER.parent / "cluster.yaml" if name == "aws" else FOLDER / f"{name}.yaml"
    [here] = re.findall(r"^#   uv run (.*) ray up", file.read_text(encoding="utf-8"), re.MULTILINE)
    given = [word for word in shlex.split(here) if word != "--with"]
    cluster = yaml.safe_load(file.read_text(encoding="utf-8"))
    [there] = [one for one in cluster["setup_commands"] if "uv pip install" in one]
    assert shlex.split(there)[-len(given) :] == given
    own = Path(providers.__file__).parents[1] / name / "defaults.yaml"
    [install] = yaml.safe_load(own.read_text(encoding="utf-8"))["head_setup_commands"]
    known = {one.name: one for one in map(Requirement, given)}
    # These two come with the others.
    needed = {Requirement(word) for word in shlex.split(install) if re.match(r"\w.*=", word)}
    assert {one.name for one in needed} - known.keys() <= {"azure-core", "msrest"}
    for one in needed:
        [version] = [each.version for each in one.specifier]
        if one.name in known:
            assert known[one.name].specifier.contains(version)


@pytest.mark.parametrize("name", ["gcp", "azure"])
def test_workers_come_from_none(name: str) -> None:
    cluster = prepared(name)
    types = cluster["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["head"]["max_workers"] == 0
    assert types["gpu"]["min_workers"] == 0
    assert types["gpu"]["resources"]["GPU"] == 1


def test_on_premises_the_head_runs_no_trials() -> None:
    [start] = [
        word for word in prepared("on-premises")["head_start_ray_commands"] if "start" in word
    ]
    assert "--num-cpus=0 --num-gpus=0" in start


@pytest.mark.parametrize("name", [*BY_SSH, "kuberay"])
def test_the_commands_in_its_comments_name_the_file(name: str) -> None:
    commands = [line for line in text(name).splitlines() if line.startswith("#   ")]
    assert sum(f"clusters/{name}.yaml" in line for line in commands) >= 2


def test_the_operator_knows_every_field_of_the_kuberay_file() -> None:
    resource = yaml.safe_load(text("kuberay"))
    assert kuberay.problems(resource) == []
    assert resource["spec"]["authOptions"] == {"mode": "token"}
    for place, name, value in (
        ("spec", "gcsFaultTolerance", {}),
        ("spec", "autoscalerOptions", {"idleTimeoutSeconds": "300"}),
        ("spec", "authOptions", {"mode": "tokens"}),
        ("metadata", "annotations", {"ray.io/ft-enabled": True}),
    ):
        wrong = copy.deepcopy(resource)
        wrong[place][name] = value
        assert kuberay.problems(wrong)


def test_ray_s_autoscaler_reads_the_kuberay_file() -> None:
    """By the code that makes its configuration from the custom resource."""
    resource = yaml.safe_load(text("kuberay"))
    resource["metadata"]["namespace"] = "default"
    made = autoscaling_config._derive_autoscaling_config_from_ray_cr(resource)
    validate_config(made)
    types = made["available_node_types"]
    head = types.pop(made["head_node_type"])
    assert head["resources"]["CPU"] == 0
    [worker] = types.values()
    assert (worker["min_workers"], worker["max_workers"]) == (0, 8)
    assert (worker["resources"]["CPU"], worker["resources"]["GPU"]) == (8, 1)


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("gcp", [("gpu", {"CPU": 8, "GPU": 1}, 8)]),
        ("azure", [("gpu", {"CPU": 8, "GPU": 1}, 8)]),
        ("on-premises", [("local.cluster.node", {}, 2)]),  # what they have is not said
    ],
)
def test_a_launch_reads_what_may_come(name: str, types: object) -> None:
    assert ray_nodes._types(prepared(name)) == types
