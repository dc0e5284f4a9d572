"""Emoji as a problem of several domains: the same classes, each drawn by several vendors.

A class is a subgroup of Unicode's emoji, a domain a vendor's drawings of it, and an image one emoji
of 128 pixels over white. `groups.json` keeps each idea of a drawing on one side of a split in all
domains: between vendors the same emoji is easier than another one of its class. A man, a woman and
a person who do the same are one idea.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.data import drawn, groups, vendors
from tasks.data.contents import cores
from tasks.data.drawn import NOTICE, Archives, Collection, Drawn
from tasks.data.listing import shown, some
from tasks.data.npm import Say
from tasks.data.vendors import VENDORS, Drawing

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 128
"""Pixels a side."""
KNOWN = {
    "noto": "0ecb6b25ac7ac8b0852d1aa391ba89ea031b0e22b5d6f9497b6c70a3f69c91da",
    "twemoji": "4c9a224202deae6a4fef8c5ca7bc9498ef31882c1f3ab82dbd949e6cf912061f",
    "openmoji": "d67a77a83d78f3e354898045a6ebb1c16010921730af1ea4c6737e50f39ba7ed",
    "openmoji_black": "dd34b923ed7d1b9037a9b21320cfab0f7c27b962954814cda07258034e4b6a5b",
    "fluent_3d": "1e4e262304c1a087508ec92ddd594cc7a1e74c6c535f3b1622fb00f14790f837",
    "fluent_flat": "22fcdb68e0a5c18199597e82e64aae3c297073c8205d7da6412a9257bfc88365",
}
"""Domain -> the digest of its pixels with which the results in docs/results were made."""


def classes() -> Mapping[str, list[str]]:
    """Class -> the code points of its emoji, which every vendor has drawn."""
    text = Path(__file__).with_name("emoji_classes.json").read_text(encoding="utf-8")
    listed: Mapping[str, list[str]] = json.loads(text)
    return listed


PERSON, SIGNS = {"1f468", "1f469", "1f9d1"}, {"2640", "2642"}
"""Man, woman and person; the female and the male sign, which follow what they change."""
ALIKE = (
    ("1f466", "1f467", "1f9d2"),
    ("1f474", "1f475", "1f9d3"),
    ("1f483", "1f57a"),
    ("1f385", "1f936", "1f9d1-200d-1f384"),
    ("1f934", "1f478", "1fac5"),
    ("1f930", "1fac3", "1fac4"),
    ("1f9d1", "1f9d1-200d-1f9b0", "1f9d1-200d-1f9b3", "1f471"),
    ("1f426", "1f426-200d-2b1b"),
    ("1f601", "1f604"),
    ("1f694", "1f696"),
    ("25fc", "1f533"),
    ("26aa", "1f534", "1f535", "1f7e0", "1f7e1", "1f7e2", "1f7e3", "1f7e4"),
    ("1f7e5", "1f7e6", "1f7e8", "1f7e9", "1f7ea", "1f7eb"),
    ("1f49a", "1f497", "1f499", "1f49b", "1f5a4", "1f90d"),
    ("2764", "1f49c", "1f90e", "1f9e1"),
    ("1fa75", "1fa76", "1fa77"),
)
"""One idea under several code points: boy, girl and child, and so on.

And what a vendor draws alike to the last bit: hearts and squares that differ in colour alone, in
line art, say.
"""


def ideas() -> dict[str, list[list[str]]]:
    """Class -> the emoji of each idea of a drawing."""
    grouped: dict[str, dict[str, list[str]]] = {}
    for kind, codes in classes().items():
        for code in codes:
            grouped.setdefault(kind, {}).setdefault(_idea(code), []).append(code)
    return {kind: list(own.values()) for kind, own in grouped.items()}


def _idea(code: str) -> str:
    """What an emoji shows, whether a man, a woman or a person does it."""
    parts = ["1f9d1" if part in PERSON else part for part in code.split("-")]
    while len(parts) > 2 and parts[-1] in SIGNS:
        parts = parts[:-2]  # with the joiner before it
    drawn = "-".join(parts)
    return next((alike[0] for alike in ALIKE if drawn in alike), drawn)


def get(out: Path, given: Path | None, say: Say) -> None:
    """Draws what is missing of `OUT/emoji/DOMAIN/CLASS/CODEPOINT.png`.

    A domain appears when it is complete. What is there and has its checksum is not drawn again.

    Args:
        out: the folder in which the folder `emoji` is made.
        given: a folder that holds the archives; None to fetch them through npm.
        say: takes a line on what is being done.

    Raises:
        ValueError: archives cannot be had or read; says how to get them.
        OSError: the folder cannot be written.
    """
    drawn.make(_collection(), out, given, say)


def _collection() -> Collection:
    """What is drawn of the vendors' emoji."""
    count = sum(map(len, classes().values()))
    return Collection(
        name="emoji",
        packages={name: [vendor.package] for name, vendor in VENDORS.items()},
        images=lambda _: [f"{kind}/{code}.png" for kind, own in classes().items() for code in own],
        draw=_draw,
        # Groups before the first domain, so that no launch can split it in another way.
        texts={groups.FILE: json.dumps(ideas(), indent=1) + "\n", NOTICE: _notice()},
        doing=lambda name: f"drawing {count:,} emoji of {VENDORS[name].source}: {name}",
        known=KNOWN,
        tools=_tools,
        use="folder:ROOT:noto-twemoji",
    )


def _draw(name: str, archives: Archives) -> Drawn:
    """The images of a domain; raises ValueError if the archive lacks any."""
    vendor = VENDORS[name]
    archive = archives[vendor.package]
    drawings = vendors.drawings(vendor, archive)
    wanted = [(kind, code) for kind, codes in classes().items() for code in codes]
    lacking = [code for _, code in wanted if code not in drawings]
    if lacking:
        raise ValueError(f"{shown(archive)} has no drawing of {some(lacking)}")
    with ThreadPoolExecutor(cores()) as pool:
        images = pool.map(_encoded, (drawings[code] for _, code in wanted))
        for (kind, code), (pixels, file) in zip(wanted, images, strict=True):
            yield f"{kind}/{code}.png", pixels, file


def _encoded(drawing: Drawing) -> tuple[bytes, bytes]:
    """The pixels of a drawing, and its PNG file."""
    image, file = _image(drawing), io.BytesIO()
    image.save(file, "PNG")
    return image.tobytes(), file.getvalue()


def _image(drawing: Drawing) -> Image:
    """A drawing as RGB of SIZE x SIZE pixels, over white, in the middle if it is no square."""
    from PIL import Image as images
    from PIL.Image import Resampling

    if isinstance(drawing, str):
        import resvg_py

        drawing = bytes(
            resvg_py.svg_to_bytes(
                svg_string=drawing, width=SIZE, height=SIZE, skip_system_fonts=True
            )
        )
    with images.open(io.BytesIO(drawing)) as opened:
        layer = opened.convert("RGBA")
    if max(layer.size) != SIZE:
        sides = [max(1, round(side * SIZE / max(layer.size))) for side in layer.size]
        layer = layer.resize((sides[0], sides[1]), Resampling.LANCZOS)
    ground = images.new("RGBA", (SIZE, SIZE), "white")
    ground.alpha_composite(layer, ((SIZE - layer.width) // 2, (SIZE - layer.height) // 2))
    return ground.convert("RGB")


def _notice() -> str:
    """Who drew what, under which licence, and what was changed."""
    lines = [
        "The images in this folder are drawings of emoji by the vendors below, each under its own",
        f"licence. They were rasterised to {SIZE} x {SIZE} pixels over white, and sorted by the",
        "subgroups of Unicode's emoji; nothing else was changed. Whoever passes them on must keep",
        "to the licence of each: CC-BY asks to name the author, CC-BY-SA also to share alike.",
        "The classes and code points are those of Unicode's emoji list (Unicode-3.0).",
        "",
    ]
    for name, vendor in VENDORS.items():
        lines += [
            f"{name}: {vendor.source}, by {vendor.author}",
            f"    licence: {vendor.licence}",
            f"    from the npm package {vendor.package.spec}",
        ]
    return "\n".join(lines) + "\n"


def _tools() -> str:
    """What the pixels depend on."""
    import PIL
    import resvg_py

    return f"resvg-py ({resvg_py.__version__}) or Pillow ({PIL.__version__})"
