"""Images a second of the data path alone, and the share of a step that waits for it.

    uv run python benchmarks/data.py [--images 2000] [--sizes 64,224] [--batch 64] [--rounds 5]

Beside the path (decoded once by all cores, then gathered from a memory map, warm and cold) stands a
plain torch DataLoader that decodes a folder of JPEG files in every epoch. The images are made here:
smooth noise of 500 x 375 pixels, about as large in JPEG as photographs of that size. Steps that are
fed from the map take turns with steps whose batch is in memory already; medians are compared.
"""

from __future__ import annotations

import argparse
import operator
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

sys.path.insert(0, str(Path(__file__).parent))
import machine
import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tasks import backbones
from tasks.batches import Batches
from tasks.data import decoding
from tasks.data.contents import cores
from tasks.methods.method import Method
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

BACKBONES = {"resnet18": "resnet18", "lite0": "tf_efficientnet_lite0"}
CLASSES = 10
WIDTH, HEIGHT = 500, 375


def made(place: Path, count: int) -> list[Path]:
    """JPEG files ROOT/photo/CLASS/NUMBER.jpg of smooth noise."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
        path = place / "photo" / str(number % CLASSES) / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(path, quality=90)
        paths.append(path)
    return paths


class Folder(Dataset[tuple[Tensor, int]]):
    """What a user would write: decodes, resizes and turns into a tensor, image by image."""

    def __init__(self, paths: list[Path], size: int) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        path = self.paths[index]
        with Image.open(path) as image:
            small = image.convert("RGB").resize((self.size, self.size), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(small)).permute(2, 0, 1), int(path.parent.name)


def rate(batches: Iterator[tuple[Tensor, Tensor]]) -> float:
    """Images a second of an epoch."""
    count, began = 0, time.perf_counter()
    for images, _ in batches:
        count += len(images)
    return count / (time.perf_counter() - began)


def gathered(transfer: Transfer, batch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """An epoch as the training loop gathers it."""
    batches = Batches(transfer.labels, transfer.train, batch, transfer.seed)
    for number in range(len(transfer.train) // batch):
        yield transfer.take(batches.batch(number))


def transfer_of(images: Tensor, labels: Tensor) -> Transfer:
    """A training from scratch on these images."""
    rows = torch.arange(len(labels))
    return Transfer(
        None, images, labels, rows, rows[:0], CLASSES, (), True, "cpu", lambda *names: hash(names)
    )


def forget(path: Path) -> None:
    """Takes a file out of the system's memory, so that it is read from the disk again."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run_of(name: str, transfer: Transfer, batch: int, steps: int) -> Run:
    """A training of the backbone from scratch, warm."""
    torch.manual_seed(0)
    model = backbones.build(BACKBONES[name], 3, transfer.images.shape[-1], CLASSES)
    recipe = Recipe(
        epochs=1,
        steps_per_epoch=steps + 1,
        batch_size=batch,
        learning_rate=0.01,
        momentum=0.9,
        weight_decay=0.0,
    )
    run = Run(model, transfer, Method(), recipe)
    run.advance(0, 1)
    return run


@final
@dataclass(frozen=True)
class Steps:
    """Seconds of each step, on the clock and of the processor, and of those that wait."""

    wall: list[float]
    cpu: list[float]
    waiting: list[float]


def by_turns(run: Run, rounds: int) -> tuple[Steps, Steps]:
    """Steps fed from the images of the run, and from one batch in memory, one after the other.

    What takes turns meets the same other work on the machine.
    """
    transfer = run.transfer
    take, held = transfer.take, transfer.take(run.batch(0))
    waiting = 0.0

    def fed(rows: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal waiting
        began = time.perf_counter()
        taken = take(rows)
        waiting += time.perf_counter() - began
        return taken

    ways = [(Steps([], [], []), fed), (Steps([], [], []), lambda rows: held)]
    for number in range(rounds):
        # Which goes first changes: what the first leaves in the processor's cache helps the second.
        for place, (steps, way) in enumerate(ways if number % 2 else ways[::-1]):
            object.__setattr__(transfer, "take", way)
            waiting = 0.0
            wall, cpu = time.perf_counter(), time.process_time()
            run.advance(2 * number + place + 1, 2 * number + place + 2)
            steps.wall.append(time.perf_counter() - wall)
            steps.cpu.append(time.process_time() - cpu)
            steps.waiting.append(waiting)
    object.__delattr__(transfer, "take")
    return ways[0][0], ways[1][0]


def against_memory(mapped: Steps, held: Steps) -> str:
    """The medians of both, and their ratio: how much slower it is to be fed from the map."""
    wall = [statistics.median(steps.wall) for steps in (mapped, held)]
    cpu = [statistics.median(steps.cpu) for steps in (mapped, held)]
    paired = [statistics.median(map(operator.truediv, mapped.cpu, held.cpu))]
    return (
        f"fed from the map {1e3 * wall[0]:,.0f} ms ({1e3 * cpu[0]:,.0f} of the processor), from "
        f"memory {1e3 * wall[1]:,.0f} ms ({1e3 * cpu[1]:,.0f}): {wall[0] / wall[1]:.3f} times the "
        f"clock, {cpu[0] / cpu[1]:.3f} the processor, {paired[0]:.3f} pair by pair"
    )


def main() -> None:
    """Prints a line per size, and one per backbone and size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--sizes", default="64,224")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)  # as a trial of one core
    print(machine.said(), f"pillow {Image.__version__}", sep=", ")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        paths = made(place, given.images)
        labels = torch.tensor([int(path.parent.name) for path in paths])
        mean = sum(path.stat().st_size for path in paths) / len(paths)
        print(f"{len(paths):,} JPEG files of {WIDTH} x {HEIGHT}, {mean / 1e3:.0f} kB each")
        for size in map(int, given.sizes.split(",")):
            kept = place / "cache" / f"{size}.npy"
            began = time.perf_counter()
            images = torch.from_numpy(decoding.decoded(paths, kept, size))
            once = len(paths) / (time.perf_counter() - began)
            transfer = transfer_of(images, labels)
            forget(kept)
            cold = rate(gathered(transfer, given.batch))
            warm = rate(gathered(transfer, given.batch))
            loader = DataLoader(
                Folder(paths, size), batch_size=given.batch, shuffle=True, num_workers=cores()
            )
            plain = rate(iter(loader))
            print(
                f"{size} px: decoded once {once:,.0f} images/s; from the map {warm:,.0f} warm, "
                f"{cold:,.0f} cold; DataLoader with {cores()} workers {plain:,.0f}; "
                f"warm / DataLoader {warm / plain:.0f}, cold / DataLoader {cold / plain:.0f}"
            )
            for name in BACKBONES:
                run = run_of(name, transfer, given.batch, 2 * given.rounds)
                mapped, held = by_turns(run, given.rounds)
                waiting = statistics.median(mapped.waiting)
                share = waiting / statistics.median(mapped.wall)
                print(
                    f"{size} px, {name}, batch {given.batch}: {against_memory(mapped, held)}; "
                    f"{1e3 * waiting:.1f} ms ({share:.1%}) wait for the batch; beside it the "
                    f"DataLoader takes {1e3 * given.batch / plain:,.0f} ms a batch",
                    flush=True,
                )


if __name__ == "__main__":
    main()
