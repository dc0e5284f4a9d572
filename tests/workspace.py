"""A workspace for tests of tasks: what docs/contracts.md promises, in a folder, without the orchestrator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any


class Workspace:
    """Keeps every state it is given; stages are trained once into `root`."""

    def __init__(
        self, root: Path, repetition: int = 0, *, cache: Path | None = None, device: str = "cpu"
    ) -> None:
        self.root = root
        self.repetition = repetition
        self.device = device
        self.threads = 1
        self.cache = cache or root / "cache"
        self.output = root / "output"
        self.output.mkdir(parents=True, exist_ok=True)
        self.state: bytes | None = None
        self.stages: Mapping[str, Path] = {}
        self.trajectory: Path | None = None
        self.kept: dict[int, Mapping[str, Any]] = {}
        self.keeps_features = False

    def seed(self, *names: object) -> int:
        text = repr((self.repetition, *map(str, names)))
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) % 2**31

    def artifact(self, stage: str) -> Path:
        return self.stages[stage]

    def save(self, make: Callable[[], bytes]) -> None:
        self.state = make()

    def load(self) -> bytes | None:
        return self.state

    def keep(self, step: int, outputs: Mapping[str, Any]) -> None:
        self.kept[step] = outputs


def stage(
    task: Any, config: Mapping[str, Any], root: Path, repetition: int = 0, cache: Path | None = None
) -> Path:
    """Runs a stage to its end; its artifact."""
    workspace = Workspace(root, repetition, cache=cache)
    rows = list(task(config, workspace))
    assert rows
    return workspace.output


def same(left: Iterable[Mapping[str, Any]], right: Iterable[Mapping[str, Any]]) -> bool:
    """Whether measurements are equal bit for bit, clocks and memory apart."""
    apart = {"seconds", "peak_memory_bytes"}
    strip = [
        [{key: value for key, value in row.items() if key not in apart} for row in rows]
        for rows in (left, right)
    ]
    return strip[0] == strip[1]
