"""What a machine uses: its own counts, and NVIDIA's tool by a stand-in."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import psutil
import pytest

from htsweep.execution.load import Gpu, here, load_of, sample
from htsweep.execution.machine import cores

MIB = 2**20


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has NVIDIA's tool print something, or fail."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def prints(text: str, code: int = 0) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/bash\nprintf '{text}'\nexit {code}\n")
        program.chmod(0o755)

    return prints


def test_cores_and_memory_are_those_of_this_machine() -> None:
    found, memory = sample(), psutil.virtual_memory()
    assert found.cores == cores()
    assert found.memory == memory.total
    assert abs(found.used - (memory.total - memory.available)) < memory.total / 10
    assert found.load == pytest.approx(os.getloadavg()[0], abs=1)
    assert here(("a", "b")).name == platform.node()
    assert here(("a", "b")).trials == ("a", "b")


def test_gpus_are_what_nvidia_s_tool_says(smi: Callable[..., None]) -> None:
    smi(
        "NVIDIA H100 80GB HBM3, 85, 30000, 81559\\n"
        "NVIDIA A100 (MIG), [N/A], 512, 40960\\n"
        "NVIDIA A100 (parts), [N/A], [N/A], [N/A]\\n"
    )
    assert sample().gpus == (
        Gpu("NVIDIA H100 80GB HBM3", 0.85, 30000 * MIB, 81559 * MIB),
        Gpu("NVIDIA A100 (MIG)", None, 512 * MIB, 40960 * MIB),
    )
    assert load_of(json.loads(json.dumps(asdict(sample())))).gpus == sample().gpus


@pytest.mark.parametrize(
    ("text", "code"), [("No devices were found\\n", 0), ("Driver/library version mismatch", 9)]
)
def test_a_tool_without_an_answer_is_a_machine_without_gpus(
    smi: Callable[..., None], text: str, code: int
) -> None:
    smi(text, code)
    assert sample().gpus == ()
