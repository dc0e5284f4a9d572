"""Batches on their way to a GPU while it computes: gathered by threads, pinned, copied by a stream.

Only where the images stay on the host, because they do not fit on the GPU. The numbers are those
without it: which images are in a batch is decided elsewhere, and copies change nothing.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, final

import torch
from torch import Tensor

from tasks.transfer import Transfer

DEPTH = 3
"""How many batches are under way at most, besides the one in use."""
THREADS = 2

Pair = tuple[Tensor, Tensor]
"""Images and labels of a batch."""
Batch = Callable[..., Tensor]
"""`Batches.batch`: number, and optionally classes -> positions."""


class Lane(Protocol):
    """How batches come to a device."""

    def send(self, images: Tensor, labels: Tensor, rows: Tensor) -> Any:
        """Gathers the rows and begins to copy them; called by several threads."""

    def arrived(self, sent: Any) -> Pair:
        """What `send` began to copy, for the current stream to use; does not block the host."""


@final
class CudaLane:
    """Pinned buffers and a stream of their own, so that copies overlap with computation.

    It has never run on a GPU; tests run it with a stand-in for `torch.cuda` on the CPU.

    Args:
        device: the GPU.
        cuda: `torch.cuda`, or a stand-in for it.
        pin: whether buffers are pinned, without which copies would block.
    """

    def __init__(self, device: str, cuda: Any = torch.cuda, *, pin: bool = True) -> None:
        self._device, self._cuda, self._pin = device, cuda, pin
        self._stream = cuda.Stream(device)
        self._buffers: queue.Queue[_Buffer] = queue.Queue()
        for _ in range(DEPTH + 1):
            self._buffers.put(_Buffer())

    def send(self, images: Tensor, labels: Tensor, rows: Tensor) -> tuple[Pair, Any]:
        """Gathers the rows into a free buffer and begins to copy it on the stream."""
        buffer = self._buffers.get()
        try:
            if buffer.copied is not None:
                # What the buffer held before may still be on its way.
                buffer.copied.synchronize()
            pinned = [buffer.room(part, len(rows), self._pin) for part in (images, labels)]
            for part, room in zip((images, labels), pinned, strict=True):
                if isinstance(part, Tensor):
                    torch.index_select(part, 0, rows, out=room)
                else:  # decoded as they are asked for
                    room.copy_(part[rows])
            with self._cuda.stream(self._stream):
                there = [
                    torch.empty(room.shape, dtype=room.dtype, device=self._device).copy_(
                        room, non_blocking=True
                    )
                    for room in pinned
                ]
                buffer.copied = self._cuda.Event()
                buffer.copied.record(self._stream)
            return (there[0], there[1]), buffer.copied
        finally:
            self._buffers.put(buffer)

    def arrived(self, sent: tuple[Pair, Any]) -> Pair:
        """The batch; what the current stream does from now on waits for its copy."""
        pair, copied = sent
        current = self._cuda.current_stream(self._device)
        current.wait_event(copied)
        for part in pair:
            # Else its memory could be given away while the current stream still reads it.
            part.record_stream(current)
        return pair


@final
class _Buffer:
    """Host memory that batches are gathered into, one after the other."""

    def __init__(self) -> None:
        self.copied: Any = None
        """The event after the latest copy out of it."""
        self._rooms: dict[tuple[int, ...], Tensor] = {}

    def room(self, like: Tensor, count: int, pin: bool) -> Tensor:
        """Room for `count` rows of a tensor."""
        kept = self._rooms.get(like.shape)
        if kept is None or len(kept) < count:
            kept = torch.empty((count, *like.shape[1:]), dtype=like.dtype, pin_memory=pin)
            self._rooms[like.shape] = kept
        return kept[:count]


@final
@dataclass(frozen=True, eq=False)
class _Sent:
    rows: Tensor
    answer: Future[Any]


@final
class Feed:
    """Batches by number, of which the next ones are under way already.

    Args:
        batch: returns the positions in a batch.
        transfer: the images, which lie on the host.
        lane: the way to the device.
        steps: the number of batches of the whole run.
    """

    def __init__(self, batch: Batch, transfer: Transfer, lane: Lane, steps: int) -> None:
        self._batch, self._transfer, self._lane, self._steps = batch, transfer, lane, steps
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="batches")
        self._sent: dict[int, _Sent] = {}

    def batch(self, number: int, classes: Sequence[int] | None = None) -> Tensor:
        """The positions in batch `number`; it and the next ones are sent, if not of some classes.

        Methods that ask for some classes go on with others, so that guessing would be in vain.
        """
        if classes is not None:
            return self._batch(number, classes)
        wanted = range(number, max(number + 1, min(number + 1 + DEPTH, self._steps)))
        for passed in set(self._sent) - set(wanted):
            self._sent.pop(passed).answer.cancel()
        for ahead in wanted:
            if ahead not in self._sent:
                # Positions are drawn here: `Batches` keeps the order of a pass, for one thread.
                rows = self._batch(ahead)
                images, labels = self._transfer.images, self._transfer.labels
                answer = self._pool.submit(self._lane.send, images, labels, rows)
                self._sent[ahead] = _Sent(rows, answer)
        return self._sent[number].rows

    def take(self, rows: Tensor) -> Pair:
        """The images and labels at `rows`, which `batch` returned or not."""
        for sent in self._sent.values():
            if sent.rows is rows:
                return self._lane.arrived(sent.answer.result())
        return self._transfer.take(rows)


def in_order(images: Tensor, rows: Tensor, size: int, lane: Lane) -> Iterator[Tensor]:
    """The images at `rows` on the device, `size` at a time; the next ones are under way already.

    Args:
        images: images [N, C, H, W] on the host.
        rows: positions among them.
        size: how many come at a time.
        lane: the way to the device.
    """
    places = torch.arange(len(images))  # a lane takes labels, too
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="chunks")
    sent: deque[Future[Any]] = deque()
    try:
        for piece in rows.split(size):
            sent.append(pool.submit(lane.send, images, places, piece))
            if len(sent) > DEPTH:
                yield lane.arrived(sent.popleft().result())[0]
        while sent:
            yield lane.arrived(sent.popleft().result())[0]
    finally:
        pool.shutdown(cancel_futures=True)


def lane_of(images: Tensor, device: str) -> Lane | None:
    """The way of images that stay on the host to a GPU; None where there is none to go."""
    if not device.startswith("cuda") or images.is_cuda:
        return None
    return CudaLane(device)


def feed_of(batch: Batch, transfer: Transfer, steps: int) -> Feed | None:
    """The feed of a run on a GPU whose images stay on the host; None where there is none to do."""
    lane = lane_of(transfer.images, transfer.device)
    return None if lane is None else Feed(batch, transfer, lane, steps)
