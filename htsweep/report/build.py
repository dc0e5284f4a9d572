"""A study's tables and figures: reads what they need, analyses it, and writes the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from htsweep.commands import given
from htsweep.errors import LedgerError
from htsweep.planning import task, tuning
from htsweep.results import Results, tables
from htsweep.selection.infinities import with_infinities
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

    from htsweep.analysis.findings import Findings


def folder_of(results: Results) -> Path:
    """Where a launch writes the study's report: in the results, or locally if these are remote."""
    base = results.store.folder or Path("results")
    return base / "studies" / results.study.name


@with_infinities
def frontier(study: Study, results: str | Path = "results") -> pd.DataFrame:
    """One row per whole point: its means over repetitions, and whether it is on the front.

    The columns include its factors and 95 % intervals. The axes are those of the study's task:
    accuracy on seen and on missing classes where it measures them.
    """
    from htsweep.analysis import frontier as analysis
    from htsweep.analysis.design import design

    read = Results(study, str(results))
    measured = _measured(read, None)
    axes = analysis.axes([str(name) for name in measured.columns if str(name).startswith("test/")])
    if axes is None:
        msg = f"study '{study.name}' measured no two test columns to draw a frontier of"
        raise LedgerError(msg)
    return analysis.frontier(
        measured,
        *axes,
        design=design(measured.columns, read.factors),
        parameters=read.parameters,
        repetitions=study.repetitions,
        choice=read.choice,
    )


@with_infinities
def findings(results: Results, metrics: Sequence[str] = ()) -> Findings:
    """Every table of the study's report; `metrics` are summarised, by default the accuracies."""
    from htsweep import selection
    from htsweep.analysis import conclusions
    from htsweep.analysis.design import design
    from htsweep.report import neither, text
    from htsweep.results import scores
    from htsweep.results.answered import answered, each_trial
    from htsweep.results.images import images_of
    from htsweep.results.variants import variants

    study = results.study
    if task.of(study).predicts:
        return _of_scores(results)
    yields = _yields(study)
    reads = selection.columns(study.select)
    # What the provenance reads is read along with the rest.
    known = [name for name in (*conclusions.READS, neither.SHARE) if name in yields]
    columns = (
        None if reads is None or not known else list(dict.fromkeys([*known, *reads, *metrics]))
    )
    measured = _measured(results, columns)
    sweeps = _sweeps(results)
    cells = design(measured.columns, results.factors, study.compared)
    chosen = results.choice
    about = conclusions.StudyContext(
        title=study.name,
        design=cells,
        protocol=study.select,
        choice=chosen,
        repetitions=study.repetitions,
        parameters=results.parameters,
        defaults=_defaults(results),
        tuning=tuning.unequal(results.plan),
        baseline=tables.baseline(study),
        empty=task.of(study).empty,
        non_disruption=study.non_disruption,
        by=study.screen.decisive if study.screen else "",
        gpus=study.resources.gpu,
        sampler=results.plan.sampler,
        objectives=[objective.metric for objective in study.objectives],
        evidence=_evidence(results),
        blocks=study.blocks,
        planned=sweeps,
        variants=variants(results),
        missing=text.missing(
            results.trials,
            cells,
            study.repetitions,
            sorted(chosen["sweep"]),
            planned=sweeps,
            to_come=_not_run_yet(results),
        ),
        provenance=provenance(results),
    )
    ended = results.trials
    lists = None
    # Curves are read also for a task that does not declare what it yields.
    if columns is None or set(conclusions.CURVES) <= set(yields):
        trials = ended[ended["point"].isin(chosen["point"])]["trial"].tolist()
        lists = results.lists(conclusions.CURVES, trials)
        lists = lists if set(conclusions.CURVES) <= set(lists.columns) else None
    keeps = task.of(study).keeps
    made = conclusions.conclude(
        ended,
        measured,
        about,
        metrics,
        lists=lists,
        screened=scores.screen_tables(results, columns),
        answered=answered(results, measured) if keeps else None,
        images=images_of(results, measured) if keeps else None,
    )
    answers, why = each_trial(results) if keeps else (None, "")
    return replace(
        made,
        labels=results.full_plan.labels,
        unanswered=why,
        answers=made.answers if answers is None else answers,
    )


def _of_scores(results: Results) -> Findings:
    """The tables of a study of scores: what they say about each pair."""
    import pandas as pd

    from htsweep.analysis import conclusions
    from htsweep.analysis.design import Design
    from htsweep.report import text
    from htsweep.results import scores

    study = results.study
    _measured(results, None)
    ended, said = scores.configured(results.trials), scores.scores_of(results)
    cells = Design(
        tuple(name for name in results.factors if name != "score" and "." not in name),
        "score",
    )
    sweeps = pd.DataFrame(
        [
            {"score": sweep.base.get("score"), **sweep.factors, "sweep": sweep.id}
            for sweep in results.plan.sweeps
        ]
    )
    about = conclusions.StudyContext(
        title=study.name,
        design=cells,
        protocol=study.select,
        repetitions=study.repetitions,
        terms=task.of(study).terms,
        planned=sweeps,
        missing=text.missing(
            ended,
            cells,
            study.repetitions,
            sorted(set(said["sweep"])),
            planned=sweeps,
            to_come=_not_run_yet(results),
        ),
        provenance=provenance(results),
    )
    return conclusions.conclude_scores(ended, said, about)


def provenance(results: Results) -> dict[str, str]:
    """The origin of the numbers, by name: the study, code, machines and dates."""
    import datetime

    from htsweep.report import neither

    study, ended = results.study, results.trials

    def listed(column: str) -> str:
        counts = ended[column].dropna().astype(str).value_counts()
        some = [f"{name} ({count} trials)" for name, count in counts.head(5).items() if name]
        return ", ".join(some) + (f" and {len(counts) - 5} more" if len(counts) > 5 else "")

    def day(seconds: float) -> str:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")

    dirty = int(ended["dirty"].fillna(False).astype(bool).sum())
    sources = {
        "study file": Path(str(study.file)).name,
        "task": study.task,
        "results": results.location,
        "trials": f"{ended['trial'].nunique()} ended, "
        f"{int((ended['status'] == 'done').sum())} done",
        "compute": f"{ended['seconds'].sum() / 3600:.2f} hours of trials, stages not counted",
        "run": f"{day(ended['started'].min())} to {day(ended['ended'].max())}",
        "htsweep": listed("version"),
        "commits": listed("commit"),
        "uncommitted changes": f"in {dirty} trials" if dirty else "none",
        "nodes": listed("node"),
        "devices": listed("device"),
        "neither seen nor missing": neither.told(results),
    }
    return {name: value for name, value in sources.items() if value}


@with_infinities
def write(
    results: Results,
    out: Path,
    metrics: Sequence[str] = (),
    widths: Sequence[str] = (),
) -> tuple[Findings, list[Path]]:
    """Writes the whole report below `out`; returns the findings and the paths.

    `report.html` (one page, needs no network), `report.md`, `report.tex`, a CSV per table, and the
    figures under `figures/two_column/` or `figures/one_column/`, as `widths` says.
    """
    from htsweep.files import put
    from htsweep.report import document, figures

    report = findings(results, metrics)
    made: dict[str, str | bytes] = {"report.html": page(report), **document.document(report)}
    for width in widths:
        made |= {
            f"figures/{width}_column/{name}": content
            for name, content in figures.figures(report, width).items()
        }
    return report, [put(out / name, content) for name, content in made.items()]


def written(
    results: Results,
    out: Path,
    metrics: Sequence[str] = (),
    widths: Sequence[str] = (),
) -> list[str]:
    """Writes the report; returns lines with its answers and where everything is."""
    from htsweep.report import answers, answers_first, names

    report, paths = write(results, out, metrics, widths)
    drawn = [path for path in paths if path.parent != out]
    with names.labelled(report.labels):
        first = answers_first.first(report)
        said = answers.answers(report) or [answers.question(report)]
    lines = [
        *([first, ""] if first else []),
        *said,
        "",
        f"{out / 'report.html'}",
        f"and {len(paths) - len(drawn) - 1} tables beside it, as Markdown, LaTeX and CSV",
    ]
    return [
        *lines,
        f"{out / 'figures'}: {len(drawn)} files"
        if drawn
        else "figures for print: --figures one,two",
    ]


@with_infinities
def page(found: Findings) -> str:
    """The report's page as HTML."""
    from htsweep.report import answers, answers_first, names
    from htsweep.report import page as drawn

    with names.labelled(found.labels):
        return drawn.page(
            found,
            first=answers_first.first(found),
            question=answers.question(found),
            answers=answers.answers(found),
        )


@with_infinities
def answer(results: Results) -> str:
    """The answer to the study's question, in two or three sentences; "" if there is none yet."""
    from htsweep.report import answers_first, names

    found = findings(results)
    with names.labelled(found.labels):
        return answers_first.first(found)


@with_infinities
def draw(results: Results, out: Path) -> list[Path]:
    """Writes the frontier below `out` as PNG, SVG, PDF, HTML and CSV and returns the paths."""
    from htsweep.report import names, pareto

    study = results.study
    measured = _measured(results, pareto.columns(study.select, yields=_yields(study)))
    with names.labelled(results.full_plan.labels):
        return pareto.pareto(results.trials, measured, out, **_about(results))


def tell(results: Results, metrics: Sequence[str] = ()) -> str:
    """The results as Markdown; `metrics` are shown, by default the summary's."""
    return _texts(results, metrics)["report.md"]


def latex(results: Results, metrics: Sequence[str] = ()) -> str:
    """The results as LaTeX."""
    return _texts(results, metrics)["report.tex"]


def export(results: Results, out: Path, formats: str) -> list[Path]:
    """Writes the tables of trials and measurements below `out`, in comma-separated `formats`."""
    from htsweep.results.export import export

    measured = _measured(results, None, "any")
    return export(
        results.trials,
        measured,
        out,
        [name.strip() for name in formats.split(",") if name.strip()],
    )


@with_infinities
def _texts(results: Results, metrics: Sequence[str]) -> dict[str, str]:
    from htsweep.report import names, text

    study = results.study
    predicts = task.of(study).predicts
    metrics = metrics or ([predicts] if predicts else [])
    columns = None if metrics else text.columns(study.select, yields=_yields(study))
    measured = _measured(results, columns)
    with names.labelled(results.full_plan.labels):
        return text.report(
            results.trials,
            measured,
            planned=_sweeps(results),
            to_come=_not_run_yet(results),
            metrics=metrics,
            **_about(results),
        )


def _sweeps(results: Results) -> pd.DataFrame:
    """One row per sweep of the plan: `sweep` and its factors."""
    import pandas as pd

    return pd.DataFrame([{"sweep": sweep.id, **sweep.factors} for sweep in results.plan.sweeps])


def _defaults(results: Results) -> dict[str, Any]:
    """Searched parameter -> its default, of those that the task declares."""
    settings = results.plan.task.settings or {}
    keys = {dimension.key for sweep in results.plan.sweeps for dimension in sweep.space}
    return {key: settings[key].default for key in sorted(keys) if key in settings}


def _evidence(results: Results) -> pd.DataFrame | None:
    """One row per sweep: the data that its numbers rest on; None if the task does not say."""
    import pandas as pd

    asked = results.plan.task
    rows = []
    for sweep in results.plan.sweeps:
        rests = asked.evidence(sweep.base)
        if rests is None:
            return None
        rows.append(
            {
                "sweep": sweep.id,
                "source_domain": rests.source,
                "target_domain": rests.target,
                "model": rests.model,
                "tested": rests.tested,
            }
        )
    return pd.DataFrame(rows) if rows else None


def _not_run_yet(results: Results) -> str:
    """How many points of the sweeps that have begun have no trial yet, in words; "" for none."""
    planned = results.plan
    begun = results.trials.groupby("sweep")["point"].nunique()
    count = sum(max(0, planned.sizes[str(sweep)] - int(points)) for sweep, points in begun.items())
    return (
        f"{'' if planned.exact else 'at most '}{count} more point{'s' if count != 1 else ''}"
        if count
        else ""
    )


def _about(results: Results) -> dict[str, Any]:
    return {
        "protocol": results.study.select,
        "choice": results.choice,
        "repetitions": results.study.repetitions,
        "factors": results.factors,
        "parameters": results.parameters,
        "title": results.study.name,
    }


def _yields(study: Study) -> Sequence[str]:
    """The columns that the study's task may yield; none if it does not declare them."""
    return task.of(study).metrics


def _measured(
    results: Results, columns: Sequence[str] | None, kind: Literal["any", "numbers"] = "numbers"
) -> pd.DataFrame:
    """The measurements of the study's trials.

    Raises:
        LedgerError: no trial of the study has ended.
    """
    if results.trials.empty:
        study = results.study
        msg = (
            f"{results.location} has no trial of study '{study.name}' yet. To run them: "
            f"{given(study, results.location).launch()}"
        )
        raise LedgerError(msg)
    return results.measurements(columns, kind=kind)
