"""A real `ray up` of the cluster files: against moto's AWS, with machines that are folders behind a stand-in for ssh.

All commands in the comments of `cluster.yaml` are run, in their order, as they stand there.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hosts import Hosts

# Ray's command and Amazon's take seconds of the processor to start, each time.
pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parent.parent
REGION = "us-west-2"
AUTOSCALER = """\
import concurrent.futures, sys
from ray.autoscaler._private.providers import _get_node_provider
from ray.autoscaler.v2.instance_manager.config import FileConfigReader
from ray.autoscaler.v2.instance_manager.node_provider import NodeProviderAdapter
from ray.autoscaler.v2.instance_manager.ray_installer import RayInstaller
from ray.core.generated.instance_manager_pb2 import Instance
reader = FileConfigReader(sys.argv[1], skip_content_hash=False)
config = reader.get_cached_autoscaling_config()
provider = _get_node_provider(config.get_config("provider"), config.get_config("cluster_name"))
cloud = NodeProviderAdapter(provider, reader)
cloud.launch({name: 1 for name in sys.argv[3:]}, "request")
cloud._main_executor.shutdown()
cloud._node_launcher_executors.shutdown()
assert not (errors := cloud.poll_errors()), errors
workers = [one for one in cloud.get_non_terminated().values() if one.node_kind == 2]
installer = RayInstaller(provider, config)
def install(one):
    instance = Instance(instance_type=one.node_type, cloud_instance_id=one.cloud_instance_id)
    installer.install_ray(instance, sys.argv[2])
with concurrent.futures.ThreadPoolExecutor() as pool:
    list(pool.map(install, workers))
"""
"""What Ray's autoscaler does on the head once trials wait: starts a node of each type named, and installs Ray there."""


def comments(file: Path) -> list[str]:
    """The commands in the comments above the file's first value."""
    head, _, _ = file.read_text(encoding="utf-8").partition("\ncluster_name:")
    lines = re.findall(r"^# {3,5}((?:ray|uv run|htsweep|aws) .*)$", head, re.MULTILINE)
    # A remark stands after the command, behind spaces.
    return [re.split(r" {4,}", line)[0] for line in lines]


def of(commands: list[str], *beginning: str) -> str:
    """The one of the commands that begins like this."""
    [found] = [one for one in commands if any(one.startswith(word) for word in beginning)]
    return found


def project(folder: Path, file: Path, text: str) -> Path:
    """A copy of the repository with the cluster's file filled in; what git ignores is not there."""
    folder.mkdir()
    for name in ("htsweep", "tasks", "search_spaces", "studies", "pyproject.toml", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "uv.lock").touch()
    there = folder / file.relative_to(ROOT)
    there.parent.mkdir(exist_ok=True)
    there.write_text(text)
    return folder


def here(command: str) -> str:
    """The same command in this environment, which has what `uv run` would install and nobody to say yes."""
    command = re.sub(r"^uv run (--with \S+ )+", "", command)
    return f"{command} --yes" if command.startswith(("ray up ", "ray down ")) else command


@dataclass(frozen=True)
class Up:
    """A cluster of `ray up` on moto's AWS, with a worker of each type."""

    hosts: Hosts
    ec2: Any
    groups: dict[str, str]
    subnet: str
    image: str
    folder: Path
    variables: dict[str, str]
    commands: list[str]
    """What the file's comments say."""

    def instances(self) -> dict[str, dict[str, Any]]:
        """By node type."""
        answer = self.ec2.describe_instances()
        found = [one for group in answer["Reservations"] for one in group["Instances"]]
        return {tags(one)["ray-user-node-type"]: one for one in found}

    def host(self, name: str) -> str:
        """The address of the node of a type."""
        return str(self.instances()[name]["PrivateIpAddress"])


def tags(instance: dict[str, Any]) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in instance["Tags"]}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    import boto3
    from awscli.clidriver import create_clidriver
    from moto.server import ThreadedMotoServer

    root = tmp_path_factory.mktemp("up")
    hosts, commands = Hosts.made(root / "cloud"), comments(ROOT / "cluster.yaml")
    for name in ("werkzeug", "awscli"):
        logging.getLogger(name).setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        variables = {
            "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port()),
            "AWS_ACCESS_KEY_ID": "planted",
            "AWS_SECRET_ACCESS_KEY": "planted",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DEFAULT_REGION": REGION,
        }
        for name, value in {**variables, "HOME": str(hosts.home())}.items():
            patch.setenv(name, value)
        patch.chdir(root)
        ec2 = boto3.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        image = ec2.register_image(Name="Ubuntu 24.04 with drivers")["ImageId"]
        # The file's comment holds the policy by which machines may take a role.
        [policy] = re.findall(r"ec2\.json is (\{.*\}):", (ROOT / "cluster.yaml").read_text())
        Path("ec2.json").write_text(policy)
        places = {"VPC": vpc, "WHERE-YOU-ARE": "192.0.2.7"}
        asked = [one for one in commands if one.startswith("aws ")]
        by_name = [one for one in asked if " NAME" in one]
        for name in ("htsweep-head", "htsweep-worker"):
            for command in by_name:
                aws(create_clidriver, command, {"NAME": name})
        for command in asked:
            if command not in by_name:
                aws(create_clidriver, command, places)
            if "create-security-group" in command:
                found = ec2.describe_security_groups(
                    Filters=[{"Name": "group-name", "Values": ["htsweep"]}]
                )
                [group] = [one["GroupId"] for one in found["SecurityGroups"]]
                places["ID"] = group
        text = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
        for edit, value in {
            "iam::EDIT": "iam::123456789012",
            "ami-EDIT": image,
            "subnet-EDIT": subnet,
            "sg-EDIT": group,
        }.items():
            assert edit in text
            text = text.replace(edit, value)
        folder = project(root / "project", ROOT / "cluster.yaml", text)
        hosts.run(here(of(commands, "ray get-auth-token")), folder, variables)
        hosts.run(here(of(commands, "uv run")), folder, variables)
        made = Up(
            hosts, ec2, {"vpc": vpc, "group": group}, subnet, image, folder, variables, commands
        )
        head = made.host("head")
        # The autoscaler has the head's home, and Ray's stand-ins for the machines of the cluster.
        config = hosts.home(head) / "ray_bootstrap_config.yaml"
        words = [sys.executable, "-c", AUTOSCALER, str(config), head, "gpu_spot", "gpu_on_demand"]
        hosts.run(shlex.join(words), folder, variables, hosts.home(head))
        yield made
    server.stop()


def aws(driver: Any, command: str, places: dict[str, str]) -> None:
    """Runs one of Amazon's commands in this process, with the words in capitals filled in."""
    for name, value in places.items():
        command = re.sub(rf"(?<![\w-]){name}(?![\w-])", value, command)
    assert driver().main(shlex.split(command)[1:]) == 0, command


def test_the_machines_are_those_that_the_file_describes(up: Up) -> None:
    cluster = yaml.safe_load((up.folder / "cluster.yaml").read_text())
    instances = up.instances()
    assert set(instances) == {"head", "gpu_spot", "gpu_on_demand"}
    for name, one in instances.items():
        asked = cluster["available_node_types"][name]["node_config"]
        assert one["InstanceType"] == asked["InstanceType"]
        assert one["ImageId"] == up.image
        assert one["SubnetId"] == up.subnet
        assert [group["GroupId"] for group in one["SecurityGroups"]] == [up.groups["group"]]
        assert one["KeyName"] == f"ray-autoscaler_{REGION}"
        assert not one.get("PublicIpAddress")
        assert tags(one)["ray-cluster-name"] == "htsweep"
        assert tags(one)["ray-node-status"] == "up-to-date"
    assert {name: tags(one)["ray-node-type"] for name, one in instances.items()} == {
        "head": "head",
        "gpu_spot": "worker",
        "gpu_on_demand": "worker",
    }


def test_only_the_spot_worker_is_of_the_spot_market(up: Up) -> None:
    markets = {name: one.get("InstanceLifecycle") for name, one in up.instances().items()}
    assert markets == {"head": None, "gpu_spot": "spot", "gpu_on_demand": None}


def test_each_machine_has_the_profile_of_its_role(up: Up) -> None:
    profiles = {
        name: one["IamInstanceProfile"]["Arn"].rpartition("/")[2]
        for name, one in up.instances().items()
    }
    assert profiles == {
        "head": "htsweep-head",
        "gpu_spot": "htsweep-worker",
        "gpu_on_demand": "htsweep-worker",
    }


def test_disks_are_encrypted_and_large(up: Up) -> None:
    volumes = up.ec2.describe_volumes()["Volumes"]
    assert [(one["Size"], one["VolumeType"], one["Encrypted"]) for one in volumes] == [
        (100, "gp3", True)
    ] * 3


def test_ray_made_no_group_of_its_own_and_nothing_is_open(up: Up) -> None:
    groups = up.ec2.describe_security_groups(
        Filters=[{"Name": "vpc-id", "Values": [up.groups["vpc"]]}]
    )["SecurityGroups"]
    assert sorted(one["GroupName"] for one in groups) == ["default", "htsweep"]
    [own] = [one for one in groups if one["GroupName"] == "htsweep"]
    rules = own["IpPermissions"]
    assert [
        (rule["FromPort"], [one["CidrIp"] for one in rule["IpRanges"]])
        for rule in rules
        if rule["IpProtocol"] == "tcp"
    ] == [(22, ["192.0.2.7/32"])]
    [among] = [rule for rule in rules if rule["IpProtocol"] == "-1"]
    assert [one["GroupId"] for one in among["UserIdGroupPairs"]] == [own["GroupId"]]
    assert not among["IpRanges"]


def test_the_files_are_there_before_a_command_needs_them(up: Up) -> None:
    home = up.hosts.home(up.host("head"))
    for name in ("htsweep/htsweep/cli/app.py", "htsweep/studies/digits.yaml", "htsweep/uv.lock"):
        assert (home / name).is_file()
    assert not list(home.rglob("__pycache__"))
    token = (up.hosts.home() / ".ray/auth_token").read_text()
    for name in up.instances():
        file = up.hosts.home(up.host(name)) / ".ray/auth_token"
        assert file.read_text() == token
        assert file.stat().st_mode & 0o777 == 0o600


def test_set_up_runs_in_its_order_and_then_ray_starts(up: Up) -> None:
    cluster = yaml.safe_load((up.folder / "cluster.yaml").read_text())
    for name, start in (
        ("head", cluster["head_start_ray_commands"]),
        ("gpu_spot", cluster["worker_start_ray_commands"]),
        ("gpu_on_demand", cluster["worker_start_ray_commands"]),
    ):
        ran = up.hosts.commands(up.host(name))
        assert ran[0] == "uptime"
        places = [
            next(at for at, one in enumerate(ran) if one.endswith(wanted))
            for wanted in (*cluster["setup_commands"], *start)
        ]
        assert places == sorted(places)
        # Ray 2.60: its autoscaler sets a worker up twice. The second time, uv is there.
        calls = up.hosts.said(by="host", host=up.host(name))
        order = dict.fromkeys(" ".join([one["program"], *one["words"][:2]]) for one in calls)
        assert list(order)[:4] == [
            "python3 -m pip",
            "uv sync --frozen",
            "uv pip install",
            "ray stop",
        ]
        assert list(order)[4].startswith("ray start --")
        assert sum(one["program"] == "python3" for one in calls) == 1


def test_the_head_starts_with_the_token_and_the_autoscaler(up: Up) -> None:
    head = up.host("head")
    start = up.hosts.said(by="host", host=head, program="ray")[1]
    assert "--head" in start["words"]
    assert "--dashboard-host=127.0.0.1" in start["words"]
    assert f"--autoscaling-config={up.hosts.home(head)}/ray_bootstrap_config.yaml" in [
        word.replace("~", str(up.hosts.home(head))) for word in start["words"]
    ]
    assert start["settings"]["RAY_AUTH_MODE"] == "token"
    assert start["settings"]["RAY_enable_autoscaler_v2"] == "1"
    assert json.loads(start["settings"]["RAY_OVERRIDE_RESOURCES"])["CPU"] == 0


@pytest.mark.parametrize("name", ["gpu_spot", "gpu_on_demand"])
def test_a_worker_joins_the_head_with_the_token(up: Up, name: str) -> None:
    start = up.hosts.said(by="host", host=up.host(name), program="ray")[1]
    assert f"--address={up.host('head')}:6379" in start["words"]
    assert start["settings"]["RAY_AUTH_MODE"] == "token"
    assert start["settings"]["RAY_NODE_TYPE_NAME"] == name
    resources = json.loads(start["settings"]["RAY_OVERRIDE_RESOURCES"])
    assert (resources["CPU"], resources["GPU"]) == (8, 1)


def test_ray_reaches_the_nodes_by_its_own_key_and_their_private_addresses(up: Up) -> None:
    calls = up.hosts.said(by="ssh")
    assert {one["user"] for one in calls} == {"ubuntu"}
    assert {one["host"] for one in calls} == {up.host(name) for name in up.instances()}
    key = up.hosts.home() / f".ssh/ray-autoscaler_{REGION}.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert ["-i", str(key)] in calls[0]["options"]


def test_no_key_of_the_user_s_reaches_a_node(up: Up) -> None:
    for file in up.hosts.home(up.host("head")).rglob("*"):
        if file.is_file() and "htsweep/" not in str(file):
            assert "planted" not in file.read_text(errors="replace")


def test_the_other_commands_of_the_comments(up: Up) -> None:
    """In their order; the last one ends all machines."""
    head, done = up.host("head"), []
    for command in up.commands:
        if command.startswith(("aws ", "uv run", "ray get-auth-token")):
            continue
        if command.startswith("htsweep submit"):
            # A job server is at test_submitting_ray_jobs.py; here, that the words are understood.
            said = up.hosts.run(f"{command} --dry-run", up.folder, up.variables)
            assert "htsweep launch digits.yaml --results s3://YOUR-BUCKET/results" in said
        else:
            up.hosts.run(here(command), up.folder, up.variables)
        done.append(" ".join(command.split()[:2]))
    assert done == ["ray exec", "ray rsync-up", "ray dashboard", "htsweep submit", "ray down"]
    [launch] = up.hosts.said(by="host", host=head, program="htsweep")
    assert launch["at"] == str(up.hosts.home(head) / "htsweep")
    assert launch["words"][:2] == ["launch", "studies/digits.yaml"]
    assert launch["settings"]["RAY_AUTH_MODE"] == "token"
    forwards = [option for one in up.hosts.said(by="ssh", host=head) for option in one["options"]]
    assert ["-L", "8265:localhost:8265"] in forwards
    assert {one["State"]["Name"] for one in up.instances().values()} == {"terminated"}


def test_on_premises(tmp_path: Path) -> None:
    """Machines that are there: no cloud is asked."""
    file = ROOT / "clusters/on-premises.yaml"
    hosts, commands = Hosts.made(tmp_path / "machines"), comments(file)
    text = file.read_text(encoding="utf-8")
    for edit, value in {
        "EDIT-HEAD": "192.0.2.1",
        "EDIT-WORKER-1": "192.0.2.2",
        "EDIT-WORKER-2": "192.0.2.3",
        "ssh_user: EDIT": "ssh_user: ana",
    }.items():
        assert edit in text
        text = text.replace(edit, value)
    folder = project(tmp_path / "project", file, text)
    (hosts.home() / ".ssh/id_ed25519").touch(0o600)
    done = []
    for command in commands:
        hosts.run(here(command), folder, {})
        done.append(command)
    assert [re.sub(r"^uv run (--with \S+ )+", "", one).split()[1] for one in done] == [
        "get-auth-token",
        "up",
        "exec",
        "down",
    ]
    assert {one["user"] for one in hosts.said(by="ssh")} == {"ana"}
    assert {one["host"] for one in hosts.said(by="ssh")} == {"192.0.2.1"}
    ran = [" ".join([one["program"], *one["words"][:2]]) for one in hosts.said(by="host")]
    assert ran[:4] == ["python3 -m pip", "uv sync --frozen", "uv pip install", "ray stop"]
    [start] = [one for one in hosts.said(by="host", program="ray") if one["words"][0] == "start"]
    assert {"--head", "--num-cpus=0", "--dashboard-host=127.0.0.1"} <= set(start["words"])
    assert start["settings"]["RAY_AUTH_MODE"] == "token"
    [launch] = hosts.said(by="host", program="htsweep")
    assert launch["at"] == str(hosts.home("192.0.2.1") / "htsweep")
    token = hosts.home("192.0.2.1") / ".ray/auth_token"
    assert token.read_text() == (hosts.home() / ".ray/auth_token").read_text()
