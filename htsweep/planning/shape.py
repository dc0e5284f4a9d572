"""What a study compares, as `plan` prints it: each factor with its values as they are read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from htsweep.planning.ablation import cells_of
from htsweep.planning.plan import Plan
from htsweep.study.schema import CHAIN, members

MOST_NAMED = 12
"""The most values of a factor that its line lists."""


def lines(planned: Plan) -> list[str]:
    """A line for each factor of the grid, then a warning for each chain that is probably none."""
    study = planned.study
    width = max((len(key) for key in study.grid), default=0)
    listed = [
        f"{'grid' if number == 0 else '':8}{key:{width}}  {_values(planned, key)}"
        for number, key in enumerate(study.grid)
    ]
    return [*listed, *_idle_members(planned)]


def _values(planned: Plan, key: str) -> str:
    values = planned.study.grid[key]
    read = _read(planned, key) if key == CHAIN else {}
    texts = []
    for value in values[:MOST_NAMED]:
        text = _text(value)
        canonical = read.get(text, text)
        texts.append(text if canonical == text else f"{text} (read as {canonical})")
    more = f" and {len(values) - MOST_NAMED} more" if len(values) > MOST_NAMED else ""
    many = f"{len(values)}: " if len(values) > 1 else ""
    return f"{many}{', '.join(texts)}{more}"


def _read(planned: Plan, key: str) -> dict[str, str]:
    """Each value of a factor as the file has it -> as its task reads it."""
    found: dict[str, str] = {}
    for cell in cells_of(planned.study):
        text = _text(cell.get(key))
        if text not in found:
            config = planned.task.resolve({**planned.study.fixed, **cell})
            found[text] = _text(config.get(key, cell.get(key)))
            if len(found) == len(planned.study.grid[key]):
                break
    return found


def _idle_members(planned: Plan) -> Iterator[str]:
    """Chains in which the empty method stands: probably meant as a list of methods.

    A chain with the source model is a mistake, which the task reports.
    """
    for value in planned.study.grid.get(CHAIN, ()):
        names = members(value)
        if len(names) < 2:
            continue
        for name in dict.fromkeys(names):
            if name == planned.task.empty:
                apart = ", ".join(names)
                yield (
                    f"{CHAIN:8}`{_text(value)}` is one method, a chain, in which `{name}` does "
                    f"nothing; to compare them, list them apart: {CHAIN}: [{apart}]"
                )


def _text(value: Any) -> str:
    return (
        " + ".join(map(str, value)) if isinstance(value, list) else str(value).replace("+", " + ")
    )
