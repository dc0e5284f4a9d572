"""The report's page: whole, small, inert, and with something to say about anything that is not there."""

import base64
import gzip
import re
from dataclasses import replace
from importlib import resources

import numpy as np
import pandas as pd
import pytest
from paged import DESIGN, HOSTILE, METHODS, METRICS, Read, drawn, shown, synthetic

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.report.key import key
from htsweep.report.page import page
from htsweep.report.page.series import series
from htsweep.report.script import lean
from htsweep.report.table import Cell, Column, Row, Table


@pytest.fixture(scope="module")
def html() -> str:
    return page(
        synthetic(),
        question="Does it help?",
        answers=["It does.", "Not there."],
    )


def test_the_question_and_the_answer_come_first(html: str) -> None:
    places = [
        html.index(text)
        for text in (
            "<h1>digits_methods</h1>",
            "Does it help?",
            "It does.",
            "Not there.",
            "TPE looks at the objective",
            'id="frontiers"',
            'id="methods"',
            'section id="tuned"',
            'id="curves"',
            'id="hypervolume"',
            'id="ablation"',
            'section id="protocols"',
            'id="importance"',
            'section id="sensitivity"',
            'id="cost"',
            'id="ranks"',
            'id="ratios"',
            'section id="transferability"',
            'id="failures"',
            'section id="provenance"',
        )
    ]
    assert places == sorted(places)


def test_every_section_is_in_the_navigation(html: str) -> None:
    tags = Read(html).tags
    sections = [attributes["id"] for tag, attributes in tags if tag == "section"]
    links = [
        (attributes["href"] or "")[1:]
        for tag, attributes in tags
        if tag == "a" and attributes["href"] != "#content"
    ]
    assert sections == links
    assert len(sections) == 16


def test_nothing_can_reach_the_network(html: str) -> None:
    tags = Read(html).tags
    assert not [
        tag
        for tag, attributes in tags
        if "src" in attributes or tag in ("link", "iframe", "object", "base", "form")
    ]
    assert all((attributes.get("href") or "#").startswith("#") for _, attributes in tags)
    policy = next(
        attributes["content"]
        for tag, attributes in tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_plotly_is_packed_whole(html: str) -> None:
    from plotly.offline import get_plotlyjs

    found = re.search(r'id="plotly-packed">([^<]*)</script>', html)
    assert found
    assert gzip.decompress(base64.b64decode(found[1])).decode() == get_plotlyjs()
    assert len(html) < 2_500_000
    assert page(synthetic()) == page(synthetic())


def test_numbers_of_the_tables_are_those_of_the_findings() -> None:
    findings = synthetic()
    row = findings.summary.iloc[0]
    cell = f"{100 * row['mean']:.1f}</strong> <small>[{100 * row['low']:.1f}, {100 * row['high']:.1f}]</small>"
    html = page(findings)
    assert cell in html or cell.replace("</strong>", "") in html
    effect = findings.effects.iloc[1]
    assert effect["verdict"] == "better"
    assert (
        f"<strong>{100 * effect['difference']:+.1f}</strong> <small>[{100 * effect['low']:+.1f}, "
        f"{100 * effect['high']:+.1f}]</small>" in html
    )


def test_the_highest_of_each_group_is_bold_and_an_upper_bound_never() -> None:
    summary = pd.DataFrame(
        [
            {
                "method": name,
                "sweep": name,
                "point": name,
                "step": 0,
                "metric": SEEN,
                "n": 2,
                "mean": mean,
                "low": mean,
                "high": mean,
                "iqm": mean,
                "role": role,
            }
            for name, mean, role in (
                ("a", 0.5, ""),
                ("b", 0.50001, ""),
                ("c", 0.4, ""),
                ("o", 0.9, "bound"),
            )
        ]
    )
    html = page(Findings("", Design((), "method"), None, [SEEN], "last", 2, "a", summary=summary))
    assert re.findall(r"<td[^>]*><strong>(.*?)</strong>", html) == ["50.0", "50.0"]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_inert(name: str) -> None:
    findings = synthetic(
        (*METHODS[:3], name, "oracle"),
        [(name, 0.5, name), ("b", 0.5, "c")],
        parameter=name,
        component=name,
    )
    findings = replace(
        findings,
        title=name,
        baseline=name,
        protocol=name,
        missing=f"- {name}",
        warnings=[name],
        provenance={name: name},
        failures=findings.failures.assign(reason=name, log=name, status=name),
    )
    html = page(findings, question=name, answers=[name])
    plain = page(
        synthetic(
            (*METHODS[:3], "safe", "oracle"),
            [("safe", 0.5, "safe"), ("b", 0.5, "c")],
            parameter="safe",
        ),
        question="q",
        answers=["a"],
    )
    read = Read(html)
    counts = [[tag for tag, _ in Read(text).tags].count("script") for text in (html, plain)]
    assert counts[0] == counts[1]
    assert not any(
        tag == "img" or any(key.startswith("on") for key in attributes)
        for tag, attributes in read.tags
    )
    assert name in read.texts["h1"]
    assert name in read.texts["th"]
    assert name in [method["name"] for method in drawn(html)["methods"]]


def test_a_thousand_trials_stay_small() -> None:
    findings = synthetic([f"method {number}" for number in range(20)], points=17, repetitions=3)
    assert findings.trials > 1000
    assert len(findings.points) == 1020
    assert len(page(findings)) < 5_000_000
    assert len(drawn(page(findings))["frontiers"]["x"]) == 1020


def test_nothing_at_all_is_a_page_too() -> None:
    for design in (DESIGN, Design((), "sweep")):
        html = page(Findings("empty", design, None, [], "last", 1, ""))
        assert "<h1>empty</h1>" in html
        assert "No data for: frontiers, " in html
        assert "<section" not in html
        assert drawn(html)["frontiers"] is None


@pytest.mark.parametrize(
    ("name", "lost", "kept"),
    [
        ("summary", {"ratios"}, {"methods", "ratios"}),
        ("effects", set(), {"methods"}),
        ("ranks", {"ranks"}, {"ranks"}),
        ("points", {"frontiers"}, {"frontiers"}),
        ("attainment", set(), set()),
        ("volumes", {"hypervolume"}, {"hypervolume"}),
        ("curves", {"curves"}, {"curves"}),
        ("costs", {"cost"}, {"cost"}),
        ("protocols", {"protocols"}, {"protocols"}),
        ("tuned", {"tuned"}, {"tuned"}),
        ("ablation", {"ablation"}, {"ablation"}),
        ("importance", {"importance"}, {"importance"}),
        ("sensitivity", {"sensitivity"}, {"sensitivity"}),
        ("classes", set(), {"classes"}),
        ("confusion", set(), {"classes"}),
        ("answers", set(), {"classes"}),
        ("failures", set(), {"failures"}),
        *(
            (table, set(), {"transferability"})
            for table in ("transferability", "predicted", "predictions", "regret", "bounds")
        ),
    ],
)
def test_any_table_may_be_empty_or_all_there_is(name: str, lost: set[str], kept: set[str]) -> None:
    def sections(findings: Findings) -> set[str]:
        return set(re.findall(r'<section id="(\w+)"', page(findings)))

    findings = synthetic()
    whole = sections(findings)
    assert len(whole) == 16
    for none in (pd.DataFrame(), getattr(findings, name).iloc[:0]):
        assert whole - sections(replace(findings, **{name: none})) == lost
    alone = Findings(
        "t", DESIGN, (SEEN, MISSING), METRICS, "last", 6, "plain", **{name: getattr(findings, name)}
    )
    assert sections(alone) == kept


def test_one_repetition_has_no_intervals() -> None:
    findings = synthetic(repetitions=1)
    none = {"low": np.nan, "high": np.nan}
    html = page(
        replace(
            findings,
            summary=findings.summary.assign(**none),
            effects=findings.effects.assign(**none, p=np.nan),
        )
    )
    assert "[n/a]" in html
    assert ">nan" not in html


def test_a_long_table_is_cut_and_says_so() -> None:
    rows = [Row([Cell(str(number), number)]) for number in range(2100)]
    made = shown(Table("many", "How to read it.", [Column("a")], rows))
    assert made.count("<tr") == 2001
    assert "2000 of 2100 rows are shown; the CSV has all." in made


def test_of_a_long_table_whole_metrics_are_shown_the_first_one_in_any_case() -> None:
    sizes = {"a": 900, "b": 900, "overall": 900}
    rows = [Row([Cell(kind)], kind=kind) for kind, size in sizes.items() for _ in range(size)]
    made = shown(Table("many", "", [Column("a")], rows, "metric", "overall"))
    counts = {kind: made.count(f'data-k="{kind}"') for kind in sizes}
    assert counts == {"a": 900, "b": 0, "overall": 900}


def test_all_that_the_charts_need_is_there() -> None:
    """page.js draws every chart that the page has a place for, under its name."""
    html = page(synthetic())
    places = set(re.findall(r'data-chart="(\w+)"', html))
    assert places == set(re.findall(r"^charts\.(\w+) =", html, re.MULTILINE))
    assert places <= set(series(synthetic(), key(synthetic())))


def test_no_text_of_a_script_goes_over_lines() -> None:
    """`lean` takes the indentation of each line, which must not be part of a text."""
    folder = resources.files("htsweep.report") / "assets"
    files = [file for file in folder.iterdir() if file.name.endswith(".js")]
    assert len(files) > 8
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            assert line.count("`") % 2 == 0, (file.name, line)
    assert lean("a {\n  // why\n\n  b // c\n}\n") == "a {\nb // c\n}"
