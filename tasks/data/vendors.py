"""The vendors of emoji: in which package, under which licence, and in which form they draw them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from tasks.data.npm import Package

Drawing = str | bytes
"""An SVG, or the bytes of an image file."""
VARIATION = "fe0f"
"""The code that asks for a coloured drawing; it makes no other emoji."""


@final
@dataclass(frozen=True)
class Vendor:
    """Where the drawings of a domain come from."""

    package: Package
    licence: str
    author: str
    source: str
    """What the author calls the collection."""
    read: Callable[[tarfile.TarFile], Mapping[str, Drawing]]
    """Code points, as in `1f43b-200d-2744` -> the drawing."""


def drawings(vendor: Vendor, archive: Path) -> Mapping[str, Drawing]:
    """All drawings in a vendor's archive, by code points without the variation selector.

    Raises:
        ValueError: the archive does not hold what it should.
    """
    try:
        with tarfile.open(archive) as opened:
            return vendor.read(opened)
    except (tarfile.TarError, KeyError, OSError, EOFError) as error:
        raise ValueError(f"{archive} does not hold the drawings: {error}") from error


def plain(code: str) -> str:
    """Code points in lower case without the variation selector."""
    return "-".join(part for part in code.lower().split("-") if part != VARIATION)


def _iconify(archive: tarfile.TarFile) -> dict[str, str]:
    """Of a package of Iconify: `chars.json` names the icon of an emoji, `icons.json` draws it."""
    chars, icons = (_json(archive, f"package/{name}.json") for name in ("chars", "icons"))
    return {plain(code): _svg(icons, name) for code, name in chars.items()}


def _svg(icons: Mapping[str, Any], name: str) -> str:
    """An icon of a set as an SVG: an alias takes its parent's body, flipped or turned."""
    changes: list[Mapping[str, Any]] = []
    while name not in icons["icons"]:
        changes.append(icons["aliases"][name])
        name = changes[-1]["parent"]
    icon = icons["icons"][name]
    body = icon["body"]
    sides = [icon.get(side, icons.get(side, 16)) for side in ("width", "height")]
    for change in (icon, *reversed(changes)):
        flips = [-1 if change.get(flip) else 1 for flip in ("hFlip", "vFlip")]
        turned = 90 * change.get("rotate", 0)
        if flips != [1, 1] or turned:
            middle = [side / 2 for side in sides]
            body = (
                f'<g transform="translate({middle[0]} {middle[1]}) rotate({turned}) '
                f'scale({flips[0]} {flips[1]}) translate({-middle[0]} {-middle[1]})">{body}</g>'
            )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 {sides[0]} {sides[1]}">{body}</svg>'
    )


def _files(folder: str, suffix: str) -> Callable[[tarfile.TarFile], dict[str, Drawing]]:
    """Reads the files FOLDER/CODES.SUFFIX of a package."""

    def read(archive: tarfile.TarFile) -> dict[str, Drawing]:
        found: dict[str, Drawing] = {}
        for member in archive:
            path = Path(member.name)
            if member.isfile() and path.parent == Path(folder) and path.suffix == suffix:
                content = _bytes(archive, member.name)
                found[plain(path.stem)] = content.decode() if suffix == ".svg" else content
        return found

    return read


def _json(archive: tarfile.TarFile, name: str) -> Any:
    return json.loads(_bytes(archive, name))


def _bytes(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


_OPENMOJI = Package(
    "openmoji",
    "17.0.0",
    "55ee7d13485dec86e9f38c1f3a645a13382d33ff97c0cd845ee824b0aef45e68",
)
_OF_OPENMOJI = ("CC-BY-SA-4.0", "OpenMoji, HfG Schwaebisch Gmuend", "OpenMoji")
VENDORS: Mapping[str, Vendor] = {
    "noto": Vendor(
        Package(
            "@iconify-json/noto",
            "1.2.9",
            "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        ),
        "Apache-2.0",
        "Google Inc",
        "Noto Emoji",
        _iconify,
    ),
    "twemoji": Vendor(
        Package(
            "@iconify-json/twemoji",
            "1.2.5",
            "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        ),
        "CC-BY-4.0",
        "Twitter and other contributors",
        "Twemoji",
        _iconify,
    ),
    "openmoji": Vendor(_OPENMOJI, *_OF_OPENMOJI, _files("package/color/svg", ".svg")),
    "openmoji_black": Vendor(_OPENMOJI, *_OF_OPENMOJI, _files("package/black/svg", ".svg")),
    "fluent_3d": Vendor(
        Package(
            "@lobehub/fluent-emoji-3d",
            "1.1.0",
            "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        ),
        "MIT",
        "Microsoft Corporation; packaged by LobeHub",
        "Fluent Emoji, 3D",
        _files("package/assets", ".webp"),
    ),
    "fluent_flat": Vendor(
        Package(
            "@iconify-json/fluent-emoji-flat",
            "1.2.6",
            "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        ),
        "MIT",
        "Microsoft Corporation",
        "Fluent Emoji, flat",
        _iconify,
    ),
}
"""Domain -> the vendor of its drawings."""
