"""iWildCam2020-WILDS (Beery et al.; Koh et al., 2021): animals by camera trap.

WILDS' folder holds `metadata.csv`, `categories.csv` and `train/FILE`. The domain `train` is the
pool of the training locations, with the splits of WILDS in it (`id_val`, `id_test`); each location
that WILDS keeps for validation or testing is a domain, `location_N`. Its images have times, so that
`split: time` tests the newest, and the species that appear only there are missing by nature.
"""

from __future__ import annotations

import csv
from pathlib import Path

from tasks.data import parts
from tasks.data.benchmarks import Benchmark, Expected
from tasks.data.benchmarks.generic import of
from tasks.data.benchmarks.metadata import moment
from tasks.data.listing import shown
from tasks.data.table import Row, Table, checked

POOL = "train"
NEEDED = ("split", "location_remapped", "datetime", "y", "filename")
SPLITS = {"train": parts.TRAIN, "id_val": parts.VALIDATION, "id_test": parts.TEST}
"""The splits of the pool; images of other splits are of locations of their own."""
OTHERS = ("val", "test")


def read(root: Path) -> Table:
    """The images of WILDS' table, by location.

    Raises:
        ValueError: the table cannot be read, or is not WILDS' own.
    """
    file = root / "metadata.csv"
    lines = _lines(file, NEEDED)
    names = {
        int(line["y"]): line["name"]
        for _, line in _lines(root / "categories.csv", ("y", "name"))
        if line["y"].isdigit() and int(line["y"]) < 99999
    }
    rows, wrong = [], []
    for number, line in lines:
        where = f"{file.name}, line {number}"
        split = line["split"]
        if split not in SPLITS and split not in OTHERS:
            wrong.append(f"{where}: the split '{shown(split)}' is none of WILDS'")
            continue
        try:
            label, location = int(line["y"]), int(line["location_remapped"])
            time = moment(line["datetime"])
        except ValueError as error:
            wrong.append(f"{where}: {error}")
            continue
        pooled = split in SPLITS
        rows.append(
            Row(
                f"train/{line['filename']}",
                names.get(label, str(label)),
                POOL if pooled else f"location_{location}",
                SPLITS.get(split, ""),
                str(location),
                time,
                where,
            )
        )
    order = tuple(names[label] for label in sorted(names))
    return Table(root, tuple(rows), order, tuple(wrong[:10] + checked(rows)))


def _lines(file: Path, needed: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """The numbered lines of a table, by column.

    Raises:
        ValueError: the table cannot be read, or lacks a column.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            lines = [(reader.line_num, line) for line in reader]
            names = list(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"{shown(file)} cannot be read: {reason}; give WILDS' own folder iwildcam_v2.0"
        ) from error
    lacking = [name for name in needed if name not in names]
    if lacking:
        raise ValueError(
            f"{shown(file)} lacks the columns {', '.join(lacking)} of WILDS' version 2.0"
        )
    return lines


IWILDCAM = Benchmark(
    name="iwildcam",
    line="iWildCam2020-WILDS: animals by camera trap (Koh et al., 2021)",
    layout="ROOT/metadata.csv, ROOT/categories.csv and ROOT/train/FILE, as in iwildcam_v2.0",
    get="by the package wilds: wilds.get_dataset('iwildcam', download=True)",
    open=of(read),
    expected={
        # Koh et al., 2021, appendix E.1: 129,809 images train, 7,314 validate and 8,154 test in the
        # pool, and new locations have 14,961 to validate and 42,791 to test.
        "": Expected(images=203029),
        POOL: Expected(images=145277, train=137123, test=8154),
    },
)
