"""The report's page: whole, small, inert, and with something to say about anything that is not there."""

import base64
import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pairs as foretold
import pandas as pd
import pytest

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.analysis.ranks import cliques
from htsweep.report import script
from htsweep.report.html import render
from htsweep.report.key import dark, key
from htsweep.report.page import page
from htsweep.report.page.columns import POINTS, thin
from htsweep.report.page.series import series
from htsweep.report.table import Cell, Column, Row, Table
from htsweep.selection.fronts import beaten_by, non_dominated

HOSTILE = ("<script>alert(1)</script>", "</script>", '"><img src=x onerror=alert(2)>')
METHODS = ("source", "plain", "l2sp", "lolsgd + wise_ft", "frozen_classifier", "oracle")
METRICS = (SEEN, MISSING, "test/overall_accuracy", "test/harmonic_mean", "test/ausuc")
DESIGN = Design(("dataset", "missing_ratio", "backbone"), "method")
GROUPS = (
    ("mnist-uci", 0.5, "lenet_bn"),
    ("mnist-uci", 0.3, "lenet_bn"),
    ("uci-mnist", 0.5, "lenet_bn"),
)


def synthetic(
    methods: Sequence[str] = METHODS,
    groups: Sequence[tuple[Any, ...]] = GROUPS,
    points: int = 4,
    repetitions: int = 6,
    parameter: str = "l2sp.backbone",
    component: str = "lolsgd",
) -> Findings:
    """Findings of a study that never was: every table has rows, numbers are drawn with a fixed seed."""
    rng = np.random.default_rng(0)
    roles = {"source": "source", "oracle": "bound"}
    pairs = [
        (dict(zip(DESIGN.groups, group, strict=True)), method)
        for group in groups
        for method in methods
    ]

    def rows(*cells: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame(
            [{**group, "method": method, **cell} for group, method in pairs for cell in cells]
        )

    def spread(
        frame: pd.DataFrame, name: str, low: str = "low", high: str = "high", width: float = 0.03
    ) -> pd.DataFrame:
        """Intervals that are not symmetric, as the bootstrap's are not."""
        size = len(frame)
        below, above = rng.uniform(0.3, 1, (2, size)) * width
        return frame.assign(**{low: frame[name] - below, high: frame[name] + above})

    made = rows(*({"point_index": number} for number in range(points)))
    seen = np.where(made["method"] == "source", 0.6, rng.uniform(0.95, 0.995, len(made)))
    centre = made["method"].map(
        {name: rng.uniform(0.1, 0.6) for name in methods}
    ).to_numpy() + rng.normal(0, 0.05, len(made))
    made = made.assign(
        **{
            "sweep": made["dataset"].astype(str)
            + made["missing_ratio"].astype(str)
            + made["method"],
            "n": repetitions,
            "step": 9,
            parameter: 10.0 ** -made["point_index"].to_numpy(float),
            SEEN: seen,
            MISSING: np.where(made["method"] == "oracle", 0.97, centre.clip(0.01, 0.9)),
            "role": made["method"].map(roles).fillna("").astype(str),
            "chosen": made["point_index"] == 0,
        }
    )
    made["point"] = made["sweep"] + "/" + made["point_index"].astype(str)
    made = spread(
        spread(made, SEEN, f"{SEEN} low", f"{SEEN} high", 0.005),
        MISSING,
        f"{MISSING} low",
        f"{MISSING} high",
    )
    number = made.groupby(list(DESIGN.groups), sort=False).ngroup().to_numpy()
    competes = (made["role"] != "bound").to_numpy()
    front = np.zeros(len(made), bool)
    front[competes] = non_dominated(made[SEEN][competes], made[MISSING][competes], number[competes])
    made = made.assign(
        front=front,
        own_front=non_dominated(made[SEEN], made[MISSING], made["sweep"].to_numpy()),
        probability=np.where(competes, rng.uniform(0, 1, len(made)), np.nan),
        disrupts=made[MISSING] < 0.2,
    )
    summary = rows(*({"metric": name, "step": 9, "n": repetitions} for name in METRICS))
    summary = spread(summary.assign(mean=rng.uniform(0.2, 0.98, len(summary))), "mean").assign(
        iqm=0.5,
        sweep=lambda it: it["dataset"].astype(str) + it["missing_ratio"].astype(str) + it["method"],
        point=lambda it: it["sweep"] + "/0",
        role=lambda it: it["method"].map(roles).fillna("").astype(str),
    )
    others = [method for method in methods if method != "plain"]
    effects = (
        summary[summary["method"].isin(others)]
        .assign(
            baseline="plain",
            difference=lambda it: it["mean"] - 0.5,
            improvement=0.9,
            p=0.03125,
            p_holm=0.09,
            least_p=0.03,
            verdict="better",
        )
        .drop(columns=["mean", "low", "high", "iqm", "sweep", "point", "role", "step"])
    )
    effects = spread(effects, "difference")
    grid = np.linspace(0, 1, 41)
    curves = rows(*({"seen": at, "missing": 0.8 * (1 - at**3)} for at in grid))
    curves["missing"] *= curves["method"].map({name: rng.uniform(0.5, 1) for name in methods})
    corners = rows(
        *(
            {"share": share, SEEN: x, MISSING: 0.7 - 0.4 * share - 0.4 * (x - 0.5)}
            for share in (0.25, 0.5, 0.75)
            for x in (0.5, 0.8, 0.95)
        )
    )
    volumes = rows(
        *(
            {
                "reference": name,
                "n": repetitions,
                "contribution": 0.01,
                "contribution low": 0.0,
                "contribution high": 0.02,
            }
            for name in ("source", "origin")
        )
    )
    costs = rows(
        *(
            {
                "cost": name,
                "point": f"p{number}",
                "sweep": "s",
                "metric": "test/overall_accuracy",
                "number": number,
            }
            for name in ("seconds", "gpu_hours", "peak_memory_bytes")
            for number in range(points)
        )
    )
    costs = costs.assign(
        value=10 ** rng.uniform(0, 3, len(costs)),
        mean=rng.uniform(0.3, 0.9, len(costs)),
        front=rng.uniform(size=len(costs)) < 0.1,
    )
    ablation = pd.DataFrame(
        [
            {
                **group,
                "component": name,
                "kind": kind,
                "metric": metric,
                "n": repetitions,
                "p": 0.03,
                "p_holm": 0.2,
                "effect": rng.normal(0, 0.05),
                "verdict": "not shown",
            }
            for group, _ in pairs[:: len(methods)]
            for name in (component, "wise_ft", "selective_distillation")
            for kind in ("left out", "alone")
            for metric in METRICS
        ]
    )
    protocols = rows(
        *(
            {"protocol": name, "metric": metric, "n": repetitions, "mean": 0.7, "gap": 0.02}
            for name in ("last", "seen_validation", "oracle")
            for metric in METRICS
        )
    )
    ranks = pd.DataFrame(
        [
            {
                "metric": metric,
                "method": method,
                "rank": 1.0 + place * 0.9,
                "blocks": 3,
                "friedman_p": 0.04,
                "critical_difference": 2.1,
            }
            for metric in METRICS[:2]
            for place, method in enumerate(methods)
        ]
    )
    sensitivity = rows(
        *(
            {
                "parameter": parameter,
                "value": value,
                "metric": metric,
                "n": repetitions,
                "mean": (0.9 if metric == SEEN else 0.5) - 0.05 * place,
            }
            for metric in (SEEN, MISSING)
            for place, value in enumerate((0.0, 0.001, 0.01, 0.1, 1.0))
        )
    )
    confusion = rows(
        *(
            {
                "sweep": "s",
                "label": label,
                "predicted": predicted,
                "share": 0.8 if label == predicted else 0.1,
            }
            for label in range(3)
            for predicted in range(3)
        )
    )
    right = confusion["label"] == confusion["predicted"]
    # Each method and group its own
    confusion["share"] = confusion["share"].where(~right, rng.uniform(0.2, 0.9, len(confusion)))
    classes = confusion[right].assign(
        n=repetitions, missing=1, mean=confusion["share"], low=0.1, high=0.95
    )
    sensitivity = sensitivity[sensitivity["method"].isin(methods[-2:])]
    return Findings(
        "digits_methods",
        DESIGN,
        (SEEN, MISSING),
        METRICS,
        "last",
        repetitions,
        "plain",
        trials=len(made) * repetitions,
        parameters=(parameter,),
        summary=summary,
        effects=effects,
        ranks=ranks,
        cliques=cliques(ranks, "method"),
        points=made,
        attainment=corners,
        volumes=spread(volumes.assign(volume=rng.uniform(0.05, 0.3, len(volumes))), "volume"),
        curves=spread(curves, "missing"),
        ablation=spread(ablation, "effect"),
        costs=spread(spread(costs, "mean"), "value", "value low", "value high", 0.5),
        protocols=spread(spread(protocols, "mean"), "gap", "gap low", "gap high"),
        importance=pd.DataFrame(
            [
                {
                    "method": methods[-1],
                    "objective": metric,
                    "parameter": name,
                    "evaluator": evaluator,
                    "points": 20,
                    "importance": share,
                }
                for metric in (SEEN, MISSING)
                for evaluator in ("PED-ANOVA", "fANOVA")
                for name, share in ((parameter, 0.7), ("learning_rate", 0.2), ("weight_decay", 0.1))
            ]
        ),
        sensitivity=spread(sensitivity, "mean"),
        classes=classes,
        confusion=confusion,
        failures=rows(
            {"status": "failed", "reason": "CUDA out of memory", "trials": 2, "log": "logs/a.txt"}
        ).head(2),
        missing="Not there:\n\n- mnist-uci, l2sp: 1 of 4 points left out",
        warnings=["TPE looks at the objective of one protocol."],
        provenance={"study": "studies/digits_methods.yaml", "htsweep": "0.1.0", "commit": "abc"},
        **foretold.told_of(tuple(groups), tuple(methods)),
    )


class Read(HTMLParser):
    """What a browser would make of the page: elements by name, attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


def shown(table: Table) -> str:
    """The table as a page shows it."""
    return render("table.html", table=table)


def drawn(html: str) -> dict[str, Any]:
    """The JSON that the charts are drawn from."""
    found = re.search(
        r'<script type="application/json" id="findings">(.*?)</script>', html, re.DOTALL
    )
    assert found
    return json.loads(found[1])


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
    assert len(sections) == 15


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


def test_charts_are_drawn_from_the_findings_in_percent() -> None:
    findings = synthetic()
    found = drawn(page(findings))
    points = found["frontiers"]
    assert points["x"] == pytest.approx((100 * findings.points[SEEN]).tolist(), rel=1e-4)
    assert points["yl"] == pytest.approx(
        (100 * findings.points[f"{MISSING} low"]).tolist(), rel=1e-4
    )
    unbeaten = [
        not beaten and role != "bound"
        for beaten, role in zip(points["beaten"], points["role"], strict=True)
    ]
    assert unbeaten == findings.points["front"].tolist()
    assert points["own"] == findings.points["own_front"].tolist()
    assert [found["methods"][number]["name"] for number in points["m"]] == findings.points[
        "method"
    ].tolist()
    titles = [found["groups"][number]["title"] for number in points["g"]]
    assert titles == [
        f"{row.dataset}, {100 * row.missing_ratio:g} % missing"
        for row in findings.points.itertuples()
    ]
    assert found["ablation"]["effect"] == pytest.approx(
        (100 * findings.ablation["effect"]).tolist(), rel=1e-4
    )
    edge = next(line for line in found["attainment"] if line["share"] == 0.5)
    assert (edge["x"], edge["y"]) == ([50, 80, 95], pytest.approx([50, 38, 32]))
    assert set(found["ratios"]["panel"]) == {"mnist-uci"}  # uci-mnist has one ratio
    inside = (findings.curves[list(DESIGN.groups)] == GROUPS[0]).all(axis=1)
    curve = findings.curves[inside & (findings.curves["method"] == "l2sp")]
    line = next(
        line
        for line in found["curves"]
        if line["g"] == 0 and found["methods"][line["m"]]["name"] == "l2sp"
    )
    assert line["missing"] == pytest.approx((100 * curve["missing"]).tolist(), rel=1e-4)
    assert line["low"] == pytest.approx((100 * curve["low"]).tolist(), rel=1e-4, abs=1e-9)


@pytest.mark.parametrize("maximise", [(True, True), (False, True), (True, False)])
def test_who_beats_a_point_tells_the_front_of_any_choice_of_methods(
    maximise: tuple[bool, bool],
) -> None:
    """Points on a coarse grid, so that many are equal on one axis or on both."""
    rng = np.random.default_rng(1)
    points, methods = rng.integers(0, 6, (60, 2)).astype(float), rng.integers(0, 5, 60)
    points[0] = np.nan
    beaten = beaten_by(points, points, methods, 5, maximise=maximise)
    for choice in range(1, 2**5):
        shown = [method for method in range(5) if choice >> method & 1]
        rows = np.isin(methods, shown) & ~np.isnan(points[:, 0])
        front = ~beaten[:, shown].any(axis=1)
        expected = non_dominated(points[rows, 0], points[rows, 1], maximise=maximise)
        assert front[rows].tolist() == expected.tolist()


def test_cliques_are_those_of_the_analysis() -> None:
    """Ranks 1.0, 1.9, 2.8, ... and a critical difference of 2.1: three neighbours each."""
    found = drawn(page(synthetic()))
    assert found["cliques"] == {
        metric: [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]] for metric in METRICS[:2]
    }


def test_not_a_number_is_null() -> None:
    assert script.data("a", {"x": [float("nan"), 1.5, float("inf")]}).endswith(
        '>{"x":[null,1.5,null]}</script>'
    )


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


def test_beyond_a_thousand_points_a_panel_is_thinned_and_says_so() -> None:
    findings = synthetic(METHODS[:3], GROUPS[:1], points=1500)
    html = page(findings)
    found = drawn(html)
    assert len(found["frontiers"]["x"]) == POINTS
    assert f"{POINTS} of {len(findings.points)} points are drawn" in found["notes"]["frontiers"]
    kept = {
        (x, y)
        for x, y, beaten in zip(
            *(found["frontiers"][name] for name in ("x", "y", "beaten")), strict=True
        )
        if not beaten
    }
    front = findings.points[findings.points["front"]]
    assert len(kept) == len(front)
    assert len(html) < 5_000_000


def test_thinning_keeps_what_counts_and_the_limit() -> None:
    frame = pd.DataFrame({"value": range(100)})
    keep = np.zeros(100, bool)
    keep[[3, 97]] = True
    few = frame[thin([0] * 50 + [1] * 50, keep, 10)]
    assert {3, 97} <= set(few["value"])
    assert (few["value"] < 50).sum() == 10
    assert (few["value"] >= 50).sum() == 10
    assert few["value"].is_monotonic_increasing


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
        ("ablation", {"ablation"}, {"ablation"}),
        ("importance", {"importance"}, {"importance"}),
        ("sensitivity", {"sensitivity"}, {"sensitivity"}),
        ("classes", set(), {"classes"}),
        ("confusion", set(), {"classes"}),
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
    assert len(whole) == 15
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


def test_methods_of_every_kind_find_their_group_and_look() -> None:
    findings = synthetic(['["lolsgd", "wise_ft"]', "plain"], [("a", 0.5, "b")])
    mixed = replace(findings, summary=findings.summary.assign(method=[1.0, 0.5] * 5))
    found = key(mixed)
    assert found.methods == ("lolsgd + wise_ft", "plain", "1", "0.5")
    assert found.method_of(mixed.summary)[:2] == [2, 3]
    assert found.group_of(mixed.points) == [0] * len(mixed.points)
    assert found.group_of(pd.DataFrame({"x": [1]})) == [-1]
    assert found.common == "a, 50 % missing, b"


def test_colours_can_be_told_from_a_dark_background() -> None:
    """By WCAG's formula, written again."""
    from htsweep.report.look import COLOURS

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    css = script.asset("page.css")
    found = re.search(r"dark\) \{\s*:root \{\s*--paper: (#\w+)", css)
    assert found
    for colour in (*COLOURS, "#000000", "#777777"):
        assert (luminance(dark(colour)) + 0.05) / (luminance(found[1]) + 0.05) >= 3
    assert len({dark(colour) for colour in COLOURS}) == len(COLOURS)


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
