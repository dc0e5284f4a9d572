"""Lists of files: `ROOT/image_list/DOMAIN_PART.txt` with lines `DOMAIN/CLASS/FILE INDEX`.

The format of Office-Home's, DomainNet's and the Transfer Learning Library's lists. The parts are
`train` or `training`, `val` or `validation`, `test` or `testing`; a list whose name has none, such
as `Art.txt`, is of the whole domain. Lists lie in ROOT or in its folder `image_list`, `lists` or
`splits`. The index orders the classes, which are called as the folders of their files are;
`classes.txt` beside the lists, with a name a line, names and orders them otherwise. Where all files
lie in one folder, or one for training and one for testing, classes are called by their index.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from tasks.data import parts
from tasks.data.listing import composed, shown, some
from tasks.data.table import Row, Table, checked

PLACES = ("image_list", "lists", "splits", ".")
WORDS = {
    "train": parts.TRAIN,
    "training": parts.TRAIN,
    "val": parts.VALIDATION,
    "valid": parts.VALIDATION,
    "validation": parts.VALIDATION,
    "test": parts.TEST,
    "testing": parts.TEST,
}
CLASSES = "classes.txt"
ROOM = "ROOT/image_list/DOMAIN_train.txt and DOMAIN_test.txt with lines `DOMAIN/CLASS/FILE INDEX`"


def read(root: Path) -> Table:
    """The images that the lists in a folder name.

    Raises:
        ValueError: there are no lists.
    """
    if not root.is_dir():
        raise ValueError(f"there is no folder {shown(root)}; it should hold {ROOM}")
    files = next(
        (
            found
            for place in PLACES
            if (found := [file for file in sorted((root / place).glob("*.txt")) if _is_list(file)])
        ),
        [],
    )
    if not files:
        raise ValueError(f"{shown(root)} has no lists; it should hold {ROOM}")
    named = files[0].parent / CLASSES
    return table(
        root,
        [(file.name, *_domain_and_part(file.stem), lines_of(file)) for file in files],
        lines_of(named) if named.is_file() else (),
    )


def table(
    root: Path, lists: Sequence[tuple[str, str, str, Sequence[str]]], names: Sequence[str] = ()
) -> Table:
    """The images of lists.

    Args:
        root: the folder that the files lie in.
        lists: of each list its name, its domain, its part ("": none), and its lines.
        names: the names of the classes by index; empty: those of the files' folders.
    """
    wrong: list[str] = []
    rows: list[Row] = []
    called: dict[int, dict[str, str]] = {}
    for name, domain, part, lines in lists:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{name}, line {number}"
            file, _, text = line.strip().rpartition(" ")
            if not (file and re.fullmatch(r"\d+", text)):
                file, text = line.strip(), ""
            file = file.strip().removeprefix("./")
            label = composed(PurePosixPath(file).parent.name)
            if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts:
                wrong.append(f"{where}: '{shown(file)}' must be a path from {shown(root)}")
                continue
            if text and names:
                if int(text) >= len(names):
                    wrong.append(
                        f"{where}: there is no class {text}; {CLASSES} names {len(names)}, from 0"
                    )
                    continue
                label = names[int(text)]
            elif text:
                called.setdefault(int(text), {}).setdefault(label, where)
            if not label:
                wrong.append(
                    f"{where}: '{shown(line.strip())}' names no class; a line is "
                    "`DOMAIN/CLASS/FILE INDEX`"
                )
                continue
            rows.append(Row(file, label, domain, part, where=where))
    folders = {folder for of in called.values() for folder in of}
    if len(folders) <= 2 and len(called) > 2 * len(folders) > 0:
        # Of a flat folder, only the indices tell the classes apart.
        return table(root, lists, [str(index) for index in range(max(called) + 1)])
    wrong += _ambiguous(called)
    order = names or [next(iter(called[index])) for index in sorted(called)]
    known = set(order)
    order = [*order, *sorted({row.label for row in rows} - known)] if order else []
    return Table(root, tuple(rows), tuple(order), tuple(wrong + checked(rows)))


def _ambiguous(called: dict[int, dict[str, str]]) -> list[str]:
    """Indices that stand for two folders, and folders that have two indices."""
    texts = []
    for index, names in called.items():
        if len(names) > 1:
            said = some(f"{shown(name)} ({where})" for name, where in names.items())
            texts.append(f"the class index {index} stands for several folders: {said}; keep one")
    indices: dict[str, list[int]] = {}
    for index, names in called.items():
        for name in names:
            indices.setdefault(name, []).append(index)
    texts += [
        f"the folder {shown(name)} has several class indices: {', '.join(map(str, of))}; keep one"
        for name, of in indices.items()
        if len(of) > 1
    ]
    return texts


def _is_list(file: Path) -> bool:
    """Whether a text file is a list: its first line ends in an index, or is a path of an image."""
    if file.name == CLASSES or file.name.startswith((".", "README", "LICENSE")):
        return False
    first = next((line.strip() for line in lines_of(file) if line.strip()), "")
    return re.fullmatch(r"\S.*\.\w{3,5}(\s+\d+)?", first) is not None and "/" in first


def _domain_and_part(stem: str) -> tuple[str, str]:
    """`Real_World_testing` -> (`Real_World`, `test`); (`Art`, "") where no part is named."""
    domain, _, word = stem.rpartition("_")
    part = WORDS.get(word.lower())
    return (domain, part) if domain and part else (stem, "")


def lines_of(file: Path) -> list[str]:
    """The lines of a list; raises ValueError with the file if it is no text."""
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{shown(file)} cannot be read as a list: {error}") from error
