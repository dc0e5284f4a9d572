"""Prints files of a folder of results as text; `htsweep fetch` sends this file to where they are.

It runs there as `python sending.py WANTED.json`, and needs nothing but Python's standard library:
the job may have another environment than the launch had.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

BEGINS, ENDS, FAILS = "htsweep sends", "htsweep has sent", "htsweep cannot send"
LINE = 4096
ROUNDS = 4


class Fails(Exception):
    """Nothing can be sent; the text says why."""


def lines(wanted: Mapping[str, Any]) -> Iterator[str]:
    """What is printed: a line about the archive, the archive as base64, and a last line.

    Args:
        wanted: `results`, the folder; `folders` in it, of which the last one's files commit the
            others; `have`, the names that are not needed; `most`, in bytes; `spare`, the folders
            that are left out, in their order, where that is too much.
    """
    try:
        data, left = archive(wanted)
    except Fails as error:
        yield f"{FAILS}: {error}"
        return
    about = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "left": left}
    yield f"{BEGINS} {json.dumps(about)}"
    text = base64.b64encode(data).decode("ascii")
    yield from (text[at : at + LINE] for at in range(0, len(text), LINE))
    yield ENDS


def archive(wanted: Mapping[str, Any]) -> tuple[bytes, Mapping[str, int]]:
    """A tar of the files, and the folders that are left out with their sizes in bytes.

    Raises:
        Fails: there are no results, or they are too large.
    """
    root = Path(wanted["results"])
    if not (root / wanted["folders"][-1]).is_dir():
        raise Fails(f"{root} holds no results on {os.uname().nodename}")
    for _ in range(ROUNDS):
        try:
            return _archive(root, wanted)
        except FileNotFoundError:  # a launch compacts them: the next listing has the merged object
            continue
        except OSError as error:
            raise Fails(f"{error.filename or root}: {error.strerror}") from None
    raise Fails(f"files in {root} vanish while they are read; try again later")


def _archive(root: Path, wanted: Mapping[str, Any]) -> tuple[bytes, Mapping[str, int]]:
    have = set(wanted["have"])
    found: dict[str, list[tuple[str, int]]] = {}
    # What commits is listed first, so that all that it names was there before, and comes last.
    for folder in reversed(wanted["folders"]):
        found[folder] = [one for one in _below(root, folder) if one[0] not in have]
    sizes = {folder: sum(size for _, size in files) for folder, files in found.items()}
    left: dict[str, int] = {}
    for folder in wanted["spare"]:
        if sum(sizes.values()) > wanted["most"] and sizes[folder]:
            left[folder] = sizes.pop(folder)
    total = sum(sizes.values())
    if total > wanted["most"]:
        raise Fails(
            f"what is new in {root} has {total / 1e6:.0f} MB, and a job's log carries at most "
            f"{wanted['most'] / 1e6:.0f} MB"
        )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        for folder in wanted["folders"]:
            for name, _ in found[folder] if folder in sizes else ():
                data = (root / name).read_bytes()
                about = tarfile.TarInfo(name)
                about.size = len(data)
                tar.addfile(about, io.BytesIO(data))
    return packed.getvalue(), left


def _below(root: Path, folder: str) -> Iterator[tuple[str, int]]:
    """The files below a folder: name and size. Hidden ones are still being written."""
    for place, inner, files in os.walk(root / folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path.relative_to(root).as_posix(), path.stat().st_size


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as given:
        sys.stdout.writelines(f"{line}\n" for line in lines(json.load(given)))
