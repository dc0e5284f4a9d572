"""Runs what is missing of the ready studies and writes this folder's tables.

python docs/results/make.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import htsweep
from htsweep.analysis.interval import half_width
from htsweep.report import build
from htsweep.report.document import document
from htsweep.report.figures import figures
from htsweep.results import Results
from htsweep.selection.choose import choose
from htsweep.study.schema import Study

HERE = Path(__file__).parent
STUDIES = HERE.parent.parent / "studies"
CALIBRATED = ("overall", "alg_overall", "pcv_overall", "alg_code_overall", "oracle_overall")
TABLES: dict[str, list[tuple[str, ...]]] = {
    "digits_methods": [
        (),
        (
            "test/missing_within_accuracy",
            "test/ncm_missing_accuracy",
            "test/alg_overall_accuracy",
            "test/oracle_overall_accuracy",
            "validation/alg_gamma",
        ),
    ],
    "digits_ablation": [()],
    "digits_protocols": [()],
    "digits": [()],
    "digits_defaults": [()],
    "digits_local_steps": [()],
    "digits_lolsgd_controls": [()],
    "transferability": [],
    "digits_calibration": [
        tuple(f"test/{name}_accuracy" for name in CALIBRATED),
        (
            "test/missing_accuracy",
            "test/alg_missing_accuracy",
            "test/pcv_missing_accuracy",
            "validation/alg_gamma",
            "validation/pcv_gamma",
            "test/oracle_gamma",
        ),
    ],
    "fine_tuning_digits": [
        (
            "test/overall_accuracy",
            "validation/seen_accuracy",
            "train/smallest_singular_value",
            "tred/negative_norm",
            "tred/negative_accuracy",
        )
    ],
    "fine_tuning_fractions": [
        ("test/overall_accuracy", "test/class_accuracy", "validation/seen_accuracy"),
        ("train/smallest_singular_value", "tred/negative_norm", "tred/negative_accuracy"),
    ],
}
"""The tables of each study by their columns; no columns: the report's own."""
CONCLUSIONS = {
    "digits_methods": ("Over all groups", "Ranks", "Hypervolume"),
    "digits_ablation": ("Ablation",),
    "digits_protocols": ("Protocols",),
    "transferability": ("Predictions", "Bounds"),
}
"""What else of the report is kept: its sections."""
FIGURES = {
    "digits_methods": ("frontier", "ranks", "ratios"),
    "digits_ablation": ("ablation",),
    "digits_protocols": ("sensitivity",),
    "transferability": ("scores", "scores_2", "bounds"),
}
"""And its figures, at the width of two columns."""
Claim = tuple[str, str, pd.Series]
"""What is claimed; where; the differences, which the claim says are above 0, one per repetition."""


def main() -> None:
    """Launches what is missing and writes a page per study, and one of the papers' claims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", default="results", help="folder of the results")
    parser.add_argument("--only", default=",".join(TABLES), help="studies, by commas")
    parser.add_argument("--no-launch", action="store_true", help="take what is there")
    given = parser.parse_args()
    rows: list[str] = []
    for name in given.only.split(","):
        study = htsweep.read(STUDIES / f"{name}.yaml")
        if not given.no_launch:
            htsweep.launch(study, results=given.results)
        results = Results(study, given.results)
        parts = [build.tell(results, metrics=columns) for columns in TABLES[name]]
        # Each table after the first leaves out the title.
        page = [
            *(parts[:1] or [f"# {name}\n"]),
            *(part.partition("\n")[2].strip() + "\n" for part in parts[1:]),
        ]
        if name in CONCLUSIONS:
            found = build.findings(results)
            page += list(sections(document(found)["report.md"], CONCLUSIONS[name]))
            page += [regrets(found.regret)] if len(found.regret) else []
            wanted = {figure.partition("_")[0] for figure in FIGURES[name]}
            for file, content in figures(found, only=wanted, formats=["svg"]).items():
                if file.partition(".")[0] not in FIGURES[name]:
                    continue
                (HERE / f"{name}_{file}").write_bytes(content)
                page.append(f"![{file.partition('.')[0]}]({name}_{file})\n")
        (HERE / f"{name}.md").write_text("\n".join(page), encoding="utf-8")
        rows += [
            _row(name, *claim)
            for claim in CLAIMS.get(name, lambda *_: iter(()))(study, given.results)
        ]
    if set(given.only.split(",")) == set(TABLES):
        (HERE / "claims.md").write_text(_claims(rows), encoding="utf-8")
    print("\n".join(rows))


def sections(report: str, names: Collection[str]) -> Iterator[str]:
    """Those of the sections of a report that are called so."""
    for part in report.split("\n## ")[1:]:
        if part.partition("\n")[0] in names:
            yield f"## {part.strip()}\n"


def regrets(found: pd.DataFrame, metric: str = "test/overall_accuracy") -> str:
    """What a screen by each score would cost of a metric, in points: means over targets.

    With 1, 2 or half of the pairs kept.
    """
    of = found[found["metric"] == metric].rename(columns={"keep": "kept"})
    kept = [1, 2, int(of["pairs"].max()) // 2]
    wide = (
        of[of["kept"].isin(kept)]
        .assign(regret=of["regret"] * 100)
        .pivot_table(
            index="score", columns=["method", "kept"], values="regret", observed=True, sort=False
        )
    )
    chance = (
        of[of["kept"].isin(kept)]
        .groupby(["method", "kept"], sort=False, observed=True)["random"]
        .mean()
        * 100
    )
    wide.loc["*drawn by chance*"] = chance
    head = [f"{method}, {count} kept" for method, count in wide.columns]
    rows = [
        f"| {name} | " + " | ".join(f"{value:.1f}" for value in row) + " |"
        for name, row in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    return "\n".join(
        [
            "## Regret of screening",
            "",
            "Points of overall accuracy by which the best pair of a target is better than the "
            "best that is kept, of "
            f"{of['pairs'].max()} pairs; means over {of['target'].nunique()} targets.",
            "",
            f"| score | {' | '.join(head)} |",
            f"| --- |{' --: |' * len(head)}",
            *rows,
            "",
        ]
    )


def on_digits(study: Study, results: str) -> Iterator[Claim]:
    """What Holistic Transfer and its successor say, on each pair of domains.

    A difference is the mean over the ratios.
    """
    ends = _chosen(study, results)

    def of(method: str, column: str, dataset: str) -> pd.Series:
        rows = ends[(ends["method"] == method) & (ends["dataset"] == dataset)]
        return rows.groupby("repetition")[f"test/{column}"].mean()

    for dataset in study.grid["dataset"]:

        def gain(method: str, other: str, column: str, dataset: str = dataset) -> pd.Series:
            return of(method, column, dataset) - of(other, column, dataset)

        yield (
            "plain fine-tuning raises seen accuracy",
            dataset,
            gain("plain", "source", "seen_accuracy"),
        )
        yield (
            "plain fine-tuning loses missing accuracy",
            dataset,
            -gain("plain", "source", "missing_accuracy"),
        )
        yield "AUSUC(plain) > AUSUC(source)", dataset, gain("plain", "source", "ausuc")
        yield (
            "within-missing accuracy does not fall (plain - source, at least -2 points)",
            dataset,
            gain("plain", "source", "missing_within_accuracy") + 0.02,
        )
        yield (
            "nearest class means of missing classes improve (plain - source)",
            dataset,
            gain("plain", "source", "ncm_missing_accuracy"),
        )
        lost = gain("oracle", "plain", "overall_accuracy")
        recovered = of("plain", "oracle_overall_accuracy", dataset) - of(
            "plain", "overall_accuracy", dataset
        )
        yield (
            "the oracle constant recovers most of what plain lacks to the oracle (share - 1/2)",
            dataset,
            recovered / lost - 0.5,
        )
        yield (
            "the average logit gap raises plain's overall accuracy",
            dataset,
            of("plain", "alg_overall_accuracy", dataset) - of("plain", "overall_accuracy", dataset),
        )
        yield (
            "batch-norm statistics alone raise overall accuracy",
            dataset,
            gain("bn_statistics", "source", "overall_accuracy"),
        )
        yield (
            "batch-norm statistics alone do not cost missing accuracy (at least -2 points)",
            dataset,
            gain("bn_statistics", "source", "missing_accuracy") + 0.02,
        )
        yield "AUSUC(plain) > AUSUC(linear_probe)", dataset, gain("plain", "linear_probe", "ausuc")
        yield (
            "AUSUC(plain) > AUSUC(frozen_classifier)",
            dataset,
            gain("plain", "frozen_classifier", "ausuc"),
        )
        yield (
            "AUSUC(plain) > AUSUC(lolsgd + selective_distillation)",
            dataset,
            gain("plain", "lolsgd+selective_distillation", "ausuc"),
        )
        yield (
            "leaving classes out helps: overall(lolsgd) > overall(local_sgd)",
            dataset,
            gain("lolsgd", "local_sgd", "overall_accuracy"),
        )
        yield (
            "overall(lolsgd + selective_distillation) > overall(plain)",
            dataset,
            gain("lolsgd+selective_distillation", "plain", "overall_accuracy"),
        )
        yield (
            "overall(wise_ft) > overall(plain)",
            dataset,
            gain("wise_ft", "plain", "overall_accuracy"),
        )
        yield "overall(l2sp) > overall(plain)", dataset, gain("l2sp", "plain", "overall_accuracy")


def on_ablation(study: Study, results: str) -> Iterator[Claim]:
    """What each component adds to the full chain."""
    ends = _chosen(study, results)
    for dataset in study.grid["dataset"]:
        wide = ends[ends["dataset"] == dataset].pivot_table(
            index="repetition", columns="method", values="test/overall_accuracy", observed=True
        )
        full = max(
            (name for name in wide.columns if "local_sgd" not in name),
            key=lambda name: name.count("+"),
        )
        for component in str(full).split("+"):
            without = "+".join(name for name in str(full).split("+") if name != component)
            yield (
                f"{component} raises the full chain's overall accuracy",
                dataset,
                wide[full] - wide[without],
            )
        control = str(full).replace("lolsgd", "local_sgd")
        yield (
            "leaving classes out raises the full chain's overall accuracy (lolsgd - local_sgd)",
            dataset,
            wide[full] - wide[control],
        )
        yield "overall(full chain) > overall(plain)", dataset, wide[full] - wide["plain"]


def on_calibration(study: Study, results: str) -> Iterator[Claim]:
    """What calibration recovers of plain fine-tuning; a difference is the mean over the ratios."""
    ends = _chosen(study, results)
    plain = ends[ends["method"] == "plain"].groupby("repetition").mean(numeric_only=True)
    overall = {name: plain[f"test/{name}_accuracy"] for name in CALIBRATED}
    yield (
        "pseudo cross-validation raises plain's overall accuracy",
        "mnist-uci",
        overall["pcv_overall"] - overall["overall"],
    )
    yield (
        "pseudo cross-validation is better than the average logit gap",
        "mnist-uci",
        overall["pcv_overall"] - overall["alg_overall"],
    )


def on_fractions(study: Study, results: str) -> Iterator[Claim]:
    """What the papers on new label spaces say, where they say it."""
    ends = _chosen(study, results)

    def gain(
        method: str, fraction: float, column: str = "test/overall_accuracy", other: str = "plain"
    ) -> pd.Series:
        of_fraction = ends[ends["fraction"] == fraction]
        wide = of_fraction.pivot_table(
            index="repetition", columns="method", values=column, observed=True
        )
        return wide[method] - wide[other]

    fractions = sorted(study.grid["fraction"])
    low, high = fractions[0], fractions[-1]
    for fraction in fractions:
        # It is a shrinkage: the paper takes small singular values for what does not transfer, and
        # suppresses them.
        yield (
            "BSS lowers the smallest singular value (plain - bss)",
            f"fraction {fraction:g}",
            -gain("bss", fraction, "train/smallest_singular_value"),
        )
    for method in sorted(set(ends["method"]) - {"plain"}):
        yield f"overall({method}) > overall(plain)", f"fraction {low:g}", gain(method, low)
    yield (
        "Co-Tuning's gain shrinks as data grows",
        f"fraction {low:g} against {high:g}",
        gain("co_tuning", low) - gain("co_tuning", high),
    )
    yield (
        "L2-SP is better than L2 where data is scarce",
        f"fraction {low:g}",
        gain("l2sp", low, other="l2"),
    )


CLAIMS: dict[str, Callable[[Study, str], Iterator[Claim]]] = {
    "digits_methods": on_digits,
    "digits_ablation": on_ablation,
    "digits_calibration": on_calibration,
    "fine_tuning_digits": on_fractions,
    "fine_tuning_fractions": on_fractions,
}


def _chosen(study: Study, results: str) -> pd.DataFrame:
    """A measurement per sweep and repetition: the one that the study's protocol picks."""
    return choose(htsweep.measurements(study, results), study.select, study.repetitions)


def _row(study: str, claim: str, where: str, differences: pd.Series) -> str:
    found = differences.dropna()
    mean = found.mean()
    half = float(half_width(np.array([found.std()]), np.array([len(found)]))[0])
    verdict = (
        "holds" if mean - half > 0 else "**does not hold**" if mean + half < 0 else "not shown"
    )
    return f"| {claim} | {study}, {where} | {mean:+.3f} ± {half:.3f} | {len(found)} | {verdict} |"


def _claims(rows: list[str]) -> str:
    return "\n".join(
        [
            "# What the papers claim, and what is seen here",
            "",
            "Each claim is put as a difference that should be above 0, paired by repetition: its "
            "mean ± half of the 95 % interval",
            "(Student's t) over n repetitions. *Holds*: the interval is above 0; **does not "
            "hold**: below; *not shown*: 0 is in it.",
            "Accuracies are fractions, so that 0.010 is a point. No correction for the number of "
            "claims is made.",
            "",
            "| claim | where | difference | n | verdict |",
            "| --- | --- | --: | --: | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
