"""A dataset of your own: digits in seven segments, as on a calculator, drawn by a shaky hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from tasks.data import Domain, Images

SEGMENTS = ("abcdef", "bc", "abdeg", "abcdg", "bcfg", "acdfg", "acdefg", "abc", "abcdefg", "abcdfg")
ENDS = {  # row and column where each segment begins and ends
    "a": (2, 4, 2, 11),
    "b": (2, 11, 7, 11),
    "c": (7, 11, 13, 11),
    "d": (13, 4, 13, 11),
    "e": (7, 4, 13, 4),
    "f": (2, 4, 7, 4),
    "g": (7, 4, 7, 11),
}
VERSION = "1"
COUNT = 500


class Sketches(Domain):
    """Digits in seven segments (500 images)."""

    classes = tuple("0123456789")  # those of mnist, in the same order
    channels = 1
    size = 16  # pixels a side; None if images are resized to the study's image_size

    def fingerprint(self) -> str:
        """From what decides the images: here a version and a count, of files their bytes."""
        return hashlib.sha256(f"sketches {VERSION} {COUNT}".encode()).hexdigest()[:16]

    def load(self, cache: Path, image_size: int) -> Images:
        """The images, the same each time."""
        random = np.random.default_rng(0)
        labels = np.arange(COUNT) % 10
        pixels = np.stack([_drawn(label, random) for label in labels])
        return Images(pixels, labels.astype(np.int64), self.classes)

    def official_test(self) -> np.ndarray:
        """The last 150 images test; without this function 30 % of each class would be drawn."""
        return np.arange(COUNT) >= 350


def sketches() -> Domain:
    """What a study calls `my_data:sketches`."""
    return Sketches()


def _drawn(digit: int, random: np.random.Generator) -> np.ndarray:
    """One image, [1, 16, 16] in [0, 1]."""
    image = np.zeros((1, 16, 16), np.float32)
    for segment in SEGMENTS[digit]:
        ends = np.array(ENDS[segment]) + random.integers(-1, 2, 4)
        rows, columns = (np.linspace(ends[first], ends[first + 2], 16) for first in (0, 1))
        image[0, rows.round().astype(int), columns.round().astype(int)] = 1
    return np.clip(image + random.normal(0, 0.05, image.shape), 0, 1).astype(np.float32)
