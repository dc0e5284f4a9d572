"""Images that lie together in a few files, such as CIFAR's pickles and SVHN's MATLAB files.

A reader tells a file's labels and its images, uint8 [N, height, width, 3]; nothing else in it is
run or kept. Pickles are read without the code of others: `unpickled` builds numpy arrays and plain
Python values, and refuses any other name.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np
from numpy.typing import NDArray

from tasks.data import cached, contents, parts
from tasks.data.domain import Domain, Images, Rows
from tasks.data.listing import shown, some

VERSION = 1
"""To be raised when the same files are read otherwise; part of the fingerprint."""
Held = tuple[NDArray[np.uint8], NDArray[np.int64]]
"""Images, uint8 [N, height, width, 3], and labels, [N]."""
Reader = Callable[[BinaryIO], Held]
"""Reads a file; raises ValueError, with what is wrong, if it is of another form."""


class _Plain(pickle.Unpickler):
    """Builds arrays and plain values; any other name in the pickle is an error."""

    def find_class(self, module: str, name: str) -> Any:
        # Modules of numpy before 2 and since.
        plain = _NAMES.get((module.replace("numpy._core", "numpy.core"), name))
        if plain is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not read")
        return plain


def _array(kind: object, shape: tuple[int, ...], code: Any) -> NDArray[Any]:
    """An empty array, which the pickle then fills."""
    if kind is not _ARRAY:
        raise pickle.UnpicklingError("it holds an array of another kind than numpy's")
    empty: NDArray[Any] = np.ndarray.__new__(np.ndarray, shape, code)
    return empty


def _kind(code: Any, *_: Any) -> np.dtype[Any]:
    """A type of plain numbers or texts."""
    kind: np.dtype[Any] = np.dtype(code)
    if kind.hasobject:
        raise pickle.UnpicklingError("it holds an array of objects")
    return kind


def _of_bytes(data: Any, kind: Any, shape: tuple[int, ...], order: Any) -> NDArray[Any]:
    """The array that lies in these bytes."""
    return np.frombuffer(data, kind).reshape(shape, order=order)


_ARRAY = object()
"""Stands for numpy's array where a pickle names it as a kind; nothing can be called by it."""
_NAMES: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy.core.numeric", "_frombuffer"): _of_bytes,
    ("numpy", "ndarray"): _ARRAY,
    ("numpy", "dtype"): _kind,
    # How bytes are written by old protocols.
    ("_codecs", "encode"): lambda text, encoding: text.encode(encoding),
}
"""The names that a pickle may have, and what stands for them here."""


def unpickled(file: BinaryIO) -> Any:
    """What a pickle of arrays and plain values holds; runs no code of others.

    Raises:
        ValueError: it is no pickle, is cut short, or names anything else.
    """
    try:
        return _Plain(file, encoding="latin1").load()
    except Exception as error:  # a damaged pickle may raise anything
        said = str(error) or type(error).__name__
        raise ValueError(f"is no pickle of arrays and plain values: {said}") from error


@final
@dataclass(frozen=True)
class Packed(Domain):
    """The images of several files, each with its official part.

    Args:
        name: the name of the domain, with the layout and the root.
        files: the files and their parts; "" where there is none.
        reader: reads one of them.
        named: the names of all classes, by label.
    """

    name: str
    files: tuple[tuple[Path, str], ...]
    reader: Reader = field(repr=False)
    named: tuple[str, ...] = field(repr=False)

    channels = 3
    size = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that have images, in the order of their labels."""
        present = {label for labels in self._labels() for label in labels}
        return tuple(name for label, name in enumerate(self.named) if label in present)

    @property
    def line(self) -> str:
        """Its name."""
        return self.name.rpartition(":")[2]

    def fingerprint(self) -> str:
        """From the images and labels of its files, their parts and the names of the classes."""
        pairs = [("packed", f"{VERSION} {' '.join(map(repr, self.classes))}")]
        for (_, part), content in zip(self.files, self._contents(), strict=True):
            pairs.append((part, content.answer[1] if content.answer else content.problem))
        return contents.named(pairs)

    def load(self, cache: Path, image_size: int) -> Images:
        """The images as uint8 [N, 3, size, size], resized as those of image files are."""
        labels = self.rows().labels
        shape = (len(labels), 3, image_size, image_size)
        kept = cache / "packed" / f"{self.fingerprint()}-{image_size}.npy"
        return Images(cached.mapped(kept, shape, np.uint8, self._fill), labels, self.classes)

    def rows(self) -> Rows:
        """Labels and official parts."""
        place = {name: index for index, name in enumerate(self.classes)}
        by_file = self._labels()
        labels = [place[self.named[label]] for of in by_file for label in of]
        split = [
            part for (_, part), of in zip(self.files, by_file, strict=True) for _ in range(len(of))
        ]
        return Rows(np.array(labels, np.int64), np.array(split) if all(split) else None)

    def official_test(self) -> NDArray[np.bool_] | None:
        """The images of the files that test."""
        split = self.rows().split
        return None if split is None else split == parts.TEST

    def counts(self) -> Mapping[str, int]:
        """The number of images of each class."""
        counted = np.bincount(self.rows().labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, counted, strict=True))

    def problems(self) -> list[str]:
        """Files that are of another form, and labels that no class is named for."""
        wrong = [
            f"{shown(path)} {content.problem}"
            for (path, _), content in zip(self.files, self._contents(), strict=True)
            if content.problem
        ]
        if wrong:
            return [f"{some(wrong)}; fetch it again"]
        largest = max((max(of, default=0) for of in self._labels()), default=0)
        if largest >= len(self.named):
            return [f"'{self.line}' has labels up to {largest}, but {len(self.named)} classes"]
        if len(self.classes) < 2:
            return [f"'{self.line}' has images of one class only: there is nothing to tell apart"]
        return []

    def notes(self) -> list[str]:
        """How many images of how many classes."""
        images = len(self.rows().labels)
        return [f"{self.line}: {images:,} images of {len(self.classes):,} classes"]

    def _contents(self) -> list[contents.Content]:
        return _examined(self)

    def _labels(self) -> list[list[int]]:
        return [content.answer[0] if content.answer else [] for content in self._contents()]

    def _fill(self, target: NDArray[Any]) -> None:
        from PIL import Image

        size, row = target.shape[-1], 0
        for path, _ in self.files:
            with path.open("rb") as file:
                images = self.reader(file)[0]
            for image in images:
                resized = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
                target[row] = np.asarray(resized).transpose(2, 0, 1)
                row += 1

    def __hash__(self) -> int:
        """By name and files."""
        return hash((self.name, self.files))


@contents.for_a_moment
def _examined(domain: Packed) -> list[contents.Content]:
    """Of each file its labels, and a digest of images and labels."""

    def examine(file: BinaryIO) -> list[Any]:
        images, labels = domain.reader(file)
        if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
            raise ValueError(f"holds images of {images.dtype} {list(images.shape)}")
        if labels.shape != images.shape[:1] or (len(labels) and labels.min() < 0):
            raise ValueError(f"has {len(images)} images and other labels, {list(labels.shape)}")
        total = hashlib.sha256(np.ascontiguousarray(images).data)
        total.update(labels.astype(np.int64).tobytes())
        return [labels.tolist(), total.hexdigest()]

    return contents.of([path for path, _ in domain.files], examine, VERSION, domain.line)
