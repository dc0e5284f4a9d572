"""Layouts for a user's own images: lists of files, and a table of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tasks.data.benchmarks import Benchmark, Benchmarked, lists, metadata
from tasks.data.domain import Domain
from tasks.data.listed import Listed
from tasks.data.table import Table


class Tabled(Benchmarked):
    """The domains of a table of image files.

    Args:
        table: the table.
        missing: source domain -> the classes that the paper takes as missing.
    """

    def __init__(self, table: Table, missing: Mapping[str, Sequence[str]] | None = None) -> None:
        self.table = table
        self.missing = missing or {}
        self.names = tuple(table.by_domain)
        self.wrong = table.wrong

    def has(self, name: str) -> bool:
        """Whether the table has images of this domain."""
        return name in self.table.by_domain

    def domain(self, name: str, whole: str) -> Domain:
        """The domain of this name."""
        return Listed(whole, self.table, self.missing)


def of(read: Callable[[Path], Table]) -> Callable[[Path], Benchmarked]:
    """Opens a folder by a reader of tables."""
    return lambda root: Tabled(read(root))


LISTS = Benchmark(
    name="lists",
    line="your own images, in lists of files by domain and part",
    layout=lists.ROOM,
    get="write a line an image: its path from ROOT, and the index of its class",
    open=of(lists.read),
)
TABLE = Benchmark(
    name="table",
    line="your own images, in a table of files",
    layout=f"ROOT/{metadata.FILE} with columns file, class and, if known, domain, split "
    "(train, validation, test), group, time",
    get="write a row an image",
    open=of(metadata.read),
)
