"""What each trial and stage takes: the study's `resources`, applied to a config; pure."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, final

from htsweep.planning.dimension import Space, text_of
from htsweep.planning.plan import Plan
from htsweep.planning.task import Task
from htsweep.study.resources import Amount, Clause
from htsweep.study.schema import CHAIN, Study, members

Config = Mapping[str, Any]
MOST_TOGETHER = 5
"""Of so many entries about searched values, only single ones are combined with the default."""


@final
class Amounts:
    """Finds what a config takes. What a trial takes is not part of its id."""

    def __init__(self, study: Study, study_task: Task) -> None:
        self._default = study.resources.default
        self._when = [
            (clause, _Conditions(clause, study, study_task)) for clause in study.resources.when
        ]

    def of(self, config: Config) -> Amount:
        """What a trial or a stage with a resolved config takes."""
        if not self._when:
            return self._default
        return self._with(clause for clause, meets in self._when if meets.by(config))

    def possible(self, config: Config, space: Space = ()) -> set[Amount]:
        """What the points of a config take, whatever values its search gives the keys of `space`.

        Some of these amounts may belong to no point.
        """
        searched = {dimension.key for dimension in space}
        sure, open_ = [], []
        for clause, meets in self._when:
            if searched & set(clause.conditions):
                open_ += [clause] if meets.possibly(config, space) else []
            elif meets.by(config):
                sure.append(clause)
        most = len(open_) if len(open_) < MOST_TOGETHER else 1
        return {
            self._with(clause for clause, _ in self._when if clause in sure or clause in some)
            for size in range(most + 1)
            for some in itertools.combinations(open_, size)
        }

    def clashes(self, config: Config, space: Space = ()) -> list[tuple[int, int, str]]:
        """(number, number, key): entries of `when` that a config may meet both, and what differs.

        The keys of `space` may have any value of theirs.
        """
        met = [
            (number, clause, meets)
            for number, (clause, meets) in enumerate(self._when)
            if clause.conditions and meets.possibly(config, space)
        ]
        return [
            (first, second, key)
            for (first, one, meets), (second, other, also) in itertools.combinations(met, 2)
            for key in one.taken.keys() & other.taken.keys()
            if one.taken[key] != other.taken[key] and meets.together(also, space)
        ]

    def met(self, number: int, config: Config, space: Space = ()) -> bool:
        """Whether a config may meet the conditions of an entry of `when`."""
        return self._when[number][1].possibly(config, space)

    def has(self, number: int, key: str, value: Any, config: Config, space: Space = ()) -> bool:
        """Whether a config may have the value of a condition, whatever else it has."""
        return self._when[number][1].has(key, value, config, space)

    def _with(self, clauses: Iterable[Clause]) -> Amount:
        changes: dict[str, Any] = {}
        for clause in clauses:
            changes |= clause.taken
        return self._default.model_copy(update=changes) if changes else self._default


@final
class _Conditions:
    """The conditions of an entry of `when`, with values as the task reads them."""

    def __init__(self, clause: Clause, study: Study, study_task: Task) -> None:
        self._values = clause.conditions
        self._texts = {
            (key, text_of(value)): {_text(key, value), *_read(study, study_task, key, value)}
            for key, values in self._values.items()
            for value in values
        }
        self._meant = {
            key: set().union(*(self._texts[key, text_of(value)] for value in values))
            for key, values in self._values.items()
        }

    def by(self, config: Config) -> bool:
        """Whether a config meets them all; a key that it lacks has no value."""
        return all(
            key in config and _text(key, config[key]) in texts for key, texts in self._meant.items()
        )

    def possibly(self, config: Config, space: Space) -> bool:
        """As `by`, where the keys of `space` may have any of their values."""
        searched = {dimension.key: dimension for dimension in space}
        return all(
            any(searched[key].has(value) for value in self._values[key])
            if key in searched
            else key in config and _text(key, config[key]) in texts
            for key, texts in self._meant.items()
        )

    def has(self, key: str, value: Any, config: Config, space: Space) -> bool:
        """Whether the config may have this value of a condition."""
        for dimension in space:
            if dimension.key == key:
                return dimension.has(value)
        return key in config and _text(key, config[key]) in self._texts[key, text_of(value)]

    def together(self, other: _Conditions, space: Space) -> bool:
        """Whether a value of each searched key meets both."""
        shared = {dimension.key for dimension in space} & set(self._meant) & set(other._meant)
        return all(self._meant[key] & other._meant[key] for key in shared)


def _text(key: str, value: Any) -> str:
    """A text that is equal for values that mean the same; `[a, b]` is the chain `a+b`."""
    return "+".join(members(value)) if key == CHAIN else text_of(value)


def _read(study: Study, study_task: Task, key: str, value: Any) -> list[str]:
    """The text of a value as the task reads it, such as of a chain in its canonical order."""
    try:
        config = study_task.resolve({**study.fixed, key: value})
    except Exception:  # what the task cannot read has only its own text
        return []
    return [_text(key, config[key])] if key in config else []


def amounts_of(*plans: Plan | None) -> tuple[Amount, ...]:
    """The different amounts that trials and stages of plans of one study may take."""
    found: dict[Amount, None] = {}
    for planned in filter(None, plans):
        if not planned.study.resources.when:
            found[planned.study.resources.default] = None
            continue
        amounts = Amounts(planned.study, planned.task)
        for sweep in planned.sweeps:
            found |= dict.fromkeys(sorted(amounts.possible(sweep.base, sweep.space), key=str))
        for stage in planned.known_stages.values():
            found[amounts.of(stage.config)] = None
    return tuple(found)


def lines(planned: Plan) -> list[str]:
    """Which trials and stages take what, a line for each amount; none if all take the same."""
    study = planned.study
    if not study.resources.when:
        return []
    amounts = Amounts(study, planned.task)
    trials: Counter[Amount] = Counter()
    cells: dict[Amount, list[Mapping[str, Any]]] = {}
    for sweep in planned.sweeps:
        for amount in sorted(amounts.possible(sweep.base, sweep.space), key=str):
            cells.setdefault(amount, []).append(sweep.factors)
    exact = planned.exact and not planned.adaptive
    for point in planned.distinct() if exact else ():
        trials[amounts.of(point.config)] += study.repetitions
    stages: Counter[Amount] = Counter()
    for stage in planned.known_stages.values():
        stages[amounts.of(stage.config)] += study.repetitions
    texts = []
    for amount in dict.fromkeys([*cells, *stages]):
        if exact and not trials[amount] and not stages[amount]:
            continue
        many = [f"{trials[amount]:,} trials"] if trials[amount] else []
        many += [f"{stages[amount]:,} stages"] if stages[amount] else []
        where = _where(planned, cells.get(amount, []))
        texts.append(f"{amount}: {' and '.join(many) or 'trials'}{where}")
    return [f"{'takes' if number == 0 else '':8}{text}" for number, text in enumerate(texts)]


def _where(planned: Plan, cells: Sequence[Mapping[str, Any]]) -> str:
    """The values, of the factors that `when` names, that these cells have."""
    named = {key for clause in planned.study.resources.when for key in clause.conditions}
    parts = []
    for key in planned.study.factors:
        values = list(dict.fromkeys(_text(key, cell[key]) for cell in cells if key in cell))
        if key in named and values:
            shown = ", ".join(value.strip('"') for value in values[:4])
            more = f" and {len(values) - 4} more" if len(values) > 4 else ""
            parts.append(f"{key} {shown}{more}")
    return f" ({'; '.join(parts)})" if parts else ""
