"""Finds the trials and stages of a plan that share a training, and the stage for it; pure.

A task may name the training from which a config is measured (`Task.trajectory`). If two or more
configs of a plan have the same, it becomes a stage that they need; a config that is alone with its
training trains by itself, as all do if the study shares nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, final

from htsweep.planning import task
from htsweep.planning.jobs import Stage, digest, point_id, stages_of
from htsweep.planning.task import Task

NAME = "trajectory"
"""The name, within a job's stages, of a training that it shares."""
MEMBERS = "members"
"""The key of the stage's config that lists what it records for its members."""
LIMIT = 10_000_000_000
"""In bytes; a study whose shared weights would take more shares none unless it says
`share_trainings: true`.
"""

Need = tuple[Task, Mapping[str, Any], Mapping[str, Stage]]
"""A task, a resolved config of it, and by name the stages that the config needs."""


@final
@dataclass
class _Group:
    """The configs that have the same training."""

    task: str
    config: Mapping[str, Any]
    ids: set[str] = field(default_factory=set)
    recorded: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    tail: bool = False
    size: int = 0
    recorded_size: int = 0


@final
class Sharing:
    """The trainings that the configs of a plan share."""

    def __init__(
        self,
        needs: Iterable[tuple[str, Need]],
        *,
        whole: bool,
        times: float = 1.0,
        limit: float = math.inf,
    ) -> None:
        """Collects the trainings of the known points.

        Args:
            needs: (id, what it needs) of all points, or of some.
            whole: whether these are all points that there will be. Otherwise a training also counts
                as shared if one of its configs does something after it, such as trying a weight.
            times: how many times as much space as these points in one repetition all trials take.
            limit: in bytes; if the weights that shared trainings keep take more, trainings that
                keep weights are not shared.
        """
        self._whole = whole
        self._trainings: dict[str, tuple[str, Any] | None] = {}
        """Point -> its training with the key of its group; None if it has none."""
        self._groups: dict[str, _Group] = {}
        self._stages: dict[str, Stage] = {}
        self._rewritten: dict[str, Stage] = {}
        for name, (of, config, stages) in needs:
            self._collect(name, of, config)
            for stage in stages.values():
                self._collect_stage(stage)
        self._fits = True
        self.size = round(
            times
            * sum(
                group.size + group.recorded_size
                for group in self._groups.values()
                if self._is_shared(group)
            )
        )
        """About how many bytes of weights the shared trainings of all repetitions keep, or would
        keep if they were shared."""
        self._fits = self.size <= limit

    @property
    def fits(self) -> bool:
        """Whether their weights take no more than the limit, so that they are shared."""
        return self._fits

    @property
    def trainings(self) -> tuple[int, int]:
        """How many trainings the known configs need without sharing, and with it."""
        alone = sum(len(group.ids) for group in self._groups.values())
        shared = sum(
            1 if self._is_shared(group) else len(group.ids) for group in self._groups.values()
        )
        return alone, shared

    def needs(self, name: str, need: Need) -> dict[str, Stage]:
        """Name -> stage that a point of this id needs, with the training that it shares, if any."""
        of, config, stages = need
        shared = self._stage(name, of, config)
        return {name: self._with_training(stage) for name, stage in stages.items()} | (
            {NAME: shared} if shared else {}
        )

    def _with_training(self, stage: Stage) -> Stage:
        if stage.point not in self._rewritten:
            need = (task.find(stage.task), stage.config, stage.needs)
            self._rewritten[stage.point] = replace(stage, needs=self.needs(stage.point, need))
        return self._rewritten[stage.point]

    def _collect_stage(self, stage: Stage) -> None:
        self._collect(stage.point, task.find(stage.task), stage.config)
        for inner in stage.needs.values():
            self._collect_stage(inner)

    def _collect(self, name: str, of: Task, config: Mapping[str, Any]) -> None:
        if name in self._trainings:
            return
        keyed = self._trainings[name] = _keyed(of.trajectory(config))
        if keyed is None:
            return
        key, training = keyed
        group = self._groups.setdefault(key, _Group(training.task, training.config))
        group.ids.add(name)
        group.size = max(group.size, training.size)
        if training.recorded and digest(training.recorded) not in group.recorded:
            group.recorded[digest(training.recorded)] = training.recorded
            group.recorded_size += training.recorded_size
        group.tail = group.tail or training.tail

    def _is_shared(self, group: _Group) -> bool:
        if group.size and not self._fits:
            return False
        return len(group.ids) > 1 or (not self._whole and group.tail)

    def _stage(self, name: str, of: Task, config: Mapping[str, Any]) -> Stage | None:
        known = name in self._trainings
        keyed = self._trainings[name] if known else _keyed(of.trajectory(config))
        if keyed is None:
            return None
        key, training = keyed
        group = self._groups.get(key) or _Group(
            training.task, training.config, tail=training.tail, size=training.size
        )
        recorded = not training.recorded or digest(training.recorded) in group.recorded
        if not self._is_shared(group) or not recorded:
            return None
        if key not in self._stages:
            members = [group.recorded[name] for name in sorted(group.recorded)]
            whole = {**group.config, MEMBERS: members} if members else dict(group.config)
            trains = task.find(group.task)
            self._stages[key] = Stage(
                group.task, whole, point_id(trains, whole), stages_of(trains, whole)
            )
        return self._stages[key]


def _keyed(training: Any) -> tuple[str, Any] | None:
    """A training with the key that equal ones share."""
    if training is None:
        return None
    return digest([training.task, training.config]), training
