"""What a report says of scores: of a study that a screen spared trials, of a study of scores, of tables of any shape."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foretelling
import pairs
import pandas as pd
import pytest
from foretelling import MISSING
from paged import HOSTILE, Read, drawn
from screened import lay

from htsweep.analysis.findings import Findings
from htsweep.launching import launch
from htsweep.planning.reading import read
from htsweep.report import build, figures
from htsweep.report.answers import answers, question
from htsweep.report.document import document
from htsweep.report.page import page
from htsweep.results import Results
from htsweep.study.schema import Study


@pytest.fixture(scope="module")
def found() -> Findings:
    return foretelling.found()


# -- a study from its file to its report
# ---------------------------------------------------------------------------------


@pytest.fixture
def study(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Study]:
    monkeypatch.setattr("htsweep.launching.Report.make", lambda *_: None)
    text = lay(tmp_path, study_file)

    def launched(scores: str = "", screened: bool = True) -> Study:
        task = re.search(r"task: (\w+):adapt", text)
        assert task
        whole = f"task: {task[1]}:rate\n{scores}repetitions: 2\n" if scores else text
        made = read(study_file(whole if screened else whole.partition("screen:")[0]))
        launch(made, str(tmp_path / "results"), on="inline", mirror=None)
        return made

    return launched


def test_what_was_dropped_is_told_and_its_cost_where_another_study_knows_it(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    made, results = study(), str(tmp_path / "results")
    before = build.findings(Results(made, results))
    assert (
        before.transferability.drop_duplicates("pair")["kept"].tolist() == [True, False, False] * 2
    )
    assert before.regret.empty
    assert "dropped 4 of 6 pairs; what they would have given is not known" in "\n".join(
        answers(before)
    )
    study(screened=False)
    after = build.findings(Results(made, results))
    # Of what the screen kept, whatever else is known
    pd.testing.assert_frame_equal(after.summary, before.summary)
    own = after.regret[after.regret["chosen"]]
    assert own[["score", "keep", "pairs", "regret"]].drop_duplicates().to_numpy().tolist() == [
        ["worth", 1, 3, 0]
    ]
    contrary = after.regret[(after.regret["score"] == "contrary") & (after.regret["keep"] == 1)]
    assert set(contrary[contrary["metric"] == "test/seen_accuracy"]["regret"].round(9)) == {0.6}
    told = after.predictions[
        (after.predictions["target"] == "within targets") & (after.predictions["method"] == "plain")
    ]
    assert told.set_index(["score", "metric"])["kendall"].to_dict() == {
        (score, f"test/{metric}_accuracy"): value
        for score, value in (("worth", 1), ("contrary", -1))
        for metric in ("seen", "missing")
    }
    assert "that cost nothing" in "\n".join(answers(after))


def test_a_study_of_scores_has_a_table_of_scores_and_none_of_differences(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    made = study(
        "grid:\n  domain: [uci, usps]\n  source: [big, mid]\n  score: [worth, contrary]\n"
        "  contrary.scale: [1.0, 2.0]\n"
    )
    results = str(tmp_path / "results")
    found = build.findings(Results(made, results))
    table = found.transferability.pivot(index="pair", columns="score", values="value")
    assert table.shape == (4, 3)
    assert table["contrary, contrary.scale 2"].to_numpy() == pytest.approx(
        2 * table["contrary, contrary.scale 1"].to_numpy()
    )
    assert set(found.transferability["target"]) == {"uci", "usps"}
    assert found.transferability["seconds"].notna().all()
    headings = re.findall("^## (.*)", document(found)["report.md"], re.MULTILINE)
    assert headings == ["Scores", "Provenance", "Incomplete results"]
    assert question(found).startswith(
        "Which of 4 pairs of source model and target data will transfer best, for 2 targets"
    )
    assert answers(found)[0].startswith("uci: highest by worth")
    sections = re.findall(r'<section id="(\w+)"', build.page(found))
    assert sections == ["transferability", "failures", "provenance"]
    assert "transferability" in build.tell(Results(made, results))


def test_a_score_that_the_study_fixes_is_known_too(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    made = study("grid:\n  source: [big, mid]\nfixed: {score: contrary}\n")
    found = build.findings(Results(made, str(tmp_path / "results")))
    told = found.transferability[["source", "score", "rank"]].to_numpy().tolist()
    assert told == [["big", "contrary", 2], ["mid", "contrary", 1]]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_pairs_scores_and_targets_are_inert(name: str) -> None:
    truth = pairs.of_groups(
        [(name, 0.5, f"b{number}") for number in range(4)] + [("b", 0.5, "c")],
        [name] * 4 + ["other"],
    )
    made = pairs.findings(pairs=truth, names=(name, "tta"), by=name, dropped=(f"{name}/1",))
    read = Read(page(made, question=question(made), answers=answers(made)))
    assert not any(
        tag == "img" or any(key.startswith("on") for key in attributes)
        for tag, attributes in read.tags
    )
    assert name in [one["name"] for one in drawn(page(made))["scores"]["names"]]
    assert figures.figures(made, formats=["svg"])
    assert document(made)


@pytest.mark.browser
def test_metric_method_and_target_are_chosen_on_the_page(found: Findings, tmp_path: Path) -> None:
    import shutil

    from playwright.sync_api import sync_playwright

    path = tmp_path / "page.html"
    path.write_text(page(found), encoding="utf-8")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        made: Any = browser.new_page(viewport={"width": 360, "height": 800})
        made.on("console", lambda message: complaints.append(message.text))
        made.on("pageerror", lambda error: complaints.append(str(error)))
        made.goto(path.as_uri())
        plots = "[data-chart=scores] .js-plotly-plot"
        made.wait_for_selector(f"{plots} .main-svg", timeout=60_000)
        counts = f"() => [...document.querySelectorAll('{plots}')].map(one => one.data.reduce((sum, t) => sum + t.x.length, 0))"
        assert made.evaluate(counts) == [10] * 6
        made.locator("[data-chart=scores] .controls").get_by_label("target").select_option("uci")
        assert made.evaluate(counts) == [5] * 6
        made.locator("[data-chart=scores] .controls").get_by_label("metric").select_option(MISSING)
        title = made.locator("[data-chart=scores] figcaption").first.inner_text()
        row = found.predictions[
            (found.predictions["target"] == "uci")
            & (found.predictions["metric"] == MISSING)
            & (found.predictions["score"] == "logme")
            & (found.predictions["method"] == "plain")
        ].iloc[0]
        assert title.startswith(f"logme: Kendall's τ {row['kendall']:.2f}")
        for chart, kind in (("regret", ".scatterlayer path.js-line"), ("bounds", ".barlayer path")):
            made.evaluate(f"() => document.querySelector('[data-chart={chart}]').scrollIntoView()")
            made.wait_for_selector(f"[data-chart={chart}] {kind}", timeout=30_000, state="attached")
        made.locator("#filters summary", has_text="backbone").click()
        made.get_by_role("group", name="backbone").get_by_label("vit").uncheck()
        made.evaluate("() => document.querySelector('[data-chart=scores]').scrollIntoView()")
        made.wait_for_function(
            f"{counts}".replace("() => ", "() => JSON.stringify(", 1) + ") === '[4,4,4,4,4,4]'"
        )
        assert made.evaluate("() => document.documentElement.scrollWidth") <= 360
        browser.close()
    assert complaints == []
