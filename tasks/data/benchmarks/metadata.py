"""A table in `ROOT/metadata.csv`: a row an image, with its file, class, domain, part and more."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from tasks.data import parts
from tasks.data.listing import composed, shown, some
from tasks.data.table import Row, Table, checked

FILE = "metadata.csv"
COLUMNS = {
    "file": ("file", "filename", "file_name", "path", "image"),
    "label": ("class", "label", "category", "species", "y"),
    "domain": ("domain",),
    "split": ("split", "part"),
    "group": ("group", "location", "writer"),
    "time": ("time", "datetime", "date"),
}
"""What a column says -> the names that it may have."""
WORDS = {"val": parts.VALIDATION, "valid": parts.VALIDATION, "training": parts.TRAIN}
WHOLE = "all"
"""The name of the domain if the table has no column of domains."""


def read(root: Path) -> Table:
    """The images in the table of a folder.

    Raises:
        ValueError: there is no table, or it has no columns for file and class.
    """
    lines, columns = records(root / FILE)
    rows, wrong = [], []
    for number, line in lines:
        where = f"{FILE}, line {number}"
        value = {what: (line.get(column) or "").strip() for what, column in columns.items()}
        file = PurePosixPath(value["file"])
        if not value["file"] or not value["label"] or file.is_absolute() or ".." in file.parts:
            wrong.append(f"{where}: an image needs a path from {shown(root)}, and a class")
            continue
        time = None
        if value.get("time"):
            try:
                time = moment(value["time"])
            except ValueError:
                wrong.append(
                    f"{where}: '{shown(value['time'])}' is no time; write a number, or a date and "
                    "time such as 2024-05-31 13:05:00"
                )
        part = value.get("split", "").lower()
        rows.append(
            Row(
                file.as_posix(),
                composed(value["label"]),
                value.get("domain") or WHOLE,
                WORDS.get(part, part),
                value.get("group", ""),
                time,
                where,
            )
        )
    return Table(root, tuple(rows), (), tuple(_first(wrong) + checked(rows)))


def records(file: Path) -> tuple[list[tuple[int, dict[str, str]]], Mapping[str, str]]:
    """The numbered lines of a table by column, and the columns by what they say.

    Raises:
        ValueError: there is no such table, or it has no columns for file and class.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lines = [(reader.line_num, line) for line in reader]
            names = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"{shown(file)} cannot be read: {reason}; it is a table with a row an image, and the "
            f"columns file and class, and if you like {', '.join(list(COLUMNS)[2:])}"
        ) from error
    own = {name.strip().lower(): name for name in names}
    columns = {
        what: own[next(name for name in known if name in own)]
        for what, known in COLUMNS.items()
        if any(name in own for name in known)
    }
    lacking = [what for what in ("file", "label") if what not in columns]
    if lacking:
        raise ValueError(
            f"{shown(file)} has no column for the {' and the '.join(lacking)} of an image; it has "
            f"{', '.join(map(shown, names)) or 'none'}, and needs one of "
            f"{'; one of '.join(', '.join(COLUMNS[what]) for what in lacking)}"
        )
    return lines, columns


def moment(text: str) -> float:
    """A time as a number that grows: the number itself, or the seconds of a date and time.

    Raises:
        ValueError: the text is neither.
    """
    try:
        return float(text)
    except ValueError:
        at = datetime.fromisoformat(text)
        # Without a time zone it is a time of day somewhere, the same on every machine.
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _first(wrong: list[str], most: int = 10) -> list[str]:
    """The first problems, and how many more there are."""
    if len(wrong) <= most:
        return wrong
    return [f"{some(wrong, most)} of the same kinds"]
