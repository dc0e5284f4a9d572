"""Image files decoded into one array in the cache, once per node, by all of its cores.

The array is filled in chunks. What a process has decoded when it is killed is kept, and the next
one goes on from there; of several processes that want the same images one decodes, and the others
wait. The files that cannot be read are all named at once.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks import cache, locking
from tasks.cache import usable
from tasks.data import cached, leftovers, pixels, undecoded
from tasks.data.contents import cores
from tasks.data.listing import shown, some
from tasks.data.undecoded import Undecoded

CHUNK = 256
"""Images a chunk: what is lost, for each core, when a process is killed."""
SAID_AFTER, SAID_EVERY = 5.0, 10.0
"""Seconds before the first line on the progress, and between lines."""
NAMED = 20
"""The number of unreadable files that a message names."""


def decoded(paths: Sequence[Path], kept: Path, image_size: int) -> NDArray[Any]:
    """The images as uint8 [N, 3, size, size], memory-mapped from the file `kept`.

    They are decoded into it if it is missing, and resized without keeping the aspect ratio, like
    the test transform of Holistic Transfer. Models read values as value / 255.

    Raises:
        ValueError: images cannot be read; names their paths.
        CacheUnusable: the cache is full, over its limit, or cannot be written.
    """
    shape = (len(paths), 3, image_size, image_size)
    array = cached.opened(kept, shape, np.uint8)
    if array is None:
        with usable(kept.parent):
            lock = leftovers.lock_of(kept)
            for place in (kept.parent, lock.parent):
                place.mkdir(parents=True, exist_ok=True)
            with locking.alone(
                lock, lambda: _say(f"waiting: another process decodes {_of(paths)}")
            ):
                # Another process may have decoded them meanwhile.
                array = cached.opened(kept, shape, np.uint8)
                if array is None:
                    _fill(paths, kept, shape)
                    array = cached.opened(kept, shape, np.uint8)
    assert array is not None, f"{kept} was written and cannot be read"
    return array


def fitting(paths: Sequence[Path], kept: Path, image_size: int) -> NDArray[Any] | Undecoded:
    """The images as `decoded` returns them, or undecoded if the cache has no room for them.

    `$HTSWEEP_CACHE_IMAGES` says otherwise: `decoded` is an error where there is no room, and
    `files` leaves them in their files.

    Raises:
        ValueError: images cannot be read; names their paths.
        CacheUnusable: the cache cannot be written, or the variable holds another word.
    """
    way = cache.images_way()
    size = 3 * image_size**2 * len(paths)
    shape = (len(paths), 3, image_size, image_size)
    if way != cache.DECODED and cached.opened(kept, shape, np.uint8) is None:
        lacking = "" if way == cache.FILES else cache.lacking(size)
        if lacking and leftovers.remove(kept.parent, leftovers.HOUR):
            lacking = cache.lacking(size)
        if way == cache.FILES or lacking:
            _say(f"{_of(paths)} is decoded again for each batch: {lacking or cache.AS_ASKED}")
            return Undecoded(paths, image_size)
    return decoded(paths, kept, image_size)


def _fill(paths: Sequence[Path], kept: Path, shape: tuple[int, ...]) -> None:
    """Decodes what an earlier process has not, and moves the whole to `kept`."""
    leftovers.remove(kept.parent)
    partial, marks = kept.with_suffix(leftovers.PARTIAL), kept.with_suffix(leftovers.MARKS)
    target = cached.opened(partial, shape, np.uint8, mode="r+")
    if target is None:
        marks.unlink(missing_ok=True)
        # Another size of the same images, say, is no part of this one.
        partial.unlink(missing_ok=True)
        cache.within_limit(
            int(np.prod(shape)), f"{len(paths):,} images of {shape[-1]} pixels a side"
        )
        cached.lay_out(partial, shape, np.dtype(np.uint8))
        target = cached.opened(partial, shape, np.uint8, mode="r+")
        assert target is not None, f"{partial} was written and cannot be read"
    done = _marked(marks)
    left = [first for first in range(0, len(paths), CHUNK) if first not in done]
    try:
        _decode(paths, target, left, lambda first: _mark(marks, target, first))
    except ValueError:
        # Images that are repaired are others, under another name.
        partial.unlink()
        marks.unlink(missing_ok=True)
        raise
    partial.replace(kept)
    marks.unlink(missing_ok=True)


def _decode(
    paths: Sequence[Path],
    target: NDArray[np.uint8],
    chunks: Sequence[int],
    finished: Callable[[int], None],
) -> None:
    """Fills the chunks of `target` [N, 3, size, size] that begin at `chunks`, by all cores.

    Calls `finished` with the beginning of each chunk whose images could all be read.
    """
    size = target.shape[-1]
    progress = _Progress(paths, sum(min(CHUNK, len(paths) - first) for first in chunks), size)

    def decode(first: int) -> tuple[int, list[str]]:
        wrong = []
        for row in range(first, min(first + CHUNK, len(paths))):
            try:
                target[row] = undecoded.read(paths[row], size)
            except undecoded.BadImage as error:
                wrong.append(str(error))
            progress.step()
        return first, wrong

    unreadable: list[str] = []
    # Threads: decoding and resizing release the GIL.
    with pixels.quiet(), ThreadPoolExecutor(cores()) as pool:
        for first, wrong in _as_they_end(pool, decode, chunks):
            unreadable += wrong
            if not wrong:
                finished(first)
    if unreadable:
        several = f"{len(unreadable):,} images: " if len(unreadable) > 1 else ""
        remedy = "repair or remove them" if several else undecoded.REMEDY
        raise ValueError(f"{several}{some(unreadable, NAMED)}; {remedy}")


def _as_they_end(
    pool: ThreadPoolExecutor,
    decode: Callable[[int], tuple[int, list[str]]],
    chunks: Sequence[int],
) -> Iterator[tuple[int, list[str]]]:
    """The answers of `decode`; if the caller fails or is interrupted, no further chunk begins."""
    futures = [pool.submit(decode, first) for first in chunks]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _mark(marks: Path, target: NDArray[np.uint8], first: int) -> None:
    """Notes that a chunk is decoded, after its pixels are on the disk."""
    if isinstance(target, np.memmap):
        target.flush()
    with marks.open("a") as file:
        file.write(f"{first}\n")


def _marked(marks: Path) -> set[int]:
    """The beginnings of the chunks that are decoded; a line that was cut short is none."""
    try:
        lines = marks.read_text().split("\n")[:-1]
    except OSError:
        return set()
    return {int(line) for line in lines if line.isdigit()}


class _Progress:
    """Says from time to time how many images are decoded; nothing if it takes seconds only."""

    def __init__(self, paths: Sequence[Path], count: int, size: int) -> None:
        self._what, self._count, self._size = _of(paths), count, size
        self._began = time.monotonic()
        self._next = self._began + SAID_AFTER
        self._done = 0
        self._lock = threading.Lock()

    def step(self) -> None:
        """One more image; may be called by several threads."""
        with self._lock:
            self._done += 1
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + SAID_EVERY
        rate = self._done / (now - self._began)
        left = (self._count - self._done) / rate
        _say(
            f"decoding {self._what} at {self._size} pixels: {self._done:,} of {self._count:,} "
            f"images, {rate:,.0f}/s, {left:,.0f} s left"
        )


def _of(paths: Sequence[Path]) -> str:
    """The folder of the images: ROOT/DOMAIN of ROOT/DOMAIN/CLASS/IMAGE."""
    return shown(paths[0].parent.parent) if paths else "no images"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
