"""The resources of this machine, and the git commit of a folder."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
from pathlib import Path

from htsweep.errors import ResourceError

GIT_SECONDS = 20.0
"""How long git may take to compare a repository with its commit."""


def cores() -> int:
    """The number of cores that this process may use.

    Those that it may be scheduled on, up to the quota of its container and to what Slurm gave its
    job, which not every Slurm enforces.
    """
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    job = int(given) if given.isdecimal() else math.inf
    return max(1, int(min(free, _quota(), job)))


def _quota() -> float:
    """The CPU quota, in cores, of this process's control groups; infinite without one.

    `docker run --cpus` and the limits of Kubernetes set it.
    """
    quotas = [math.inf]
    for folder in _control_groups():
        with contextlib.suppress(OSError, ValueError):  # version 2: "QUOTA PERIOD", or "max PERIOD"
            quota, period = (folder / "cpu.max").read_text().split()
            quotas.append(float(quota) / float(period) if quota != "max" else math.inf)
        with contextlib.suppress(OSError, ValueError):  # version 1: a quota of -1 is none
            quota, period = (
                (folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
            quotas.append(float(quota) / float(period) if float(quota) > 0 else math.inf)
    return min(quotas)


def _control_groups(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> list[Path]:
    """The folders of this process's control groups and of their ancestors."""
    folders = [root, root / "cpu", root / "cpu,cpuacct"]
    with contextlib.suppress(OSError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "cpu" not in controllers.split(","):
                continue
            mounts = [root / "cpu", root / "cpu,cpuacct"] if controllers else [root]
            inside = Path(path.lstrip("/"))
            folders += [mount / part for mount in mounts for part in (inside, *inside.parents)]
    return list(dict.fromkeys(folders))


def gpus() -> int:
    """The number of NVIDIA GPUs that this process may use."""
    devices = len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return devices if visible is None else len(_visible(visible, devices))


def _visible(text: str, devices: int) -> list[str]:
    """The entries of `CUDA_VISIBLE_DEVICES` that name a GPU.

    CUDA reads them up to the first that names none. Slurm writes `NoDevFiles` for a job without
    GPUs.
    """
    names: list[str] = []
    for entry in text.split(","):
        name = entry.strip()
        by_number = name.isdigit() and (int(name) < devices or not devices)
        if not by_number and not name.startswith(("GPU-", "MIG-")):
            break
        if name in names:  # CUDA then shows none at all
            return []
        names.append(name)
    return names


def lacking(cpu: float, gpu: float, remedy: str) -> None:
    """Raises ResourceError if this machine has fewer than `cpu` cores or `gpu` GPUs."""
    for what, wanted, available in (("cpu", cpu, cores()), ("gpu", gpu, gpus())):
        if wanted > available:
            msg = (
                f"resources.{what}: a trial takes {wanted:g}, but this machine has {available}; "
                f"lower it, or {remedy}"
            )
            raise ResourceError(msg)


def commit(folder: Path) -> tuple[str | None, bool | None]:
    """The git commit of `folder`, and whether tracked files differ from it.

    (None, None) outside a repository.
    """
    if shutil.which("git") is None:
        return None, None
    # Git's variables, as set inside its hooks, would point to another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str | None:
        # Also read a repository that another user owns, such as a mounted folder in a container.
        # Git refuses by default because its settings may run programs; those settings are switched
        # off here.
        safe = (
            "-c",
            "safe.directory=*",
            "-c",
            "core.fsmonitor=false",
            "-c",
            f"core.hooksPath={os.devnull}",
        )
        try:
            done = subprocess.run(
                ["git", *safe, "-C", str(folder), *words],
                capture_output=True,
                text=True,
                check=False,
                errors="replace",
                env=environment,
                timeout=GIT_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no") if head else None
    return head, None if changed is None else bool(changed)
