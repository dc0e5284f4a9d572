"""Corrupted variants of a domain: `uci@blur`, `mnist@noise4`, `folder:ROOT:DOMAIN@rotate`.

`DOMAIN@KIND` has the same images in the same order with the same labels, each changed by a
corruption of severity 1 to 5 (default 3). The corruptions are in the spirit of ImageNet-C
(Hendrycks and Dietterich, ICLR 2019, arXiv:1903.12261), but for images of any size, so that lengths
are shares of an image's side. Random draws depend only on the kind and the image's position, not on
the severity: a higher severity goes further in the same direction.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tasks import buckets
from tasks.data.domain import Domain

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tasks.data.domain import Images, Rows
    from tasks.data.splits import Order

    Floats = NDArray[np.float32]

VERSION = "1"
"""To be raised when a corruption changes its pixels; part of the fingerprint."""
DEFAULT = 3
SEVERITIES = range(1, 6)
SAME_IMAGES = (
    "the target of '{dataset}' would hold the images that its source is trained on, test images "
    "too; take two domains, as in mnist-uci@blur"
)
CHUNK = 256
"""Number of images that are changed at once."""


@final
@dataclass(frozen=True, slots=True)
class Corruption:
    """A kind of corruption and its severity."""

    kind: str
    severity: int

    def __str__(self) -> str:
        return f"{self.kind}{self.severity}"


def base(domain: str) -> str:
    """The name of the domain without its corruption, if any."""
    return parts(domain)[0]


def parts(domain: str) -> tuple[str, Corruption | None]:
    """A domain's name without its corruption, and the corruption; None if it has no valid one."""
    if "@" not in domain:  # as almost all, and this is asked for each cell of a grid
        return domain, None
    whole, _, text = domain.rpartition("@")
    match = _pattern().fullmatch(text) if whole else None
    if match is None or _is_folder(domain):
        return domain, None
    return whole, Corruption(match[1], int(match[2] or DEFAULT))


@functools.cache
def _pattern() -> re.Pattern[str]:
    return re.compile(rf"({'|'.join(KINDS)})([1-5]?)")


def canonical(domain: str) -> str:
    """The domain's name with its severity written out.

    Raises:
        ValueError: the text after the '@' is not a corruption; lists those that exist.
    """
    whole, corruption = parts(domain)
    if corruption is not None:
        return f"{whole}@{corruption}"
    bare, _, text = domain.rpartition("@")
    if ":" in text:  # the '@' is one of the root's, as in abfss://container@account
        return domain
    if bare and not _is_folder(domain) and (not bare.startswith("folder:") or _is_folder(bare)):
        raise ValueError(f"'{domain.rpartition(':')[2]}' is no corrupted domain: " + _hint(text))
    return domain


def fingerprint(content: str, corruption: Corruption) -> str:
    """16 hexadecimal digits from the uncorrupted fingerprint and the corruption."""
    return hashlib.sha256(f"{content} {corruption} {VERSION}".encode()).hexdigest()[:16]


def corrupted(images: Images, corruption: Corruption, kept: Path) -> Images:
    """The corrupted images, memory-mapped from `kept`; shape, type and range do not change."""
    from tasks.data import cached
    from tasks.data.domain import Images

    def write(target: Any) -> None:
        for start in range(0, len(target), CHUNK):
            target[start : start + CHUNK] = changed(
                images.pixels[start : start + CHUNK], corruption, start
            )

    pixels = cached.mapped(kept, images.pixels.shape, images.pixels.dtype, write)
    return Images(pixels, images.labels, images.classes)


@final
@dataclass(frozen=True)
class Corrupted(Domain):
    """A domain with corrupted images; everything else is the domain's own."""

    domain: Domain
    corruption: Corruption

    @property
    def classes(self) -> tuple[str, ...]:
        """Those of the domain."""
        return self.domain.classes

    @property
    def channels(self) -> int:
        """That of the domain."""
        return self.domain.channels

    @property
    def size(self) -> int | None:
        """That of the domain."""
        return self.domain.size

    @property
    def line(self) -> str:
        """The domain's line and the corruption."""
        return f"{self.domain.line}, @{self.corruption}"

    def fingerprint(self) -> str:
        """From the domain's fingerprint and the corruption."""
        return fingerprint(self.domain.fingerprint(), self.corruption)

    def load(self, cache: Path, image_size: int) -> Images:
        """The corrupted images, computed once per node."""
        images = self.domain.load(cache, image_size)
        name = f"{self.fingerprint()}-{images.pixels.shape[-1]}.npy"
        return corrupted(images, self.corruption, cache / "corrupted" / name)

    def official_test(self) -> NDArray[np.bool_] | None:
        """That of the domain: the images keep their order."""
        return self.domain.official_test()

    def rows(self) -> Rows | None:
        """Those of the domain."""
        return self.domain.rows()

    def labels(self) -> NDArray[np.int64] | None:
        """Those of the domain."""
        return self.domain.labels()

    def official_missing(self, source: str) -> Sequence[str] | None:
        """Those of the domain."""
        return self.domain.official_missing(source)

    def order(self, seed: int) -> Order | None:
        """That of the domain."""
        return self.domain.order(seed)

    def counts(self) -> Mapping[str, int]:
        """Those of the domain."""
        return self.domain.counts()

    def images(self) -> int | None:
        """That of the domain."""
        return self.domain.images()

    def problems(self) -> list[str]:
        """Those of the domain."""
        return self.domain.problems()

    def notes(self) -> list[str]:
        """Those of the domain."""
        return self.domain.notes()


def changed(pixels: Any, corruption: Corruption, first: int = 0) -> Any:
    """Images [N, channels, H, W] after the corruption, as uint8 or float32 in [0, 1] as before.

    Args:
        pixels: the images.
        corruption: the corruption.
        first: the position of the first image in the domain.
    """
    import numpy as np

    whole = pixels.dtype == np.uint8
    given = pixels.astype(np.float32) / 255 if whole else np.asarray(pixels, np.float32)
    kind = zlib.crc32(corruption.kind.encode())
    generators = [np.random.default_rng((kind, first + place)) for place in range(len(given))]
    corrupted = np.clip(KINDS[corruption.kind](given, corruption.severity, generators), 0, 1)
    return np.rint(corrupted * 255).astype(np.uint8) if whole else corrupted.astype(np.float32)


def _blur(images: Floats, severity: int, _: list[Any]) -> Floats:
    """Out of focus: a Gaussian filter with sigma of 4 % (severity 1) to 10 % (5) of the side."""
    import numpy as np
    from scipy.ndimage import gaussian_filter

    spread = (0.025 + 0.015 * severity) * images.shape[-1]
    filtered = gaussian_filter(images, (0, 0, spread, spread), mode="nearest")
    return np.asarray(filtered, np.float32)


def _noise(images: Floats, severity: int, generators: list[Any]) -> Floats:
    """Grain: Gaussian noise of standard deviation 0.08 to 0.4."""
    import numpy as np

    drawn: Floats = np.stack(
        [generator.standard_normal(images.shape[1:], np.float32) for generator in generators]
    )
    return images + np.float32(0.08 * severity) * drawn


def _rotate(images: Floats, severity: int, _: list[Any]) -> Floats:
    """Rotated by 10 to 50 degrees, all images in the same direction; filled with black."""
    import numpy as np
    from scipy.ndimage import rotate

    turned = rotate(images, 10 * severity, axes=(-1, -2), reshape=False, order=1, mode="constant")
    return np.asarray(turned, np.float32)


def _invert(images: Floats, severity: int, _: list[Any]) -> Floats:
    """Light and dark inverted, with 40 % (severity 1) to 100 % (5) of the contrast."""
    inverted: Floats = 0.5 - (0.25 + 0.15 * severity) * (images - 0.5)
    return inverted


def _contrast(images: Floats, severity: int, _: list[Any]) -> Floats:
    """Low contrast: 80 % to 10 % of each image's contrast remains."""
    middle = images.mean(axis=(1, 2, 3), keepdims=True)
    faint: Floats = middle + (0.975 - 0.175 * severity) * (images - middle)
    return faint


def _occlude(images: Floats, severity: int, generators: list[Any]) -> Floats:
    """A grey square at a random position, with a side of 20 % to 60 % of the image's."""
    changed = images.copy()
    height, width = images.shape[-2:]
    side = max(round((0.1 + 0.1 * severity) * min(height, width)), 1)
    for image, generator in zip(changed, generators, strict=True):
        y, x = (generator.random(2) * (height, width)).astype(int) - side // 2
        image[:, max(y, 0) : y + side, max(x, 0) : x + side] = 0.5
    return changed


def _shift(images: Floats, severity: int, generators: list[Any]) -> Floats:
    """Shifted by 6 % to 31 % of the side, each image in a random direction; filled with black."""
    import numpy as np

    height, width = images.shape[-2:]
    moved = np.zeros_like(images)
    for after, before, generator in zip(moved, images, generators, strict=True):
        angle = 2 * np.pi * generator.random()
        down, right = (
            round(severity / 16 * side * way)
            for side, way in ((height, np.sin(angle)), (width, np.cos(angle)))
        )
        rows, columns = (
            slice(max(step, 0), side + min(step, 0))
            for step, side in ((down, height), (right, width))
        )
        from_rows, from_columns = (
            slice(max(-step, 0), side - max(step, 0))
            for step, side in ((down, height), (right, width))
        )
        after[:, rows, columns] = before[:, from_rows, from_columns]
    return moved


KINDS: Mapping[str, Callable[[Any, int, list[Any]], Any]] = {
    "blur": _blur,
    "noise": _noise,
    "rotate": _rotate,
    "invert": _invert,
    "contrast": _contrast,
    "occlude": _occlude,
    "shift": _shift,
}


def _hint(text: str) -> str:
    near = difflib.get_close_matches(text.rstrip("0123456789"), KINDS, n=1)
    return (
        f"{f'did you mean @{near[0]}? ' if near else ''}known: "
        f"{', '.join(f'@{kind}' for kind in KINDS)}, "
        f"with a severity of 1 to 5 behind it if not {DEFAULT}, as in @blur4"
    )


def _is_folder(domain: str) -> bool:
    """Whether a folder has exactly this name, even if it looks like a corruption."""
    root, _, name = domain.removeprefix("folder:").rpartition(":")
    return domain.startswith("folder:") and (buckets.place(root) / name).is_dir()
