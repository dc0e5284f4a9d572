"""`cluster.yaml` against Ray's own reading of it, without a cloud."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import hash_runtime_conf, prepare_config, validate_config

FILE = Path(__file__).parent.parent / "cluster.yaml"
TEXT = FILE.read_text(encoding="utf-8")


@pytest.fixture
def cluster() -> dict[str, Any]:
    """As `ray up` reads it: by PyYAML, with Ray's defaults of the provider, and the commands of all nodes merged."""
    found: dict[str, Any] = prepare_config(yaml.safe_load(TEXT))
    return found


def types(cluster: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The head's node type, and those of the workers."""
    named = cluster["available_node_types"]
    return named[cluster["head_node_type"]], [
        one for name, one in named.items() if name != cluster["head_node_type"]
    ]


def test_ray_takes_it(cluster: dict[str, Any]) -> None:
    validate_config(cluster)


@pytest.mark.parametrize(
    "broken", [{"max_wrokers": 3}, {"max_workers": "many"}, {"provider": {"region": "here"}}]
)
def test_ray_would_say_what_is_wrong(cluster: dict[str, Any], broken: dict[str, Any]) -> None:
    """Or else the test above says nothing."""
    with pytest.raises(jsonschema.ValidationError):
        validate_config({**cluster, **broken})


def test_a_head_without_gpu_and_workers_that_come_when_needed(cluster: dict[str, Any]) -> None:
    head, workers = types(cluster)
    assert head["resources"].get("GPU", 0) == 0
    assert head["resources"]["CPU"] == 0  # it drives, and runs no trials
    assert head["max_workers"] == 0
    assert workers
    for worker in workers:
        assert worker["min_workers"] == 0
        assert 0 < worker["max_workers"] <= cluster["max_workers"]
        assert worker["resources"]["GPU"] >= 1
    assert 0 < cluster["idle_timeout_minutes"] <= 15


@pytest.mark.parametrize("commands", ["head_start_ray_commands", "worker_start_ray_commands"])
def test_every_node_asks_for_the_token(cluster: dict[str, Any], commands: str) -> None:
    [start] = [command for command in cluster[commands] if "ray start" in command]
    before, _, _ = start.partition("ray start")
    assert "export RAY_AUTH_MODE=token;" in before
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "disabled" not in json.dumps(cluster)


def test_nothing_is_open_to_the_world(cluster: dict[str, Any]) -> None:
    assert not re.search(r"0\.0\.0\.0|::/0", TEXT)
    # Nor by a default of Ray's: its dashboard is open
    assert not re.search(r"0\.0\.0\.0|::/0", json.dumps(cluster))
    [start] = [command for command in cluster["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start
    assert cluster["provider"]["use_internal_ips"] is True
    head, workers = types(cluster)
    for node in (head, *workers):
        # Where it is missing Ray makes a group that opens ssh to all.
        assert node["node_config"]["SecurityGroupIds"]


def test_nodes_have_their_keys_by_their_instance_profiles(cluster: dict[str, Any]) -> None:
    head, workers = types(cluster)
    profiles = [node["node_config"]["IamInstanceProfile"]["Arn"] for node in (head, *workers)]
    assert all(profile.startswith("arn:aws:iam::") for profile in profiles)
    # Whoever breaks into a trial can start no nodes.
    assert profiles[0] not in profiles[1:]
    assert not re.search(r"aws_secret|access_key|\.aws/credentials", TEXT, re.IGNORECASE)


def test_there_are_spot_and_on_demand_workers(cluster: dict[str, Any]) -> None:
    _, workers = types(cluster)
    markets = [node["node_config"].get("InstanceMarketOptions", {}) for node in workers]
    assert sorted(market.get("MarketType", "on demand") for market in markets) == [
        "on demand",
        "spot",
    ]


def test_uv_is_installed_where_pip_is_kept_from_the_system(cluster: dict[str, Any]) -> None:
    """Ubuntu 24.04 and Debian 12 mark their Python as externally managed (PEP 668)."""
    [command] = [one for one in cluster["setup_commands"] if "install --quiet --user uv" in one]
    assert "PIP_BREAK_SYSTEM_PACKAGES=1 python3 -m pip" in command


def test_what_it_copies_is_there(cluster: dict[str, Any]) -> None:
    sources = [source for source in cluster["file_mounts"].values() if not source.startswith("~")]
    missing = [source for source in sources if not (FILE.parent / source).exists()]
    assert set(missing) <= {"uv.lock"}  # git ignores it; `uv run` writes it
    for package in ("htsweep", "tasks", "search_spaces", "pyproject.toml"):
        assert package in sources


def test_ray_reads_little_to_see_what_changed(
    monkeypatch: pytest.MonkeyPatch, cluster: dict[str, Any]
) -> None:
    """It reads every file that is mounted, whatever rsync leaves out: no results, no environment."""
    monkeypatch.chdir(FILE.parent)
    mounts = {there: here for there, here in cluster["file_mounts"].items() if Path(here).exists()}
    assert (
        sum(
            file.stat().st_size
            for here in mounts.values()
            for file in Path(here).rglob("*")
            if file.is_file()
        )
        < 20e6
    )
    assert hash_runtime_conf(mounts, None, {})[0]


def test_the_commands_are_shell(cluster: dict[str, Any]) -> None:
    for name, commands in cluster.items():
        for command in commands if name.endswith("_commands") else ():
            subprocess.run(["bash", "-n", "-c", command], check=True)


def test_the_shell_gets_mode_and_path_once(tmp_path: Path, cluster: dict[str, Any]) -> None:
    [command] = [one for one in cluster["setup_commands"] if ".bashrc" in one]
    (tmp_path / ".bashrc").touch()
    for _ in range(2):
        subprocess.run(
            ["bash", "-c", command],
            check=True,
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        )
    lines = (tmp_path / ".bashrc").read_text().splitlines()
    assert len(lines) == 1
    shown = subprocess.run(
        ["bash", "-c", f"{lines[0]}; echo $RAY_AUTH_MODE $PATH"],
        check=True,
        text=True,
        capture_output=True,
        env={"HOME": "/home/u", "PATH": "/bin"},
    ).stdout
    assert shown.split() == ["token", "/home/u/htsweep/.venv/bin:/home/u/.local/bin:/bin"]
