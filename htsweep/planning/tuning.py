"""How much each compared value is tuned, since unequal budgets may explain a difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, final

from htsweep.planning.dimension import Dimension, text_of
from htsweep.planning.plan import Plan
from htsweep.planning.spaces import TRAINING, training_keys

MOST_NAMED = 6
"""The most compared values that a sentence names; further ones are counted."""


@final
@dataclass(frozen=True)
class Budget:
    """How many points a compared value gets in each cell of the grid, and over which parameters."""

    value: Any
    points: int
    """The most points in a cell."""
    keys: tuple[str, ...]
    """The parameters for which it tries more than one value."""


def budgets(planned: Plan) -> list[Budget]:
    """The budget of each competing value of the compared factor, in the order of the study.

    Upper bounds, and the source model, which nothing can tune, are left out. Empty for a study that
    compares nothing.
    """
    compared = planned.study.compared
    if compared is None:
        return []
    found: dict[str, Budget] = {}
    for sweep in planned.sweeps:
        if sweep.role or compared not in sweep.factors:
            continue
        value = sweep.base.get(compared, sweep.factors[compared])
        before = found.get(text_of(value))
        keys = tuple(
            dimension.key for dimension in sweep.space if _varies(dimension, planned.sampler)
        )
        points = planned.sizes[sweep.id]
        found[text_of(value)] = Budget(
            value,
            max(points, before.points if before else 0),
            tuple(dict.fromkeys([*(before.keys if before else ()), *keys])),
        )
    return list(found.values())


def lines(planned: Plan) -> list[str]:
    """The lines of `plan` on a study that searches: what each value tries, and what is unequal."""
    found = budgets(planned)
    if planned.study.search is None or not found:
        return []
    most = "" if planned.exact else "at most "
    by_budget: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for budget in found:
        by_budget.setdefault((budget.points, budget.keys), []).append(text_of_value(budget.value))
    listed = [
        f"tuned   {_named(values)}: {most}{points} point{'s' if points != 1 else ''} each"
        + (f" over {', '.join(keys)}" if keys else ", nothing is searched")
        for (points, keys), values in by_budget.items()
    ]
    warning = unequal(planned)
    return [*listed, *([f"tuned   {warning}"] if warning else [])]


def unequal(planned: Plan) -> str:
    """Sentences on how unequally the compared values are tuned; "" if they are not.

    A study that searches nothing is called untuned. Nothing is said of a task without the training
    settings that methods share.
    """
    found = budgets(planned)
    if len(found) < 2 or not training_keys(planned.task.settings):
        return ""
    if planned.study.search is None or all(budget.points < 2 for budget in found):
        return (
            "No setting is searched: each value runs at its defaults, which suit some better than "
            "others, so a difference may be one of tuning."
        )
    return " ".join(_unequal(planned, found))


def _unequal(planned: Plan, found: list[Budget]) -> Iterator[str]:
    names = {text_of(budget.value): text_of_value(budget.value) for budget in found}
    fewest, most = (pick(found, key=lambda budget: budget.points) for pick in (min, max))
    if fewest.points < most.points:
        few = [names[text_of(budget.value)] for budget in found if budget.points == fewest.points]
        many = [names[text_of(budget.value)] for budget in found if budget.points == most.points]
        yield (
            f"Budgets differ: {_named(few)} {'has' if len(few) == 1 else 'have'} {fewest.points} "
            f"point{'s' if fewest.points != 1 else ''}, {_named(many)} {most.points}; "
            "what has more is more likely to come out ahead by chance."
        )
    shared = set((planned.study.search.spaces if planned.study.search else {}).get(TRAINING, {}))
    if not shared:
        yield (
            "Settings that all share, such as the learning rate, are not searched "
            f"(`search.spaces.{TRAINING}`): methods for which they are less suited lose."
        )


def _varies(dimension: Dimension, sampler: str) -> bool:
    values = dimension.listed if sampler == "grid" else dimension.values
    return values is None or len(values) > 1


def text_of_value(value: Any) -> str:
    """A compared value for people."""
    return value if isinstance(value, str) else text_of(value)


def _named(values: list[str]) -> str:
    if len(values) > MOST_NAMED:
        return f"{', '.join(values[:MOST_NAMED])} and {len(values) - MOST_NAMED} more"
    return ", ".join(values)
