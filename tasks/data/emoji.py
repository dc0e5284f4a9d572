"""Emoji as a problem of several domains: the same classes, each drawn by several vendors.

A class is a subgroup of Unicode's emoji, a domain a vendor's drawings of it, and an image one emoji
of 128 pixels over white. `groups.json` keeps each idea of a drawing on one side of a split in all
domains: between vendors the same emoji is easier than another one of its class. A man, a woman and
a person who do the same are one idea.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools
import json
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from tasks import cache, locking
from tasks.data import groups, npm, vendors
from tasks.data.contents import cores
from tasks.data.listing import shown, some
from tasks.data.npm import Say
from tasks.data.vendors import VENDORS, Drawing, Vendor

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = 128
"""Pixels a side."""
SUMS, NOTICE, ARCHIVES, LOCK = "SHA256SUMS", "NOTICE", ".archives", ".lock"
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
    root = out / "emoji"
    root.mkdir(parents=True, exist_ok=True)
    with locking.alone(root / LOCK, lambda: say("waiting for another process that does the same")):
        listed = classes()
        # Before the first domain, so that no launch can split it in another way.
        _write(root / groups.FILE, json.dumps(ideas(), indent=1) + "\n")
        _write(root / NOTICE, _notice())
        known = _sums(root)
        sums = {
            name: known[name] for name in VENDORS if name in known and _whole(root, known, name)
        }
        absent = [name for name in VENDORS if name not in sums]
        for partial in root.glob(".partial-*"):
            shutil.rmtree(partial)
        if absent:
            (root / ARCHIVES).mkdir(exist_ok=True)
            packages = list(dict.fromkeys(VENDORS[name].package for name in absent))
            archives = npm.archives(packages, given, root / ARCHIVES, say)
            for name in absent:
                vendor = VENDORS[name]
                say(f"drawing {sum(map(len, listed.values())):,} emoji of {vendor.source}: {name}")
                sums[name] = _drawn(root, name, vendor, archives[vendor.package])
                # First, so that a folder without checksums is never one of ours.
                _write(root / SUMS, _sums_text(sums))
                _make_way(root, name, known, say)
                (root / f".partial-{name}").rename(root / name)
        shutil.rmtree(root / ARCHIVES, ignore_errors=True)
        for name in VENDORS:
            say(_line(name, sums[name][0], drawn=name in absent))
        say(f"licences: {shown(root / NOTICE)}; checksums: {shown(root / SUMS)}")
        say(f"use: dataset: [folder:{root}:noto-twemoji]")


Sums = tuple[str, Mapping[str, str]]
"""The digest of a domain's pixels, and relative path -> SHA-256 of each of its files."""


def _drawn(root: Path, name: str, vendor: Vendor, archive: Path) -> Sums:
    """Draws a domain into a folder beside its place; its checksums."""
    drawings = vendors.drawings(vendor, archive)
    partial = root / f".partial-{name}"
    wanted = [(kind, code) for kind, codes in classes().items() for code in codes]
    lacking = [code for _, code in wanted if code not in drawings]
    if lacking:
        raise ValueError(f"{shown(archive)} has no drawing of {some(lacking)}")
    for kind in classes():
        (partial / kind).mkdir(parents=True)
    total, files = hashlib.sha256(), {}
    with ThreadPoolExecutor(cores()) as pool:
        images = pool.map(_encoded, (drawings[code] for _, code in wanted))
        for (kind, code), (pixels, file) in zip(wanted, images, strict=True):
            total.update(f"{kind}/{code}\0".encode() + pixels)
            (partial / kind / f"{code}.png").write_bytes(file)
            files[f"{name}/{kind}/{code}.png"] = hashlib.sha256(file).hexdigest()
    return total.hexdigest(), files


def _encoded(drawing: Drawing) -> tuple[bytes, bytes]:
    """The pixels of a drawing, and its PNG file."""
    image, file = _image(drawing), io.BytesIO()
    image.save(file, "PNG")
    return image.tobytes(), file.getvalue()


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


def _line(name: str, pixels: str, *, drawn: bool) -> str:
    """What is said of a domain at the end, with the checksum of its pixels."""
    done = "drawn" if drawn else "was there"
    count = sum(map(len, classes().values()))
    if pixels == KNOWN[name]:
        return f"{name}: {count:,} images in {len(classes())} classes, {done}, as expected"
    import PIL
    import resvg_py

    return (
        f"{name}: {count:,} images in {len(classes())} classes, {done}; their pixels "
        f"({pixels[:12]}) differ from those of docs/results ({KNOWN[name][:12]}), so that numbers "
        f"may differ slightly: other versions of resvg-py ({resvg_py.__version__}) or Pillow "
        f"({PIL.__version__}) draw otherwise"
    )


def _whole(root: Path, known: Mapping[str, Sums], name: str) -> bool:
    """Whether a domain has all of its images, and nothing was changed in them."""
    files = known[name][1]
    expected = {f"{name}/{kind}/{code}.png" for kind, codes in classes().items() for code in codes}
    if set(files) != expected:
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
