"""What this machine has."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import subprocess
from pathlib import Path

from htsweep.errors import ResourceError

GIT_SECONDS = 20.0
"""A repository that takes longer to compare with its commit is not waited for."""


def cores() -> int:
    """Cores that this process may use: those it may be scheduled on, and no more than its container's quota allows."""
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min(free, _quota())))


def _quota() -> float:
    """Cores' worth of time that the control groups of this process allow (`docker run --cpus`, Kubernetes limits)."""
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
    """The folders of this process's control groups, and of those that these are in."""
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
    """NVIDIA GPUs that this process may use."""
    devices = len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return devices if visible is None else len(_visible(visible, devices))


def _visible(text: str, devices: int) -> list[str]:
    """The entries of `CUDA_VISIBLE_DEVICES` that name a GPU, as CUDA reads them: up to the first that names none.

    Slurm writes `NoDevFiles` for a job without GPUs.
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
    """Raises ResourceError where this machine has less than `cpu` cores or `gpu` GPUs."""
    for what, wanted, available in (("cpu", cpu, cores()), ("gpu", gpu, gpus())):
        if wanted > available:
            msg = f"resources.{what}: a trial takes {wanted:g}, but this machine has {available}; lower it, or {remedy}"
            raise ResourceError(msg)


def commit(folder: Path) -> tuple[str | None, bool | None]:
    """The git commit that `folder` is at and whether files differ from it; (None, None) outside a repository."""
    if shutil.which("git") is None:
        return None, None
    # Git's own variables, as hooks have them, would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def git(*words: str) -> str | None:
        # A repository of another user's (a mounted folder in a container) is read all the same: git
        # refuses for fear of what its settings may run, which are switched off here.
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
