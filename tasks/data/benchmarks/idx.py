"""Images in idx files, the format of MNIST (LeCun et al., 1998) and Fashion-MNIST (Xiao et al.).

A pair of files PART-images-idx3-ubyte and PART-labels-idx1-ubyte, each perhaps gzipped, holds the
images of a part: `train`, and `t10k` or `test`. An idx file is four bytes (0, 0, type 8 for bytes,
number of dimensions), each dimension as four bytes, and the values. `all` is the domain of all
images with their official split; `train` and `test` are each a part alone, for a source and a
target that share no image.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
from numpy.typing import NDArray

from tasks.data import cached, contents, parts
from tasks.data.benchmarks import Benchmark, Benchmarked, Expected
from tasks.data.domain import Domain, Images, Rows
from tasks.data.listing import shown, some

VERSION = 1
"""To be raised when the same files are read otherwise; part of the fingerprint."""
ALL = "all"
PARTS = {"train": parts.TRAIN, "t10k": parts.TEST, "test": parts.TEST}
"""What the names of files begin with -> the official part."""
KINDS = {"images": 3, "labels": 1}
"""What files hold -> the number of dimensions."""
FORM = (
    "there must be PART-images-idx3-ubyte and PART-labels-idx1-ubyte, each perhaps with .gz, for "
    "the parts train and t10k (or test)"
)


@final
@dataclass(frozen=True)
class Pair:
    """The images and the labels of a part, each with their shape and the file's digest."""

    part: str
    images: Path
    labels: Path
    shape: tuple[int, ...]
    digests: tuple[str, str]


@final
@dataclass(frozen=True)
class Grey(Domain):
    """The grey images of a folder's idx files."""

    name: str
    known: tuple[str, ...]
    """The names of the labels 0, 1, ...; empty: the numbers themselves."""
    pairs: tuple[Pair, ...] = field(repr=False)

    channels = 1

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the labels from 0 to the largest."""
        most = int(self.rows().labels.max(initial=-1)) + 1
        return self.known or tuple(map(str, range(most)))

    @property
    def size(self) -> int:
        """Pixels a side."""
        return self.pairs[0].shape[-1]

    @property
    def line(self) -> str:
        """How many images it holds."""
        return f"{sum(pair.shape[0] for pair in self.pairs):,} grey images in idx files"

    def fingerprint(self) -> str:
        """From the files of images and labels, and the names of the classes."""
        own = [(f"{pair.part} {digest}", "") for pair in self.pairs for digest in pair.digests]
        return contents.named([("idx", str(VERSION)), *own, ("classes", "\0".join(self.known))])

    def load(self, cache: Path, image_size: int) -> Images:
        """The images as uint8 [N, 1, side, side], 0 black, mapped from the cache."""
        shape = (sum(pair.shape[0] for pair in self.pairs), 1, self.size, self.size)
        kept = cache / "idx" / f"{self.fingerprint()}.npy"
        pixels = cached.mapped(kept, shape, np.uint8, self._write)
        return Images(pixels, self.rows().labels, self.classes)

    def _write(self, target: NDArray[Any]) -> None:
        first = 0
        for pair in self.pairs:
            count = pair.shape[0]
            target[first : first + count, 0] = _array(pair.images)
            first += count

    def rows(self) -> Rows:
        """Labels and official parts."""
        labels, split = _labels(self.pairs)
        return Rows(labels, split)

    def official_test(self) -> NDArray[np.bool_] | None:
        """The images of the part `t10k` or `test`; None without one, or without another."""
        tested: NDArray[np.bool_] = np.asarray(self.rows().split == parts.TEST)
        return tested if tested.any() and not tested.all() else None

    def counts(self) -> Mapping[str, int]:
        """The number of images of each class."""
        classes = self.classes
        counted = np.bincount(self.rows().labels, minlength=len(classes)).tolist()
        return dict(zip(classes, counted, strict=True))

    def problems(self) -> list[str]:
        """Labels beyond the names of the classes, and images of fewer than two classes."""
        most = int(self.rows().labels.max(initial=-1)) + 1
        if self.known and most > len(self.known):
            return [f"a label is {most - 1}, but there are {len(self.known)} classes"]
        return [] if most > 1 else ["there is nothing to tell apart: at most one class has images"]

    def notes(self) -> list[str]:
        """How many images each part has."""
        held = ", ".join(f"{pair.shape[0]:,} {pair.part}" for pair in self.pairs)
        return [f"{held} images of {self.size} pixels in {len(self.classes)} classes"]


@contents.for_a_moment
def _labels(pairs: tuple[Pair, ...]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The labels of all images, and the part of each."""
    held = [_array(pair.labels).astype(np.int64) for pair in pairs]
    split = [np.full(len(own), pair.part) for pair, own in zip(pairs, held, strict=True)]
    return np.concatenate(held), np.concatenate(split)


class Idx(Benchmarked):
    """What a folder of idx files holds: `all`, and the parts alone.

    Args:
        root: the folder.
        known: the names of the labels 0, 1, ...; empty: the numbers themselves.
    """

    names = (ALL,)

    def __init__(self, root: Path, known: tuple[str, ...] = ()) -> None:
        self._known, self._pairs = known, _pairs(root)

    def domain(self, name: str, whole: str) -> Domain:
        """All images, or those of a part."""
        return Grey(whole, self._known, self._of(name))

    def has(self, name: str) -> bool:
        """Whether it is `all`, or a part that there is."""
        return bool(self._of(name))

    def others(self, source: str) -> Sequence[str]:
        """The other part, if the source is a part."""
        held = dict.fromkeys(pair.part for pair in self._pairs)
        return [part for part in held if source not in (ALL, part)]

    def _of(self, name: str) -> tuple[Pair, ...]:
        return tuple(pair for pair in self._pairs if name in (ALL, pair.part))


def _pairs(root: Path) -> tuple[Pair, ...]:
    """The pairs of files in a folder, checked.

    Raises:
        ValueError: there is none, one lacks its other half, or a file is damaged.
    """
    found = {part: {kind: _file(root, part, kind) for kind in KINDS} for part in PARTS}
    found = {part: files for part, files in found.items() if any(files.values())}
    halves = [
        f"{part}-{kind}" for part, files in found.items() for kind in KINDS if not files[kind]
    ]
    if not found or halves:
        lacking = f"lacks {some(halves)}" if halves else "holds no idx file"
        raise ValueError(f"{shown(root)} {lacking}; {FORM}")
    files = [path for held in found.values() for path in held.values() if path is not None]
    known = dict(zip(files, contents.of(files, _examined, VERSION, "idx"), strict=True))
    wrong = [f"{shown(path)} {of.problem}" for path, of in known.items() if of.problem]
    if wrong:
        raise ValueError(f"{some(wrong)}; fetch these files again")
    pairs = []
    for part, held in found.items():
        images, labels = (held[kind] for kind in KINDS)
        assert images is not None
        assert labels is not None
        shape, count = known[images].answer, known[labels].answer
        if len(shape) != 3 or len(count) != 1 or shape[0] != count[0] or shape[1] != shape[2]:
            raise ValueError(
                f"{shown(images)} holds values of the shape {shape} and {shown(labels)} {count}; "
                "they must be [N, side, side] images and [N] labels"
            )
        digests = known[images].digest, known[labels].digest
        pairs.append(Pair(PARTS[part], images, labels, tuple(shape), digests))
    sides = {pair.shape[-1] for pair in pairs}
    if len(sides) > 1:
        raise ValueError(
            f"{shown(root)} holds images of {sorted(sides)} pixels; they must be alike"
        )
    return tuple(pairs)


def _file(root: Path, part: str, kind: str) -> Path | None:
    """The file of a part, gzipped or not, as the authors or common copies call it."""
    for joint in ("-", "."):
        for suffix in ("", ".gz"):
            path = root / f"{part}-{kind}{joint}idx{KINDS[kind]}-ubyte{suffix}"
            if path.is_file():
                return path
    return None


def _examined(file: BinaryIO) -> list[int]:
    """The shape of the values in an idx file.

    Raises:
        ValueError: it is damaged, or holds no bytes.
    """
    return list(_parsed(file.read()).shape)


def _array(path: Path) -> NDArray[np.uint8]:
    return _parsed(path.read_bytes())


def _parsed(data: bytes) -> NDArray[np.uint8]:
    """The values of an idx file, gzipped or not."""
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"is damaged: {error}") from error
    if len(data) < 4 or data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise ValueError("is no idx file of bytes")
    shape = struct.unpack_from(f">{data[3]}I", data, 4)
    held = len(data) - 4 - 4 * len(shape)
    if held != math.prod(shape):
        raise ValueError(f"holds {held:,} values, and says that they are {math.prod(shape):,}")
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape)


CLOTHES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)
LAYOUT = "ROOT/train-images-idx3-ubyte, ROOT/train-labels-idx1-ubyte, and the same with t10k"
IDX = Benchmark(
    name="idx",
    line="grey images in idx files, the format of MNIST",
    layout=LAYOUT,
    get="your own, or MNIST, KMNIST and the like as their authors distribute them",
    open=Idx,
)
FASHION_MNIST = Benchmark(
    name="fashion_mnist",
    line="Fashion-MNIST: ten kinds of clothes, 28 pixels (Xiao et al., 2017)",
    layout=LAYOUT,
    get="Debian's package dataset-fashion-mnist lays it in /usr/share/datasets/fashion-mnist",
    open=lambda root: Idx(root, CLOTHES),
    expected={
        ALL: Expected(
            classes=10,
            train=60_000,
            test=10_000,
            images=70_000,
            by_class=dict.fromkeys(CLOTHES, 7_000),
        )
    },
)
