"""Datasets that are drawn on the user's machine from packages: ROOT/DOMAIN/CLASS/IMAGE.png.

A domain appears when it is complete. What is there and has its checksum is not drawn again, and
what was drawn in part goes, so that a command that was killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from tasks import cache, locking
from tasks.data import npm
from tasks.data.listing import shown
from tasks.data.npm import Package, Say

SUMS, NOTICE, ARCHIVES, LOCK = "SHA256SUMS", "NOTICE", ".archives", ".lock"
Archives = Mapping[Package, Path]
Drawn = Iterator[tuple[str, bytes, bytes]]
"""CLASS/IMAGE.png, its pixels, and the file, of one image after the other."""
Sums = tuple[str, Mapping[str, str]]
"""The digest of a domain's pixels, and relative path -> SHA-256 of each of its files."""


@final
@dataclass(frozen=True, kw_only=True)
class Collection:
    """What is drawn, from what, and how."""

    name: str
    """The name of its folder."""
    packages: Mapping[str, Sequence[Package]]
    """Domain -> the packages that it is drawn from."""
    images: Callable[[str], Sequence[str]]
    """Domain -> CLASS/IMAGE.png of each of its images."""
    draw: Callable[[str, Archives], Drawn]
    """Draws a domain, in the order of its images; raises ValueError for what cannot be drawn."""
    texts: Mapping[str, str]
    """Further files of the folder; they are written before the first domain."""
    doing: Callable[[str], str]
    """What is said before a domain is drawn."""
    known: Mapping[str, str]
    """Domain -> the digest of its pixels that the authors of htsweep had."""
    tools: Callable[[], str]
    """Names the libraries, with versions, on which the pixels depend."""
    use: str
    """The dataset as a study names it, with ROOT for the folder."""


def make(what: Collection, out: Path, given: Path | None, say: Say) -> None:
    """Draws what is missing of a collection in OUT/NAME.

    Args:
        what: the collection.
        out: the folder in which its folder is made.
        given: a folder that holds the archives; None to fetch them through npm.
        say: takes a line on what is being done.

    Raises:
        ValueError: archives cannot be had or read; says how to get them.
        OSError: the folder cannot be written.
    """
    root = out / what.name
    root.mkdir(parents=True, exist_ok=True)
    with locking.alone(root / LOCK, lambda: say("waiting for another process that does the same")):
        for file, text in what.texts.items():
            _write(root / file, text)
        known = _sums(root)
        sums = {
            name: known[name]
            for name in what.packages
            if name in known and _whole(what, root, known, name)
        }
        absent = [name for name in what.packages if name not in sums]
        for partial in root.glob(".partial-*"):
            shutil.rmtree(partial)
        if absent:
            (root / ARCHIVES).mkdir(exist_ok=True)
            wanted = dict.fromkeys(package for name in absent for package in what.packages[name])
            archives = npm.archives(list(wanted), given, root / ARCHIVES, say)
            for name in absent:
                say(what.doing(name))
                sums[name] = _drawn(root, name, what.draw(name, archives))
                # First, so that a folder without checksums is never one of ours.
                _write(root / SUMS, _sums_text(sums))
                _make_way(root, name, known, say)
                (root / f".partial-{name}").rename(root / name)
        shutil.rmtree(root / ARCHIVES, ignore_errors=True)
        for name in what.packages:
            say(_line(what, name, sums[name], drawn=name in absent))
        say(f"licences: {shown(root / NOTICE)}; checksums: {shown(root / SUMS)}")
        say(f"use: dataset: [{what.use.replace('ROOT', str(root))}]")


def _drawn(root: Path, name: str, images: Drawn) -> Sums:
    """Draws a domain into a folder beside its place; its checksums."""
    partial = root / f".partial-{name}"
    total, files = hashlib.sha256(), {}
    for path, pixels, file in images:
        total.update(f"{path.removesuffix('.png')}\0".encode() + pixels)
        (partial / path).parent.mkdir(parents=True, exist_ok=True)
        (partial / path).write_bytes(file)
        files[f"{name}/{path}"] = hashlib.sha256(file).hexdigest()
    return total.hexdigest(), files


def _make_way(root: Path, name: str, known: Mapping[str, Sums], say: Say) -> None:
    """Removes a domain's folder; one that holds anything else than was drawn is set aside."""
    place = root / name
    if not place.exists():
        return
    own = known[name][1] if name in known else {}
    present = (path for path in place.rglob("*") if path.is_symlink() or not path.is_dir())
    if all(_same(path, own.get(path.relative_to(root).as_posix())) for path in present):
        shutil.rmtree(place)
        return
    aside = next(
        path
        for path in (root / f".replaced-{name}-{number}" for number in itertools.count(1))
        if not path.exists()
    )
    place.rename(aside)
    say(f"{name}: the folder held other files than those drawn; it is now {shown(aside)}")


def _same(path: Path, digest: str | None) -> bool:
    """Whether a file is there and has this SHA-256."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except OSError:
        return False


def _line(what: Collection, name: str, sums: Sums, *, drawn: bool) -> str:
    """What is said of a domain at the end, with the checksum of its pixels."""
    pixels, files = sums
    classes = len({path.split("/")[1] for path in files})
    done = f"{len(files):,} images in {classes} classes, {'drawn' if drawn else 'was there'}"
    if pixels == what.known[name]:
        return f"{name}: {done}, as expected"
    return (
        f"{name}: {done}; their pixels ({pixels[:12]}) differ from those of docs/results "
        f"({what.known[name][:12]}), so that numbers may differ slightly: other versions of "
        f"{what.tools()} draw otherwise"
    )


def _whole(what: Collection, root: Path, known: Mapping[str, Sums], name: str) -> bool:
    """Whether a domain has all of its images, and nothing was changed in them."""
    files = known[name][1]
    if set(files) != {f"{name}/{path}" for path in what.images(name)}:
        return False
    return all(_same(root / path, digest) for path, digest in files.items())


def _sums_text(sums: Mapping[str, Sums]) -> str:
    """What `sha256sum --check` reads; the digests of pixels are comments to it."""
    lines = [f"# pixels {name} {pixels}" for name, (pixels, _) in sums.items()]
    lines += [f"{digest}  {path}" for _, files in sums.values() for path, digest in files.items()]
    return "\n".join(lines) + "\n"


def _sums(root: Path) -> dict[str, Sums]:
    """The checksums of the domains that were drawn before."""
    pixels: dict[str, str] = {}
    files: dict[str, dict[str, str]] = {}
    for line in _lines(root / SUMS):
        digest, _, path = line.partition("  ")
        if line.startswith("# pixels "):
            name, _, digest = line.removeprefix("# pixels ").partition(" ")
            pixels[name] = digest
        elif path:
            files.setdefault(path.partition("/")[0], {})[path] = digest
    return {name: (pixels[name], files[name]) for name in pixels if name in files}


def _lines(path: Path) -> Iterator[str]:
    with contextlib.suppress(OSError, ValueError):
        yield from path.read_text(encoding="utf-8").splitlines()


def _write(path: Path, text: str) -> None:
    with cache.atomically(path) as partial:
        partial.write_text(text, encoding="utf-8")
