"""What torch can use of this machine's GPU: `python -m tasks.gpu` prints it as one line of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PIPES = "/tmp/nvidia-mps"
"""Where NVIDIA's Multi-Process Service listens unless `CUDA_MPS_PIPE_DIRECTORY` says otherwise."""


def facts() -> dict[str, Any]:
    """`usable`, `why` not, and the GPU's `name`, `total_bytes` and whether `mps` shares it."""
    try:
        import torch
    except ImportError as error:
        return _unusable(f"torch cannot be imported: {error}")
    if not torch.backends.cuda.is_built():
        return _unusable(
            f"its torch {torch.__version__} was built without CUDA; install a build with CUDA"
        )
    if not torch.cuda.is_available():
        return _unusable(
            "torch finds no usable GPU; `nvidia-smi` says whether the driver works, and "
            "CUDA_VISIBLE_DEVICES must not hide it"
        )
    try:
        torch.zeros(1, device="cuda:0")
        known = torch.cuda.get_device_properties(0)
    except RuntimeError as error:
        return _unusable(f"using it failed: {str(error).splitlines()[0]}")
    return {
        "usable": True,
        "why": "",
        "name": known.name,
        "total_bytes": known.total_memory,
        "mps": mps(os.environ),
    }


def mps(environment: Mapping[str, str]) -> bool:
    """Whether the control daemon of NVIDIA's Multi-Process Service runs for this user.

    It keeps a pipe called `control` in its folder.
    """
    return (Path(environment.get("CUDA_MPS_PIPE_DIRECTORY") or PIPES) / "control").exists()


def _unusable(why: str) -> dict[str, Any]:
    return {"usable": False, "why": why, "name": "", "total_bytes": 0, "mps": False}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(facts()) + "\n")
