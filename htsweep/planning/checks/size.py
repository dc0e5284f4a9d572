"""Checks that a study is not too large to plan.

A search may have any number of points, since they are made one by one. What is listed in full has
a limit, and the message names it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from htsweep.errors import Problem
from htsweep.planning import ablation, counting
from htsweep.planning.dimension import Space
from htsweep.planning.sequences import MOST_DIMENSIONS, MOST_ELEMENTS, has_default
from htsweep.study.document import Located, Place
from htsweep.study.schema import Study

MOST_CELLS = 20_000
"""The most cells of a grid: each is a sweep with a line in every table."""
MOST_TRIALS = 10**18
"""The most trials of a study: the ledger counts with 64 bits."""


def of_grid(study: Study, where: Located) -> Iterator[Problem]:
    """A grid with too many cells."""
    count = ablation.cell_count(study)
    if count > MOST_CELLS:
        longest = max(study.grid, key=lambda key: len(study.grid[key]))
        # If every factor has only a few values, no single one is to blame.
        place: Place = (
            ("grid", longest) if len(study.grid[longest]) > MOST_CELLS**0.5 else ("grid",)
        )
        yield where.problem(
            place,
            f"a grid has at most {MOST_CELLS:,} cells, since each is a sweep with a line in every "
            "table, "
            f"but got {_count(count)}. Search over long lists instead, as in `search: {{spaces: "
            f"{{all: "
            f"{{{longest}: [...]}}}}}}`: a search may have any number of points",
        )


def of_spaces(study: Study, spaces: Sequence[Space], where: Located) -> Iterator[Problem]:
    """Searches that are too large for the sampler `qmc`, and more trials than can be counted.

    Args:
        study: a study whose grid and search have no other mistakes.
        spaces: the search space of each cell.
        where: the lines of its keys.
    """
    search = study.search
    sampler, limit = (search.sampler, search.trials) if search else ("grid", 1)
    if limit is None and sampler != "grid":
        return  # `study` reports it
    total = widest = 0
    longest = 0
    for space in spaces:
        total += counting.bound(space, sampler, limit) if space else 1
        if sampler == "qmc":
            widest = max(widest, sum(not dimension.fixed for dimension in space))
            longest = max(longest, MOST_ELEMENTS + has_default(space))
    if widest > MOST_DIMENSIONS:
        yield where.problem(
            ("search", "sampler"),
            f"the sampler qmc searches at most {MOST_DIMENSIONS:,} parameters at once, "
            f"but got {widest:,}; fix some, or use the sampler random",
        )
    if sampler == "qmc" and limit is not None and limit > longest:
        yield where.problem(
            ("search", "trials"),
            f"the sampler qmc has at most {MOST_ELEMENTS:,} points, but got "
            f"{_count(limit)}; set fewer, or use the sampler random",
        )
    trials = total * study.repetitions
    if trials > MOST_TRIALS:
        limited = study.repetitions > total or (search is not None and search.trials is not None)
        key: Place = ("repetitions",) if study.repetitions > total else ("search",)
        remedy = (
            "reduce one of them" if limited else "set `search.trials`, the most points per sweep"
        )
        yield where.problem(
            key,
            f"a study has at most 10^18 trials, but {_count(total)} points in "
            f"{_count(study.repetitions)} "
            f"repetitions are {_count(trials)}; {remedy}",
        )


def _count(number: int) -> str:
    """`1,000,000`, or `about 2.0e+90`."""
    if number < 10**15:
        return f"{number:,}"
    digits = str(number) if number < 10**4000 else ""
    return f"about {digits[0]}.{digits[1]}e+{len(digits) - 1}" if digits else "more than 1e+4000"
