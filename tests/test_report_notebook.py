"""A study in a notebook: each figure shows itself, from findings that are made once."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pandas as pd
import pytest
from frames import digits
from paged import synthetic
from PIL import Image

import htsweep
from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.summary import summarise
from htsweep.errors import HtsweepError, StudyError
from htsweep.report import build, figures
from htsweep.report.notebook import MOST, ROWS, Figure, Report, View

FIGURES = (
    "frontier",
    "curves",
    "effects",
    "ranks",
    "ablation",
    "sensitivity",
    "importance",
    "costs",
    "ratios",
    "volumes",
    "scores",
    "regret",
    "bounds",
)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def view(study_file: Callable[..., Path], tmp_path: Path) -> View:
    file = study_file("task: toy\ngrid: {x: [0.1, 0.5]}\nrepetitions: 2\n")
    return htsweep.open(str(file), ["repetitions=3"], results=str(tmp_path / "results"))


@pytest.fixture
def counted(view: View, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was made, in order: findings of a stand-in, and pictures of what they have."""
    made: list[str] = []
    frame = digits()
    frame = frame[frame["step"] == 1]
    design = Design(("dataset",), "method")

    def findings(results: object) -> Findings:
        made.append("findings")
        return Findings(
            "<digits>",
            design,
            None,
            ["test/seen_accuracy"],
            "last",
            3,
            "plain",
            effects=summarise(frame, design).assign(method="<script>alert(1)</script>"),
        )

    def pictures(
        found: Findings, width: str, only: list[str], formats: list[str]
    ) -> dict[str, bytes]:
        made.append(f"{only} as {list(formats)}")
        starts = {"png": PNG, "svg": b"<svg></svg>", "pdf": b"%PDF"}
        pages = ("effects", "effects_2") if "effects" in only else ()
        return {f"{page}.{ending}": starts[ending] for page in pages for ending in formats}

    def preview(found: Findings, name: str, most: int) -> tuple[bytes, int]:
        made.append(f"{name} to show")
        return (PNG, 2) if name == "effects" else (b"", 0)

    monkeypatch.setattr(build, "findings", findings)
    monkeypatch.setattr(figures, "figures", pictures)
    monkeypatch.setattr(figures, "preview", preview)
    return made


def test_open_reads_the_study_with_its_overrides(view: View, tmp_path: Path) -> None:
    assert view.study.repetitions == 3
    assert view.results.location == str(tmp_path / "results")
    with pytest.raises(FrozenInstanceError):
        view.results = "elsewhere"  # type: ignore[misc]
    with pytest.raises(StudyError):
        htsweep.open(str(view.study.file), ["repetitions=0"])


def test_a_figure_shows_its_picture_and_its_table(view: View, counted: list[str]) -> None:
    figure = view.effects()
    assert figure.table is view.findings.effects
    assert figure.images("png") == [PNG] * 2
    assert figure.images("svg") == [b"<svg></svg>"] * 2
    assert figure.images("pdf") == [b"%PDF"] * 2
    shown = figure._repr_html_()
    pictures = re.findall(r'src="data:image/webp;base64,([^"]+)"', shown)
    assert [base64.b64decode(picture) for picture in pictures] == [PNG]
    assert "Page 1 of 2" in shown
    assert f"{len(figure.table)} rows" in shown


def test_there_are_figures_of_these_names_alone(view: View) -> None:
    assert set(figures.NAMES) == set(FIGURES)
    with pytest.raises(HtsweepError, match="no format 'gif'"):
        Figure(
            "effects",
            pd.DataFrame(),
            Findings("t", Design((), "method"), None, [], "last", 1, "plain"),
        ).images("gif")


def test_names_are_inert(view: View, counted: list[str]) -> None:
    shown = view.effects()._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "&lt;digits&gt;" in shown


def test_findings_and_pictures_are_made_once(view: View, counted: list[str]) -> None:
    for name in FIGURES:
        figure = getattr(view, name)()
        assert isinstance(figure, Figure)
        assert figure.name == name
        figure._repr_html_()
        figure._repr_html_()
    assert counted == ["findings", *(f"{name} to show" for name in FIGURES)]


def test_what_has_nothing_to_draw_says_so(view: View, counted: list[str]) -> None:
    figure = view.ablation()
    assert figure.table.empty
    assert "nothing to draw" in figure._repr_html_()
    assert figure.images("pdf") == []


def test_a_long_table_is_cut_where_it_is_shown(counted: list[str], view: View) -> None:
    long = Figure("effects", pd.DataFrame({"a": range(ROWS + 1)}), view.findings)
    assert f"{ROWS} of {ROWS + 1} rows" in long._repr_html_()
    assert len(long.table) == ROWS + 1


def test_the_report_is_a_page_to_write(
    view: View, counted: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        build, "page", lambda found: f'<html><script>"{found.title}"</script></html>'
    )
    report = view.report()
    assert report.page.startswith("<html>")
    assert "<script" not in report._repr_html_()
    assert report.write(tmp_path / "page.html").read_text() == report.page


def test_tables_and_sql_and_figures_of_a_real_study(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Through the whole of it: a launch, its findings, its pictures."""
    file = study_file("task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 3\n")
    place = str(tmp_path / "results")
    htsweep.launch(htsweep.read(str(file)), place, on="inline", mirror=None)
    view = htsweep.open(str(file), results=place)
    assert len(view.trials) == 9
    assert view.measurements is view.measurements
    assert view.query("SELECT count(*) AS n FROM measurements")["n"].tolist() == [
        len(view.measurements)
    ]
    assert "9 trials (9 done)" in view._repr_html_()
    frontier = view.frontier()
    assert len(frontier.table) == 3
    assert frontier.images("png")[0].startswith(PNG)
    assert b"<svg" in frontier.images("svg")[0]
    assert "<html" in view.report().page


@pytest.mark.parametrize("name", ["frontier", "curves"])
def test_a_cell_holds_one_picture_of_at_most_100_kilobytes(name: str) -> None:
    found = synthetic(groups=[(f"set-{place}", 0.5, "net") for place in range(12)])
    figure = Figure(name, found.curves, found)
    assert len(figure.images("png")[0]) > 200_000
    forms = [form for form in dir(figure) if form.startswith("_repr_")]
    assert forms == ["_repr_html_"]
    (picture,) = re.findall(r'base64,([^"]+)"', figure._repr_html_())
    assert len(picture) <= MOST == 100_000
    # Twelve panels can still be read: it has at least the resolution of a screen.
    assert Image.open(io.BytesIO(base64.b64decode(picture))).width >= 690


def test_a_report_s_cell_has_the_answer_and_a_picture() -> None:
    report = Report("<html>", "It <helps>.", synthetic())
    shown = report._repr_html_()
    assert "It &lt;helps&gt;." in shown
    assert shown.count("data:image/webp") == 1
    assert len(shown) < MOST + 1000
