"""The `Domain` protocol: a set of labelled images that knows its classes and its content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tasks.data.splits import Order


@final
@dataclass(frozen=True, eq=False)
class Images:
    """The decoded images of a domain.

    Pixels are float32 in [0, 1] or uint8, [N, channels, height, width]; labels are int64, [N].
    """

    pixels: Any
    labels: Any
    classes: tuple[str, ...]


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """What is known of each image of a domain before it is decoded, in the order of `load`."""

    labels: NDArray[np.int64]
    """[N], places among the domain's classes."""
    split: NDArray[Any] | None = None
    """[N], the official part of each image: `train`, `validation` or `test`."""
    group: NDArray[Any] | None = None
    """[N], the name of the writer, the location, or whatever images have in common."""
    time: NDArray[np.float64] | None = None
    """[N], in any unit that grows."""


class Domain(Protocol):
    """A set of labelled images under a name.

    To add a domain, write a class that inherits from this one and defines `classes`, `channels`,
    `size`, `fingerprint` and `load`; the defaults of the other members suit most domains. Planning
    a study uses all members except `load`, so those must be cheap and decode no image.
    `tasks.conformance.DatasetConformance` checks a domain.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels 0, 1, 2, ..."""

    @property
    def channels(self) -> int:
        """The number of channels of the images: 1 or 3."""

    @property
    def size(self) -> int | None:
        """Pixels a side, if fixed; None if images are resized to `image_size`."""

    def fingerprint(self) -> str:
        """Identifies the content, and only the content, by 16 hexadecimal digits.

        It is part of the id of every trial on the domain. It must change whenever an image, a
        label or the decoding changes, and must be the same on every machine.
        """

    def load(self, cache: Path, image_size: int) -> Images:
        """The decoded images, always in the same order.

        Args:
            cache: a folder of this node for decoded images; `tasks.data.cached` keeps arrays there.
            image_size: pixels a side of the returned images, if `size` is None.
        """

    @property
    def line(self) -> str:
        """A one-line description of the domain, for listings."""
        return (self.__doc__ or "").strip().partition("\n")[0]

    def official_test(self) -> NDArray[np.bool_] | None:
        """[N], True for the images of the official test set, in the order of `load`.

        None if there is no official split; then each repetition draws 30 % of each class.
        """
        return None

    def rows(self) -> Rows | None:
        """Labels, official parts, groups and times of the images, where known without decoding."""
        return None

    def labels(self) -> NDArray[np.int64] | None:
        """[N], places among the classes, in the order of `load`; None: not known undecoded."""
        known = self.rows()
        return None if known is None else known.labels

    def official_missing(self, source: str) -> Sequence[str] | None:
        """The classes that the paper takes as missing with this source; None: it names none.

        Args:
            source: the source domain, without its folder.
        """
        return None

    def order(self, seed: int) -> Order | None:
        """The order by which a repetition draws groups of images that belong together.

        None if images are drawn one by one. With an order, source training leaves out what the
        target tests or validates, so that it must be the same in all domains (`groups.py`).
        """
        return None

    def counts(self) -> Mapping[str, int]:
        """The number of images of each class; may be empty if each class has dozens."""
        return {}

    def images(self) -> int | None:
        """The number of images, to estimate sizes on disk; None if not known before loading."""
        return sum(self.counts().values()) or None

    def problems(self) -> list[str]:
        """What is wrong with the data, each problem with its remedy."""
        return []

    def notes(self) -> list[str]:
        """What a user should know about the data although nothing is wrong, such as omissions."""
        return []
