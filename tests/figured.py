"""Findings of a study, for the tests of the report's figures."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from frames import ROLES

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.ranks import cliques
from htsweep.analysis.summary import METRICS
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
                for protocol, gap in (("last", 0.02), ("test_accuracy", 0.0))
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
                "low": share - 0.1,
                "high": share + 0.1,
                "p": 0.001 if share > 0.5 else 0.4,
                "p_holm": 0.003 if share > 0.5 else 0.8,
                "verdict": "shown" if share > 0.5 else "not shown",
                "points": 30,
            }
            for evaluator in ("all points", "best tenth")
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


HOSTILE = ("source", "plain", "$x^2$", "<b>_%&", "$\\frac{$", "oracle")
