"""Records a training epoch by epoch, and measures trials from it as if each had trained alone."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from tasks import heads, methods, process
from tasks.methods.method import Method, chain
from tasks.model import Model
from tasks.recipe import is_measured
from tasks.task import Workspace
from tasks.training import Recipe, Run, modules
from tasks.trajectories import OF_HEAD, observers_of
from tasks.transfer import Transfer

Measurement = dict[str, Any]
ROWS = "rows.json"


@final
class Recorder:
    """Writes the weights of a run after each epoch, and the state of its observers and finishers.

    `epoch-N.pt` has the student's state and, by label, the modules that members of the chain
    prepared and that are needed to finish a model; `rows.json` has loss and cost of each epoch.
    """

    def __init__(self, config: Mapping[str, Any], members: Mapping[str, Method]) -> None:
        """`members` are those of the chain that trains, as `methods.members` returns them."""
        labelled = observers_of(config)
        self._members = dict(members)
        self._finishing = [name for name, member in members.items() if member.measured_by]
        for label, (name, own) in labelled.items():
            self._members[label] = methods.members(name, own)[name]
        self._finishing += labelled
        self._rows: list[Measurement] = []

    @property
    def method(self) -> Method:
        """The method that trains, with its observers."""
        return chain(*self._members.values())

    def keep(self, run: Run, epoch: int, folder: Path) -> None:
        """Writes the run's state after an epoch."""
        kept = _modules_by_label(run, self._members, self._finishing)
        state = {
            "student": run.student.state_dict(),
            "kept": {label: part.state_dict() for label, part in kept.items()},
        }
        torch.save(state, _file(folder, epoch))

    def rows(self, rows: Iterator[Measurement], folder: Path) -> Iterator[Measurement]:
        """Yields the rows of a training after writing their loss and cost to the folder.

        A NaN loss ends the training but does not fail the stage: each trial that shares it reports
        that it diverged.
        """
        path = folder / ROWS
        self._rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
        for row in rows:
            # Overwrites rows that a killed process wrote after its last saved state.
            self._rows = [*self._rows[: row["epoch"]], row]
            path.write_text(json.dumps(self._rows), encoding="utf-8")
            finite = math.isfinite(row.get("train/loss", 0.0))
            yield row if finite else {"step": row["step"], "epoch": row["epoch"]}


def replay(
    folder: Path,
    student: Model,
    transfer: Transfer,
    *,
    config: Mapping[str, Any],
    recipe: Recipe,
    measured: Callable[[Any, int], Measurement],
    workspace: Workspace,
    began: float,
    measurements: list[Measurement] | None = None,
    images: Mapping[str, Tensor],
) -> Iterator[Measurement]:
    """Yields what the trial of `config` would have measured if it had trained by itself.

    Args:
        folder: the folder that the trajectory's stage wrote.
        student: the model before training; its weights are overwritten.
        transfer: the trial's source model and target data.
        config: the trial's resolved config.
        recipe: how long the trial trains; the trajectory may be longer.
        measured: measures a finished model at a step.
        workspace: the trial's workspace.
        began: when the trial began, by `time.perf_counter`.
        measurements: a list to which each epoch's measurement is appended.
        images: the images that `measured` uses, by name; the folder may hold their features.
    """
    members = {
        name: member
        for name, member in methods.members(config["method"], config).items()
        if member.measured_by
    }
    run = Run(student, transfer, chain(*members.values()), recipe)
    kept: _Weights | _Head = (
        _Head(folder, run, config, finished=bool(members), images=images)
        if heads.is_here(folder)
        else _Weights(folder, run, config, members)
    )
    for recorded in kept.rows(recipe):
        row: Measurement = {"step": recorded["step"], "epoch": recorded["epoch"]}
        if "train/loss" in recorded:
            row["train/loss"] = recorded["train/loss"]
            if not math.isfinite(row["train/loss"]):
                yield row | {"train/loss": math.nan}
                return
        due = is_measured(row["epoch"], recipe.epochs, recipe.measure_every)
        result = measured(kept.model(row["epoch"], workspace.device), row["step"]) if due else {}
        if measurements is not None:
            measurements.append(result)
        own = process.cost(workspace.device, began)
        yield (
            row
            | result
            | {
                "trainable_parameters": recorded["trainable_parameters"],
                "seconds": recorded["seconds"] + own["seconds"],
                "peak_memory_bytes": max(recorded["peak_memory_bytes"], own["peak_memory_bytes"]),
            }
        )


@final
class _Weights:
    """The weights of a whole model after each epoch."""

    def __init__(
        self, folder: Path, run: Run, config: Mapping[str, Any], members: Mapping[str, Method]
    ) -> None:
        self._folder, self._run = folder, run
        labels = {name: label for label, (name, _) in observers_of(config).items()}
        own = _modules_by_label(run, members, list(members))
        self._kept = {labels.get(name, name): part for name, part in own.items()}

    def rows(self, recipe: Recipe) -> list[Measurement]:
        """Loss and cost of each epoch of the trial."""
        text = (self._folder / ROWS).read_text(encoding="utf-8")
        rows: list[Measurement] = json.loads(text)
        return rows[: recipe.epochs + 1]

    def model(self, epoch: int, device: str) -> Any:
        """The finished model after an epoch."""
        state = torch.load(_file(self._folder, epoch), map_location=device, weights_only=True)
        self._run.student.load_state_dict(state["student"])
        for label, part in self._kept.items():
            part.load_state_dict(state["kept"][label])
        return self._run.finished()


@final
class _Head:
    """One of many heads that were trained together on a frozen backbone."""

    def __init__(
        self,
        folder: Path,
        run: Run,
        config: Mapping[str, Any],
        *,
        finished: bool,
        images: Mapping[str, Tensor],
    ) -> None:
        member = {key: config[key] for key in OF_HEAD if key in config}
        self._kept = heads.KeptHeads(folder, member)
        # A finished model has other features.
        self._images = {} if finished else images
        self._run = run

    def rows(self, recipe: Recipe) -> list[Measurement]:
        """Loss and cost of each epoch; the time is the head's share of the time of all heads."""
        steps, losses = recipe.steps_per_epoch, self._kept.losses
        parameters = sum(parameter.numel() for parameter in self._run.student.head.parameters())
        moved = parameters if recipe.head_learning_rate_factor else 0
        return [
            {
                "step": epoch * steps,
                "epoch": epoch,
                **({"train/loss": losses[epoch - 1]} if epoch else {}),
                "trainable_parameters": moved,
                "seconds": self._kept.seconds * epoch / max(1, recipe.epochs),
                "peak_memory_bytes": 0,
            }
            for epoch in range(recipe.epochs + 1)
        ]

    def model(self, epoch: int, device: str) -> Any:
        """The finished model after an epoch."""
        self._kept.load(self._run.student.head, epoch)
        model = self._run.finished()
        if self._images and isinstance(model, Model):
            return heads.OnFeatures(model, self._kept, self._images)
        return model


def _file(folder: Path, epoch: int) -> Path:
    return folder / f"epoch-{epoch}.pt"


def _modules_by_label(
    run: Run, members: Mapping[str, Method], wanted: Sequence[str]
) -> dict[str, nn.ModuleList]:
    """The modules that the `wanted` members of the run's chain prepared."""
    if not members:
        return {}
    prepared = run.prepared if len(members) > 1 else (run.prepared,)
    return {
        label: nn.ModuleList(modules(part))
        for label, part in zip(members, prepared, strict=True)
        if label in wanted and modules(part)
    }
