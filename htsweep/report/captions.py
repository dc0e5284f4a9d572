"""How to read each table: Markdown with `code` and **bold**."""

from __future__ import annotations

from collections.abc import Sequence

from htsweep import selection
from htsweep.planning.power import least_p, repetitions_needed
from htsweep.report import names
from htsweep.words import count

ALPHA = 0.05
"""The p below which a difference counts as shown."""

EFFECTS = (
    "Each row is compared with the baseline on the repetitions that both have: the mean difference "
    "[low, high] with its 95 % interval. p is that of the exact sign-flip test and, where a "
    "repetition draws its test images from one pool, of a test for new images as well, of which "
    "the larger counts: where logits are kept, a t test with repetitions and images as two crossed "
    "random factors, else the corrected resampled t test (Nadeau and Bengio 2003). Holm's "
    "correction is over the rows of a block, separately for each metric. **Bold** differences are "
    "shown: p < 0.05, and the interval does not contain 0. Where there are too few repetitions to "
    "reach p < 0.05, the last column says so. Where the page has a p for new images, interval and "
    "verdict are about new images of the same kind, missing classes and seeds, for the same source "
    "data; where it has none, they are about other seeds on the same images, and the interval is "
    "that of Student's t."
)
TOGETHER = (
    "The mean and the interquartile mean (over the middle half of all runs; Agarwal et al., "
    "NeurIPS 2021) over all groups and repetitions, with stratified bootstrap intervals. The "
    "difference to the baseline is paired. Where there are six independent blocks (such as "
    "targets), a pair is a block's mean, and what is shown holds for others of the kind; else a "
    "pair compares one repetition's means over all groups, which share a class split and seeds. p "
    "is corrected by Holm's method over the rows of a block."
)
RANKS = (
    "The mean rank over independent blocks, where 1 is best; upper bounds are left out. Two rows "
    "whose ranks differ by less than the critical difference (Nemenyi test, 5 %) are not shown to "
    "differ. Where Friedman's p is above 0.05, no difference is shown at all (Demšar, JMLR 2006)."
)
VOLUMES = (
    "The area that the front dominates above the reference (the source model's accuracies, or the "
    "origin), with its 95 % interval: one half of the repetitions finds the front and the other "
    "measures it, so that luck does not count; it takes four repetitions. Where both axes are "
    "accuracies, it is in percent of the whole plane. The contribution is what the joint front of "
    "all rows loses without this one."
)
FRONTS = (
    "The points that are on a front or were chosen by the protocol: mean [low, high] over "
    "repetitions."
)
TUNED = (
    "Each row at the defaults of what is searched, at its last step, and as each protocol chose a "
    "point and a step; the difference is paired by repetition, with a 95 % interval. On paper: the "
    "study's protocol. `n/a`: no point has all parameters at their defaults."
)
PROTOCOLS = (
    "The test result of what each protocol chooses: mean [low, high] over repetitions, with a 95 % "
    f"interval. The gap is how much better the choice of `{selection.BEST}` is, which looks at the "
    "test data; where a gap is given, the bracket is its interval."
)
ABLATION = (
    "What each component changes: the mean effect [low, high] over repetitions; a positive effect "
    "raises the metric. `left out` compares the full configuration with the one without the "
    "component, and `alone` compares the component alone with none; `main effect` and "
    "`interaction` are over all combinations. p is corrected by Holm's method over the rows of a "
    "block. **Bold** effects are shown; where there are too few repetitions, nothing can be shown."
)
IMPORTANCE = (
    "How much of the differences between points each parameter explains alone, beyond what a "
    "parameter that means nothing explains on average [95 % interval over repetitions]: of the "
    "objective over all points, and of which points are among the best tenth. **Bold** parameters "
    "are shown to matter: p < 0.05 by shuffling the points, after Holm's correction over the "
    "parameters of a row's method, objective and question. What two parameters explain only "
    "together is not theirs."
)
COSTS = (
    "The points on the front of cost and gain: no other point of the group is both cheaper and "
    "better. Mean [low, high] over repetitions."
)
SCORES = (
    "What each score said about each pair of source model and target data before any training: the "
    "mean over repetitions. A higher score predicts a better transfer; the highest score of each "
    "target is **bold**. Each score has its own unit, so compare numbers only within a column and "
    "a target."
)
PREDICTIONS = (
    "How well each score ranks the pairs by what the protocol's choice then achieved: Kendall's "
    "tau-b with its 95 % interval (percentile bootstrap over pairs). 1 means the same order, -1 "
    "the reverse order, 0 no relation. With several targets, only pairs of the same target are "
    "compared, because scores of different targets need not be comparable. **Bold**: the interval "
    "does not contain 0; by chance alone, this happens in one of twenty cases. The intervals "
    "assume that pairs are drawn independently, which pairs that share a source or a target are "
    "not, and a perfect order has an interval of zero width, however few the pairs. Pearson's r, "
    "the weighted tau and all pairs pooled are also in `predictions.csv`."
)
REGRET = (
    "What screening costs: the result of the best pair minus that of the best pair that is kept, "
    "with its 95 % interval over repetitions, and what keeping as many randomly drawn pairs would "
    "cost. Only pairs with a known result count."
)
BOUNDS = (
    "Task Transfer Analysis bounds the loss of a linear classifier on the target's test images by "
    "three terms: the re-weighted source loss, the label mismatch (conditional entropy) and the "
    "distribution mismatch (Lipschitz constant times Wasserstein distance). Numbers are means over "
    "repetitions."
)
CLASSES = (
    "The accuracy of each class, by its index, at what the protocol chose: the mean over the n "
    "repetitions that tested it, in percent, with its 95 % interval; in so many of them it was "
    "missing. From kept logits."
)
FAILURES = "The trials that gave no result, and why."
PROVENANCE = "Where the results come from."


def summary(metrics: Sequence[str], protocol: str, repetitions: int) -> str:
    """How the numbers of the summary were found and what they can show.

    Args:
        metrics: the columns of the summary.
        protocol: the one that chose the configurations and steps.
        repetitions: how many each point has.
    """
    percent = [name for name in metrics if names.is_percent(name)]
    unit = "in percent, " if len(percent) == len(metrics) else ""
    parts = [
        f"Numbers are means over {count(repetitions, 'repetition')}, {unit}with 95 % intervals "
        "[low, high] (Student's t).",
        f"Chosen by `{protocol}`: {selection.line(protocol)}.",
        "The highest mean of each group is **bold**; upper bounds do not compete." * bool(percent),
    ]
    if repetitions < 2:
        parts.append("A single repetition gives no interval.")
    if least_p(repetitions) >= ALPHA:
        parts.append(
            f"With {count(repetitions, 'repetition')}, a paired sign-flip test cannot reach "
            f"p < {ALPHA:g}; at least {repetitions_needed(ALPHA)} are needed."
        )
    return " ".join(part for part in parts if part)
