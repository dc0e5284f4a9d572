"""Fonts as writers: each family that `htsweep data get glyphs` drew with two faces is a target.

As FEMNIST's writers, each has classes that it never trains on, by nature: of a writer's regular
face a part of the 62 characters trains, drawn by the writer's name, and of its bold face all test.
A style (`sans`, `serif`, `mono`, `hand`) is a domain as well, with all of its families and without
a split: a source for the writers of other styles.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tasks.data import parts
from tasks.data.benchmarks import Benchmark, metadata
from tasks.data.benchmarks.generic import Tabled
from tasks.data.listing import shown
from tasks.data.table import Row, Table

LEAST, MOST = 0.3, 0.8
"""The shares of the characters that a writer trains on at least, and at most."""
_DRAWS = 16**12


class Writers(Tabled):
    """Styles, which are sources, and the writers of other styles, which are targets."""

    def __init__(self, table: Table, style: dict[str, str]) -> None:
        super().__init__(table)
        self.style = style
        """Writer -> its style."""

    def others(self, source: str) -> Sequence[str]:
        """The writers of other styles than the source, which is a style or a writer."""
        own = self.style.get(source, source)
        return [writer for writer, style in self.style.items() if style != own]


def open_(root: Path) -> Writers:
    """The styles and the writers of a folder of glyphs.

    Raises:
        ValueError: the folder has no table, or the table no styles and families.
    """
    held = metadata.read(root)
    faces: dict[tuple[str, str], set[str]] = {}
    for row in held.rows:
        if not row.group or row.domain == metadata.WHOLE:
            raise ValueError(
                f"{shown(root / metadata.FILE)} does not tell the style and the family of each "
                "image, as its columns domain and group; make the folder by `htsweep data get "
                "glyphs`"
            )
        faces.setdefault((row.domain, row.group), set()).add(_face(row))
    # Of a pair of faces the first by name is the regular one: 400Regular, 700Bold.
    regular = {family: sorted(own)[0] for family, own in faces.items() if len(own) == 2}
    kept = {family: _kept(family[1], held.rows) for family in regular}
    written = [
        Row(row.file, row.label, _called(row.group), part, row.group, where=row.where)
        for row in held.rows
        for family in [(row.domain, row.group)]
        if family in regular
        for part in [parts.TRAIN if _face(row) == regular[family] else parts.TEST]
        if part == parts.TEST or row.label in kept[family]
    ]
    styles = [Row(row.file, row.label, row.domain, where=row.where) for row in held.rows]
    return Writers(
        Table(root, (*styles, *written), (), held.wrong),
        {_called(name): style for style, name in regular},
    )


def _face(row: Row) -> str:
    """The face that an image is of, such as `Caveat_400Regular`."""
    return PurePosixPath(row.file).stem


def _called(family: str) -> str:
    """The name of a writer in a study: `exo_2` for Exo 2."""
    return family.lower().replace(" ", "_")


def _kept(family: str, rows: Sequence[Row]) -> set[str]:
    """The classes that a writer trains on, drawn by the name of the family alone."""
    labels = sorted({row.label for row in rows}, key=lambda label: _drawn(family, label))
    share = LEAST + (MOST - LEAST) * _drawn(family) / _DRAWS
    return set(labels[: max(1, round(share * len(labels)))])


def _drawn(*names: str) -> int:
    """A number from 0 to `_DRAWS`, the same on every machine."""
    return int(hashlib.sha256("/".join(names).encode()).hexdigest()[:12], 16)


WRITERS = Benchmark(
    name="writers",
    line="characters by font: each family a writer who lacks classes, as in FEMNIST",
    layout="ROOT/metadata.csv and the folders of the styles that it names",
    get="by `htsweep data get glyphs`",
    open=open_,
)
