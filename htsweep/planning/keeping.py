"""Which outputs of its models a study keeps, and how much space they take; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from htsweep import selection
from htsweep.errors import HtsweepError
from htsweep.planning.plan import Plan

NOTHING, FINAL, EVERY = "nothing", "final", "every"
"""The steps of a trial that are kept: none, the last, or every measured one."""
FEATURES = "features"
"""What a study says that keeps features beside the logits."""
LIMIT = 500_000_000
"""In bytes; a study that would keep more keeps nothing unless it says `keep: logits`."""
_SHARE = 0.93
"""The share of 16-bit logits that remains after compression, as they are mostly noise."""
_OBJECT = 1_500
"""The bytes of an object besides its logits."""


@final
@dataclass(frozen=True)
class Keeping:
    """What the trials of a study keep."""

    steps: str
    """One of `NOTHING`, `FINAL`, `EVERY`."""
    line: str
    """The line in the output of `plan`; "" if the task hands over nothing."""
    size: int | None = None
    """About how many bytes all trials take if they are kept; None: unknown."""
    features: bool = False
    """Whether features are kept beside the logits."""


def keeping(planned: Plan) -> Keeping:
    """What the trials of a plan keep: what the study says, or else what their size allows."""
    study, task = planned.study, planned.task
    if not task.keeps:
        return Keeping(NOTHING, "")
    if study.keep == NOTHING:
        return Keeping(NOTHING, "no logits, as the study says: no metric can be added later")
    steps = FINAL if _picks_last(study.select) else EVERY
    size = _size(planned, steps)
    where = "at its last step" if steps == FINAL else "at each measured step"
    if study.keep is None and steps == EVERY and size is not None and size > LIMIT:
        # Some of it is better than nothing: the last step can still be measured later.
        last = _size(planned, FINAL)
        if last is not None and last <= LIMIT:
            where = (
                f"at its last step alone, since those of every step would take about {amount(size)}"
            )
            steps, size = FINAL, last
    most = "" if planned.exact else "at most "
    if study.keep is None and (size is None or size > LIMIT):
        reason = (
            "the task does not say how many images it measures"
            if size is None
            else f"they would take about {amount(size)}, more than {amount(LIMIT)}"
        )
        return Keeping(
            NOTHING, f"no logits: {reason}; `keep: logits` in the study keeps them", size
        )
    about = "" if size is None else f": {most}about {amount(size)}"
    features = study.keep == FEATURES
    more = " and features" if features else ""
    if features and about:
        about += " besides the features, 2 bytes for each number of their width and image"
    return Keeping(
        steps,
        f"logits{more} of each trial {where}{about}, for metrics that are added later "
        "(`keep: nothing` in the study keeps none)",
        size,
        features,
    )


def amount(count: float) -> str:
    """A number of bytes for people: `3.4 MB`."""
    unit = "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if count < 1000:
            break
        count, unit = count / 1000, larger
    return f"{count:.3g} {unit}"


def _picks_last(protocol: str) -> bool:
    try:
        return selection.find(protocol).last_step
    except HtsweepError:  # the checks of the study report it
        return False


def _size(planned: Plan, steps: str) -> int | None:
    total = 0.0
    for sweep in planned.sweeps:
        kept = planned.task.kept(sweep.base)
        if kept is None:
            return None
        images = sum(kept.images.values())
        times = kept.measurements if steps == EVERY else 1
        own = _OBJECT + images * (_SHARE * 2 * kept.classes * times + 1)
        total += own * planned.sizes[sweep.id] * planned.study.repetitions
    return round(total)
