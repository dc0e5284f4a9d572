"""Benchmarks by name, each in the layout that its authors distribute: NAME:ROOT:DOMAIN.

`find` gives a domain of a benchmark. A benchmark is one `Benchmark` in a file of its own, with a
reader of its layout, named in `NAMES`. Users fetch the data; `htsweep data check NAME` compares
what they have with what `expected` says.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, final

from tasks import buckets
from tasks.data import contents

if TYPE_CHECKING:
    from tasks.data.domain import Domain

NAMES = {
    "lists": "tasks.data.benchmarks.generic:LISTS",
    "table": "tasks.data.benchmarks.generic:TABLE",
    "office_home": "tasks.data.benchmarks.office_home:OFFICE_HOME",
    "idx": "tasks.data.benchmarks.idx:IDX",
    "fashion_mnist": "tasks.data.benchmarks.idx:FASHION_MNIST",
    "femnist": "tasks.data.benchmarks.femnist:FEMNIST",
    "iwildcam": "tasks.data.benchmarks.iwildcam:IWILDCAM",
    "pacs": "tasks.data.benchmarks.folders:PACS",
    "vlcs": "tasks.data.benchmarks.folders:VLCS",
    "domainnet": "tasks.data.benchmarks.folders:DOMAINNET",
    "cub": "tasks.data.benchmarks.fine_grained:CUB",
    "cars": "tasks.data.benchmarks.fine_grained:CARS",
    "aircraft": "tasks.data.benchmarks.fine_grained:AIRCRAFT",
    "dogs": "tasks.data.benchmarks.fine_grained:DOGS",
    "imagenet_r": "tasks.data.benchmarks.imagenet:IMAGENET_R",
    "imagenet_s": "tasks.data.benchmarks.imagenet:IMAGENET_S",
    "inat_fungi": "tasks.data.benchmarks.inaturalist:INAT_FUNGI",
    "vtab": "tasks.data.benchmarks.vtab:VTAB",
    "writers": "tasks.data.benchmarks.writers:WRITERS",
}
"""Name of a benchmark -> the module and the value that describe it; add new ones here."""


@final
@dataclass(frozen=True)
class Expected:
    """What the paper, or the authors' lists, say of a domain; None: nothing."""

    classes: int | None = None
    train: int | None = None
    test: int | None = None
    images: int | None = None
    other_train: int | None = None
    """The training images of the authors' other list, which may be there instead."""
    by_class: Mapping[str, int] = field(default_factory=dict)
    """Class -> its number of images; empty: not known."""


@final
@dataclass(frozen=True)
class Benchmark:
    """A benchmark, or a layout that a user's own data may have."""

    name: str
    line: str
    """A one-line description, with the paper."""
    layout: str
    """What lies where in ROOT."""
    get: str
    """How to get the data."""
    open: Callable[[Path], Benchmarked]
    """Reads the layout in ROOT; raises ValueError with a remedy if it is not there."""
    expected: Mapping[str, Expected] = field(default_factory=dict)
    """Domain -> what it should hold; "": all domains together."""
    either: bool = False
    """Whether some of these domains take the place of others, so that not all need be there."""


class Benchmarked:
    """The domains that a benchmark's folder holds."""

    names: Sequence[str] = ()
    """The names of the domains."""
    wrong: Sequence[str] = ()
    """What must be fixed in the folder, with file, line and remedy."""

    def has(self, name: str) -> bool:
        """Whether there is a domain of this name; some are made of several, beside `names`."""
        return name in self.names

    def others(self, source: str) -> Sequence[str]:
        """The domains that share no image with this source, which a pattern may name as targets."""
        return [name for name in self.names if name != source]

    def domain(self, name: str, whole: str) -> Domain:
        """The domain of this name.

        Args:
            name: the name of the domain, one of `names`.
            whole: the same with the benchmark and the root, as studies write it.

        Raises:
            ValueError: there is none.
        """
        raise NotImplementedError


def is_benchmark(name: str) -> bool:
    """Whether the name is NAME:ROOT:DOMAIN or NAME:ROOT:SOURCE-TARGET of a known benchmark."""
    first, _, rest = name.partition(":")
    return first in NAMES and ":" in rest


def described(name: str) -> Benchmark:
    """The benchmark of this name, one of `NAMES`."""
    module, _, value = NAMES[name].partition(":")
    found: Benchmark = getattr(importlib.import_module(module), value)
    return found


@contents.for_a_moment
def opened(name: str, root: str) -> Benchmarked:
    """The domains of the benchmark `name` in the folder `root`.

    Raises:
        ValueError: the folder does not hold it.
    """
    return described(name).open(buckets.place(root))


def find(name: str) -> Domain:
    """The domain NAME:ROOT:DOMAIN.

    Raises:
        ValueError: there is none.
    """
    benchmark, _, rest = name.partition(":")
    root, _, domain = rest.rpartition(":")
    held = opened(benchmark, root)
    if not held.has(domain):
        raise ValueError(no_domain(benchmark, root, [domain]))
    return held.domain(domain, name)


def no_domain(benchmark: str, root: str, names: Sequence[str]) -> str:
    """Says that a benchmark's folder has no domains of these names, and which it has."""
    from tasks.data.listing import shown, some

    held = opened(benchmark, root)
    known = some(map(shown, held.names), 20) or "none"
    if not held.names and held.wrong:
        return "; ".join(held.wrong)
    absent = " and no domain ".join(repr(shown(name)) for name in names)
    wrong = "".join(f"; {text}" for text in held.wrong)
    return f"{benchmark} in {shown(root)} has no domain {absent}; its domains are {known}{wrong}"
