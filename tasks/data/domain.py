"""What a dataset is made of: a `Domain`, which is a set of labelled images that knows its classes and its content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@final
@dataclass(frozen=True, eq=False)
class Images:
    """The images of a domain, decoded: float32 in [0, 1] or uint8, [N, channels, height, width], with labels int64 [N]."""

    pixels: Any
    labels: Any
    classes: tuple[str, ...]


class Domain(Protocol):
    """A set of labelled images under a name.

    A domain of your own is a class that inherits from this one. It gives `classes`, `channels`,
    `size`, `fingerprint` and `load`; the other members have answers that hold for most domains.
    While a study is planned, everything but `load` is asked, so those members must be cheap:
    decode no image there. `tasks.conformance.DatasetConformance` checks a domain.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the labels 0, 1, 2, ..."""

    @property
    def channels(self) -> int:
        """Channels of the images: 1 or 3."""

    @property
    def size(self) -> int | None:
        """Pixels a side if that is always the same; None if images are resized to `image_size`."""

    def fingerprint(self) -> str:
        """A name for the content, and for nothing else: 16 hexadecimal digits.

        It is part of the id of every trial on the domain. It must change whenever an image, a
        label or the way of decoding changes, and must be the same on every machine.
        """

    def load(self, cache: Path, image_size: int) -> Images:
        """The images, decoded, always in the same order.

        Args:
            cache: a folder of this node for decoded images; `tasks.data.cached` keeps arrays there.
            image_size: pixels a side of what is returned, if `size` is None.
        """

    @property
    def line(self) -> str:
        """A line that describes the domain, for listings."""
        return (self.__doc__ or "").strip().partition("\n")[0]

    def official_test(self) -> NDArray[np.bool_] | None:
        """[N], True for the images of the official test set, in the order of `load`.

        None if there is no official split: then 30 % of each class are drawn in each repetition.
        """
        return None

    def counts(self) -> Mapping[str, int]:
        """The number of images of each class; empty if each class has dozens, so that nothing depends on it."""
        return {}

    def images(self) -> int | None:
        """The number of images, by which sizes on disk are estimated; None if it is not known before they are loaded."""
        return sum(self.counts().values()) or None

    def problems(self) -> list[str]:
        """What is wrong with the data, each with the remedy."""
        return []

    def notes(self) -> list[str]:
        """What a person should know about the data, although nothing is wrong: what is left out, say."""
        return []
