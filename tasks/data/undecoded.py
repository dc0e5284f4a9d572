"""Images that stay in their files and are decoded as they are asked for, by all cores.

For sets that take more than the cache may hold: the pixels are those that the cache would have, and
each epoch pays for decoding them again.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from tasks.data import pixels
from tasks.data.contents import cores
from tasks.data.listing import shown

REMEDY = "repair or remove it"


class BadImage(ValueError):
    """An image that cannot be read; the message names its path and the reason."""


@final
class Undecoded:
    """Images [N, 3, size, size] in uint8, read by slices or arrays of positions.

    Args:
        paths: the files, in order.
        size: pixels a side.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self._paths, self._size = list(paths), size
        self.shape = (len(self._paths), 3, size, size)
        self.nbytes = 3 * size * size * len(self._paths)
        self._alone = threading.Lock()

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, rows: slice | NDArray[np.integer]) -> NDArray[np.uint8]:
        """The images at `rows`, decoded now.

        Raises:
            ValueError: an image cannot be read; names its path.
        """
        wanted = np.arange(len(self))[rows]
        found = np.empty((len(wanted), *self.shape[1:]), np.uint8)
        # One call at a time: each takes all cores, and the filters of warnings are the process's.
        with self._alone, pixels.quiet(), ThreadPoolExecutor(cores()) as pool:
            try:
                for place, image in enumerate(pool.map(self._read, wanted.tolist())):
                    found[place] = image
            except BadImage as error:
                raise ValueError(f"{error}; {REMEDY}") from error
        return found

    def _read(self, row: int) -> NDArray[np.uint8]:
        return read(self._paths[row], self._size)


def read(path: Path, size: int) -> NDArray[np.uint8]:
    """One image as [3, size, size].

    Raises:
        BadImage: it cannot be read; names its path and the reason.
    """
    try:
        with path.open("rb") as file:
            return pixels.read(file, size)
    except (pixels.Unreadable, OSError) as error:
        reason = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else error
        raise BadImage(f"{shown(path)} {reason}") from error
