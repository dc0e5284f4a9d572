"""The images of one domain of a table as a `Domain`: how they are read, and what is wrong."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from tasks.data import contents, decoding, parts, pixels
from tasks.data.contents import Content
from tasks.data.domain import Domain, Images, Rows
from tasks.data.listing import SUFFIXES, hidden, shown, some
from tasks.data.table import PARTS, Row, Table

NAMED = 20
"""The number of files that a message names."""


@final
@dataclass(frozen=True)
class Listed(Domain):
    """The images of one domain of a table.

    Args:
        name: the name of the domain, with the layout and the root.
        table: the table.
        missing: source domain -> the classes that the paper takes as missing.
    """

    name: str
    table: Table
    missing: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that the domain has images of."""
        return self.table.classes_of(self._domain)

    @property
    def channels(self) -> int:
        """All images are read as RGB."""
        return 3

    @property
    def size(self) -> None:
        """All images are resized to `image_size`."""
        return

    @property
    def line(self) -> str:
        """Its name."""
        return self._domain

    def fingerprint(self) -> str:
        """From the names and contents of files, and their classes, parts, groups and times."""
        return fingerprint(self)

    def load(self, cache: Path, image_size: int) -> Images:
        """The images, decoded once per node and image size.

        Where the cache has no room for them, they are decoded as they are asked for.
        """
        kept = cache / "tables" / f"{self.fingerprint()}-{image_size}.npy"
        decoded = decoding.fitting(self.paths, kept, image_size)
        return Images(decoded, self.rows().labels, self.classes)

    def rows(self) -> Rows:
        """Labels, official parts, groups and times."""
        return known(self)

    def official_test(self) -> NDArray[np.bool_] | None:
        """The images that are listed for testing."""
        split = self.rows().split
        return None if split is None else split == parts.TEST

    def official_missing(self, source: str) -> Sequence[str] | None:
        """The classes that the paper takes as missing with this source."""
        return self.missing.get(source)

    def counts(self) -> Mapping[str, int]:
        """The number of images of each class."""
        labels = self.rows().labels
        counted = np.bincount(labels, minlength=len(self.classes)).tolist()
        return dict(zip(self.classes, counted, strict=True))

    def problems(self) -> list[str]:
        """What is wrong with the table or with the domain's images; examines each once."""
        return problems(self)

    def notes(self) -> list[str]:
        """How many images are used, by part, and what is left out."""
        return notes(self)

    @property
    def paths(self) -> list[Path]:
        """The files of the images."""
        return [self.table.root / row.file for row in self.table.of(self._domain)]

    def present(self) -> NDArray[np.bool_]:
        """[N], True for the images whose files are there."""
        return np.array([os.path.lexists(path) for path in self.paths], bool)

    def unlisted(self) -> list[str]:
        """Image files in the folders of the domain's rows that the table does not name."""
        named = {row.file for row in self.table.rows}
        folders = sorted({row.file.rpartition("/")[0] for row in self.table.of(self._domain)})
        return [
            file
            for folder in folders
            if (self.table.root / folder).is_dir()
            for entry in sorted(os.listdir(self.table.root / folder))
            if not hidden(entry) and Path(entry).suffix.lower() in SUFFIXES
            for file in [f"{folder}/{entry}" if folder else entry]
            if file not in named
        ]

    @property
    def _domain(self) -> str:
        return self.name.rpartition(":")[2]

    def __hash__(self) -> int:
        """By name: the table of a name is read again only when its files change."""
        return hash(self.name)


@contents.for_a_moment
def known(domain: Listed) -> Rows:
    """What a table says of the images of a domain."""
    rows = domain.table.of(domain.line)
    place = {name: index for index, name in enumerate(domain.classes)}
    split = np.array([row.split for row in rows]) if all(row.split for row in rows) else None
    group = np.array([row.group for row in rows]) if all(row.group for row in rows) else None
    times = [row.time for row in rows if row.time is not None]
    return Rows(
        np.array([place[row.label] for row in rows], np.int64),
        split,
        group,
        np.array(times, np.float64) if len(times) == len(rows) else None,
    )


@contents.for_a_moment
def fingerprint(domain: Listed) -> str:
    """16 hexadecimal digits from the rows of a domain, the order of its classes, and its files."""
    rows = domain.table.of(domain.line)
    pairs = [("classes", " ".join(map(repr, domain.classes)))]
    for row, content in zip(rows, _contents(domain), strict=True):
        marks = (
            ""
            if content.problem or not content.answer[0]
            else f"\0{pixels.VERSION} {'+'.join(content.answer[0])}"
        )
        said = f"{row.label}\0{row.split}\0{row.group}\0{row.time!r}"
        pairs.append((f"{row.file}\0{said}", content.digest + marks))
    return contents.named(pairs)


@contents.for_a_moment
def problems(domain: Listed) -> list[str]:
    """Why a domain cannot be used, each with the remedy; examines every image once."""
    texts = list(domain.table.wrong)
    rows, name = domain.table.of(domain.line), shown(domain.line)
    root = shown(domain.table.root)
    if not rows:
        return [*texts, f"{root} has no image of the domain '{name}'"]
    if len(domain.classes) < 2:
        texts.append(
            f"'{name}' in {root} has images of one class only, {shown(domain.classes[0])}: there "
            "is nothing to tell apart"
        )
    gone = [row for row in rows if not os.path.lexists(domain.table.root / row.file)]
    if len(gone) == len(rows):
        return [
            *texts,
            f"none of the {len(rows):,} images of '{name}' is there: put them into {root}, the "
            f"first one as {shown(rows[0].file)}",
        ]
    if gone:
        texts.append(
            f"{len(gone):,} of the {len(rows):,} images of '{name}' are listed and not there: "
            f"{_named(gone)}; put them into {root}, or take their lines out of the list"
        )
    absent = {row.file for row in gone}
    unread = [
        (row, content.problem)
        for row, content in zip(rows, _contents(domain), strict=True)
        if content.problem and row.file not in absent
    ]
    if unread:
        names = some((f"{shown(row.file)} {problem}" for row, problem in unread), NAMED)
        texts.append(
            f"{len(unread):,} of the {len(rows):,} images of '{name}' in {root} cannot be used: "
            f"{names}; repair or remove them"
        )
    return texts


@contents.for_a_moment
def notes(domain: Listed) -> list[str]:
    """How many images a domain has by part, what its table leaves out, and what is converted."""
    rows, name = domain.table.of(domain.line), shown(domain.line)
    counted = [
        f"{count:,} {part}" for part in PARTS if (count := sum(row.split == part for row in rows))
    ]
    by_part = f" ({', '.join(counted)} by the official split)" if counted else ""
    said = [f"{name}: {len(rows):,} images of {len(domain.classes):,} classes{by_part}"]
    said += [
        f"{name}: {reason}: {len(files):,} ({some(map(shown, files))})"
        for reason, files in domain.table.left_out.items()
        if files
    ]
    first: dict[str, str] = {}
    kept = [
        (row.file, content)
        for row, content in zip(rows, _contents(domain), strict=True)
        if not content.problem
    ]
    noted = {
        **{
            what: [file for file, content in kept if mark in content.answer[0]]
            for mark, what in pixels.DONE.items()
        },
        **{
            remark: [file for file, content in kept if remark in content.answer[1]]
            for remark in pixels.REMARKS
        },
        pixels.COPIES: [
            file for file, content in kept if first.setdefault(content.digest, file) != file
        ],
    }
    return said + [
        f"{name}: {what}: {len(files):,} of {len(rows):,} ({some(map(shown, files))})"
        for what, files in noted.items()
        if files
    ]


def _contents(domain: Listed) -> list[Content]:
    """The content of each image: its digest, and the answer of `pixels.examine`."""
    with pixels.quiet():
        return contents.of(domain.paths, pixels.examine, pixels.EXAMINED, domain.name)


def _named(rows: Sequence[Row]) -> str:
    return some(
        (f"{shown(row.file)}{f' ({row.where})' if row.where else ''}" for row in rows), NAMED
    )
