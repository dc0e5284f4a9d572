"""What a report says of scores: of a study that a screen spared trials, of a study of scores, of tables of any shape."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pairs
import pandas as pd
import pytest
from screened import lay
from test_report_page import HOSTILE, Read, drawn

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.launching import launch
from htsweep.planning.reading import read
from htsweep.report import build, figures, names
from htsweep.report.answers import answers, question
from htsweep.report.document import document
from htsweep.report.page import page
from htsweep.results import Results
from htsweep.study.schema import Study

DROPPED = ("uci/0", "uci/4")
OVERALL, MISSING = pairs.METRICS


@pytest.fixture(scope="module")
def found() -> Findings:
    return pairs.findings(dropped=DROPPED)


# -- a study from its file to its report
# ---------------------------------------------------------------------------------


@pytest.fixture
def study(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Study]:
    monkeypatch.setattr("htsweep.launching._Report.make", lambda *_: None)
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
    assert headings == ["Scores", "Provenance", "What is missing"]
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


# -- sentences
# -----------------------------------------------------------------------------------------------------------


def test_sentences_say_what_is_shown_and_what_is_not(found: Findings) -> None:
    told = answers(found)
    table = found.predictions
    best = (
        table[
            (table["target"] == "within targets")
            & (table["metric"] == OVERALL)
            & (table["method"] == "plain")
            & (table["kendall low"] > 0)
        ]
        .sort_values("kendall", ascending=False)
        .iloc[0]
    )
    assert told[0].startswith(
        "4 of 6 scores are shown to rank overall accuracy over 10 pairs (pairs of the same target "
        "compared"
        "); the highest Kendall's tau: "
    )
    assert (
        f"{best['score']} of plain {best['kendall']:.2f} [{best['kendall low']:.2f}, "
        f"{best['kendall high']:.2f}]" in told[0]
    )
    assert told[1] == (
        "No score is shown to predict missing accuracy over 10 pairs (pairs of the same target "
        "compared): all 12 "
        "intervals of Kendall's tau contain 0."
    )
    assert told[2].startswith("The screen dropped 2 of 10 pairs, of which 2 are known; that cost ")
    assert "(holds for 10 of 10 pairs)" in told[3]


def test_a_score_that_ranks_the_wrong_way_round_is_no_success(found: Findings) -> None:
    ends = ["kendall", "kendall low", "kendall high"]
    table = found.predictions.assign(**dict(zip(ends, (-0.6, -0.9, -0.2), strict=True)))
    told = answers(replace(found, predictions=table))[0]
    assert told.startswith("No score is shown to predict overall accuracy")
    assert (
        "no interval of Kendall's tau lies above 0; ranked in reverse: logme of plain -0.60 "
        "[-0.90, -0.20]" in told
    )


def test_too_few_pairs_are_said_to_be_too_few() -> None:
    found = pairs.findings(pairs=pairs.truth(targets=["uci"], backbones=["a", "b", "c"]))
    assert (
        answers(found)[0]
        == "Whether a score predicts overall accuracy is not known: fewer than 4 pairs."
    )


def test_a_bound_that_does_not_hold_is_told(found: Findings) -> None:
    broken = found.bounds.assign(
        bound=np.where(found.bounds["pair"] == "uci/0", 0.0, found.bounds["bound"])
    )
    told = replace(found, bounds=broken)
    assert "(holds for 9 of 10 pairs)" in answers(told)[-1]
    assert page(told).count("does not hold") == 1


# -- tables, figures, page
# -----------------------------------------------------------------------------------------------


def test_tables_as_text_have_the_numbers(found: Findings) -> None:
    texts = document(found)
    row = found.transferability.iloc[0]
    shown = re.escape(names.number(row["value"], ""))
    assert re.search(rf"\| mnist-uci, lenet_bn +\| dropped \| +{shown} \|", texts["report.md"])
    tau = found.predictions[(found.predictions["target"] == "within targets")].iloc[0]
    assert f"[{tau['kendall low']:.2f}, {tau['kendall high']:.2f}]" in texts["report.md"]
    assert {
        "transferability.csv",
        "predicted.csv",
        "predictions.csv",
        "regret.csv",
        "bounds.csv",
    } < set(texts)
    assert len(texts["regret.csv"].splitlines()) == 1 + len(found.regret)


def test_many_scores_go_on_in_another_table() -> None:
    found = pairs.findings(names=[f"s{number}" for number in range(8)], by="s0")
    texts = document(found)
    headings = re.findall("^## (.*)", texts["report.md"], re.MULTILINE)
    assert headings[:2] == ["Scores", "Scores (continued)"]


def test_figures_are_drawn_of_the_tables_that_there_are(found: Findings) -> None:
    made = figures.draw(found)
    assert set(made) == {"scores", "scores_2", "bounds", "regret"}
    panels = [panel for panel in made["scores"].axes if panel.get_visible()]
    assert [panel.get_title() for panel in panels] == list(dict.fromkeys(found.predicted["score"]))
    points = found.predicted[
        (found.predicted["metric"] == OVERALL)
        & (found.predicted["score"] == "logme")
        & (found.predicted["method"] == "plain")
    ]
    line = panels[0].get_lines()[0]
    assert np.asarray(line.get_xdata()) == pytest.approx(points["value"].to_numpy())
    assert np.asarray(line.get_ydata()) == pytest.approx(100 * points["mean"].to_numpy())
    bars = [patch.get_width() for patch in made["bounds"].axes[0].patches]
    assert sum(bars) == pytest.approx(found.bounds["bound"].sum())
    again = [figures.figures(found, "one", ["regret"], ["svg"]) for _ in range(2)]
    assert again[0] == again[1]
    assert (
        figures.draw(
            replace(found, predicted=pd.DataFrame(), bounds=pd.DataFrame(), regret=pd.DataFrame())
        )
        == {}
    )


def test_the_page_draws_what_the_tables_say(found: Findings) -> None:
    data = drawn(page(found))
    scores, table = data["scores"], found.predicted
    assert [one["name"] for one in scores["names"]] == list(dict.fromkeys(table["score"]))
    for place in (0, 7, 21):
        of = {name: values[place] for name, values in scores["achieved"].items()}
        mine = table[
            (table["metric"] == of["metric"])
            & (table["method"] == scores["lines"][of["line"]]["name"])
            & (table["pair"] == list(dict.fromkeys(table["pair"]))[of["pair"]])
        ].set_index("score")
        assert of["mean"] == pytest.approx(100 * mine["mean"].iloc[0], rel=1e-4)
        assert scores["value"]["leep"][of["pair"]] == pytest.approx(mine["value"]["leep"], rel=1e-4)
        fitted = scores["fitted"]["otce (fitted)"][place]
        assert fitted == pytest.approx(mine["value"]["otce (fitted)"], rel=1e-4)
    line = next(one for one in data["regret"]["curves"] if one["chosen"])
    own = found.regret[found.regret["chosen"]].iloc[0]
    place = line["chosen"][0]
    assert (line["keep"][place], line["regret"][place]) == (
        own["keep"],
        pytest.approx(100 * own["regret"], rel=1e-4),
    )
    terms = ("reweighted_source_loss", "conditional_entropy", "distribution", "rest")
    assert np.sum([data["bounds"][name] for name in terms], axis=0) == pytest.approx(
        data["bounds"]["bound"], rel=1e-3
    )


def test_sixteen_scores_of_eight_methods_stay_small() -> None:
    some = pairs.told(
        pairs.truth(targets=[f"t{number}" for number in range(5)]),
        ["m0", "m1"],
        [OVERALL],
        [f"s{number}" for number in range(16)],
        by="s0",
    )
    several = {
        name: table
        if "metric" not in table
        else pd.concat(
            [
                table.assign(metric=f"test/{metric}_accuracy", method=table["method"] + str(place))
                for metric in ("overall", "missing", "seen", "x")
                for place in range(4)
            ]
        )
        for name, table in some.items()
    }
    html = page(Findings("many", pairs.DESIGN, None, [], "last", 3, "m0", **several))
    assert len(html) < 5_000_000
    assert len(json.dumps(drawn(html))) < 1_500_000


def test_a_compared_factor_that_tells_pairs_apart_is_drawn_as_one_line() -> None:
    from htsweep.analysis.prediction import outcomes, predicted, predictions, transferability
    from htsweep.analysis.regret import regret

    design = Design(("dataset", "missing_ratio"), "backbone")
    scores = transferability(pairs.scored(pairs.truth()), pairs.FACTORS)
    came = outcomes(
        pairs.achieved(pairs.truth(), methods=("plain",)),
        design,
        pairs.METRICS,
        factors=pairs.FACTORS,
        protocol="last",
        repetitions=3,
    )
    both = predicted(scores, came, design, pairs.FACTORS)
    made = Findings(
        "t",
        design,
        None,
        pairs.METRICS,
        "last",
        3,
        "",
        transferability=scores,
        predicted=both,
        predictions=predictions(both, design, pairs.FACTORS),
        regret=regret(scores, both, came, design, factors=pairs.FACTORS),
    )
    data = drawn(page(made))["scores"]
    assert data["lines"] == [{"name": "all", "m": -1}]
    assert set(data["achieved"]["line"]) == {0}
    assert set(figures.draw(made)) == {"scores", "scores_2", "regret"}
    assert answers(made)


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
