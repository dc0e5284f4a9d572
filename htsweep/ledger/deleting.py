"""Removes many objects; from a bucket, where each takes a service's time, several at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from htsweep.ledger.store import Store

AT_ONCE = 16


def delete_each(store: Store, groups: Iterable[Sequence[str]]) -> Iterator[None]:
    """Removes groups of objects, those of a group in their order; yields after each group.

    pyarrow removes several objects of S3 by one call only as a whole folder.

    Args:
        store: where they are.
        groups: the names of objects that must go one after another.

    Raises:
        LedgerError: one cannot be removed; groups that had not begun stay.
    """

    def delete(names: Sequence[str]) -> None:
        for name in names:
            store.delete(name)

    if store.folder is not None:
        yield from map(delete, groups)
        return
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        yield from pool.map(delete, groups)
    finally:
        pool.shutdown(cancel_futures=True)
