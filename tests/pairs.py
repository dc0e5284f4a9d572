"""Pairs of source model and target data that never were: what scores said of them, and what trials then achieved."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.prediction import bounds, outcomes, predicted, predictions, transferability
from htsweep.analysis.regret import regret

FACTORS = ("dataset", "missing_ratio", "backbone")
DESIGN = Design(FACTORS, "method")
TARGETS = ("uci", "uci@blur")
BACKBONES = ("lenet_bn", "resnet", "mobilenet", "repvgg", "vit")
METRICS = ("test/overall_accuracy", "test/missing_accuracy")
SCORES = ("logme", "leep", "otce_w", "otce_ce", "tta")
FITTED = "otce (fitted)"
COMBINED = {FITTED: ("otce_w", "otce_ce")}
PREFIX = "tta/"
"""What the scoring task declares."""
TERMS = {
    "reweighted_source_loss": 0.4,
    "conditional_entropy": 0.1,
    "lipschitz": 0.2,
    "wasserstein": 3.0,
    "bound": 1.1,
    "tighter_bound": 0.9,
    "target_loss": 0.7,
    "target_accuracy": 0.5,
}


def truth(targets: Sequence[str] = TARGETS, backbones: Sequence[str] = BACKBONES) -> pd.DataFrame:
    """Factors, `target`, `pair`, and how well each pair really does."""
    return of_groups(
        [(f"mnist-{target}", 0.5, backbone) for target in targets for backbone in backbones],
        [target for target in targets for _ in backbones],
    )


def of_groups(groups: Sequence[tuple[Any, ...]], targets: Sequence[str]) -> pd.DataFrame:
    """The same of pairs with these factors."""
    random = np.random.default_rng(3)
    return pd.DataFrame(
        [
            {
                **dict(zip(FACTORS, group, strict=True)),
                "target": target,
                "pair": f"{target}/{place}",
                "truth": random.uniform(0.3, 0.9),
            }
            for place, (group, target) in enumerate(zip(groups, targets, strict=True))
        ]
    )


def scored(
    pairs: pd.DataFrame,
    names: Sequence[str] = SCORES,
    repetitions: int = 3,
    dropped: Sequence[str] = (),
    noise: float = 0.03,
) -> pd.DataFrame:
    """What `screening.scores` returns: `logme` follows the truth, the others less so."""
    random = np.random.default_rng(4)
    rows: list[dict[str, Any]] = []
    for pair in pairs.to_dict("records"):
        for place, name in enumerate(names):
            for repetition in range(repetitions):
                terms = (
                    {
                        f"tta/{term}": value * (1 if term == "lipschitz" else 1 + pair["truth"])
                        for term, value in TERMS.items()
                    }
                    if name == "tta"
                    else {}
                )
                rows.append(
                    {
                        **{key: pair[key] for key in (*FACTORS, "target", "pair")},
                        "score": name,
                        "repetition": repetition,
                        "value": pair["truth"] + random.normal(0, noise * (1 + 4 * place)),
                        "seconds": 1.5 + place,
                        "kept": pair["pair"] not in dropped,
                        **terms,
                    }
                )
    return pd.DataFrame(rows)


def achieved(
    pairs: pd.DataFrame,
    methods: Sequence[str] = ("plain", "l2sp"),
    metrics: Sequence[str] = METRICS,
    repetitions: int = 3,
    **more: Any,
) -> pd.DataFrame:
    """Measurements of trials of each pair: overall accuracy is the truth, and the method's place times 0.02; else chance."""
    random = np.random.default_rng(5)
    rows: list[dict[str, Any]] = []
    for pair in pairs.to_dict("records"):
        for place, method in enumerate(methods):
            sweep = f"{pair['pair']}/{method}" + "".join(map(str, more.values()))
            for repetition in range(repetitions):
                values = {name: random.uniform(0, 0.4) for name in metrics}
                values[metrics[0]] = pair["truth"] + 0.02 * place + 0.001 * repetition
                rows.append(
                    {
                        "trial": f"{sweep}/{repetition}",
                        "sweep": sweep,
                        "point": f"{sweep}/p",
                        "point_index": 0,
                        "repetition": repetition,
                        "status": "done",
                        "step": 1,
                        "pair": pair["pair"],
                        **{key: pair[key] for key in FACTORS},
                        "method": method,
                        **more,
                        **values,
                    }
                )
    return pd.DataFrame(rows)


def told(
    pairs: pd.DataFrame | None = None,
    methods: Sequence[str] = ("plain", "l2sp"),
    metrics: Sequence[str] = METRICS,
    names: Sequence[str] = SCORES,
    dropped: Sequence[str] = (),
    by: str = "logme",
    noise: float = 0.03,
) -> dict[str, pd.DataFrame]:
    """The tables of `Findings` on such pairs, by their names."""
    pairs = truth() if pairs is None else pairs
    before = scored(pairs, names, dropped=dropped, noise=noise)
    scores = transferability(before, FACTORS)
    came = outcomes(
        achieved(pairs, methods, metrics),
        DESIGN,
        metrics,
        factors=FACTORS,
        protocol="last",
        repetitions=3,
    )
    both = predicted(scores, came, DESIGN, FACTORS, combined=COMBINED)
    return {
        "transferability": scores,
        "predicted": both,
        "predictions": predictions(both, DESIGN, FACTORS),
        "regret": regret(scores, both, came, DESIGN, factors=FACTORS, by=by),
        "bounds": bounds(before, FACTORS, PREFIX),
    }


@functools.cache
def told_of(
    groups: tuple[tuple[Any, ...], ...], methods: tuple[str, ...]
) -> dict[str, pd.DataFrame]:
    """The same of pairs with these factors and one target; made once."""
    return told(of_groups(groups, ["uci"] * len(groups)), methods)


def findings(**more: Any) -> Findings:
    """Findings that have these tables alone."""
    return Findings("pairs", DESIGN, None, METRICS, "last", 3, "plain", trials=60, **told(**more))
