"""Which images are in batch number n: a pure function, so that resuming needs no saved state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor


@final
class Batches:
    """An endless sequence of batches of the positions `rows`, whose labels are `labels[rows]`.

    Each pass over the rows is in a new random order and drops its last, incomplete batch unless
    `drop_last` is false. Fewer rows than the batch size form one batch. If `balanced`, a pass draws
    as many images with replacement, each of a class drawn uniformly.
    """

    def __init__(
        self,
        labels: Tensor,
        rows: Tensor,
        size: int,
        seed: Callable[..., int],
        *,
        drop_last: bool = True,
        balanced: bool = False,
    ) -> None:
        self._drop_last, self._balanced = drop_last, balanced
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
        whole = count // self._size if self._drop_last else -(-count // self._size)
        which, place = divmod(number, max(1, whole))
        if self._balanced:
            order = self._drawn(which, self._rows if classes is None else self._of(classes))
        else:
            order = self._order(which)
        if classes is not None and not self._balanced:
            order = order[torch.isin(self._labels[order], torch.tensor(classes))]
        return order[place * self._size : (place + 1) * self._size]

    def _of(self, classes: Sequence[int]) -> Tensor:
        return self._rows[torch.isin(self._labels[self._rows], torch.tensor(classes))]

    def _drawn(self, which: int, rows: Tensor) -> Tensor:
        """As many draws from `rows` as there are, each class with the same probability."""
        generator = torch.Generator().manual_seed(self._seed("batches", which))
        labels = self._labels[rows]
        chances = 1 / torch.bincount(labels).double()[labels]
        return rows[torch.multinomial(chances, len(rows), replacement=True, generator=generator)]

    def _order(self, which: int) -> Tensor:
        if self._latest is None or self._latest[0] != which:
            generator = torch.Generator().manual_seed(self._seed("batches", which))
            self._latest = which, self._rows[torch.randperm(len(self._rows), generator=generator)]
        return self._latest[1]
