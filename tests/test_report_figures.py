"""Figures on paper: that they draw what the tables say, whatever the names, in files that print anywhere."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pairs as foretold
import pandas as pd
import pytest
from frames import ROLES

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.ranks import cliques
from htsweep.analysis.summary import METRICS
from htsweep.errors import HtsweepError
from htsweep.report import figures, paper
from htsweep.selection.fronts import non_dominated

SIX = ("source", "plain", "l2sp", "lwf", "lolsgd+wise_ft", "oracle")
GROUPS = (("mnist-uci", 0.5), ("uci-mnist", 0.3))
SEEN, MISSING, OVERALL = "test/seen_accuracy", "test/missing_accuracy", "test/overall_accuracy"


def made(
    methods: Sequence[str] = SIX,
    groups: Sequence[tuple[str, float]] = GROUPS,
    n: int = 6,
    verdict: str | None = None,
) -> Findings:
    """Findings of invented numbers that hang together: intervals hold their means, fronts are fronts."""
    random = np.random.default_rng(7)
    design = Design(("dataset", "missing_ratio"), "method")
    tables: dict[str, list[dict[str, Any]]] = {
        name: []
        for name in (
            "summary",
            "effects",
            "points",
            "attainment",
            "volumes",
            "curves",
            "costs",
            "protocols",
        )
    }
    for dataset, ratio in groups:
        key = {"dataset": dataset, "missing_ratio": ratio}
        for method in methods:
            seen, missing = (
                (0.98, 0.98)
                if method == "oracle"
                else (0.55, 0.6)
                if method == "source"
                else (0.99 - random.exponential(0.02), random.uniform(0, 0.5))
            )
            values = dict(
                zip(
                    METRICS,
                    (
                        seen,
                        missing,
                        (seen + missing) / 2,
                        2 * seen * missing / (seen + missing),
                        seen * missing,
                    ),
                    strict=True,
                )
            )
            row = {
                **key,
                "method": method,
                "sweep": f"{dataset}{ratio}{method}",
                "point": f"{dataset}{ratio}{method}p",
            }
            half = {metric: random.uniform(0.005, 0.05) for metric in METRICS}
            ends = {
                metric: (value - half[metric], min(1.0, value + 0.7 * half[metric]))
                for metric, value in values.items()
            }
            role = ROLES.get(method, "")
            tables["summary"] += [
                {
                    **row,
                    "step": 5,
                    "metric": metric,
                    "n": n,
                    "mean": value,
                    "low": ends[metric][0],
                    "high": ends[metric][1],
                    "iqm": value,
                    "role": role,
                }
                for metric, value in values.items()
            ]
            tables["points"].append(
                {
                    **row,
                    "l2sp.backbone": 0.1 if method == "l2sp" else None,
                    "step": 5,
                    "n": n,
                    SEEN: seen,
                    f"{SEEN} low": ends[SEEN][0],
                    f"{SEEN} high": ends[SEEN][1],
                    MISSING: missing,
                    f"{MISSING} low": ends[MISSING][0],
                    f"{MISSING} high": ends[MISSING][1],
                    "own_front": True,
                    "probability": 0.7,
                    "role": role,
                    "chosen": True,
                    "disrupts": missing < 0.1,
                }
            )
            tables["attainment"] += [
                {**row, "share": share, SEEN: x, MISSING: y}
                for share, off in ((0.25, 0.01), (0.5, 0.0), (0.75, -0.01))
                for x, y in ((0.5, missing + off), (seen + off, missing + off), (seen + off, 0.0))
            ]
            if method != "oracle":
                tables["volumes"] += [
                    {
                        **key,
                        "method": method,
                        "reference": reference,
                        "n": n,
                        "volume": size,
                        "low": size - 0.02,
                        "high": size + 0.01,
                        "contribution": size / 9,
                        "contribution low": size / 10,
                        "contribution high": size / 8,
                    }
                    for reference, size in (
                        ("source", seen * missing / 2),
                        ("origin", seen * missing),
                    )
                ]
            grid = np.linspace(0, 1, 21)
            tables["curves"] += [
                {
                    **key,
                    "method": method,
                    "seen": x,
                    "missing": y,
                    "low": max(0, y - 0.05),
                    "high": min(1, y + 0.05),
                }
                for x, y in zip(grid, missing + (1 - missing) * (1 - grid**4), strict=True)
            ]
            seconds = float(random.lognormal(2, 1))
            tables["costs"] += [
                {
                    **row,
                    "cost": cost,
                    "value": times * seconds,
                    "value low": times * seconds * 0.9,
                    "value high": times * seconds * 1.2,
                    "metric": OVERALL,
                    "mean": values[OVERALL],
                    "low": ends[OVERALL][0],
                    "high": ends[OVERALL][1],
                }
                for cost, times in (("seconds", 1.0), ("peak_memory_bytes", 1e8))
            ]
            tables["protocols"] += [
                {
                    **key,
                    "method": method,
                    "protocol": protocol,
                    "metric": OVERALL,
                    "n": n,
                    "mean": values[OVERALL] - gap,
                    "low": ends[OVERALL][0] - gap,
                    "high": ends[OVERALL][1],
                    "gap": gap,
                    "gap low": gap / 2,
                    "gap high": gap * 2,
                }
                for protocol, gap in (("last", 0.02), ("oracle", 0.0))
            ]
    summary, points = pd.DataFrame(tables["summary"]), pd.DataFrame(tables["points"])
    group = points["dataset"] + points["missing_ratio"].astype(str)
    points["front"] = False
    competes = points["role"] != "bound"
    points.loc[competes, "front"] = non_dominated(
        points[competes][SEEN], points[competes][MISSING], group[competes]
    )
    costs = pd.DataFrame(tables["costs"])
    costs["front"] = non_dominated(
        costs["value"],
        costs["mean"],
        costs["dataset"] + costs["missing_ratio"].astype(str) + costs["cost"],
        (False, True),
    )
    effects = _effects(summary, methods, n, verdict)
    ranks = _ranks(summary, methods, len(groups))
    return Findings(
        title="digits",
        design=design,
        axes=(SEEN, MISSING),
        metrics=list(METRICS),
        protocol="last",
        repetitions=n,
        baseline="plain",
        trials=len(methods) * len(groups) * n,
        parameters=["l2sp.backbone"],
        summary=summary,
        effects=effects,
        pooled=effects.drop_duplicates(["method", "metric"]).assign(groups=len(groups)),
        aggregate=_aggregate(summary),
        ranks=ranks,
        cliques=cliques(ranks, "method"),
        points=points,
        attainment=pd.DataFrame(tables["attainment"]),
        volumes=pd.DataFrame(tables["volumes"]),
        curves=pd.DataFrame(tables["curves"]),
        costs=costs,
        protocols=pd.DataFrame(tables["protocols"]),
        ablation=_ablation(groups, n),
        importance=_importance(),
        sensitivity=_sensitivity(groups, n),
        failures=pd.DataFrame(
            [
                {
                    "dataset": "mnist-uci",
                    "missing_ratio": 0.5,
                    "method": "ewc",
                    "status": "failed",
                    "reason": "diverged | at 3",
                    "trials": 2,
                    "log": "a.log",
                }
            ]
        ),
        missing="Nothing is missing.",
        warnings=["Six repetitions are few."],
        provenance={"study": "digits.yaml", "commit": "abc"},
    )


def _aggregate(summary: pd.DataFrame) -> pd.DataFrame:
    means = (
        summary.groupby(["method", "metric"], sort=False)["mean"]
        .agg(["mean", "size"])
        .reset_index()
    )
    ends = {
        f"{which}{end}": means["mean"] + off
        for which in ("mean", "iqm")
        for end, off in ((" low", -0.02), (" high", 0.01))
    }
    return means.rename(columns={"size": "groups"}).assign(n=12, iqm=means["mean"] + 0.001, **ends)


def _effects(
    summary: pd.DataFrame, methods: Sequence[str], n: int, verdict: str | None
) -> pd.DataFrame:
    rows = []
    for (dataset, ratio, metric), inside in summary.groupby(
        ["dataset", "missing_ratio", "metric"], sort=False
    ):
        mean = inside.set_index("method")["mean"]
        for method in methods:
            if method == "plain":
                continue
            gap = mean[method] - mean["plain"]
            bound = method == "oracle"
            said = (
                "bound"
                if bound
                else verdict or ("better" if gap > 0.1 else "worse" if gap < -0.1 else "not shown")
            )
            p_holm = np.nan if bound else 0.04 if said in ("better", "worse") else 0.3
            rows.append(
                {
                    "dataset": dataset,
                    "missing_ratio": ratio,
                    "method": method,
                    "metric": metric,
                    "baseline": "plain",
                    "n": n,
                    "difference": gap,
                    "low": gap - 0.03,
                    "high": gap + 0.05,
                    "improvement": 0.8,
                    "p": 2 / 2**n,
                    "p_holm": p_holm,
                    "least_p": 2 / 2**n,
                    "verdict": said,
                }
            )
    return pd.DataFrame(rows)


def _ranks(summary: pd.DataFrame, methods: Sequence[str], blocks: int) -> pd.DataFrame:
    rows = []
    for metric, inside in summary[summary["role"] != "bound"].groupby("metric", sort=False):
        wide = inside.pivot_table("mean", ["dataset", "missing_ratio"], "method", sort=False)
        for method, rank in wide.rank(axis=1, ascending=False).mean().items():
            rows.append(
                {
                    "metric": metric,
                    "method": method,
                    "rank": rank,
                    "blocks": blocks,
                    "friedman_p": 0.012,
                    "critical_difference": 1.3 * np.sqrt(len(methods)) / np.sqrt(blocks),
                }
            )
    return pd.DataFrame(rows)


def _ablation(groups: Sequence[tuple[str, float]], n: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "dataset": dataset,
                "missing_ratio": ratio,
                "component": component,
                "kind": "left out",
                "metric": metric,
                "n": n,
                "effect": effect,
                "low": effect - 0.02,
                "high": effect + 0.01,
                "p": 0.03,
                "p_holm": 0.09,
                "verdict": "not shown",
            }
            for dataset, ratio in groups
            for component, effect in (("lolsgd", 0.05), ("wise_ft", -0.02), ("feature_rank", 0.0))
            for metric in (SEEN, MISSING, OVERALL)
        ]
    )


def _importance() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "method": "l2sp",
                "objective": objective,
                "parameter": parameter,
                "evaluator": evaluator,
                "importance": share,
                "points": 30,
            }
            for evaluator in ("PED-ANOVA", "fANOVA")
            for objective in (SEEN, MISSING)
            for parameter, share in (("l2sp.backbone", 0.8), ("l2sp.head", 0.15), ("sgd.lr", 0.05))
        ]
    )


def _sensitivity(groups: Sequence[tuple[str, float]], n: int) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "dataset": dataset,
                "missing_ratio": ratio,
                "method": "l2sp",
                "parameter": "l2sp.backbone",
                "value": value,
                "metric": metric,
                "n": n,
                "mean": mean,
                "low": mean - 0.03,
                "high": mean + 0.02,
            }
            for dataset, ratio in groups
            for value, seen, missing in (
                (0.001, 0.99, 0.02),
                (0.01, 0.985, 0.1),
                (0.1, 0.97, 0.35),
                (1.0, 0.8, 0.55),
            )
            for metric, mean in ((SEEN, seen), (MISSING, missing))
        ]
    )


@pytest.fixture(scope="module")
def found() -> Findings:
    return made()


def lines(figure: Any, axis: int = 0) -> list[tuple[list[float], list[float]]]:
    """The lines of a panel, as lists of x and of y."""
    return [
        (np.asarray(line.get_xdata(), float).tolist(), np.asarray(line.get_ydata(), float).tolist())
        for line in figure.axes[axis].lines
    ]


def of(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """The rows with these values."""
    for name, value in values.items():
        frame = frame[frame[name] == value]
    return frame


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


def test_the_frontier_has_points_bands_and_marks(found: Findings) -> None:
    panel = figures.draw(found, only=["frontier"])["frontier"].axes[0]
    rows = of(found.points, dataset="mnist-uci")
    marked = [
        line
        for line in panel.lines
        if line.get_marker() == "x" and line.get_markeredgecolor() == "#000000"
    ]
    assert np.asarray(marked[0].get_ydata(), float) == pytest.approx(
        100 * rows[rows["disrupts"]][MISSING].to_numpy()
    )
    front = rows[rows["front"]]["method"].tolist()
    bands = [patch.get_xy() for patch in panel.patches]
    assert len(bands) == len(front)
    corners = of(found.attainment, dataset="mnist-uci", method=front[0])
    both = pd.concat([of(corners, share=0.75), of(corners, share=0.25).iloc[::-1]])
    assert bands[0][:6] == pytest.approx(100 * both[[SEEN, MISSING]].to_numpy(float))


def test_curves_are_those_of_the_table(found: Findings) -> None:
    figure = figures.draw(found, only=["curves"])["curves"]
    rows = of(found.curves, dataset="uci-mnist", method="l2sp")
    assert any(
        x == pytest.approx(100 * rows["seen"].to_numpy())
        and y == pytest.approx(100 * rows["missing"].to_numpy())
        for x, y in lines(figure, 1)
    )
    band = figure.axes[1].collections[list(SIX).index("l2sp")].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(100 * rows["low"].min())


def test_effects_stand_at_their_differences_filled_where_shown(found: Findings) -> None:
    figure = figures.draw(found, only=["effects"])["effects"]
    assert [panel.get_title().strip() for panel in figure.axes[:4]] == [
        "seen",
        "missing",
        "overall",
        "AUSUC",
    ]
    rows = of(found.effects, dataset="mnist-uci", metric=MISSING)
    panel = figure.axes[1]
    marks = [line for line in panel.lines if line.get_linestyle() == "None"]
    assert [line.get_xdata()[0] for line in marks] == pytest.approx(
        (100 * rows["difference"]).tolist()
    )
    assert [line.get_markerfacecolor() != "white" for line in marks] == rows["verdict"].isin(
        ["better", "worse"]
    ).tolist()
    ends = np.array([segment[:, 0] for segment in panel.collections[0].get_segments()])
    assert ends == pytest.approx(100 * rows[["low", "high"]].to_numpy())
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == rows[
        "method"
    ].tolist()


def test_too_few_repetitions_are_said_and_nothing_is_filled() -> None:
    figure = figures.draw(made(n=5, verdict="too few"), only=["effects"])["effects"]
    assert (
        "n = 5 is too few to show anything in 40 of 40 rows"
        in figure.legends[0].get_title().get_text()
    )
    marks = [line for line in figure.axes[1].lines if line.get_linestyle() == "None"]
    assert {line.get_markerfacecolor() for line in marks} == {"white"}


def test_ranks_cliques_and_the_critical_difference(found: Findings) -> None:
    figure = figures.draw(found, only=["ranks"])["ranks"]
    rows = of(found.ranks, metric=MISSING).sort_values("rank", kind="stable")
    panel = figure.axes[1]
    marks = [line.get_xdata()[0] for line in panel.lines if line.get_linestyle() == "None"]
    assert marks == rows["rank"].tolist()
    bars = [tuple(line.get_xdata()) for line in panel.lines if line.get_gid() == "clique"]
    inside = of(found.cliques, metric=MISSING).groupby("clique")["rank"]
    assert bars == list(zip(inside.min(), inside.max(), strict=True))
    assert bars
    (distance,) = [line.get_xdata() for line in panel.lines if line.get_gid() == "difference"]
    assert distance[1] - distance[0] == pytest.approx(rows["critical_difference"].iloc[0])


def test_the_ablation_has_every_component(found: Findings) -> None:
    figure = figures.draw(found, only=["ablation"])["ablation"]
    marks = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_linestyle() == "None"]
    assert marks == pytest.approx([5, -2, 0])


def test_sensitivity_has_a_logarithmic_axis_where_values_span_decades(found: Findings) -> None:
    panel = figures.draw(found, only=["sensitivity"])["sensitivity"].axes[0]
    assert panel.get_xscale() == "log"
    assert [line.get_xdata().tolist() for line in panel.lines] == [[0.001, 0.01, 0.1, 1.0]] * 2
    assert panel.lines[1].get_ydata() == pytest.approx([2, 10, 35, 55])
    near = replace(
        found, sensitivity=found.sensitivity.assign(value=found.sensitivity["value"] + 1)
    )
    assert figures.draw(near, only=["sensitivity"])["sensitivity"].axes[0].get_xscale() == "linear"


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


HOSTILE = ("source", "plain", "$x^2$", "<b>_%&", "$\\frac{$", "oracle")


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
