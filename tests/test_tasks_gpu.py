"""What torch can use of a GPU."""

from pathlib import Path

import pytest
import torch

from tasks import gpu


def test_the_service_that_shares_a_gpu_is_seen_by_its_pipe(tmp_path: Path) -> None:
    environment = {"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}
    assert not gpu.mps(environment)
    (tmp_path / "control").touch()
    assert gpu.mps(environment)


@pytest.mark.parametrize(
    ("built", "said"), [(False, "was built without CUDA"), (True, "torch finds no usable GPU")]
)
def test_why_there_is_none(monkeypatch: pytest.MonkeyPatch, built: bool, said: str) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert said in gpu.facts()["why"]
    assert not gpu.facts()["usable"]
