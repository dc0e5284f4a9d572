"""What a launch counts for Prometheus; tests/test_submitting_ray_jobs.py reads it from a real Ray."""

from __future__ import annotations

from typing import Any

import pytest

from htsweep.execution import ray_metrics
from htsweep.execution.ray_metrics import EXPORTED, Metrics

Counts = dict[tuple[str, ...], float]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """(name, study, status) -> its value, in place of Ray's."""
    kept: Counts = {}

    class Kept:
        def __init__(self, name: str, text: str, keys: tuple[str, ...]) -> None:
            assert text.endswith(".")
            self.name, self.keys = name, keys

        def _key(self, tags: dict[str, str]) -> tuple[str, ...]:
            assert set(tags) == set(self.keys)
            return (self.name.removeprefix("htsweep_"), *tags.values())

        def inc(self, value: float, tags: dict[str, str]) -> None:
            assert value > 0, "Ray raises for 0"
            kept[self._key(tags)] = kept.get(self._key(tags), 0) + value

        def set(self, value: float, tags: dict[str, str]) -> None:
            kept[self._key(tags)] = value

    monkeypatch.setattr(ray_metrics.metrics, "Counter", Kept)
    monkeypatch.setattr(ray_metrics.metrics, "Gauge", Kept)
    return kept


def outcome(status: str, seconds: float = 2.0, rows: int = 4) -> dict[str, Any]:
    return {"outcome": {"status": status, "seconds": seconds, "rows": rows}}


def test_ends_are_counted_by_kind_and_status(counts: Counts) -> None:
    taken = Metrics()
    kinds = {"a": "trial", "b": "trial", "c": "trial", "d": "trial", "s": "stage"}
    for trial, kind in kinds.items():
        taken.know({"trial": trial, "kind": kind}, {"study": "x"})
    taken.take("nodes", {"nodes": []})
    taken.take("started", {"trial": "unknown"})
    for trial in ("a", "b", "c", "s"):
        taken.take("started", {"trial": trial})
    assert counts == {("trials_running", "x"): 3, ("stages_running", "x"): 1}
    taken.take("ended", {"trial": "a", **outcome("done", 2.5)})
    taken.take("ended", {"trial": "s", **outcome("done", 7.0, 1)})
    taken.take("died", {"trial": "b", "why": "killed"})
    taken.take("returned", {"trial": "c", "again": True})
    taken.take("returned", {"trial": "d", "again": False})
    assert counts == {
        ("trials_running", "x"): 0,
        ("stages_running", "x"): 0,
        ("trials", "x", "done"): 1,
        ("trials", "x", "failed"): 1,
        ("stages", "x", "done"): 1,
        ("trial_seconds", "x"): 2.5,
        ("stage_seconds", "x"): 7.0,
        ("ledger_rows", "x"): 4 + 1 + 1,
    }
    # An end that is told twice, as by a worker and then by the loss of its node, counts once.
    taken.take("died", {"trial": "a", "why": "its node ended"})
    assert counts["trials", "x", "failed"] == 1
    taken.know({"trial": "b", "kind": "trial"}, {"study": "x"})
    taken.take("started", {"trial": "b"})
    taken.take("ended", {"trial": "b", **outcome("stopped", 0.0, 0)})
    assert counts["trials", "x", "stopped"] == 1


def test_the_page_on_watching_lists_what_is_exported() -> None:
    from blocks import ROOT

    page = (ROOT / "docs" / "how_to" / "submit.md").read_text(encoding="utf-8")
    assert [name for name in EXPORTED if f"`{name}`" not in page] == []
