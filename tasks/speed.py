"""How long a training step takes in each way to compute, on the device at hand."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from tasks import precision
from tasks.task import Workspace

ROUNDS = 3
"""How often each way is timed, in turn; the fastest round counts, since the machine may do other
work.
"""
ROUND_SECONDS = 0.5
"""About how long a round of the slowest way takes."""
MOST_STEPS = 50
"""The most steps of a round."""
WORTH = 0.95
"""A way is taken in place of a simpler one if its step takes at most this share of the time."""


def steps(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Times plain fine-tuning on random images; yields one row, `seconds/WAY` for each way tried.

    First types are compared, then the memory layout of the fastest, then its compilation. What this
    device or the backbone cannot do is left out of the row.

    Args:
        config: backbone, channels, pixels, fitted (whether it has pretrained weights), classes,
            batch_size, ways (those that may be chosen, by their names in `tasks.precision`).
        workspace: says where to run.
    """
    ways, seconds = config["ways"], dict[str, float]()
    tried = _timed(config, [name for name in precision.TYPE_WAYS if name in ways], workspace)
    seconds |= tried
    for part in precision.OTHERS:
        best = fastest(seconds)
        name = f"{best}+{part}"
        if name in ways:
            # Both anew, in turn: the machine may be busier than it was before.
            again = _timed(config, [best, name], workspace)
            seconds |= {way: min(took, seconds.get(way, took)) for way, took in again.items()}
    yield {"step": 0, **{f"seconds/{name}": took for name, took in seconds.items()}}


def fastest(seconds: Mapping[str, float]) -> str:
    """The name of the way to take, of those timed, in the order of `precision.WAYS`."""
    best = ""
    for name in precision.WAYS:
        if name in seconds and (not best or seconds[name] < WORTH * seconds[best]):
            best = name
    return best


def _timed(config: Mapping[str, Any], names: list[str], workspace: Workspace) -> dict[str, float]:
    """Seconds of a step in each way, without what fails."""
    import torch

    from tasks.training import Run

    runs: dict[str, Run] = {}
    first: dict[str, float] = {}
    for name in names:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                run = _run(config, precision.WAYS[name], workspace)
                run.advance(0, 2)  # compiling and tuning of kernels is part of the first steps
                first[name] = _advance(run, 2, 3)
        except Exception as error:  # a compiler or a kernel that is not there may raise anything
            torch.cuda.empty_cache()
            said = (str(error).strip() or type(error).__name__).splitlines()[0]
            sys.stderr.write(f"{name} cannot be timed here: {said}\n")
            continue
        runs[name] = run
    if not runs:
        return {}
    count = max(1, min(MOST_STEPS, int(ROUND_SECONDS / max(first.values()))))
    best = dict.fromkeys(runs, float("inf"))
    for number in range(ROUNDS):
        for name, run in runs.items():
            begin = 3 + number * count
            best[name] = min(best[name], _advance(run, begin, begin + count) / count)
    return best


def _advance(run: Any, first: int, last: int) -> float:
    """How many seconds a run takes from one step to another."""
    import torch

    began = time.perf_counter()
    run.advance(first, last)
    if torch.device(run.device).type == "cuda":
        torch.cuda.synchronize(run.device)
    return time.perf_counter() - began


def _run(config: Mapping[str, Any], way: Mapping[str, Any], workspace: Workspace) -> Any:
    """Plain fine-tuning of the backbone on random images, computed in this way."""
    import copy

    import torch

    from tasks import backbones, process
    from tasks.loading import laid_out
    from tasks.methods import Method
    from tasks.training import Recipe, Run
    from tasks.transfer import Transfer

    process.reset(workspace.seed("speed"), workspace.threads, workspace.device)
    channels, pixels, batch = config["channels"], config["pixels"], config["batch_size"]
    model = backbones.build(
        config["backbone"], channels, pixels, config["classes"], pretrained=config["fitted"]
    )
    model = laid_out(model, way).to(workspace.device)
    generator = torch.Generator().manual_seed(workspace.seed("images"))
    images = torch.randint(0, 256, (2 * batch, channels, pixels, pixels), generator=generator)
    labels = torch.arange(2 * batch) % config["classes"]
    rows = torch.arange(2 * batch)
    transfer = Transfer(
        model,
        images.to(torch.uint8).to(workspace.device),
        labels.to(workspace.device),
        rows,
        rows[:0],
        config["classes"],
        (),
        False,
        workspace.device,
        workspace.seed,
    )
    recipe = Recipe(
        epochs=1,
        steps_per_epoch=3 + ROUNDS * MOST_STEPS,
        batch_size=batch,
        learning_rate=1e-4,
        momentum=0.9,
        weight_decay=5e-4,
        **{key: value for key, value in way.items() if key != "channels_last"},
    )
    return Run(copy.deepcopy(model), transfer, Method(), recipe)
