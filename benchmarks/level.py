"""Prints how often each test of a report is wrong where there is nothing to find.

Each null is drawn many times with named seeds, and each test of `htsweep.analysis` that applies is
run on it as a report runs it. Printed is the share of draws in which the test claimed something
that is not there (5 % is meant; for intervals, how often they miss the truth), with the standard
error of that share.

uv run python benchmarks/level.py [--draws 200] [--only "equal methods"]
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import pandas as pd
from worlds import METRIC, learners, missing_classes, one_pool, table

from htsweep.analysis.blocks import blocks
from htsweep.analysis.correlation import correlate, side
from htsweep.analysis.design import Design
from htsweep.analysis.effects import effects
from htsweep.analysis.importance import importance
from htsweep.analysis.interval import interval_of
from htsweep.analysis.new_images import Images
from htsweep.analysis.ranks import ALPHA, ranks
from htsweep.analysis.volumes import volumes

SEEN, MISSING = "test/seen_accuracy", "test/missing_accuracy"
DRAWS = 200
Answers = dict[str, bool]
"""Test -> whether it claimed something false in one draw."""


@final
@dataclass(frozen=True)
class Null:
    """A world in which there is nothing to find, and the tests that are asked about it."""

    name: str
    what: str
    ask: Callable[[np.random.Generator], Answers]
    share: float = 1.0
    """Of `--draws`, for nulls whose tests take long."""


def generator(null: str, draw: int) -> np.random.Generator:
    """The random numbers of one draw: from the null's name and the draw's number alone."""
    return np.random.default_rng([zlib.crc32(null.encode()), draw])


# -- worlds of methods


def over_datasets(
    random: np.random.Generator, sources: int, targets: int, spread: float = 0.02
) -> pd.DataFrame:
    """Methods of which none is better over datasets, though each suits some of them more.

    What suits a source or a target shows in all of its datasets, and at every missing ratio;
    `spread` is the standard deviation of what suits a source.
    """
    methods, ratios, repetitions = 5, 3, 5
    pairs = [(source, target) for source in range(sources) for target in range(targets)]
    of_source = random.normal(0, spread, (sources, methods))
    of_target = random.normal(0, 0.02, (targets, methods))
    both = np.array([of_source[source] + of_target[target] for source, target in pairs])
    noise = random.normal(0, 0.01, (len(pairs), ratios, methods, repetitions))
    values = 0.7 + both[:, None, :, None] + noise
    return table(
        values,
        [f"s{source}-t{target}" for source, target in pairs],
        [0.3, 0.5, 0.7],
        ["plain", *(f"m{number}" for number in range(1, methods))],
    )


def linked(random: np.random.Generator, families: int) -> pd.DataFrame:
    """As `over_datasets`, for several sources, each with two targets of its own."""
    parts = []
    for family in range(families):
        rows = over_datasets(random, 1, 2)
        dataset = rows["dataset"].str.replace("s0-t", f"s{family}-t{family}.", regex=False)
        parts.append(rows.assign(dataset=dataset, sweep=f"{family}" + rows["sweep"]))
    return pd.concat(parts, ignore_index=True)


def ranked(rows: pd.DataFrame) -> Answers:
    """Friedman's and Nemenyi's answers over the datasets of `rows`, with what a task declares."""
    design = Design(("dataset", "missing_ratio"), "method")
    ends = rows["dataset"].str.partition("-")
    evidence = pd.DataFrame(
        {"sweep": rows["sweep"], "source_domain": ends[0], "target_domain": ends[2]}
    )
    found = ranks(rows, design, [METRIC], blocks(rows, design, evidence))
    if found.empty:
        return {"Friedman": False, "Nemenyi, any two methods": False}
    apart = np.ptp(found["rank"]) >= found["critical_difference"].iloc[0]
    return {
        "Friedman": bool(found["friedman_p"].iloc[0] < ALPHA),
        "Nemenyi, any two methods": bool(apart),
    }


def compared(
    rows: pd.DataFrame, tested: float | None = None, images: Images | None = None
) -> Answers:
    """What is claimed of methods that all equal the baseline; `tested` is the share of a pool."""
    design = Design(("dataset", "missing_ratio"), "method")
    shares = None if tested is None else pd.Series(tested, rows["sweep"].unique())
    found = effects(rows, design, [METRIC], "plain", tested=shares, images=images)
    first = found.iloc[0]
    new_images: Answers = {}
    if images is not None:
        new_images["crossed test, one method"] = bool(first["p_new_images"] < ALPHA)
    if tested is not None:
        without = effects(rows, design, [METRIC], "plain", tested=shares).iloc[0]
        new_images["corrected resampled test, one method"] = bool(without["p_new_images"] < ALPHA)
    return {
        **new_images,
        "sign-flip test, one method": bool(first["p"] < ALPHA),
        "signed-rank test, one method": bool(first["wilcoxon"] < ALPHA),
        "interval of a difference misses": not first["low"] <= 0 <= first["high"],
        "shown, any method (Holm)": bool(found["verdict"].isin(["better", "worse"]).any()),
    }


def on_pool(world: tuple[pd.DataFrame, Images]) -> Answers:
    """What is claimed of two equal models that are tested on 30 % of one pool, drawn anew."""
    rows, images = world
    return compared(rows, 0.3, images)


def alike(
    random: np.random.Generator, methods: int, repetitions: int, spread: str = "normal"
) -> pd.DataFrame:
    """Methods of one group that have the same distribution, with a repetition's effect shared."""
    size = (1, 1, methods, repetitions)
    noise = {
        "normal": lambda: random.normal(0, 0.01, size),
        "heavy": lambda: 0.01 * random.standard_t(2, size),
        "skewed": lambda: (
            0.01 * (random.exponential(1, size) - 1) * np.r_[0.2, np.ones(methods - 1)][:, None]
        ),
        "ties": lambda: random.binomial(20, 0.8, size) / 20 - 0.8,
    }[spread]()
    shared = random.normal(0, 0.02, (1, 1, 1, repetitions)) if spread != "ties" else 0.0
    names = ["plain", *(f"m{number}" for number in range(1, methods))]
    return table(0.8 + shared + noise, ["a-b"], [0.5], names)


def power(random: np.random.Generator) -> Answers:
    """What is found of a model that is 4 points better, which is no error but what is wanted."""
    found = {}
    for split in (0.1, 0.5):
        rows, images = missing_classes(random, 1800, 10, split=split, better=0.2)
        answers = compared(rows, 0.3, images)
        found |= {
            f"{test}, split {split:g} (found)": answers[test]
            for test in ("crossed test, one method", "corrected resampled test, one method")
        }
    return found


# -- worlds of points, parameters and scores


def areas(random: np.random.Generator) -> Answers:
    """Whether the interval of a hypervolume misses the area of the population's means."""
    repetitions, points = 8, {"one point": 1, "ten equal points": 10}
    answers = {}
    for name, count in points.items():
        rows = pd.DataFrame(
            {
                "trial": [f"{p}{r}" for p in range(count) for r in range(repetitions)],
                "sweep": "s",
                "point": [f"p{p}" for p in range(count) for _ in range(repetitions)],
                "repetition": list(range(repetitions)) * count,
                "status": "done",
                "step": 1,
                "method": "plain",
                "role": "",
                SEEN: random.normal(0.8, 0.02, count * repetitions),
                MISSING: random.normal(0.5, 0.02, count * repetitions),
            }
        )
        found = volumes(rows, SEEN, MISSING, design=Design((), "method")).iloc[0]
        answers[f"interval of a hypervolume misses, {name}"] = not (
            found["low"] <= 0.4 <= found["high"]
        )
    return answers


def parameters(random: np.random.Generator) -> Answers:
    """Whether a parameter is said to matter, where the results are noise."""
    points = 40
    rows = pd.DataFrame(
        {
            "trial": [f"p{point}" for point in range(points)],
            "sweep": "s",
            "point": [f"p{point}" for point in range(points)],
            "repetition": 0,
            "status": "done",
            "step": 1,
            "method": "plain",
            "role": "",
            "rate": random.random(points),
            "weight": random.random(points),
            "layers": random.integers(0, 4, points),
            METRIC: random.normal(size=points),
        }
    )
    found = importance(rows, Design((), "method"), ["rate", "weight", "layers"], [METRIC])
    return {
        f"{name}, any parameter {what}": bool(claimed.any())
        for name, inside in found.groupby("evaluator")
        for what, claimed in (
            ("shown to matter", inside["verdict"] == "shown"),
            ("above a half", inside["importance"] > 0.5),
        )
    }


def unrelated(random: np.random.Generator) -> Answers:
    """Whether a score is said to rank pairs of 8 sources and 6 targets, where it cannot."""
    sources, targets = 8, 6
    source = np.tile(np.arange(sources), targets)
    target = np.repeat(np.arange(targets), sources)

    def numbers() -> np.ndarray:
        values = (
            random.normal(size=sources)[source]
            + random.normal(size=targets)[target]
            + 0.5 * random.normal(size=len(source))
        )
        return np.asarray(values)

    score, achieved = numbers(), numbers()
    answers = {}
    for name, block in (("all pairs", np.zeros_like(target)), ("within targets", target)):
        clusters = (tuple(source.tolist()), tuple(target.tolist()))
        found = correlate(side(score, block, clusters), side(achieved, block, clusters))
        for statistic in ("kendall", "weighted_kendall", "pearson"):
            low, high = found[f"{statistic} low"], found[f"{statistic} high"]
            answers[f"{statistic}, {name}"] = bool(low > 0 or high < 0)
    return answers


def between_means(random: np.random.Generator) -> Answers:
    """Whether the interval of one mean misses it, for few numbers."""
    return {
        f"interval of a mean misses, {count} repetitions": not low <= 0 <= high
        for count in (3, 5, 8, 20)
        for low, high in [interval_of(random.normal(size=count))]
    }


NULLS = (
    Null(
        "shared targets",
        "5 methods, none better over targets of one source: 8 targets, 3 nested ratios each",
        lambda random: ranked(over_datasets(random, 1, 8, spread=0.0)),
    ),
    Null(
        "other sources",
        "the same, where each method suits some sources more: true of this source, not of others",
        lambda random: ranked(over_datasets(random, 1, 8)),
    ),
    Null(
        "shared sources",
        "5 methods, none better over datasets: 3 sources to each of 6 targets, 3 ratios each",
        lambda random: ranked(over_datasets(random, 3, 6)),
    ),
    Null(
        "linked datasets",
        "5 methods, none better over datasets: 7 sources to 2 targets of their own, 3 ratios each",
        lambda random: ranked(linked(random, 7)),
    ),
    Null(
        "one pool",
        "2 fixed models of equal accuracy, 8 re-splits (30 % tested) of one pool of 600 images",
        lambda random: on_pool(one_pool(random)),
    ),
    Null(
        "missing classes",
        "2 models alike, but for which classes are missing; 10 re-splits of 1,800 images",
        lambda random: on_pool(missing_classes(random, 1800, 10, split=0.5)),
    ),
    Null(
        "missing classes with few images",
        "the same, 8 re-splits of 200 images, less spread of missing classes",
        lambda random: on_pool(missing_classes(random, 200, 8, split=0.2)),
    ),
    Null(
        "learners",
        "2 learners alike (class means of 20 numbers), trained on splits of one pool of 600 images",
        lambda random: on_pool(learners(random, 600, 20, "means")),
    ),
    Null(
        "unstable learners",
        "the same (nearest neighbours of 20 numbers) on one pool of 200 images",
        lambda random: on_pool(learners(random, 200, 20, "neighbour")),
    ),
    Null("power", "no null: one of 2 models is 4 points better; how often it is found", power),
    Null(
        "equal methods",
        "18 methods like the baseline, 10 repetitions",
        lambda random: compared(alike(random, 19, 10)),
    ),
    Null(
        "few repetitions",
        "2 methods like the baseline, 3 repetitions",
        lambda random: compared(alike(random, 3, 3)),
    ),
    Null(
        "heavy tails",
        "3 methods like the baseline, 8 repetitions, Student's t with 2 degrees of freedom",
        lambda random: compared(alike(random, 4, 8, "heavy")),
    ),
    Null(
        "skewed",
        "3 methods of the baseline's mean but another shape (exponential), 8 repetitions",
        lambda random: compared(alike(random, 4, 8, "skewed")),
    ),
    Null(
        "ties",
        "3 methods like the baseline on 20 images that are drawn anew, 8 repetitions",
        lambda random: compared(alike(random, 4, 8, "ties")),
    ),
    Null("means", "normal numbers", between_means),
    Null("areas", "points of equal true accuracy, 8 repetitions", areas, share=0.2),
    Null(
        "noise parameters",
        "3 parameters that change nothing, 40 points",
        parameters,
        share=0.5,
    ),
    Null(
        "unrelated scores",
        "a score and results with effects of 8 sources and 6 targets of their own",
        unrelated,
    ),
)


def levels(null: Null, draws: int) -> Iterator[tuple[str, float, int]]:
    """(test, share of draws in which it was wrong, how many draws)."""
    count = max(1, round(draws * null.share))
    found = pd.DataFrame([null.ask(generator(null.name, draw)) for draw in range(count)])
    for test in found.columns:
        yield str(test), float(found[test].mean()), count


def main() -> None:
    """Prints a Markdown table with a row per null and test."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=DRAWS, help="how often each null is drawn")
    parser.add_argument("--only", default="", help="nulls by name, separated by commas")
    given = parser.parse_args()
    if given.draws < 1:
        parser.error(f"`--draws` must be at least 1, but got {given.draws}")
    wanted = [name.strip() for name in given.only.split(",") if name.strip()]
    unknown = set(wanted) - {null.name for null in NULLS}
    if unknown:
        known = ", ".join(null.name for null in NULLS)
        parser.error(f"no null called {', '.join(sorted(unknown))}; known: {known}")
    print("| null | test | wrong | draws |\n| --- | --- | --: | --: |")
    for null in NULLS:
        if wanted and null.name not in wanted:
            continue
        begin = time.perf_counter()
        for test, share, count in levels(null, given.draws):
            error = np.sqrt(max(share * (1 - share), 0.05 * 0.95 / 4) / count)
            print(
                f"| {null.name}: {null.what} | {test} | {100 * share:.1f} % ± {100 * error:.1f} "
                f"| {count} |",
                flush=True,
            )
        print(f"<!-- {null.name}: {time.perf_counter() - begin:.1f} s -->")


if __name__ == "__main__":
    main()
