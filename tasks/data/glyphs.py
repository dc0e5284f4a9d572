"""Characters as a problem of several domains: 62 classes, each drawn by fonts of several styles.

The classes are FEMNIST's (0-9, A-Z, a-z), a domain is a style (sans, serif, mono, hand), and an
image a character of one font, black on white in 64 pixels. A font stands for a writer. All of its
characters have one size and one baseline, so that c and C differ. `groups.json` keeps the regular
and the bold face of a family on one side of a split; `metadata.csv` names the family of each image,
for splits by whole families and with FEMNIST's names of classes (`table:data/glyphs:sans-hand`).
"""

from __future__ import annotations

import functools
import io
import json
import string
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from tasks.data import drawn, groups
from tasks.data.benchmarks import metadata
from tasks.data.drawn import NOTICE, Archives, Collection, Drawn
from tasks.data.npm import Package, Say

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE, MARGIN = 64, 4
"""Pixels a side, and those above and below the highest and the lowest character of a font."""
CLASSES = {
    **{f"digit_{character}": character for character in string.digits},
    **{f"capital_{character.lower()}": character for character in string.ascii_uppercase},
    **{f"small_{character}": character for character in string.ascii_lowercase},
}
"""Class -> its character. Folders named A and a would be one on some systems."""
KNOWN = {
    "sans": "59abec8d8322289a0dfd6dbe35828e713850305ece14ed476e940b55a95a5f58",
    "serif": "a21e2823b02c91215dd49b266d66953bbec7be8f3da710b9af9acc297573c08e",
    "mono": "c1eef538634c522cb72fa78666475c5164397aee28f75b9a0ad44483a286d04f",
    "hand": "e0153195f45e88063d91027f64ca25f3bfa99244438500a4665c6ea697f40ed1",
}
"""Domain -> the digest of its pixels that the authors of htsweep had."""


@final
@dataclass(frozen=True)
class Family:
    """A family of fonts, and the package that holds it."""

    name: str
    package: Package
    licence: str
    copyright: str
    faces: tuple[str, ...]
    """The names of its files without their suffix: regular, and bold if there is one."""


@functools.cache
def families() -> Mapping[str, Sequence[Family]]:
    """Domain -> its families."""
    text = Path(__file__).with_name("glyph_fonts.json").read_text(encoding="utf-8")
    listed: Mapping[str, Mapping[str, Any]] = json.loads(text)
    return {
        domain: [
            Family(
                name,
                Package(own["package"], own["version"], own["sha256"]),
                own["licence"],
                own["copyright"],
                tuple(own["faces"]),
            )
            for name, own in of.items()
        ]
        for domain, of in listed.items()
    }


def get(out: Path, given: Path | None, say: Say) -> None:
    """Draws what is missing of `OUT/glyphs/DOMAIN/CLASS/FACE.png`.

    Args:
        out: the folder in which the folder `glyphs` is made.
        given: a folder that holds the archives; None to fetch them through npm.
        say: takes a line on what is being done.

    Raises:
        ValueError: archives cannot be had or read; says how to get them.
        OSError: the folder cannot be written.
    """
    listed = families()
    collection = Collection(
        name="glyphs",
        packages={domain: [family.package for family in own] for domain, own in listed.items()},
        images=lambda domain: [path for path, _, _ in _paths(domain)],
        draw=_draw,
        texts={
            groups.FILE: json.dumps(_groups(), indent=1) + "\n",
            metadata.FILE: _table(),
            NOTICE: _notice(),
        },
        doing=lambda domain: f"drawing 62 characters of {len(listed[domain])} families: {domain}",
        known=KNOWN,
        tools=_tools,
        use="folder:ROOT:sans-hand",
    )
    drawn.make(collection, out, given, say)


def _paths(domain: str) -> Iterator[tuple[str, str, Family]]:
    """CLASS/FACE.png, the class, and the family of each image of a domain."""
    for name in CLASSES:
        for family in families()[domain]:
            for face in family.faces:
                yield f"{name}/{face}.png", name, family


def _groups() -> dict[str, list[list[str]]]:
    """Class -> the faces of each family, of all domains."""
    faces = [list(family.faces) for own in families().values() for family in own]
    return dict.fromkeys(CLASSES, faces)


def _table() -> str:
    """A row an image: its file, character, style and family."""
    rows = [
        f"{domain}/{path},{CLASSES[name]},{domain},{family.name}"
        for domain in families()
        for path, name, family in _paths(domain)
    ]
    return "\n".join(["file,class,domain,group", *rows]) + "\n"


def _draw(domain: str, archives: Archives) -> Drawn:
    """The images of a domain, in the order of `_paths`.

    Raises:
        ValueError: an archive does not hold its fonts; names it.
    """
    images: dict[tuple[str, str], Image] = {}
    for family in families()[domain]:
        archive = archives[family.package]
        try:
            with tarfile.open(archive) as opened:
                for face, font in _fonts(opened, family.faces):
                    images |= {(name, face): image for name, image in characters(font)}
        except (tarfile.TarError, KeyError, OSError, EOFError) as error:
            raise ValueError(f"{archive} does not hold the fonts: {error}") from error
    for path, name, _ in _paths(domain):
        file, image = io.BytesIO(), images[name, Path(path).stem]
        image.save(file, "PNG")
        yield path, image.tobytes(), file.getvalue()


def _fonts(archive: tarfile.TarFile, faces: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """The faces in a package of Expo's: `package/400Regular/Caveat_400Regular.ttf`."""
    for face in faces:
        name = f"package/{face.rpartition('_')[2]}/{face}.ttf"
        file = archive.extractfile(name)
        if file is None:
            raise KeyError(name)
        yield face, file.read()


def characters(font: bytes) -> Iterator[tuple[str, Image]]:
    """Each class, and its character in a font, black on white.

    All have the size at which the font's highest, lowest and widest characters fit, stand on one
    line, and are centred from left to right.

    Raises:
        OSError: the font cannot be read.
    """
    from PIL import Image as images
    from PIL import ImageDraw, ImageFont

    def at(size: float) -> ImageFont.FreeTypeFont:
        # Not with Raqm, which is not on every machine.
        basic = ImageFont.Layout.BASIC
        return ImageFont.truetype(io.BytesIO(font), size, layout_engine=basic)

    large = 4 * SIZE
    boxes = [at(large).getbbox(character, anchor="ls") for character in CLASSES.values()]
    top, bottom = min(box[1] for box in boxes), max(box[3] for box in boxes)
    widest = max(box[2] - box[0] for box in boxes)
    scale = (SIZE - 2 * MARGIN) / max(bottom - top, widest)
    line = (SIZE - (bottom - top) * scale) / 2 - top * scale
    scaled = at(large * scale)
    for (name, character), (left, _, right, _) in zip(CLASSES.items(), boxes, strict=True):
        image = images.new("L", (SIZE, SIZE), 255)
        place = (SIZE - (right - left) * scale) / 2 - left * scale
        ImageDraw.Draw(image).text((place, line), character, 0, scaled, anchor="ls")
        yield name, image


def _notice() -> str:
    """Who made which font, under which licence, and what was done with it."""
    lines = [
        "The images in this folder are characters of the fonts below, each under its own licence,",
        f"whose text is in its package. They were drawn in {SIZE} x {SIZE} pixels, black on white;",
        "nothing of the fonts themselves is here.",
        "",
    ]
    for domain, own in families().items():
        for family in own:
            lines += [f"{domain}: {family.name} ({', '.join(family.faces)})"]
            lines += [f"    {family.copyright}"] if family.copyright else []
            lines += [f"    licence: {family.licence}"]
            lines += [f"    from the npm package {family.package.spec}"]
    return "\n".join(lines) + "\n"


def _tools() -> str:
    """What the pixels depend on."""
    import PIL
    from PIL import features

    return f"Pillow ({PIL.__version__}) or FreeType ({features.version('freetype2')})"
