"""Trials an hour of same-shape trials: sequential, fused, compiled, packed and as CUDA graphs.

    uv run python benchmarks/gpu.py [lenet_bn] [resnet18] [lite0] [--trials 2,4,8]
    uv run python benchmarks/gpu.py --shared [lenet_bn] [resnet18] [lite0]

The trials are plain fine-tuning at different learning rates; "one at a time" uses the program's own
loop. Fused: `torch.func` stacks the weights, and each model has its own rate. Without a GPU the
same runs on the CPU, without packing and graphs.

`--shared` needs a GPU: trials an hour at 1, 2, 4 and 8 at once on it, each in a process of its own,
and the memory that torch counts in one. It says whether NVIDIA's Multi-Process Service runs.

Each line says how far the fused weights are from the sequential ones after the same steps.
"""

from __future__ import annotations

import argparse
import copy
import functools
import multiprocessing
import os
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import machine
import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from tasks import backbones, gpu, process
from tasks.methods.method import Method
from tasks.model import Model
from tasks.schedules import rate_at
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

DEVICE = "cuda:0" if torch.cuda.is_available() else "cpu"
PROBLEMS = {
    "lenet_bn": ("lenet_bn", 1, 16, 10, 64, 300),
    "resnet18": ("resnet18", 3, 64, 10, 64, 100 if DEVICE != "cpu" else 4),
    "lite0": ("efficientnet_lite0", 3, 224, 10, 32, 50 if DEVICE != "cpu" else 2),
}
"""Backbone, channels, pixels a side, classes, batch size, and number of timed steps."""


def recipe_of(steps: int, batch: int, rate: float) -> Recipe:
    """A recipe of one epoch with this many steps."""
    return Recipe(
        epochs=1,
        steps_per_epoch=steps,
        batch_size=batch,
        learning_rate=rate,
        momentum=0.9,
        weight_decay=5e-4,
    )


@functools.cache
def transfer_of(name: str) -> Transfer:
    """Random images of the problem's shape."""
    backbone, channels, size, classes, batch, _ = PROBLEMS[name]
    process.reset(0)
    model = backbones.build(backbone, channels, size, classes).to(DEVICE)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8 * batch, channels, size, size), generator=generator)
    labels = torch.arange(len(images)) % classes
    rows = torch.arange(len(images))
    return Transfer(
        model.requires_grad_(False).eval(),
        images.to(torch.uint8).to(DEVICE),
        labels.to(DEVICE),
        rows,
        rows[:0],
        classes,
        (),
        False,
        DEVICE,
        lambda *names: zlib.crc32(repr(names).encode()) % 2**31,
    )


def rates(count: int) -> list[float]:
    """A learning rate for each trial."""
    return [0.001 * 1.2**number for number in range(count)]


def wait() -> None:
    """Waits until the device has finished."""
    if DEVICE != "cpu":
        torch.cuda.synchronize()


def one_at_a_time(name: str, count: int, *, compiled: bool = False) -> tuple[float, list[Model]]:
    """Seconds and trained models, trained one after another."""
    batch, steps = PROBLEMS[name][4:]
    models, seconds = [], 0.0
    for rate in rates(count):
        transfer = transfer_of(name)
        student = copy.deepcopy(transfer.source_model)
        run = Run(student, transfer, Method(), recipe_of(steps, batch, rate))
        if compiled:
            student.backbone = torch.compile(student.backbone, mode="reduce-overhead")
            warm = copy.deepcopy(run.state())
            run.gradient(run.batch(0))
            run.restore(warm)
        wait()
        began = time.perf_counter()
        run.advance(0, steps)
        wait()
        seconds += time.perf_counter() - began
        models.append(run.student)
    return seconds, models


def fused(name: str, count: int, *, graph: bool = False) -> tuple[float, dict[str, Tensor]]:
    """Seconds and stacked weights of training all trials as one model, each with its own rate."""
    batch, steps = PROBLEMS[name][4:]
    transfer = transfer_of(name)
    model = copy.deepcopy(transfer.source_model).requires_grad_(True)
    run = Run(model, transfer, Method(), recipe_of(steps, batch, 0.1))
    run.freeze(())
    students = [copy.deepcopy(model) for _ in range(count)]
    weights, buffers = stack_module_state(students)
    weights = {key: value.detach() for key, value in weights.items()}
    velocity = {key: torch.zeros_like(value) for key, value in weights.items()}
    recipes = [recipe_of(steps, batch, rate) for rate in rates(count)]

    def loss_of(
        own: dict[str, Tensor], held: dict[str, Tensor], images: Tensor, labels: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        held = {key: value.clone() for key, value in held.items()}
        _, logits = functional_call(model, (own, held), (images,))
        return cross_entropy(logits, labels), held

    slopes = vmap(grad_and_value(loss_of, has_aux=True), in_dims=(0, 0, None, None))
    images, labels = transfer.take(run.batch(0))
    images, labels = images.clone(), labels.clone()
    rate = torch.zeros(count, device=DEVICE)

    def step() -> None:
        gradients, (_, moved) = slopes(weights, buffers, images, labels)
        for key, value in weights.items():
            gradient = gradients[key].add_(value, alpha=5e-4)
            velocity[key].mul_(0.9).add_(gradient)
            scale = rate.view(-1, *[1] * (value.ndim - 1))
            value.sub_(scale * (gradient + 0.9 * velocity[key]))
        for key, value in moved.items():
            buffers[key].copy_(value)

    replay: Callable[[], None] = step
    if graph:
        kept = [{k: v.clone() for k, v in part.items()} for part in (weights, buffers, velocity)]
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            step()
        for part, before in zip((weights, buffers, velocity), kept, strict=True):
            for key, value in before.items():
                part[key].copy_(value)
        replay = captured.replay
    wait()
    began = time.perf_counter()
    for number in range(steps):
        own_images, own_labels = transfer.take(run.batch(number))
        images.copy_(own_images)
        labels.copy_(own_labels)
        rate.copy_(
            torch.tensor(
                [recipe.learning_rate * rate_at(recipe, number / steps) for recipe in recipes]
            )
        )
        replay()
    wait()
    return time.perf_counter() - began, weights


def packed(name: str, count: int) -> float:
    """Seconds of `count` concurrent processes on one GPU, a trial each, without their start-up."""
    context = multiprocessing.get_context("spawn")
    ready, gate = context.Queue(), context.Event()
    workers = [context.Process(target=_pack, args=(name, ready, gate)) for _ in range(count)]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.get()
    began = time.perf_counter()
    gate.set()
    for worker in workers:
        worker.join()
    return time.perf_counter() - began


def shared(name: str) -> None:
    """Prints trials an hour of 300 steps, by how many run at once."""
    steps, alone = PROBLEMS[name][5], 0.0
    torch.cuda.reset_peak_memory_stats()
    one_at_a_time(name, 1)
    peak = torch.cuda.max_memory_allocated() / 2**30
    for count in (1, 2, 4, 8):
        seconds = statistics.median(packed(name, count) for _ in range(3))
        hourly = 3600 * count * steps / 300 / seconds
        alone = alone or hourly
        print(
            f"{name}: {count} at once: {hourly:.0f} trials of 300 steps an hour, "
            f"{hourly / alone:.2f} times; {peak:.2f} GiB each",
            flush=True,
        )


def _pack(name: str, ready: multiprocessing.Queue[int], gate: multiprocessing.Event) -> None:
    one_at_a_time(name, 1)  # warm
    ready.put(1)
    gate.wait()
    one_at_a_time(name, 1)


def distance(models: list[Model], weights: dict[str, Tensor]) -> float:
    """The largest difference of a weight, relative to the largest weight of its tensor."""
    worst = 0.0
    for number, model in enumerate(models):
        for key, value in model.named_parameters():
            value = value.detach()
            scale = float(value.abs().max()) or 1.0
            worst = max(worst, float((weights[key][number] - value).abs().max()) / scale)
    return worst


def main() -> None:
    """Prints a line for each problem, number of trials and way to run them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("problems", nargs="*", default=list(PROBLEMS))
    parser.add_argument("--trials", default="2,4,8,16" if DEVICE != "cpu" else "2,4,8")
    parser.add_argument("--shared", action="store_true", help="1, 2, 4 and 8 trials on a GPU")
    chosen = parser.parse_args()
    if chosen.shared:
        if DEVICE == "cpu":
            sys.exit(f"--shared needs a GPU: {gpu.facts()['why']}")
        service = "runs" if gpu.mps(os.environ) else "does not run"
        print(f"{torch.cuda.get_device_name()}; the Multi-Process Service {service}")
        for name in chosen.problems:
            shared(name)
        return
    print(machine.said() if DEVICE == "cpu" else torch.cuda.get_device_name())
    for name in chosen.problems:
        one_at_a_time(name, 1)  # warm
        steps = PROBLEMS[name][5]
        for count in map(int, chosen.trials.split(",")):
            alone, models = one_at_a_time(name, count)
            ways = {"fused": lambda n=name, c=count: fused(n, c)}
            if DEVICE != "cpu":
                ways["fused as a CUDA graph"] = lambda n=name, c=count: fused(n, c, graph=True)
            print(
                f"{name}, {count} trials of {steps} steps: one at a time {alone:.2f} s, "
                f"{3600 * count * steps / 300 / alone:.0f} trials of 300 steps an hour"
            )
            for way, run in ways.items():
                run()  # warm
                seconds, weights = run()
                print(
                    f"  {way}: {seconds:.2f} s, {alone / seconds:.2f} times; weights within "
                    f"{distance(models, weights):.1e}"
                )
            if count == 2:
                seconds, _ = one_at_a_time(name, count, compiled=True)
                print(f"  compiled, one at a time: {seconds:.2f} s, {alone / seconds:.2f} times")
            if DEVICE != "cpu":
                seconds = packed(name, count)
                print(f"  packed: {seconds:.2f} s, {alone / seconds:.2f} times")


if __name__ == "__main__":
    main()
