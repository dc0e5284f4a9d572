"""Milliseconds of a training step at each precision, on this machine.

    uv run python benchmarks/precision.py [lenet_bn] [resnet18] [lite0]      (two minutes on a CPU)

It prints how long the first step takes too (compiling is part of it), and how far the weights are
from those of full precision after the same steps, over how far they moved.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import torch
from gpu import DEVICE, PROBLEMS, recipe_of, transfer_of

from tasks.methods.method import Method
from tasks.training import Run

MOST_STEPS = 20
"""The most steps that are timed at once."""
WAYS: dict[str, dict[str, Any]] = {
    "full": {},
    "channels_last: false": {"channels_last": False},
    "amp, bfloat16": {"amp": True},
    "amp, float16": {"amp": True, "amp_dtype": "float16"},
}
"""Of those in `tasks.precision.WAYS`, of which `precision: auto` takes the fastest."""
COMPILED: dict[str, dict[str, Any]] = {
    "compile": {"compile": True},
    "compile, amp, bfloat16": {"compile": True, "amp": True},
}
"""With `--compile`: on a CPU compiling takes up to minutes."""


def run_of(name: str, steps: int, way: dict[str, Any]) -> Run:
    """A run of the problem that computes in this way."""
    transfer = transfer_of(name)
    student = copy.deepcopy(transfer.source_model).requires_grad_(True)
    given = dict(way)
    if not given.pop("channels_last", True):
        student = student.to(memory_format=torch.contiguous_format)
    recipe = recipe_of(2 * steps + 1, PROBLEMS[name][4], 1e-3)
    return Run(student, transfer, Method(), dataclasses.replace(recipe, **given))


def weights(run: Run) -> torch.Tensor:
    """All weights of the student, one after the other."""
    return torch.cat([weight.detach().flatten().cpu() for weight in run.student.parameters()])


def seconds(run: Run, first: int, last: int) -> float:
    """How long the steps from `first` to `last` take."""
    began = time.perf_counter()
    run.advance(first, last)
    if DEVICE != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def main() -> None:
    """Prints a line for each problem and precision."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", default=["lenet_bn"], help="of gpu.py's problems")
    parser.add_argument("--compile", action="store_true", help="also compiled, which takes longer")
    given = parser.parse_args()
    ways = {**WAYS, **(COMPILED if given.compile else {})}
    for name in given.problems:
        steps = min(MOST_STEPS, PROBLEMS[name][5])
        usual: torch.Tensor | None = None
        for text, way in ways.items():
            run = run_of(name, steps, way)
            before = weights(run)
            begun = seconds(run, 0, 1)
            # The better of two: the machine may do other work.
            each = min(seconds(run, 1, 1 + steps), seconds(run, 1 + steps, 1 + 2 * steps)) / steps
            usual = weights(run) if usual is None else usual
            off = float((weights(run) - usual).norm() / (usual - before).norm())
            print(
                f"{name:9} {DEVICE:6} {text:24} {1e3 * each:8.2f} ms a step, first {begun:5.1f} s, "
                f"off by {off:.1e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
