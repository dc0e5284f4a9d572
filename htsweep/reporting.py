"""A study's tables and figures: reads what they need, hands it to the analysis, writes what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from htsweep import results as tables
from htsweep import task
from htsweep.errors import LedgerError
from htsweep.ledger import Store
from htsweep.planning import plan
from htsweep.study import Study

if TYPE_CHECKING:
    import pandas as pd


def folder_of(study: Study, results: str) -> Path:
    """Where a launch leaves the study's figures: in the results, or here where those are far away."""
    base = Store(results).folder or Path("results")
    return base / "studies" / study.name


def frontier(study: Study, results: str = "results") -> pd.DataFrame:
    """One row per whole point: its factors, means over repetitions with 95 % intervals, and whether it is on the front.

    The axes are those of the study's task: accuracy on seen and on missing classes where it measures them.
    """
    from htsweep import selection
    from htsweep.analysis import frontier as analysis
    from htsweep.analysis.design import design

    measured = _load(study, results, None)[1]
    axes = analysis.axes([str(name) for name in measured.columns if str(name).startswith("test/")])
    if axes is None:
        msg = f"study '{study.name}' measured no two test columns to draw a frontier of"
        raise LedgerError(msg)
    return analysis.frontier(
        measured, *axes, design=design(measured.columns, tables.factors(study)), parameters=_parameters(study),
        repetitions=study.repetitions,
        choice=selection.choice(measured, study.select, study.repetitions))


def draw(study: Study, results: str, out: Path) -> list[Path]:
    """Writes the frontier below `out` as PNG, SVG, PDF, HTML and CSV and returns the paths."""
    from htsweep.report import pareto

    ended, measured = _load(study, results, pareto.columns(study.select, yields=_yields(study)))
    return pareto.pareto(ended, measured, out, **_about(study))


def tell(study: Study, results: str, out: Path | None = None, metrics: Sequence[str] = ()) -> str:
    """The results as Markdown; with `out`, also as report.md, .tex and .csv there; `metrics`: what is shown."""
    texts = _texts(study, results, metrics)
    if out is not None:
        from htsweep.report.files import put

        for name, content in texts.items():
            put(out / name, content)
    return texts["report.md"]


def latex(study: Study, results: str, metrics: Sequence[str] = ()) -> str:
    """The results as LaTeX."""
    return _texts(study, results, metrics)["report.tex"]


def export(study: Study, results: str, out: Path, formats: str) -> list[Path]:
    """Writes the tidy tables of trials and measurements below `out`, in `formats` (by commas)."""
    from htsweep.report.export import export

    return export(*_load(study, results, None), out, [name.strip() for name in formats.split(",") if name.strip()])


def _texts(study: Study, results: str, metrics: Sequence[str]) -> dict[str, str]:
    import pandas as pd

    from htsweep.report import text

    columns = None if metrics else text.columns(study.select, yields=_yields(study))
    ended, measured = _load(study, results, columns)
    planned = pd.DataFrame([{"sweep": sweep.id, **sweep.factors} for sweep in plan(study).sweeps])
    return text.report(ended, measured, planned=planned, metrics=metrics, **_about(study))


def _about(study: Study) -> dict[str, Any]:
    return {"protocol": study.select, "repetitions": study.repetitions, "factors": tables.factors(study),
            "parameters": _parameters(study), "title": study.name}


def _yields(study: Study) -> Sequence[str]:
    """The columns that the study's task may yield; none where it does not say."""
    return task.find(study.task).metrics


def _parameters(study: Study) -> list[str]:
    return [name for name in tables.varied(plan(study)) if name not in study.grid]


def _load(study: Study, results: str, columns: Sequence[str] | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = tables.load(study, results, columns)
    if found[0].empty:
        msg = f"{results} has no trial of study '{study.name}' yet; htsweep launch {study.file} runs them"
        raise LedgerError(msg)
    return found
