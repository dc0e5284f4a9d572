"""The process as a fresh one would be: what an earlier trial of a reused worker left behind is undone."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import sys
import time
from pathlib import Path
from typing import Any


def reset(seed: int, threads: int = 1, device: str = "cpu") -> None:
    """Puts every piece of process-wide state that training reads to its known value, and the seeds to `seed`."""
    # cuBLAS reads this when it starts; without it CUDA matrix products are not repeatable.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import numpy as np
    import torch

    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_grad_enabled(True)
    torch.set_anomaly_enabled(False)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_float32_matmul_precision("highest")
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    # Warn only: a backbone with one operation that has no repeatable kernel should still run.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Deterministic mode fills each new tensor with NaN to catch reads of unset memory: a pass over
    # memory per tensor.
    deterministic: Any = (
        torch.utils.deterministic
    )  # torch 2.9 sets its attributes in a way that no checker sees
    deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.mkldnn.set_flags(True)
    for kind in ("cpu", "cuda"):
        torch.set_autocast_enabled(kind, False)
    torch.clear_autocast_cache()
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    with contextlib.suppress(OSError):
        # Linux: 5 resets the peak resident size, so that it is this trial's and not the worker's.
        Path("/proc/self/clear_refs").write_text("5")


def cost(device: str, began: float) -> dict[str, float]:
    """What was spent since `began`, a moment of `time.perf_counter`, and since `reset`: `seconds`, `peak_memory_bytes`."""
    return {"seconds": time.perf_counter() - began, "peak_memory_bytes": peak_memory_bytes(device)}


def peak_memory_bytes(device: str = "cpu") -> int:
    """The most memory held since `reset`: of the device where it is a GPU, else of the process, in bytes."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
