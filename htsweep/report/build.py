"""A study's tables and figures: reads what they need, hands it to the analysis, writes what comes out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from htsweep import results as tables
from htsweep.commands import given
from htsweep.errors import LedgerError
from htsweep.ledger import Store
from htsweep.planning import task
from htsweep.results import screen
from htsweep.selection.infinities import with_infinities
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

    from htsweep.analysis.findings import Findings
    from htsweep.planning.plan import Plan


def folder_of(study: Study, results: str) -> Path:
    """Where a launch leaves the study's figures: in the results, or here where those are far away."""
    base = Store(results).folder or Path("results")
    return base / "studies" / study.name


@with_infinities
def frontier(study: Study, results: str = "results") -> pd.DataFrame:
    """One row per whole point: its factors, means over repetitions with 95 % intervals, and whether it is on the front.

    The axes are those of the study's task: accuracy on seen and on missing classes where it
    measures them.
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
        measured,
        *axes,
        design=design(measured.columns, tables.factors(study)),
        parameters=tables.parameters(study),
        repetitions=study.repetitions,
        choice=selection.choice(measured, study.select, study.repetitions),
    )


@with_infinities
def findings(study: Study, results: str = "results", metrics: Sequence[str] = ()) -> Findings:
    """Every table of the study's report; `metrics`: what is summarised, none: the accuracies."""
    import pandas as pd

    from htsweep import selection
    from htsweep.analysis import conclusions
    from htsweep.analysis.design import design
    from htsweep.report import text
    from htsweep.results import scores
    from htsweep.results.variants import variants

    if task.find(study.task).predicts:
        return _of_scores(study, results)
    yields = _yields(study)
    reads = selection.columns(study.select)
    known = [name for name in conclusions.READS if name in yields]
    columns = (
        None if reads is None or not known else list(dict.fromkeys([*known, *reads, *metrics]))
    )
    ended, measured = _load(study, results, columns)
    planned = screen.planned(study, results)
    sweeps = pd.DataFrame([{"sweep": sweep.id, **sweep.factors} for sweep in planned.sweeps])
    cells = design(measured.columns, tables.factors(study), study.compared)
    chosen = selection.choice(measured, study.select, study.repetitions)
    about = conclusions.About(
        title=study.name,
        design=cells,
        protocol=study.select,
        repetitions=study.repetitions,
        parameters=tables.parameters(study),
        baseline=tables.baseline(study),
        empty=task.find(study.task).empty,
        non_disruption=study.non_disruption,
        by=study.screen.decisive if study.screen else "",
        gpus=study.resources.gpu,
        sampler=planned.sampler,
        objectives=[one.metric for one in study.objectives],
        planned=sweeps,
        variants=variants(study),
        missing=text.missing(
            ended,
            cells,
            study.repetitions,
            sorted(chosen["sweep"]),
            sweeps,
            _to_come(planned, ended),
        ),
        provenance=provenance(study, ended, results),
    )
    trials = ended[ended["point"].isin(chosen["point"])]["trial"].tolist()
    lists = None
    # Or a task that does not say what it yields
    if columns is None or set(conclusions.CURVES) <= set(yields):
        lists = tables.lists(results, conclusions.CURVES, trials)
        lists = lists if set(conclusions.CURVES) <= set(lists.columns) else None
    return conclusions.conclude(
        ended, measured, about, metrics, lists, scores.foretold(study, results, columns)
    )


def _of_scores(study: Study, results: str) -> Findings:
    """The tables of a study of scores: what they say of each pair."""
    import pandas as pd

    from htsweep.analysis import conclusions
    from htsweep.analysis.design import Design
    from htsweep.report import text
    from htsweep.results import scores

    ended, measured = _load(study, results, None)
    ended, said = scores.configured(ended), scores.scores_of(study, ended, measured)
    cells = Design(
        tuple(name for name in tables.factors(study) if name != "score" and "." not in name),
        "score",
    )
    planned = screen.planned(study, results)
    sweeps = pd.DataFrame(
        [
            {"score": sweep.base.get("score"), **sweep.factors, "sweep": sweep.id}
            for sweep in planned.sweeps
        ]
    )
    about = conclusions.About(
        title=study.name,
        design=cells,
        protocol=study.select,
        repetitions=study.repetitions,
        terms=task.find(study.task).terms,
        planned=sweeps,
        missing=text.missing(
            ended,
            cells,
            study.repetitions,
            sorted(set(said["sweep"])),
            sweeps,
            _to_come(planned, ended),
        ),
        provenance=provenance(study, ended, results),
    )
    return conclusions.conclude_scores(ended, said, about)


def provenance(study: Study, ended: pd.DataFrame, results: str) -> dict[str, str]:
    """Where the numbers come from, by name: the study, code, machines and dates."""
    import datetime

    def listed(column: str) -> str:
        counts = ended[column].dropna().astype(str).value_counts()
        some = [f"{name} ({count} trials)" for name, count in counts.head(5).items() if name]
        return ", ".join(some) + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")

    def day(seconds: float) -> str:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")

    dirty = int(ended["dirty"].fillna(False).astype(bool).sum())
    told = {
        "study file": Path(str(study.file)).name,
        "task": study.task,
        "results": results,
        "trials": f"{ended['trial'].nunique()} ended, {int((ended['status'] == 'done').sum())} done",
        "compute": f"{ended['seconds'].sum() / 3600:.2f} hours of trials, stages not counted",
        "run": f"{day(ended['started'].min())} to {day(ended['ended'].max())}",
        "htsweep": listed("version"),
        "commits": listed("commit"),
        "uncommitted changes": f"in {dirty} trials" if dirty else "none",
        "nodes": listed("node"),
        "devices": listed("device"),
    }
    return {name: value for name, value in told.items() if value}


@with_infinities
def write(
    study: Study,
    results: str,
    out: Path,
    metrics: Sequence[str] = (),
    widths: Sequence[str] = (),
) -> tuple[Findings, list[Path]]:
    """Writes the whole report below `out`; returns what was found and the paths.

    `report.html` (one page, needs no network), `report.md`, `report.tex`, a CSV per table, and the
    figures under `figures/two_column/` or `figures/one_column/`, as `widths` says.
    """
    from htsweep.files import put
    from htsweep.report import document, figures

    found = findings(study, results, metrics)
    made: dict[str, str | bytes] = {"report.html": page(found), **document.document(found)}
    for width in widths:
        made |= {
            f"figures/{width}_column/{name}": content
            for name, content in figures.figures(found, width).items()
        }
    return found, [put(out / name, content) for name, content in made.items()]


def written(
    study: Study,
    results: str,
    out: Path,
    metrics: Sequence[str] = (),
    widths: Sequence[str] = (),
) -> list[str]:
    """What `write` did, in lines: the answers, and where everything is."""
    from htsweep.report import answers

    found, paths = write(study, results, out, metrics, widths)
    drawn = [path for path in paths if path.parent != out]
    told = [
        *(answers.answers(found) or [answers.question(found)]),
        "",
        *(str(path) for path in paths if path.parent == out),
    ]
    return [
        *told,
        f"{out / 'figures'}: {len(drawn)} files"
        if drawn
        else "figures for print: --figures one,two",
    ]


@with_infinities
def page(found: Findings) -> str:
    """The report's page as HTML."""
    from htsweep.report import answers
    from htsweep.report import page as drawn

    return drawn.page(found, question=answers.question(found), answers=answers.answers(found))


@with_infinities
def draw(study: Study, results: str, out: Path) -> list[Path]:
    """Writes the frontier below `out` as PNG, SVG, PDF, HTML and CSV and returns the paths."""
    from htsweep.report import pareto

    ended, measured = _load(study, results, pareto.columns(study.select, yields=_yields(study)))
    return pareto.pareto(ended, measured, out, **_about(study))


def tell(study: Study, results: str, out: Path | None = None, metrics: Sequence[str] = ()) -> str:
    """The results as Markdown; with `out`, also as report.md, .tex and .csv there; `metrics`: what is shown."""
    texts = _texts(study, results, metrics)
    if out is not None:
        from htsweep.files import put

        for name, content in texts.items():
            put(out / name, content)
    return texts["report.md"]


def latex(study: Study, results: str, metrics: Sequence[str] = ()) -> str:
    """The results as LaTeX."""
    return _texts(study, results, metrics)["report.tex"]


def export(study: Study, results: str, out: Path, formats: str) -> list[Path]:
    """Writes the tidy tables of trials and measurements below `out`, in `formats` (by commas)."""
    from htsweep.results.export import export

    return export(
        *_load(study, results, None, "any"),
        out,
        [name.strip() for name in formats.split(",") if name.strip()],
    )


@with_infinities
def _texts(study: Study, results: str, metrics: Sequence[str]) -> dict[str, str]:
    import pandas as pd

    from htsweep.report import text

    predicts = task.find(study.task).predicts
    metrics = metrics or ([predicts] if predicts else [])
    columns = None if metrics else text.columns(study.select, yields=_yields(study))
    ended, measured = _load(study, results, columns)
    planned = screen.planned(study, results)
    sweeps = pd.DataFrame([{"sweep": sweep.id, **sweep.factors} for sweep in planned.sweeps])
    to_come = _to_come(planned, ended)
    return text.report(
        ended, measured, planned=sweeps, to_come=to_come, metrics=metrics, **_about(study)
    )


def _to_come(planned: Plan, ended: pd.DataFrame) -> str:
    """How many points have no trial yet of the sweeps that have begun, in words; "" for none."""
    begun = ended.groupby("sweep")["point"].nunique()
    count = sum(max(0, planned.sizes[str(sweep)] - int(points)) for sweep, points in begun.items())
    return (
        f"{'' if planned.exact else 'at most '}{count} more point{'s' if count != 1 else ''}"
        if count
        else ""
    )


def _about(study: Study) -> dict[str, Any]:
    return {
        "protocol": study.select,
        "repetitions": study.repetitions,
        "factors": tables.factors(study),
        "parameters": tables.parameters(study),
        "title": study.name,
    }


def _yields(study: Study) -> Sequence[str]:
    """The columns that the study's task may yield; none where it does not say."""
    return task.find(study.task).metrics


def _load(
    study: Study,
    results: str,
    columns: Sequence[str] | None,
    kind: Literal["any", "numbers"] = "numbers",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    found = tables.load(study, results, columns, kind=kind)
    if found[0].empty:
        msg = f"{results} has no trial of study '{study.name}' yet. To run them: {given(study, results).launch()}"
        raise LedgerError(msg)
    return found
