"""Runs what is missing of the ready studies and writes this folder's tables.

python docs/results/make.py
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import htsweep
from htsweep.analysis.new_images import Images, Spread, spread_of
from htsweep.analysis.significance import Paired, judge
from htsweep.report import build
from htsweep.report.document import document
from htsweep.report.figures import figures
from htsweep.results import Results
from htsweep.results.images import images_at
from htsweep.selection.choose import choose, last_steps
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
    "emoji": [()],
}
"""The tables of each study by their columns; no columns: the report's own."""
PARTS = {
    "emoji": (
        "grid.dataset={Twemoji: folder:data/emoji:noto-twemoji, "
        "Fluent 3D: folder:data/emoji:noto-fluent_3d}",
        "grid.missing_ratio=[0.5]",
    ),
}
"""What was run of a study of which only a part was: as `--set` takes it."""
CONCLUSIONS = {
    "digits": ("Default against tuned",),
    "digits_methods": ("Default against tuned", "Over all groups", "Hypervolume"),
    "digits_ablation": ("Default against tuned", "Ablation"),
    "digits_protocols": ("Default against tuned", "Protocols"),
    "transferability": ("Predictions", "Bounds"),
    "emoji": ("Default against tuned", "Over all groups", "Hypervolume"),
}
"""What else of the report is kept: its sections."""
FIGURES = {
    "digits": ("frontier",),
    "digits_methods": ("frontier",),
    "digits_ablation": ("ablation",),
    "digits_protocols": ("sensitivity",),
    "transferability": ("scores", "scores_2", "bounds"),
    "emoji": ("frontier",),
}
"""And its figures, at the width of two columns."""
Claim = tuple[str, str, "Numbers"]
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
        part = PARTS.get(name, ())
        study = htsweep.read(STUDIES / f"{name}.yaml", part)
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
        if part:
            options = " ".join(f"--set '{one}'" for one in part)
            title = f"# {name}\n"
            page[0] = page[0].replace(
                title, f"{title}\nOnly a part of the study was run: `{options}`.\n", 1
            )
        # Folders of images are named from the working folder.
        text = "\n".join(page).replace(f"{Path.cwd()}/", "")
        (HERE / f"{name}.md").write_text(text, encoding="utf-8")
        if name in CLAIMS:
            measured = htsweep.measurements(study, given.results)
            rows += tested(name, results, measured)
    if set(CLAIMS) <= set(given.only.split(",")):
        (HERE / "claims.md").write_text(_claims(rows), encoding="utf-8")
    print("\n".join(rows))


def sections(report: str, titles: Collection[str]) -> Iterator[str]:
    """Those of the sections of a report that are called so."""
    for part in report.split("\n## ")[1:]:
        if part.partition("\n")[0] in titles:
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


@dataclass(frozen=True, eq=False)
class Numbers:
    """A number of each repetition, and the trials' numbers that it is a weighted sum of."""

    values: pd.Series
    """By repetition."""
    terms: tuple[tuple[str, tuple[float, str, int]], ...] = ()
    """(metric, (weight, sweep, repetition)) of each summand; empty where it is no such sum."""

    def __sub__(self, other: Numbers) -> Numbers:
        return self + -other

    def __neg__(self) -> Numbers:
        return self.times(-1.0)

    def __add__(self, other: Numbers | float) -> Numbers:
        if not isinstance(other, Numbers):
            return Numbers(self.values + other, self.terms)
        both = self.terms and other.terms
        return Numbers(self.values + other.values, self.terms + other.terms if both else ())

    def times(self, weight: float) -> Numbers:
        """The number times a constant."""
        terms = ((name, (weight * times, *trial)) for name, (times, *trial) in self.terms)
        return Numbers(self.values * weight, tuple(terms))  # type: ignore[arg-type]

    def spread(self, images: Images | None) -> Spread | None:
        """How much other test images would change the mean; None where that is not known."""
        runs = set(self.values.dropna().index)
        terms = [(name, term) for name, term in self.terms if term[2] in runs]
        if images is None or not terms:
            return None
        total = None
        for metric in {name for name, _ in terms}:
            part = images.total([term for name, term in terms if name == metric], metric)
            if part is None:
                return None
            total = part if total is None else total + part
        tested = images.tested({(sweep, run) for _, (_, sweep, run) in terms})
        return spread_of(total, len(runs), tested)


def mean_of(rows: pd.DataFrame, column: str) -> Numbers:
    """The mean of a column over the rows of each repetition, one row for each sweep."""
    share = 1 / rows.groupby("repetition")["sweep"].transform("size")
    trials = zip(share, rows["sweep"].astype(str), rows["repetition"], strict=True)
    terms = tuple((column, (float(w), sweep, int(run))) for w, sweep, run in trials)
    return Numbers(rows.groupby("repetition")[column].mean(), terms)


def on_digits(study: Study, ends: pd.DataFrame) -> Iterator[Claim]:
    """What Holistic Transfer and its successor say, on each pair of domains."""

    def of(method: str, column: str, dataset: str) -> Numbers:
        rows = ends[(ends["method"] == method) & (ends["dataset"] == dataset)]
        return mean_of(rows, f"test/{column}")

    for dataset in study.grid["dataset"]:

        def gain(method: str, other: str, column: str, dataset: str = dataset) -> Numbers:
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
            Numbers(recovered.values / lost.values - 0.5),
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


def on_ablation(study: Study, ends: pd.DataFrame) -> Iterator[Claim]:
    """What each component adds to the full chain."""
    for dataset in study.grid["dataset"]:
        of_dataset = ends[ends["dataset"] == dataset]
        wide = {
            str(method): mean_of(rows, "test/overall_accuracy")
            for method, rows in of_dataset.groupby("method", observed=True)
        }
        full = max(
            (name for name in wide if "local_sgd" not in name),
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


def on_calibration(study: Study, ends: pd.DataFrame) -> Iterator[Claim]:
    """What calibration recovers of plain fine-tuning; a difference is the mean over the ratios."""
    plain = ends[ends["method"] == "plain"]
    overall = {name: mean_of(plain, f"test/{name}_accuracy") for name in CALIBRATED}
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


def on_fractions(study: Study, ends: pd.DataFrame) -> Iterator[Claim]:
    """What the papers on new label spaces say, where they say it."""

    def gain(
        method: str, fraction: float, column: str = "test/overall_accuracy", other: str = "plain"
    ) -> Numbers:
        rows = ends[ends["fraction"] == fraction]
        return mean_of(rows[rows["method"] == method], column) - mean_of(
            rows[rows["method"] == other], column
        )

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


CLAIMS: dict[str, Callable[[Study, pd.DataFrame], Iterator[Claim]]] = {
    "digits_methods": on_digits,
    "digits_ablation": on_ablation,
    "digits_calibration": on_calibration,
    "fine_tuning_digits": on_fractions,
}


RECONSTRUCTED = ("lolsgd", "selective_distillation", "feature_rank", "leaving classes out")
"""Methods of which no code was released: their constants are this project's."""
UNTUNED = 0.02
"""The learning rate that was the default before a protocol chose one."""


def tested(name: str, results: Results, measured: pd.DataFrame) -> list[str]:
    """The rows of a study's claims, as its protocol chose and as they were without tuning."""
    study, share = results.study, _share(results)
    ends = choose(measured, study.select, study.repetitions)
    chosen = list(CLAIMS[name](study, ends))
    verdicts = _verdicts(chosen, share, images_at(results, ends))
    rate = measured.get("learning_rate")
    searched = study.search is not None and rate is not None
    before: dict[tuple[str, str], str] = {}
    if searched:
        fixed = measured[rate.isna() | (rate == UNTUNED)]
        ends = fixed.merge(last_steps(fixed))
        untuned = list(CLAIMS[name](study, ends))
        before = {
            (claim, where): found
            for (claim, where, _), found in zip(
                untuned, _verdicts(untuned, share, images_at(results, ends)), strict=True
            )
        }
    rows = []
    for (claim, where, differences), found in zip(chosen, verdicts, strict=True):
        sign = "†" if any(part in claim for part in RECONSTRUCTED) else ""
        sides = [found, before[claim, where]] if searched else ["", found]
        count = len(differences.values.dropna())
        rows.append(f"| {claim}{sign} | {name}, {where} | {count} | {' | '.join(sides)} |")
    return rows


def _share(results: Results) -> float:
    """The largest share of a target's images that a repetition tests; NaN where one is unknown."""
    rests = [results.plan.task.evidence(sweep.base) for sweep in results.plan.sweeps]
    shares = [np.nan if one is None or one.tested is None else one.tested for one in rests]
    return float(np.max(shares))


def _verdicts(claims: list[Claim], share: float, images: Images | None = None) -> list[str]:
    """Each claim's difference, interval and verdict; claims about one place are one family."""
    places = np.array([where for _, where, _ in claims])
    families = [np.flatnonzero(places == place) for place in dict.fromkeys(places)]
    judged = judge(
        [
            [
                Paired(numbers.values.to_numpy(float), share, numbers.spread(images))
                for numbers in (claims[index][2] for index in some)
            ]
            for some in families
        ]
    )
    said = [""] * len(claims)
    for family, found in zip(families, judged, strict=True):
        for index, row in zip(family, found, strict=True):
            # Singular values are no shares.
            scale = 1 if "singular value" in claims[index][0] else 100
            mean, low, high = (scale * row[name] for name in ("difference", "low", "high"))
            said[index] = f"{mean:+.1f} [{low:+.1f}, {high:+.1f}] {VERDICTS[row['verdict']]}"
    return said


VERDICTS = {
    "better": "holds",
    "worse": "**does not hold**",
    "not shown": "not shown",
    "too few": "too few",
}


def _claims(rows: list[str]) -> str:
    return "\n".join(
        [
            "# What the papers claim, and what is seen here",
            "",
            "Each claim is put as a difference that should be above 0, paired by repetition: its "
            "mean in points (singular values as they are), with its 95 % interval. *Holds*: the",
            "exact sign-flip test and, where repetitions draw their test images anew from one "
            "pool, the test for new images (crossed factors; where a number is no sum over",
            "images, the corrected resampled t test)",
            "have p < 0.05 after Holm's correction over the claims about one place of a study, and "
            "the interval (of the second test; else Student's) is above 0;",
            "**does not hold**: the same below 0; *not shown*: neither; *too few*: so few "
            "repetitions cannot show it. Studies of",
            "two repetitions are left out.",
            "",
            "*Tuned*: each method at the best of four learning rates, by a protocol that sees no "
            f"test label; *not tuned*: all at {UNTUNED:g} and the last",
            "step, or at the task's defaults where nothing is searched. † No code of the method "
            "was released: it is a reconstruction with constants",
            "of this project's.",
            "",
            "| claim | where | n | tuned | not tuned |",
            "| --- | --- | --: | --- | --- |",
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    main()
