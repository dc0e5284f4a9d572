"""A study's tables and figures: reads what they need, hands it to the analysis, writes what comes out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from htsweep.ledger import Store
from htsweep.study import Study

if TYPE_CHECKING:
    import pandas as pd


def folder_of(study: Study, results: str) -> Path:
    """Where a launch leaves the study's figures: in the results, or here where those are far away."""
    base = Store(results).folder or Path("results")
    return base / "studies" / study.name


def draw(study: Study, results: str, out: Path) -> list[Path]:
    """Placeholder."""
    return []


def tell(study: Study, results: str, out: Path | None = None) -> str:
    """Placeholder."""
    return ""
