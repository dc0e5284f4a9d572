"""A Ray whose workers come and go by its own autoscaler: nodes are raylets on this machine, which a provider of Ray's own starts."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil

HEAD = "f" * 51 + "00000"
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"


def configuration(port: int, types: Mapping[str, Mapping[str, Any]], most: int) -> dict[str, Any]:
    """As `ray up` leaves it on a head without cores of its own."""
    head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
    workers = {
        name: {"resources": {"object_store_memory": 80_000_000, **resources}, "node_config": {}}
        for name, resources in types.items()
    }
    return {
        "cluster_name": "fake",
        "max_workers": most,
        "upscaling_speed": 100.0,
        "idle_timeout_minutes": 0.3,
        "provider": {
            "type": "external",
            "module": PROVIDER,
            "gcs_address": f"127.0.0.1:{port}",
            "head_node_id": HEAD,
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "foreground_node_launch": True,
            "launch_multiple": True,
        },
        "auth": {"ssh_user": "nobody"},
        # What `ray up` would fill in, and the autoscaler requires.
        "file_mounts": {},
        "file_mounts_sync_continuously": False,
        **{key: [] for key in ("cluster_synced_files", "rsync_exclude", "rsync_filter")},
        **{key: [] for key in ("initialization_commands", "setup_commands")},
        **{key: [] for key in ("head_setup_commands", "worker_setup_commands")},
        **{key: [] for key in ("head_start_ray_commands", "worker_start_ray_commands")},
        "head_node_type": "ray.head.default",
        "available_node_types": {
            "ray.head.default": head,
            **{name: {**one, "max_workers": most} for name, one in workers.items()},
        },
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def autoscaling(
    folder: Path,
    types: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    most: int = 4,
    v2: bool = False,
    cores: int = 0,
) -> Iterator[str]:
    """The address of a Ray with no worker yet; ended with all that it started, by their ids alone.

    `types`: the node types; None: no autoscaler. `cores`: of the head.
    """
    port = free_port()
    words = [
        str(Path(sys.executable).parent / "ray"),
        *("start", "--head", "--block", f"--port={port}", f"--num-cpus={cores}"),
        *("--node-ip-address=127.0.0.1", "--include-dashboard=false", f"--temp-dir={folder}"),
        "--object-store-memory=80000000",
    ]
    if types is not None:
        path = folder / "autoscaling.json"
        path.write_text(json.dumps(configuration(port, types, most)))
        words.append(f"--autoscaling-config={path}")
    environment = {**os.environ, "RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    if v2:
        environment |= {
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
        }
    head = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    family: set[psutil.Process] = set()
    try:
        deadline = time.monotonic() + 90
        while not _listens(port):
            assert head.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        time.sleep(2)
        yield f"127.0.0.1:{port}"
    finally:
        family |= set(psutil.Process(head.pid).children(recursive=True))
        family |= set(raylets(folder))
        head.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            head.wait(20)
        family |= set(raylets(folder))
        for one in psutil.wait_procs(list(family), timeout=3)[1]:
            with contextlib.suppress(psutil.Error):
                one.kill()
        if head.poll() is None:
            head.kill()
        head.wait()


def raylets(folder: Path) -> list[psutil.Process]:
    """The node managers of the Ray in a folder, and what else was started for its nodes."""
    found = []
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(folder) in word for word in one.cmdline()) and one.pid != os.getpid():
                found.append(one)
    return found


def nodes(folder: Path) -> int:
    """How many nodes run, the head included."""
    count = 0
    for one in raylets(folder):
        with contextlib.suppress(psutil.Error):
            words = one.cmdline()  # none of a process that has ended
            count += bool(words) and Path(words[0]).name == "raylet"
    return count


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
