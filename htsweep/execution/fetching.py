"""What trials need from elsewhere, such as pretrained weights: had once, before they run."""

from __future__ import annotations

from collections.abc import Callable

from htsweep.errors import HtsweepError
from htsweep.planning.plan import Plan


def fetch(planned: Plan, tell: Callable[[str], None]) -> None:
    """Fetches what the cells of a plan need, each thing once.

    Args:
        planned: the plan.
        tell: called before each thing, since it may take a while.

    Raises:
        HtsweepError: something cannot be had; names everything that cannot, with remedies.
    """
    wanted: dict[str, Callable[[], None]] = {}
    for sweep in planned.sweeps:
        wanted |= planned.task.fetched(sweep.base)
    lacking = []
    for name, get in wanted.items():
        tell(f"looking for {name}")
        try:
            get()
        except OSError as error:
            lacking.append(f"{name} cannot be had: {error}")
    if lacking:
        raise HtsweepError("\n".join([*lacking, "Nothing was started."]))
