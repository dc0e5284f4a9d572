"""Rows in bulk are those that requests leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from mirrored import FEW, ODD, empty, held, mirror_of, run

from htsweep.mirror.run import Run


@pytest.mark.parametrize("one", [*FEW[:2], ODD, run(9, measurements=[], parameters={}, tags={})])
def test_both_ways_of_writing_leave_the_same_rows(one: Run, tmp_path: Path) -> None:
    """What holds the bulk writer to MLflow's own idea of its tables."""
    left = []
    for through in ("rows", "requests"):
        database = empty(tmp_path / f"{through}.db")
        assert mirror_of(database, through).write([one]) == 1
        left += held(database).values()
    assert left[0] == left[1]


def test_both_ways_of_tagging_leave_the_same_rows(tmp_path: Path) -> None:
    left = []
    for through in ("rows", "requests"):
        database = empty(tmp_path / f"{through}.db")
        mirror = mirror_of(database, through)
        mirror.write(FEW)
        mirror.select({one.trial: ["last", "x" * 9000] for one in FEW[:3]})
        mirror.select({one.trial: ["seen_validation"] for one in FEW[1:3]})
        left.append(sorted(map(str, held(database).values())))
    assert left[0] == left[1]
