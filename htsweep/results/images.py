"""What each test image adds to the numbers that a protocol chose, from kept logits."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from htsweep import selection
from htsweep.errors import LedgerError
from htsweep.ledger import kept
from htsweep.planning.jobs import seed_for
from htsweep.results.results import Results

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from htsweep.analysis.new_images import Images

MOST_BYTES = 400_000_000
"""The kept objects of the chosen trials are read up to this size together: ten seconds or so.

Of a larger study no test tells images from repetitions.
"""


def images_of(results: Results, measured: pd.DataFrame) -> Images | None:
    """What each test image adds to the numbers at the points and steps that the protocol chose.

    Trials whose logits are not kept, or whose images are not those that the task says they tested,
    are left out. None where there are none, and where the logits are larger than `MOST_BYTES`.

    Args:
        results: of the study.
        measured: its measurements, with all that its protocol reads.
    """
    chosen = selection.at(selection.whole(measured, results.study.repetitions), results.choice)
    return images_at(results, chosen)


def images_at(results: Results, rows: pd.DataFrame) -> Images | None:
    """As `images_of`, at some rows of the measurements.

    Args:
        results: of the study.
        rows: `trial`, `sweep`, `repetition` and `step`.
    """
    from htsweep.analysis.new_images import Contributions, Images

    task = results.plan.task
    if task.influence is None or rows.empty:
        return None
    artifacts = results.trials.drop_duplicates("trial").set_index("trial")["artifact"]
    names = {
        trial: name
        for trial in rows["trial"].unique()
        if (name := kept.of(artifacts[trial])) is not None
    }
    sizes = {entry.name: entry.size for entry in results.store.list(kept.FOLDER)} if names else {}
    names = {trial: name for trial, name in names.items() if name in sizes}
    if not names or sum(sizes[name] for name in names.values()) > MOST_BYTES:
        return None
    places = _Places(results)
    trials: dict[tuple[str, int], Contributions] = {}
    for row in rows[rows["trial"].isin(names)].to_dict("records"):
        sweep, repetition = str(row["sweep"]), int(row["repetition"])
        found = _tested(results, names[row["trial"]], int(row["step"]))
        where = None if found is None else places.of(sweep, repetition, found[0])
        if found is not None and where is not None:
            trials[sweep, repetition] = Contributions(where, found[1])
    return Images(trials, places.count) if trials else None


def _tested(results: Results, name: str, step: int) -> tuple[str, Mapping[str, np.ndarray]] | None:
    """The name of the test images in an object, and what each adds to each of its numbers."""
    from tasks.outputs import TEST

    try:
        steps = kept.read(results.store, name)
    except LedgerError:  # `remeasure` says so; a report has more to tell
        return None
    outputs = (steps or {}).get(step, {}).get(TEST)
    influence = results.plan.task.influence
    if outputs is None or influence is None or not len(outputs.labels):
        return None
    count = len(outputs.labels)
    return outputs.images, {key: values / count for key, values in influence(outputs).items()}


class _Places:
    """Numbers the images of all pools, each when it is first tested."""

    def __init__(self, results: Results) -> None:
        self._task = results.plan.task
        self._configs = {sweep.id: sweep.base for sweep in results.plan.sweeps}
        self._pools: dict[str, dict[int, int]] = {}
        self._known: dict[str, tuple[str, Any]] = {}
        """Name of some images -> the target's name and their units."""
        self.count = 0

    def of(self, sweep: str, repetition: int, images: str) -> np.ndarray | None:
        """The places of a trial's test images, [N]; None if they are not those of its config."""
        import numpy as np

        # Without a name it is not known which images they are.
        if sweep not in self._configs or not images:
            return None
        config = self._configs[sweep]
        if images not in self._known:
            try:
                said = self._task.tested(
                    config, repetition, functools.partial(seed_for, repetition)
                )
                rests = self._task.evidence(config)
            except ValueError:  # the data has moved or changed since: `plan` says so
                return None
            if said is None or rests is None or said.name != images:
                return None
            self._known[images] = rests.target, said.units
        target, units = self._known[images]
        pool = self._pools.setdefault(target, {})
        for unit in units.tolist():
            if unit not in pool:
                pool[unit] = self.count
                self.count += 1
        return np.array([pool[unit] for unit in units.tolist()], np.int64)
