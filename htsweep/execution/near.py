"""Which trial a freed slot of a cluster gets: one whose artifacts and data its node already has.

It is a preference alone: a slot never waits for it, and without any such trial the first gets it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from itertools import islice
from typing import Any

from ray.tune.schedulers import FIFOScheduler

LOOK = 400
"""How many of the trials that wait are looked at; more than Tune stages at once."""
PENDING = "PENDING"


class Near(FIFOScheduler):
    """Tune's scheduler for trials whose config has `needs`, and whose result has their `node`.

    Tune's own runs through all trials of the launch, ended ones too, for each that it starts; this
    one keeps those that wait.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._waiting: dict[str, Any] = {}
        """Tune's id -> trial, in order."""
        self._held: dict[str, set[str]] = {}
        """Node -> what its cache has."""
        self._freed: deque[tuple[str, Any]] = deque()
        """(node, what the trial took) of slots that a trial has just left."""

    def __getstate__(self) -> dict[str, Any]:
        # Tune may pickle its scheduler in order to restore it, which never happens here.
        return {}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Keeps the trial."""
        self._waiting[trial.trial_id] = trial

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Forgets the trial."""
        self._waiting.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Forgets the trial."""
        self._waiting.pop(trial.trial_id, None)

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Notes what the node of the trial has now, and that a slot of it is free."""
        self._waiting.pop(trial.trial_id, None)
        node = str(result.get("node", ""))
        self._held.setdefault(node, set()).update(trial.config.get("needs", ()))
        self._freed.append((node, _takes(trial)))

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The trial for the slot that has been free for longest, else the first that waits."""
        for name in list(islice(self._waiting, LOOK)):
            if self._waiting[name].status == PENDING:
                break
            del self._waiting[name]
        if not self._freed:
            return next(self._pending(), None)
        node, takes = self._freed.popleft()
        chosen = best(
            [each for each in self._pending() if _takes(each) == takes],
            self._held.get(node, ()),
        )
        if chosen is None:
            return next(self._pending(), None)
        del self._waiting[chosen.trial_id]
        return chosen

    def _pending(self) -> Any:
        return (trial for trial in islice(self._waiting.values(), LOOK) if trial.status == PENDING)


def _takes(trial: Any) -> Any:
    """What a trial takes; Tune compares its own account of that through `inspect`, slowly."""
    return trial.config.get("shape")


def best(trials: Collection[Any], held: Collection[str]) -> Any:
    """The first of the trials that need most of what is held; None if there is no trial."""
    have = set(held)
    return max(
        trials, key=lambda trial: len(have & set(trial.config.get("needs", ()))), default=None
    )
