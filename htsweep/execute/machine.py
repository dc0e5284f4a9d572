"""What this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from htsweep.errors import ResourceError


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> int:
    """NVIDIA GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([one for one in visible.split(",") if one.strip() not in ("", "-1")])
    return len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name[6:].isdigit()])


def lacking(cpu: float, gpu: float, remedy: str) -> None:
    """Raises ResourceError where this machine has less than `cpu` cores or `gpu` GPUs."""
    for what, wanted, there in (("cpu", cpu, cores()), ("gpu", gpu, gpus())):
        if wanted > there:
            msg = f"resources.{what}: a trial takes {wanted:g}, but this machine has {there}; lower it, or {remedy}"
            raise ResourceError(msg)


def commit(folder: Path) -> tuple[str | None, bool | None]:
    """The git commit that `folder` is at and whether files differ from it; (None, None) outside a repository."""
    if shutil.which("git") is None:
        return None, None

    def git(*words: str) -> str | None:
        done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else None

    head = git("rev-parse", "HEAD")
    changed = git("status", "--porcelain", "--untracked-files=no") if head else None
    return head, None if changed is None else bool(changed)
