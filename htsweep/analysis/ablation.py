"""What each component of an ablation adds: paired effects, with intervals and exact tests.

Effects are computed per repetition and then tested over repetitions: a repetition has the same
class split, data and seeds for every variant, so that what it adds to all of them cancels.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np
import pandas as pd

from htsweep.analysis.design import Design, is_bound
from htsweep.analysis.frontier import codes
from htsweep.analysis.interval import LEVEL
from htsweep.analysis.new_images import Images, Spread, spread_of
from htsweep.analysis.paired import shares_of
from htsweep.analysis.significance import Paired, judge

LEFT_OUT, ALONE, MAIN, INTERACTION = "left out", "alone", "main effect", "interaction"
KINDS = (LEFT_OUT, ALONE, MAIN, INTERACTION)
"""The kinds of effects, in the order of the table."""
_VARIANT = ["sweep", "kind", "components", "control"]
_JUDGED = ["low", "high", "p", "p_holm", "verdict", "p_new_images", "new_images"]
_COLUMNS = ["component", "kind", "metric", "n", "effect", *_JUDGED]
Values = Mapping[tuple[frozenset[str], str], np.ndarray]
"""(components, control) of a variant -> one number per repetition; NaN where there is none."""


@final
@dataclass(frozen=True)
class Contrast:
    """A component's effect in each repetition; above 0 where it raises the metric."""

    component: str
    kind: str
    values: np.ndarray
    spread: Spread | None = None
    """How much other images would change its mean; None: not known."""
    bound: bool = False
    """Whether a variant in it is an upper bound, so that it takes no part in any test."""


def ablation(
    chosen: pd.DataFrame,
    design: Design,
    variants: pd.DataFrame,
    metrics: Sequence[str],
    *,
    tested: pd.Series | None = None,
    images: Images | None = None,
    level: float = LEVEL,
) -> pd.DataFrame:
    """One row per cell, kind, component and metric: the component's effect, its interval and test.

    Kinds: `left out`, full - without (for `a over b`: full - with b in a's place); `alone`, only
    this component - none of them, where there are more than one; of a full factorial, `main effect`
    and `interaction` (`a x b`) as `factorial` defines them. Interval, p-values and verdict are
    `significance.judge`'s over `n` repetitions; a family is the components of one cell, kind and
    metric. Repetitions that a variant lacks do not count. Without variants there are no rows. An
    effect that involves an upper bound is shown, but not tested: its `p_holm` is NaN and its
    verdict `bound`.

    The groups are those of `design`; one that is ablated has the value of the full config. The
    compared factor, which says what is taken apart, is the last column.

    Args:
        chosen: what `selection.choose` returns: one row per sweep and repetition.
        design: which columns are the factors.
        variants: which sweep has which components in which cell (`results.variants.variants`).
        metrics: columns of `chosen`.
        tested: sweep -> the share of the target's images that each repetition tests, drawn anew.
        images: what each image adds to the numbers of `chosen`, as far as it is known.
        level: of the intervals.
    """
    cell = [name for name in variants.columns if name not in _VARIANT]
    ends = [design.compared] if design.compared in cell else []
    groups = [name for name in design.groups if name in cell]
    measured_metrics = [
        metric
        for metric in metrics
        if metric in chosen.columns and pd.api.types.is_numeric_dtype(chosen[metric])
    ]
    measured = {metric: _measured(chosen, metric) for metric in measured_metrics}
    upper = set(chosen["sweep"][is_bound(chosen)]) if len(chosen) else set()
    rows: list[dict[str, Any]] = []
    # A cell's full config may lack a factor (NaN): cells are grouped by codes, not by values.
    for _, listed in variants.groupby(codes(variants, cell), sort=False):
        about = {name: listed[name].iloc[0] for name in [*groups, *ends]}
        names = list(dict.fromkeys(_order(listed)))
        keys = list(zip(listed["components"], listed["control"], strict=True))
        bounds = {key for key, sweep in zip(keys, listed["sweep"], strict=True) if sweep in upper}
        share = shares_of(listed, (), tested).get((), float("nan"))
        for metric, of in measured.items():
            values = {
                key: of[sweep]
                for key, sweep in zip(keys, listed["sweep"], strict=True)
                if sweep in of
            }
            contrast_rows = list(contrasts(values, names, bounds))
            if images is not None:
                sweeps = dict(zip(keys, listed["sweep"], strict=True))
                repetitions = sorted(chosen["repetition"].unique())
                moved = _moved(images, {key: sweeps[key] for key in values}, repetitions, metric)
                contrast_rows = [
                    _with_spread(contrast, total, moved[1])
                    for contrast, total in zip(
                        contrast_rows, contrasts(moved[0], names, bounds), strict=True
                    )
                ]
            for kind in KINDS:
                rows += [
                    {**about, "metric": metric, **row}
                    for row in _judged(
                        [contrast for contrast in contrast_rows if contrast.kind == kind],
                        share,
                        level,
                    )
                ]
    return pd.DataFrame(rows, columns=[*groups, *_COLUMNS, *ends])


def _moved(
    images: Images,
    sweeps: Mapping[tuple[frozenset[str], str], str],
    repetitions: Sequence[int],
    metric: str,
) -> tuple[Values, int]:
    """What each image adds to each variant's sum over repetitions, and how many are tested.

    NaNs where it is not known.
    """
    totals: dict[tuple[frozenset[str], str], np.ndarray] = {}
    for key, sweep in sweeps.items():
        total = images.total([(1.0, sweep, number) for number in repetitions], metric)
        totals[key] = np.full(images.count, np.nan) if total is None else total
    trials = {(sweep, number) for sweep in sweeps.values() for number in repetitions}
    return totals, images.tested(trials)


def _with_spread(contrast: Contrast, total: Contrast, images: int) -> Contrast:
    """A contrast with its spread over images: it is a weighted sum, of images as of repetitions.

    A repetition that a variant lacks leaves nothing to be said about images.
    """
    if np.isnan(contrast.values).any() or np.isnan(total.values).any():
        return contrast
    return replace(contrast, spread=spread_of(total.values, len(contrast.values), images))


def contrasts(
    values: Values,
    components: Sequence[str],
    bounds: Collection[tuple[frozenset[str], str]] = (),
) -> Iterator[Contrast]:
    """Every effect that the available variants can show, the left-out ones first.

    Args:
        values: (components, control) -> one number per repetition.
        components: all of them, in the order of the table.
        bounds: which of the variants are upper bounds.
    """
    full = frozenset(components)
    whole, none = values.get((full, "")), values.get((frozenset(), ""))
    for name in components:
        for (had, control), without in values.items():
            if whole is not None and had == full - {name}:
                bound = (full, "") in bounds or (had, control) in bounds
                yield Contrast(control or name, LEFT_OUT, whole - without, bound=bound)
    if len(components) < 2:
        return
    for name in components:
        alone = values.get((frozenset({name}), ""))
        if alone is not None and none is not None:
            bound = bool({(frozenset({name}), ""), (frozenset(), "")} & set(bounds))
            yield Contrast(name, ALONE, alone - none, bound=bound)
    settings = [
        frozenset(some)
        for size in range(len(components) + 1)
        for some in itertools.combinations(components, size)
    ]
    if all((setting, "") in values for setting in settings):
        # Each of these effects uses all settings.
        bound = any((setting, "") in bounds for setting in settings)
        effects = factorial({setting: values[setting, ""] for setting in settings}, components)
        yield from (replace(effect, bound=bound) for effect in effects)


def factorial(
    values: Mapping[frozenset[str], np.ndarray], components: Sequence[str]
) -> Iterator[Contrast]:
    """Main effects and two-way interactions of a full 2^k factorial, per repetition.

    A main effect is the mean, over all settings of the others, of with - without; the interaction a
    x b is half the difference between a's effect with b and without it, so that both are the
    standard contrasts, sum(+-y) / 2^(k-1) (Montgomery, Design and Analysis of Experiments, section
    6.3), twice the coefficients of a regression on -1 and 1.
    """
    half = 2 ** (len(components) - 1)
    for name in components:
        yield Contrast(
            name, MAIN, np.sum([_sign(name, had) * y for had, y in values.items()], axis=0) / half
        )
    for first, other in itertools.combinations(components, 2):
        signed = [_sign(first, had) * _sign(other, had) * y for had, y in values.items()]
        yield Contrast(f"{first} x {other}", INTERACTION, np.sum(signed, axis=0) / half)


def _sign(name: str, had: frozenset[str]) -> int:
    return 1 if name in had else -1


def _judged(family: Sequence[Contrast], share: float, level: float) -> Iterator[dict[str, Any]]:
    """The rows of one family of contrasts, over which Holm's correction is made."""
    [judged] = judge([[Paired(one.values, share, one.spread, one.bound) for one in family]], level)
    for member, said in zip(family, judged, strict=True):
        if said["n"]:
            yield {
                "component": member.component,
                "kind": member.kind,
                **{name: said[name] for name in ("n", *_JUDGED)},
                "effect": said["difference"],
            }


def _measured(chosen: pd.DataFrame, metric: str) -> dict[str, np.ndarray]:
    """Each sweep's numbers in the order of all repetitions; NaN where it lacks one."""
    repetition, names = pd.factorize(chosen["repetition"], sort=True)
    sweep, sweeps = pd.factorize(chosen["sweep"])
    table = np.full((len(sweeps), len(names)), np.nan)
    table[sweep, repetition] = chosen[metric].to_numpy(float)
    return dict(zip(sweeps, table, strict=True))


def _order(listed: pd.DataFrame) -> Iterator[str]:
    """The components in the order in which the variants leave them out."""
    full = max(listed["components"], key=len)
    for had, control in zip(listed["components"], listed["control"], strict=True):
        if not control and len(had) == len(full) - 1:
            yield from full - had
