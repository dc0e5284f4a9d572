"""Which images are in batch number n: a pure function, so that resuming needs no saved state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor


@final
class Batches:
    """An endless sequence of batches of the positions `rows`, whose labels are `labels[rows]`.

    Each pass over the rows is in a new random order and drops its last, incomplete batch. Fewer
    rows than the batch size form one batch.
    """

    def __init__(self, labels: Tensor, rows: Tensor, size: int, seed: Callable[..., int]) -> None:
        self._labels = labels.cpu()
        self._rows = rows.cpu()
        self._size = size
        self._seed = seed
        self._counts = torch.bincount(self._labels[self._rows]).tolist()
        self._latest: tuple[int, Tensor] | None = None

    def batch(self, number: int, classes: Sequence[int] | None = None) -> Tensor:
        """The positions in batch `number`; with `classes`, of a sequence of these classes only."""
        count = (
            len(self._rows) if classes is None else sum(self._counts[index] for index in classes)
        )
        which, place = divmod(number, max(1, count // self._size))
        order = self._order(which)
        if classes is not None:
            order = order[torch.isin(self._labels[order], torch.tensor(classes))]
        return order[place * self._size : (place + 1) * self._size]

    def _order(self, which: int) -> Tensor:
        if self._latest is None or self._latest[0] != which:
            generator = torch.Generator().manual_seed(self._seed("batches", which))
            self._latest = which, self._rows[torch.randperm(len(self._rows), generator=generator)]
        return self._latest[1]
