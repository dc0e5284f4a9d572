"""Figures on paper: that they draw what the tables say, whatever the names, in files that print anywhere."""

import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from typing import Any

import figured
import numpy as np
import pairs as foretold
import pandas as pd
import pytest
from figured import HOSTILE, lines, made, of

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.errors import HtsweepError
from htsweep.report import figures, paper


@pytest.fixture(scope="module")
def found() -> Findings:
    return figured.found()


def test_every_table_with_rows_has_its_figure(found: Findings) -> None:
    every = figures.draw(replace(found, **foretold.told()))
    assert set(every) == {*figures.NAMES, "costs_peak_memory_bytes", "scores_2"}


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("frontier", "points"),
        ("curves", "curves"),
        ("effects", "effects"),
        ("ranks", "ranks"),
        ("ablation", "ablation"),
        ("sensitivity", "sensitivity"),
        ("importance", "importance"),
        ("costs", "costs"),
        ("ratios", "summary"),
        ("volumes", "volumes"),
    ],
)
def test_a_table_without_rows_has_none(found: Findings, name: str, table: str) -> None:
    empty = replace(found, **{table: getattr(found, table).iloc[:0]})
    assert name in figures.draw(found, only=[name])
    assert figures.draw(empty, only=[name]) == {}
    assert figures.draw(replace(found, **{table: pd.DataFrame()}), only=[name]) == {}


def test_nothing_at_all_gives_no_figure(found: Findings) -> None:
    assert figures.figures(Findings("", found.design, None, [], "last", 0, "plain")) == {}


def test_importance_and_volumes_are_bars(found: Findings) -> None:
    drawn = figures.draw(found, only=["importance", "volumes"])
    assert [bar.get_width() for bar in drawn["importance"].axes[0].patches] == pytest.approx(
        [80, 15, 5]
    )
    rows = of(found.volumes, dataset="mnist-uci", reference="source")
    assert [bar.get_width() for bar in drawn["volumes"].axes[0].patches] == pytest.approx(
        (100 * rows["volume"]).tolist()
    )
    ends = np.array(
        [segment[:, 0] for segment in drawn["volumes"].axes[0].collections[0].get_segments()]
    )
    assert ends == pytest.approx(100 * rows[["low", "high"]].to_numpy())


def test_costs_stand_at_what_they_give(found: Findings) -> None:
    panel = figures.draw(found, only=["costs"])["costs"].axes[0]
    rows = of(found.costs, dataset="mnist-uci", cost="seconds")
    shown = {(x[0], round(y[0], 6)) for x, y in lines(panel.figure) if len(x) == 1}
    assert shown == {(row["value"], round(100 * row["mean"], 6)) for row in rows.to_dict("records")}


def test_ratios_need_more_than_one_ratio() -> None:
    both = made(groups=[("mnist-uci", 0.3), ("mnist-uci", 0.7)])
    figure = figures.draw(both, only=["ratios"])["ratios"]
    rows = of(both.summary, method="l2sp", metric="test/harmonic_mean")
    assert any(
        x == pytest.approx([30, 70]) and y == pytest.approx((100 * rows["mean"]).tolist())
        for x, y in lines(figure)
    )
    assert figures.draw(made(groups=[("mnist-uci", 0.3)]), only=["ratios"]) == {}


def test_a_method_looks_the_same_in_every_figure(found: Findings) -> None:
    look = figures.look_of(found)["lwf"]
    drawn = figures.draw(found, only=["frontier", "costs", "effects"])
    for figure in drawn.values():
        assert any(
            line.get_marker() == look.marker and line.get_markeredgecolor() == look.colour
            for panel in figure.axes
            for line in panel.lines
        )


def test_names_are_letters_and_files_are_the_same_each_time() -> None:
    """In one pass, since drawing is slow: hostile names in SVG, fonts in PDF, and equal bytes."""
    hostile = made(methods=HOSTILE)
    one = figures.figures(hostile, only=["frontier", "effects"], formats=["svg", "pdf"])
    assert figures.figures(hostile, only=["frontier", "effects"], formats=["svg", "pdf"]) == one
    for name in ("frontier", "effects"):
        root = ElementTree.fromstring(one[f"{name}.svg"])
        texts = {"".join(node.itertext()) for node in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {"$x^2$", "<b>_%&", "$\\frac{$"} <= texts
        assert b"/FontFile2" in one[f"{name}.pdf"]
        assert b"/Type3" not in one[f"{name}.pdf"]


def test_widths_are_those_of_columns(found: Findings) -> None:
    for width, inches in (("one", 3.35), ("two", 6.9)):
        data = figures.figures(found, width, only=["importance"], formats=["svg"])["importance.svg"]
        points = re.search(rb'<svg[^>]* width="([\d.]+)pt"', data)
        assert points is not None
        assert float(points[1]) == pytest.approx(72 * inches, abs=0.01)


def test_many_methods_go_on_on_another_page() -> None:
    many = made(
        ["source", "plain", *(f"m{k}" for k in range(20)), "oracle"],
        [(f"d{k}", 0.5) for k in range(6)],
        n=5,
    )
    pages = figures.draw(many, only=["effects"])
    assert list(pages) == ["effects", "effects_2", "effects_3"]
    assert all(figure.get_figheight() <= paper.HEIGHT for figure in pages.values())
    drawn = [
        label.get_text()
        for figure in pages.values()
        for panel in figure.axes
        for label in panel.get_yticklabels()
    ]
    assert drawn.count("m7") == 6
    first = figures.draw(
        made(["plain", *(f"m{k}" for k in range(40))], [(f"d{k}", 0.5) for k in range(9)]),
        only=["effects"],
    )
    assert len(first) == 4
    assert "of 9 groups are drawn" in first["effects"].legends[0].get_title().get_text()


def test_tasks_of_other_kinds_are_drawn_too(found: Findings) -> None:
    """Two metrics of no known kind, no groups, one repetition: no interval anywhere."""
    design = Design((), "sweep")
    summary = pd.DataFrame(
        [
            {
                "sweep": name,
                "point": name,
                "step": 0,
                "metric": metric,
                "n": 1,
                "mean": mean,
                "low": np.nan,
                "high": np.nan,
                "iqm": mean,
                "role": "",
            }
            for name in "ab"
            for metric, mean in (("test/loss", 2.0), ("test/time", 30.0))
        ]
    )
    effects = pd.DataFrame(
        [
            {
                "sweep": "b",
                "metric": "test/loss",
                "baseline": "a",
                "n": 1,
                "difference": 0.5,
                "low": np.nan,
                "high": np.nan,
                "improvement": 0.5,
                "p": 1.0,
                "p_holm": 1.0,
                "least_p": 1.0,
                "verdict": "too few",
            }
        ]
    )
    other = Findings(
        "t",
        design,
        ("test/loss", "test/time"),
        ["test/loss", "test/time"],
        "last",
        1,
        "a",
        summary=summary,
        effects=effects,
    )
    panel = figures.draw(other)["effects"].axes[0]
    assert [line.get_xdata()[0] for line in panel.lines if line.get_linestyle() == "None"] == [0.5]
    assert panel.collections[0].get_segments() == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": "three"}, "no width 'three'"),
        ({"only": ["frontiers"]}, "no figure 'frontiers'; did you mean 'frontier'"),
        ({"formats": ["gif"]}, "no format 'gif'"),
    ],
)
def test_what_there_is_none_of_is_said(
    found: Findings, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(HtsweepError, match=text):
        figures.figures(found, **arguments)
