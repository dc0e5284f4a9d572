"""Image files decoded into one array in the cache, once per node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.data import cached, pixels
from tasks.data.listing import shown


def decoded(paths: Sequence[Path], kept: Path, image_size: int) -> NDArray[Any]:
    """The images as uint8 [N, 3, size, size], memory-mapped from the file `kept`.

    They are decoded into it if it is missing, and resized without keeping the aspect ratio, like
    the test transform of Holistic Transfer. Models read values as value / 255.

    Raises:
        ValueError: an image cannot be read; names its path.
    """
    shape = (len(paths), 3, image_size, image_size)
    return cached.mapped(kept, shape, np.uint8, lambda target: _decode(paths, target))


def _decode(paths: Sequence[Path], target: NDArray[np.uint8]) -> None:
    """Fills `target` [N, 3, size, size] with the decoded images."""
    with pixels.quiet():
        for row, path in enumerate(paths):
            try:
                with path.open("rb") as file:
                    target[row] = pixels.read(file, target.shape[-1])
            except (pixels.Unreadable, OSError) as error:
                reason = (
                    f"cannot be read: {error.strerror}" if isinstance(error, OSError) else error
                )
                raise ValueError(f"{shown(path)} {reason}; repair or remove it") from error
