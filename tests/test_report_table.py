"""One table, many renderers: the page, Markdown and LaTeX show the same numbers of the same value."""

import re
from dataclasses import replace
from html import unescape

import pairs as foretold
import pytest
from paged import synthetic

from htsweep.report import typeset
from htsweep.report.html import render
from htsweep.report.table import Cell, Column, Row, Table, filled, fitting, parts, printed
from htsweep.report.tables import tables

FOUND = replace(synthetic(), **foretold.told())
NAMES = [name for name, table in tables(FOUND).items() if table]


def wide() -> Table:
    """Two methods, two metrics: rows on the page, columns on paper."""
    rows = [
        Row(
            [Cell(method), Cell(metric), Cell(str(n), n), Cell(f"{method}/{metric}", n)],
            "group",
            name=method,
            beside=metric,
            kind=metric,
        )
        for n, (method, metric) in enumerate(
            (method, metric) for metric in ("x", "y") for method in ("a", "b")
        )
    ]
    columns = [
        Column("method"),
        Column("metric", only="page"),
        Column("n", right=True),
        Column("value", right=True, beside=True),
    ]
    return Table("T", "How.", columns, rows, "metric", beside={"y": "Y", "x": "X", "z": "Z"})


def test_rows_that_differ_in_what_is_set_beside_each_other_become_one() -> None:
    paper = printed(wide())
    assert [column.title for column in paper.columns] == ["method", "n", "Y", "X", "Z"]
    (block,) = paper.blocks
    assert block.heading == "group"
    assert [[cell.text for cell in row] for row in block.rows] == [
        ["a", "2", "a/y", "a/x", "n/a"],
        ["b", "3", "b/y", "b/x", "n/a"],
    ]


def test_rows_of_other_groups_stay_apart_even_under_one_heading() -> None:
    table = wide()
    rows = [*table.rows, *(replace(row, group=1) for row in table.rows)]
    (block,) = printed(replace(table, rows=rows)).blocks
    assert len(block.rows) == 4


def test_what_the_page_alone_shows_is_not_printed_and_the_other_way_round() -> None:
    columns = [Column("a"), Column("b", only="page"), Column("c", only="paper")]
    rows = [Row([Cell("1"), Cell("2"), Cell("3")]), Row([Cell("4")] * 3, page_only=True)]
    table = Table("T", "", columns, rows)
    assert typeset.markdown(table) == "| a   | c   |\n| --- | --- |\n| 1   | 3   |"
    html = render("table.html", table=table)
    assert re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", html) == ["a", "b", "1", "2", "4", "4"]


def test_a_cell_may_say_more_on_paper() -> None:
    table = Table("T", "", [Column("a")], [Row([Cell("1", 1.0, "[0, 2]", paper="[0, 2] p=0.03")])])
    assert "1 [0, 2] p=0.03" in typeset.markdown(table)
    assert "1 {\\scriptsize [0, 2] p=0.03}" in typeset.latex(table, "T")
    assert '<th scope="row" data-v="1">1 <small>[0, 2]</small></th>' in render(
        "table.html", table=table
    )


def test_parts_share_what_names_the_rows() -> None:
    columns = [Column("pair"), *(Column(f"s{number}", right=True) for number in range(5))]
    table = Table("T", "How.", columns, [Row([Cell(column.title) for column in columns])])
    made = parts(table, 2)
    assert [part.title for part in made] == ["T", "T (continued)", "T (continued)"]
    assert [[column.title for column in part.columns] for part in made] == [
        ["pair", "s0", "s1"],
        ["pair", "s2", "s3"],
        ["pair", "s4"],
    ]
    assert [[cell.text for cell in part.rows[0].cells] for part in made] == [
        [column.title for column in part.columns] for part in made
    ]


def test_a_page_that_has_room_shows_all_rows() -> None:
    table = wide()
    assert list(fitting(table, 4)) == list(table.rows)
    assert [row.kind for row in fitting(replace(table, first="y"), 3)] == ["y", "y"]
    assert len(fitting(table, 1)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_every_number_on_paper_is_on_the_page(name: str) -> None:
    """Cell by cell, the text of a printed table is that of the page's table, and Markdown's is LaTeX's."""
    table = tables(FOUND)[name]
    html = render("table.html", table=table)
    on_page = {unescape(text) for text in re.findall(r">([^<>]+)<", html)}
    paper = printed(table)
    only_paper = {place for place, column in enumerate(paper.columns) if column.only == "paper"}
    texts = {
        cell.text
        for block in paper.blocks
        for row in block.rows
        for place, cell in enumerate(row)
        if place not in only_paper and cell.text
    }
    assert texts
    assert {text.strip() for text in texts} - {text.strip() for text in on_page} <= {"n/a"}
    markdown, latex = typeset.markdown(table), typeset.latex(table, table.title)
    for block in paper.blocks:
        for row in block.rows:
            numbers = [cell.text for cell in row if re.fullmatch(r"\d+\.\d+", cell.text)]
            assert all(number in markdown and number in latex for number in numbers)


@pytest.mark.parametrize("name", NAMES)
def test_every_row_has_a_cell_for_each_column(name: str) -> None:
    table = tables(FOUND)[name]
    assert {len(row.cells) for row in table.rows} == {len(table.columns)}
    assert table.caption.endswith(".")


def test_a_column_without_content_goes() -> None:
    columns = [Column(name) for name in ("", "blank", "some", "unknown", "interval")]
    rows = [
        Row([Cell(""), Cell(" "), Cell("a"), Cell("n/a", detail="[n/a]"), Cell("n/a", detail="x")]),
        Row([Cell(""), Cell(""), Cell("n/a"), Cell("n/a"), Cell("")]),
    ]
    made = filled(Table("T", "", columns, rows))
    assert [column.title for column in made.columns] == ["", "some", "interval"]
    assert [[cell.text for cell in row.cells] for row in made.rows] == [
        ["", "a", "n/a"],
        ["", "n/a", ""],
    ]
    assert filled(Table("T", "", columns, [])).columns == columns


def test_a_study_without_parameters_has_no_column_for_them() -> None:
    with_them = tables(FOUND)["summary"]
    without = tables(replace(FOUND, parameters=()))["summary"]
    gone = {column.title for column in with_them.columns} - {
        column.title for column in without.columns
    }
    assert gone == {"configuration"}
