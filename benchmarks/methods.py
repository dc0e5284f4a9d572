"""Times a step of each method, against plain fine-tuning and against the cost of its passes.

    uv run python benchmarks/methods.py [--methods l2sp,lolsgd] [--rounds 15] [--quick]

A step is batch, forward, penalty, backward and optimiser, without what a method learns or prepares
beforehand. Hooks count the passes of the student, the source and other models that a method keeps.
Their cost is measured in the same run: plain training with the same parts frozen, and each
additional pass. To reduce noise, times are CPU times of this process with one torch thread; methods
take turns, each right after plain fine-tuning; and results are medians over rounds."""

from __future__ import annotations

import argparse
import copy
import functools
import random
import statistics
import sys
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine
import torch
from torch.nn.functional import cross_entropy

from tasks import backbones, methods, process
from tasks.methods.method import PARTS, Method
from tasks.small_runs import first_layer
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

DEFECT = 1.15
"""The excess above which a step costs more than its passes explain."""
CLASSES, MISSING = 10, (1, 4, 7)
SHORT_ROUNDS = {"lolsgd.subsets": 2, "local_sgd.subsets": 2}
"""So that ten steps are a whole round of local runs; averaging weighs more than by default."""


@dataclass(frozen=True)
class Case:
    name: str
    backbone: str
    channels: int
    pixels: int
    batch: int
    steps: int
    """Steps per timing; methods with their own optimisation take ten."""


CASES = (
    Case("digits CNN, 16 px, batch 64", "lenet_bn", 1, 16, 64, 10),
    Case("resnet18, 64 px, batch 32", "resnet18", 3, 64, 32, 2),
)


class Bench:
    """The runs of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case
        process.reset(0)
        self.source = (
            backbones.build(case.backbone, case.channels, case.pixels, CLASSES)
            .requires_grad_(False)
            .eval()
        )
        self.images = torch.rand(8 * case.batch, case.channels, case.pixels, case.pixels)
        self.labels = torch.arange(len(self.images)) % CLASSES
        self.plain = functools.cache(lambda frozen: self.run(Method(frozen=frozen)))
        self.student = self.run(Method()).student

    def run(self, method: Method) -> Run:
        rows = torch.arange(len(self.labels))
        if not method.all_classes:
            rows = rows[~torch.isin(self.labels, torch.tensor(MISSING))]
        transfer = Transfer(
            self.source,
            self.images,
            self.labels,
            rows,
            rows[:0],
            CLASSES,
            MISSING,
            False,
            "cpu",
            lambda *names: zlib.crc32(repr(names).encode()),
        )
        steps = 10 if method.optimise else self.case.steps
        recipe = Recipe(
            epochs=1,
            steps_per_epoch=steps,
            batch_size=self.case.batch,
            learning_rate=1e-3,
            momentum=0.9,
            weight_decay=5e-4,
        )
        return Run(copy.deepcopy(self.source), transfer, method, recipe)

    def passes(self) -> dict[str, Callable[[], float]]:
        """Functions that time each kind of pass, in seconds."""
        images, labels = self.images[: self.case.batch], self.labels[: self.case.batch]

        def forward() -> float:
            return timed(lambda: self.student.train()(images))

        def backward() -> float:
            loss = cross_entropy(self.student.train()(images)[1], labels)
            return timed(loss.backward)

        @torch.no_grad()
        def blind() -> float:
            return timed(lambda: self.student.train()(images))

        @torch.no_grad()
        def other() -> float:
            return timed(lambda: self.source(images))

        return {"forward": forward, "backward": backward, "blind": blind, "other": other}


def timed(what: Callable[[], object]) -> float:
    begin = time.process_time()
    what()
    return time.process_time() - begin


def counted(run: Run) -> Counter[object]:
    """Counts the gradient evaluations, by frozen parts, and other passes, by kind, of the run."""
    found: Counter[object] = Counter()
    gradient = run.gradient

    def evaluated(positions: torch.Tensor) -> torch.Tensor:
        found[PARTS - frozenset(run.trained)] += 1
        return gradient(positions)

    def backward(_: object, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        place = inputs[0] if inputs[0].requires_grad else output
        if place.requires_grad:
            place.register_hook(lambda _: found.update(["backward"]))

    kept = [
        next((layer for layer in one.modules() if isinstance(layer, torch.nn.Conv2d)), None)
        for one in run._kept
    ]
    hooks = [run.student.head.register_forward_hook(backward)]
    for layer, kinds in (
        (first_layer(run.student), ("forward", "blind")),
        (first_layer(run.transfer.source), ("other", "other")),
        *((layer, ("other", "other")) for layer in kept if layer is not None),
    ):
        hooks.append(
            layer.register_forward_pre_hook(
                lambda *_, kinds=kinds: found.update([kinds[not torch.is_grad_enabled()]])
            )
        )
    run.gradient = evaluated
    run.advance(0, run.steps)
    del run.gradient
    for hook in hooks:
        hook.remove()
    evaluations = sum(count for kind, count in found.items() if isinstance(kind, frozenset))
    # Each evaluation is a step of plain training, which includes a forward and a backward pass.
    return +(found - Counter({"forward": evaluations, "backward": evaluations}))


def measure(case: Case, names: list[str], rounds: int) -> None:
    bench = Bench(case)
    runs = {name: bench.run(methods.build(methods.canonical(name), SHORT_ROUNDS)) for name in names}
    made = {name: counted(run) for name, run in runs.items()}
    frozen = {kind for kinds in made.values() for kind in kinds if isinstance(kind, frozenset)} | {
        frozenset()
    }
    pieces: dict[object, Callable[[], float]] = dict(bench.passes())
    for kind in frozen:
        pieces[kind] = functools.partial(per_step, bench.plain(kind))
    pieces |= {name: functools.partial(per_step, run) for name, run in runs.items()}
    plain, seconds, ratios = pieces[frozenset()], defaultdict(list), defaultdict(list)
    for number in range(rounds + 1):
        order = list(pieces)
        random.Random(number).shuffle(order)
        for piece in order:
            before, taken = plain(), pieces[piece]()
            if number:  # the first round warms up
                seconds[piece].append(1000 * taken)
                ratios[piece].append(taken / before)
    typical = {piece: statistics.median(seconds[piece]) for piece in pieces}
    ratio = {piece: statistics.median(ratios[piece]) for piece in pieces} | {frozenset(): 1.0}
    print(
        f"\n{case.name}: a step of plain fine-tuning {typical[frozenset()]:.2f} ms; passes: "
        + ", ".join(f"{piece} {typical[piece]:.2f}" for piece in bench.passes())
    )
    print(f"{'method':<28}{'step ms':>9}{'ratio':>8}{'accounted':>11}{'excess':>8}")
    for name, run in runs.items():
        accounted = sum(count * ratio[kind] for kind, count in made[name].items()) / run.steps
        excess = ratio[name] / accounted
        print(
            f"{name:<28}{typical[name]:>9.2f}{ratio[name]:>8.2f}{accounted:>11.2f}{excess:>8.2f}"
            + ("  defect" if excess > DEFECT else "")
        )


def per_step(run: Run) -> float:
    return timed(lambda: run.advance(0, run.steps)) / run.steps


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--methods", default=",".join(name for name in methods.NAMES if methods.trains(name))
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="the digits CNN alone")
    chosen = parser.parse_args()
    print(machine.said())
    for case in CASES[:1] if chosen.quick else CASES:
        measure(case, chosen.methods.split(","), chosen.rounds)
