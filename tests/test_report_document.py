"""The report as Markdown, LaTeX and CSV."""

import io
import re
from dataclasses import replace

import pairs as foretold
import pandas as pd
from figured import HOSTILE, OVERALL, made
from paged import synthetic

from htsweep.report.document import FRAMES, document


def test_the_document_has_every_table() -> None:
    answered = {
        name: getattr(synthetic(), name) for name in ("classes", "confusion", "tuned", "runners_up")
    }
    texts = document(replace(made(), **foretold.told(), **answered))
    assert re.findall("^## (.*)", texts["report.md"], re.MULTILINE) == [
        "Summary",
        "Differences",
        "Default against tuned",
        "Over all groups",
        "Ranks",
        "Hypervolume",
        "Protocols",
        "Ablation",
        "Importance",
        "Costs",
        "Scores",
        "Predictions",
        "Regret of screening",
        "Bounds",
        "Failures",
        "Provenance",
        "Incomplete results",
    ]
    assert {f"{name}.csv" for name in FRAMES} == set(texts) - {"report.md", "report.tex"}
    first = made().aggregate.iloc[0]
    assert (
        f"{100 * first['mean']:.1f} [{100 * first['mean low']:.1f}, {100 * first['mean high']:.1f}]"
        in texts["report.md"]
    )
    assert "> **Note.** Six repetitions are few." in texts["report.md"]
    assert (
        texts["report.tex"].count(r"\begin{tabular}")
        == texts["report.tex"].count(r"\bottomrule")
        >= 9
    )


def test_csvs_hold_the_numbers_in_full() -> None:
    found = made()
    for name in ("summary", "effects", "volumes"):
        table = pd.read_csv(io.StringIO(document(found)[f"{name}.csv"]))
        expected = getattr(found, name)
        pd.testing.assert_frame_equal(
            table.select_dtypes("number"), expected.select_dtypes("number"), check_dtype=False
        )
        assert list(table) == list(expected)
        assert table["method"].tolist() == expected["method"].tolist()


def test_differences_are_bold_where_shown_and_say_where_n_is_too_small() -> None:
    found = made()
    row = found.effects[
        (found.effects["metric"] == OVERALL) & (found.effects["verdict"] == "worse")
    ].iloc[0]
    cell = f"**{100 * row['difference']:.1f}** [{100 * row['low']:+.1f}, {100 * row['high']:+.1f}] p=0.04"
    assert cell in document(found)["report.md"].partition("## Differences")[2]
    part = (
        document(made(n=5, verdict="too few"))["report.md"]
        .partition("## Differences")[2]
        .partition("\n## ")[0]
    )
    assert part.count("| n = 5: p >= 0.0625 |") == 8
    assert "p=" not in part
    assert "**+" not in part


def test_names_stay_letters_in_the_document() -> None:
    texts = document(made(methods=[*HOSTILE, "a|b", "[l](u)"]))
    assert not re.search(r"<b>", texts["report.md"])
    for line in texts["report.md"].splitlines():
        if line.startswith("| a\\|b"):
            assert len(re.findall(r"(?<!\\)\|", line)) in (3, 4, 5, 6, 8, 9)
    assert "](u)" not in texts["report.md"].replace("\\](u)", "")
    tex = texts["report.tex"]
    assert r"\$x\textasciicircum{}2\$ & 6" in tex
    assert r"\textless{}b\textgreater{}\_\%\& & 6" in tex
    assert re.search(r"^\{\[\}l\]\(u\) & 6", tex, re.MULTILINE)
    assert not re.search(r"(?<!\\)[_^](?!\{)", tex.replace("\\_", ""))


def test_the_configuration_is_told_in_markdown_alone() -> None:
    texts = document(made())
    assert "| l2sp.backbone=0.1 |" in texts["report.md"]
    assert "l2sp.backbone=0.1" not in texts["report.tex"]
