"""What a machine uses now: cores, memory and GPUs, read in a few milliseconds."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from htsweep.execution.machine import cores

SMI = (
    "nvidia-smi",
    "--query-gpu=name,utilization.gpu,memory.used,memory.total",
    "--format=csv,noheader,nounits",
)
SMI_SECONDS = 10.0
"""How long NVIDIA's tool may take."""


@final
@dataclass(frozen=True)
class Gpu:
    """A GPU of a machine, whoever uses it."""

    name: str
    busy: float | None
    """The share of the last second or so in which it computed; None if the driver does not say."""
    used: int
    """Bytes of its memory that are taken."""
    memory: int
    """Bytes of its memory."""


@final
@dataclass(frozen=True)
class Load:
    """What a machine uses, whoever does."""

    cores: int
    """Those that may be used here."""
    load: float
    """Processes that ran or waited for a core, as a mean over the last minute."""
    used: int
    """Bytes of memory that are taken and cannot be given back."""
    memory: int
    """Bytes of memory."""
    gpus: tuple[Gpu, ...] = ()
    at: float = 0.0
    """When that was, in unix seconds."""


@final
@dataclass(frozen=True)
class Node:
    """A machine on which trials run, and which."""

    name: str
    trials: tuple[str, ...] = ()
    load: Load | None = None
    """None until the machine has said."""


def sample() -> Load:
    """What this machine uses now."""
    memory = _memory()
    return Load(
        cores(),
        os.getloadavg()[0],
        memory.get("MemTotal", 0) - memory.get("MemAvailable", 0),
        memory.get("MemTotal", 0),
        tuple(_gpus()),
        time.time(),
    )


def here(trials: tuple[str, ...] = ()) -> Node:
    """This machine, with the trials that run on it."""
    return Node(platform.node(), trials, sample())


def load_of(content: Mapping[str, Any]) -> Load:
    """A load from what `dataclasses.asdict` made of one, such as by way of JSON."""
    return Load(**{**content, "gpus": tuple(Gpu(**one) for one in content.get("gpus", ()))})


def _memory() -> dict[str, int]:
    """Linux's counts of memory, in bytes; empty elsewhere."""
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
    return {}


def _gpus() -> list[Gpu]:
    """The GPUs by NVIDIA's tool; none where it is missing or does not answer."""
    if shutil.which(SMI[0]) is None:
        return []
    try:
        said = subprocess.run(
            SMI,
            capture_output=True,
            text=True,
            check=True,
            timeout=SMI_SECONDS,
            stdin=subprocess.DEVNULL,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    found = []
    for line in said.splitlines():
        # A name has no comma; a number that the driver does not know is `[N/A]`, as is the memory
        # of a GPU in parts (MIG). Without a GPU, it is a sentence.
        with contextlib.suppress(ValueError):
            name, busy, used, memory = (part.strip() for part in line.split(","))
            found.append(Gpu(name, _share(busy), int(used) * 2**20, int(memory) * 2**20))
    return found


def _share(percent: str) -> float | None:
    try:
        return float(percent) / 100
    except ValueError:
        return None
