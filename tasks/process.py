"""Resets the process to a fresh state, undoing what earlier trials of a reused worker changed."""

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
    """Sets all process-wide state that training reads to known values, and the seeds to `seed`."""
    # Read when cuBLAS starts; without it CUDA matrix products are not reproducible.
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
    # Warn only: a backbone that uses an operation without a deterministic kernel should still run.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Deterministic mode also fills each new tensor with NaN, which costs a pass over memory.
    # torch 2.9: type checkers do not see the attributes of this module.
    deterministic: Any = torch.utils.deterministic
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
        # Linux: 5 resets the peak resident size, so that it is the trial's and not the worker's.
        Path("/proc/self/clear_refs").write_text("5")


def cost(device: str, began: float) -> dict[str, float]:
    """`seconds` since `began` (by `time.perf_counter`), and `peak_memory_bytes` since `reset`."""
    return {"seconds": time.perf_counter() - began, "peak_memory_bytes": peak_memory_bytes(device)}


def peak_memory_bytes(device: str = "cpu") -> int:
    """The peak memory since `reset` in bytes: of the GPU, or else of the process."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.max_memory_allocated(device)
    with contextlib.suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
