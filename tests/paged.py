"""A study of many methods, and its page, for the tests of the report's page."""

import json
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pairs as foretold
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.frontier import MISSING, SEEN
from htsweep.analysis.ranks import cliques
from htsweep.report.html import render
from htsweep.report.table import Table
from htsweep.selection.fronts import non_dominated

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
            for name in ("last", "seen_validation", "test_accuracy")
            for metric in METRICS
        )
    )
    tuned = protocols[protocols["protocol"] != "test_accuracy"][
        [name for name in protocols.columns if name not in ("mean", "gap")]
    ].assign(default=0.65, tuned=0.7, difference=0.05)
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
    # Of three classes with ten images each; what is wrong is taken for the next class.
    answers = rows(
        *(
            {
                "weight": weight,
                "sweep": "s",
                "point": f"p{weight}",
                "repetition": repetition,
                "trial": f"t{weight}{repetition}",
                "step": 60,
                "classes": 3,
                "missing": [2],
                "cells": [0, 1, 4, 5, 6, 8],
                "images": [10 - right, right, right, 10 - right, 9, 1],
            }
            for weight in (0.1, 0.5)
            for repetition in range(repetitions)
            for right in [int(weight * 10) + repetition % 4]
        )
    )
    answers["point"] += answers["method"] + answers[list(DESIGN.groups)].astype(str).sum(axis=1)
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
        tuned=spread(tuned, "difference"),
        runners_up=effects.drop_duplicates([*DESIGN.groups, "metric"]),
        importance=pd.DataFrame(
            [
                {
                    "method": methods[-1],
                    "objective": metric,
                    "parameter": name,
                    "evaluator": evaluator,
                    "points": 20,
                    "importance": share,
                    "low": share - 0.1,
                    "high": share + 0.1,
                    "p": 0.001 if share > 0.5 else 0.4,
                    "p_holm": 0.003 if share > 0.5 else 0.8,
                    "verdict": "shown" if share > 0.5 else "not shown",
                }
                for metric in (SEEN, MISSING)
                for evaluator in ("all points", "best tenth")
                for name, share in ((parameter, 0.7), ("learning_rate", 0.2), ("weight_decay", 0.1))
            ]
        ),
        sensitivity=spread(sensitivity, "mean"),
        classes=classes,
        confusion=confusion,
        answers=answers,
        failures=rows(
            {"status": "failed", "reason": "CUDA out of memory", "trials": 2, "log": "logs/a.txt"}
        ).head(2),
        missing="Not there:\n\n- mnist-uci, l2sp: 1 of 4 points left out",
        warnings=["TPE looks at the objective of one protocol."],
        provenance={"study": "studies/digits_methods.yaml", "htsweep": "0.1.0", "commit": "abc"},
        **foretold.told_of(tuple(groups), tuple(methods)),
    )


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


HOSTILE = ("<script>alert(1)</script>", "</script>", '"><img src=x onerror=alert(2)>')


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
