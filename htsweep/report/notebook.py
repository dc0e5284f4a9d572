"""A study in a notebook: tables, and figures that display themselves."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, final

from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

    from htsweep.analysis.findings import Findings
    from tasks.outputs import Outputs

ROWS = 50
"""How many rows of a figure's table are shown below it; `table` has all."""
MOST = 100_000
"""How many bytes a cell's picture takes in the notebook's file, where it is in base64."""


@final
@dataclass(frozen=True)
class Figure:
    """A figure and the table that it draws; it displays itself in a notebook."""

    name: str
    table: pd.DataFrame
    """The numbers behind it."""
    findings: Findings = field(repr=False)

    def images(self, format: str = "png") -> list[bytes]:
        """The pictures of the report as `png`, `svg` or `pdf`, one per page, as they are printed.

        Empty if there is nothing to draw.

        Raises:
            HtsweepError: there is no such format.
        """
        from htsweep.report import names
        from htsweep.report.figures import figures

        with names.labelled(self.findings.labels):
            made = figures(self.findings, "two", [self.name], [format])
        return [content for file, content in made.items() if file.endswith(f".{format}")]

    @cached_property
    def _shown(self) -> tuple[str, int]:
        """The first page as an element of HTML, and how many pages there are; drawn once."""
        return _picture(self.findings, self.name)

    def _repr_html_(self) -> str:
        # Only this: a notebook keeps every form that it is given, and each would hold the picture.
        picture, pages = self._shown
        title = html.escape(f"{self.findings.title}: {self.name}")
        if not picture:
            return f"<p>{title}: nothing to draw</p>{_table(self.table)}"
        more = f"<p>Page 1 of {pages}; images() has all.</p>" if pages > 1 else ""
        return (
            f"{picture}{more}<details><summary>{len(self.table)} rows</summary>"
            f"{_table(self.table)}</details>"
        )


@final
@dataclass(frozen=True)
class Report:
    """The report's page; a notebook shows its answer and the frontier."""

    page: str
    """The page as one HTML document."""
    answer: str = ""
    """The answer to the study's question; "" if there is none yet."""
    findings: Findings | None = field(default=None, repr=False)

    def write(self, path: str | Path) -> Path:
        """Writes the page as a file, which opens in a browser; returns its path."""
        from htsweep.files import put

        return put(Path(path), self.page)

    def _repr_html_(self) -> str:
        # The page itself is too large for a notebook: it would be in the file once per cell.
        picture = _picture(self.findings, "frontier")[0] if self.findings else ""
        answer = f"<p><b>{html.escape(self.answer)}</b></p>" if self.answer else ""
        return (
            f"{answer}{picture}<p>The whole page, with charts that filter and zoom: "
            "<code>.write('report.html')</code>, then open that file.</p>"
        )


@final
@dataclass(frozen=True)
class View:
    """A study and its results as they were when first read; `open` again to see newer ones."""

    results: Results

    @property
    def study(self) -> Study:
        """The study that was opened."""
        return self.results.study

    @property
    def trials(self) -> pd.DataFrame:
        """One row per ended trial (`htsweep.trials`)."""
        return self.results.trials

    @property
    def measurements(self) -> pd.DataFrame:
        """One row per measurement (`htsweep.measurements`)."""
        return self.results.measurements()

    @cached_property
    def findings(self) -> Findings:
        """Every table of the report."""
        from htsweep.report.build import findings

        return findings(self.results)

    def frontier(self) -> Figure:
        """Points (means over repetitions) on the two axes, with each group's front."""
        return self._figure("frontier", self.findings.points)

    def curves(self) -> Figure:
        """Mean seen/missing curves over repetitions with their bands."""
        return self._figure("curves", self.findings.curves)

    def effects(self) -> Figure:
        """Paired differences to the baseline with intervals."""
        return self._figure("effects", self.findings.effects)

    def ranks(self) -> Figure:
        """Mean ranks over independent blocks, and the critical difference."""
        return self._figure("ranks", self.findings.ranks)

    def ablation(self) -> Figure:
        """What each component of the ablated chain adds."""
        return self._figure("ablation", self.findings.ablation)

    def sensitivity(self) -> Figure:
        """Metrics against each searched parameter."""
        return self._figure("sensitivity", self.findings.sensitivity)

    def importance(self) -> Figure:
        """Which searched parameters matter for which objective."""
        return self._figure("importance", self.findings.importance)

    def costs(self) -> Figure:
        """What each point costs, and what it gives."""
        return self._figure("costs", self.findings.costs)

    def ratios(self) -> Figure:
        """The metrics against the missing ratio, where there are several."""
        return self._figure("ratios", self.findings.summary)

    def volumes(self) -> Figure:
        """The area that each method's points dominate."""
        return self._figure("volumes", self.findings.volumes)

    def scores(self) -> Figure:
        """Transferability scores against what trials then achieved."""
        return self._figure("scores", self.findings.predicted)

    def regret(self) -> Figure:
        """What a screen by each score costs, against how many pairs it keeps."""
        return self._figure("regret", self.findings.regret)

    def bounds(self) -> Figure:
        """The bound of Task Transfer Analysis in its terms, and the loss that it bounds."""
        return self._figure("bounds", self.findings.bounds)

    def outputs(self, trial: str) -> dict[int, dict[str, Outputs]]:
        """What is kept of a trial's model: step -> split -> logits, labels and, if kept, features.

        Raises:
            HtsweepError: there is no such trial, or nothing of it is kept.
        """
        return self.results.outputs(trial)

    def query(self, sql: str) -> pd.DataFrame:
        """The result of SQL over the study's tables (`htsweep.query`)."""
        from htsweep.results.query import answer

        return answer(self.results, sql)

    def report(self) -> Report:
        """The report's page, from the same findings."""
        from htsweep.report import answers_first, build, names

        with names.labelled(self.findings.labels):
            answer = answers_first.first(self.findings)
        return Report(build.page(self.findings), answer, self.findings)

    def _repr_html_(self) -> str:
        trials = self.trials
        counts = ", ".join(
            f"{count} {status}" for status, count in trials["status"].value_counts().items()
        )
        return (
            f"<p><b>{html.escape(self.study.name)}</b> in {html.escape(self.results.location)}: "
            f"{len(trials)} trials"
            f"{f' ({counts})' if counts else ''}</p>"
        )

    def _figure(self, name: str, table: pd.DataFrame) -> Figure:
        return Figure(name, table, self.findings)


def open(  # noqa: A001 (users call it as htsweep.open)
    file: str,
    overrides: Sequence[str] = (),
    *,
    results: str | Path = "results",
) -> View:
    """The study in `file` with its results, to explore in a notebook.

    `open(...).frontier()` shows the frontier.

    Args:
        file: the study's YAML.
        overrides: `key=value` pairs that override its keys.
        results: folder or URI of the results.

    Raises:
        StudyError: the study is not valid.
    """
    return View(Results(read(file, list(overrides)), str(results)))


def _picture(findings: Findings, name: str) -> tuple[str, int]:
    """A figure's first page as HTML, of at most `MOST` bytes, and how many pages there are."""
    from htsweep.report import figures, names

    with names.labelled(findings.labels):
        content, pages = figures.preview(findings, name, MOST * 3 // 4)
    if not content:
        return "", 0
    title = html.escape(f"{findings.title}: {name}", quote=True)
    picture = base64.b64encode(content).decode()
    shown = (
        f'<figure><img alt="{title}" style="max-width: 100%" '
        f'src="data:image/webp;base64,{picture}"></figure>'
    )
    return shown, pages


def _table(table: pd.DataFrame) -> str:
    # pandas escapes the contents of cells.
    more = f"<p>{ROWS} of {len(table)} rows</p>" if len(table) > ROWS else ""
    shown: str = table.head(ROWS).to_html(index=False, na_rep="")
    return shown + more
