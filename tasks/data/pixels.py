"""Reads image files as 8-bit RGB, or refuses them with a reason if values are ambiguous.

| in the file | is read as |
| --- | --- |
| up to 8 bits: grey, palette, RGB, YCbCr, CMYK, LAB, HSV | Pillow's sRGB, profiles not applied |
| 16 bits, grey | round(255 v / 65535); 12 bits in TIFF: v / 4095; "white is zero" is inverted |
| 16 bits a colour channel | the upper 8 bits, as Pillow returns them |
| transparency of any kind | composed over white |
| EXIF or XMP orientation | turned upright |
| several frames or pages | the first |
| 32-bit, signed and float values | refused |
| CMYK in a JPEG that does not say whether it is inverted | refused |
| more than `MOST_PIXELS` | refused |
"""

from __future__ import annotations

import contextlib
import functools
import threading
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

VERSION = 1
"""To be raised when `rgb` changes its result for some files; part of the marks of these files."""
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "DIB", "PPM", "AVIF", "JPEG2000")
"""The formats that are read, by content and not by suffix.

Pillow's others run external programs (EPS), or hold no image.
"""
MOST_PIXELS = 2 * 89_478_485
"""Pillow's limit: reading an image of this size takes 0.5 GB."""
ONE_AT_A_TIME = 16_000_000
"""Larger images are decoded one at a time: a transparent one takes 15 bytes a pixel meanwhile."""
_LARGE = threading.Lock()
PREVIEW = 64
"""A JPEG that is only examined is decoded at down to an eighth of its size, but not below this.

All of its data is read nevertheless.
"""

TURNED, TRANSPARENT, DEEP = "turned", "transparent", "16 bits"
"""Marks of what was done to an image beyond `convert("RGB")`."""
DONE = {
    TURNED: "turned upright, as the EXIF orientation says",
    TRANSPARENT: "transparent parts are read as white",
    DEEP: "16 bits of grey are read as 8",
}
"""Mark -> what a user is told of it."""
FIRST = "only the first of several frames is read"
CONVERTED = "colours that are not RGB (CMYK, LAB, HSV) are converted without their profile"
REMARKS = (FIRST, CONVERTED)
"""What a user is told of an image beyond its marks."""
EXAMINED = VERSION + 1
"""To be raised when `examine` says something else of some files: what is stored is asked again."""
COPIES = "copies of another image, so that one may be trained on and its copy tested"

_STARTS = (
    (
        b"version https://git-lfs",
        "is a git-lfs pointer, not the file that it stands for; run `git lfs pull`",
    ),
    (
        b"/annex/objects/",
        "is a git-annex pointer, not the file that it stands for; run `git annex get`",
    ),
    (b"<!doctype html", "is an HTML page, not an image"),
    (b"<html", "is an HTML page, not an image"),
    (b"<svg", "is an SVG drawing; save it as PNG"),
    (b"<?xml", "is an XML text, not an image"),
    (b"%pdf", "is a PDF document; save its image as PNG"),
    (b"8bps", "is a Photoshop document; save it as PNG"),
)


class Unreadable(ValueError):
    """The file cannot be read reliably as an image; the message continues after the file's name."""


def examine(file: BinaryIO) -> tuple[list[str], list[str]]:
    """The marks of an image, and the remarks on it.

    Raises:
        Unreadable: the image cannot be read to its end.
    """
    with _opened(file) as image:
        several = image.format != "MPO" and bool(getattr(image, "is_animated", False))
        if image.format in ("JPEG", "MPO"):
            image.draft(None, (PREVIEW, PREVIEW))
        remarks = [FIRST] if several else []
        remarks += [CONVERTED] if image.mode in ("CMYK", "LAB", "HSV") else []
        return sorted(rgb(image)[1]), remarks


def read(file: BinaryIO, size: int) -> NDArray[np.uint8]:
    """The image as [3, size, size], resized without keeping the aspect ratio.

    Raises:
        Unreadable: the image cannot be read.
    """
    import numpy as np
    from PIL.Image import Resampling

    with _opened(file) as image:
        return np.asarray(rgb(image)[0].resize((size, size), Resampling.BILINEAR)).transpose(
            2, 0, 1
        )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """A context that silences Pillow's warnings about large images and odd metadata.

    It should enclose a whole run, since warning filters are process-wide.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def rgb(image: Image) -> tuple[Image, set[str]]:
    """An opened image as 8-bit RGB, upright and over white, and its marks.

    Raises:
        Unreadable: the file does not define the meaning of its values.
    """
    _refuse(image)
    with _LARGE if image.width * image.height > ONE_AT_A_TIME else contextlib.nullcontext():
        return _rgb(image)


def _rgb(image: Image) -> tuple[Image, set[str]]:
    """The same for an image that is not refused."""
    from PIL import Image as images
    from PIL.Image import Transpose

    marks: set[str] = set()
    grey_bits = _grey_key_factor(image)
    image.load()
    way = _orientation(image)
    if image.mode.startswith("I"):
        colours, holes = _deep(image)
        marks |= {DEEP, TRANSPARENT} if holes else {DEEP}
    elif _may_be_transparent(image):
        if isinstance(image.info.get("transparency"), int) and grey_bits != 1:
            image.info["transparency"] *= grey_bits
        layers = image.convert("LA" if image.mode == "La" else "RGBA").convert("RGBA")
        if layers.getchannel("A").getextrema() != (255, 255):
            marks.add(TRANSPARENT)
            layers = images.alpha_composite(images.new("RGBA", layers.size, "white"), layers)
        colours = layers.convert("RGB")
    else:
        colours = image.convert("RGB")
    if way is not None:
        marks.add(TURNED)
        colours = colours.transpose(Transpose(way))
    return colours, marks


@contextlib.contextmanager
def _opened(file: BinaryIO) -> Iterator[Image]:
    """A context with the image in the file; turns all errors within it into `Unreadable`."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file, formats=_formats()) as image:
            yield image
    except Unreadable:
        raise
    except UnidentifiedImageError:
        raise Unreadable(_guess(file)) from None
    except Image.DecompressionBombError:
        raise Unreadable(f"has more than {MOST_PIXELS:,} pixels; make it smaller") from None
    except MemoryError as error:
        raise Unreadable("takes more memory to read than there is; make it smaller") from error
    except Exception as error:  # a decoder may raise anything on a damaged file
        raise Unreadable(f"cannot be read as an image: {error or type(error).__name__}") from error


@functools.cache
def _formats() -> tuple[str, ...]:
    """The formats in `FORMATS` that this build of Pillow supports."""
    from PIL import Image

    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _guess(file: BinaryIO) -> str:
    """A guess at the kind of a file that is not an image."""
    file.seek(0)
    start = file.read(512)
    if not start:
        return "is empty (0 bytes)"
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for begin, said in _STARTS:
        if text.startswith(begin):
            return said
    if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        return "is a HEIC image, which is not read; save it as JPEG or PNG"
    return (
        f"is no image that is read, or cut short (it begins with {start[:12]!r}); it must be one "
        f"of {', '.join(FORMATS)}"
    )


def _refuse(image: Image) -> None:
    """Raises `Unreadable` if the file does not define the meaning of the values."""
    tags: Any = getattr(image, "tag_v2", {})
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(
            f"has {image.width:,} x {image.height:,} pixels, more than {MOST_PIXELS:,}; make it "
            "smaller"
        )
    if 2 in _numbers(tags.get(339)) or (image.mode == "I" and image.format == "TIFF"):
        raise Unreadable(
            f"holds {'signed' if 2 in _numbers(tags.get(339)) else '32-bit'} values, and does not "
            "say which is black and which is white; save it with 8 or 16 bits"
        )
    if image.mode == "F":
        raise Unreadable(
            "holds float values, and does not say which is black and which is white; save it with "
            "8 or 16 bits"
        )
    if image.mode == "CMYK" and image.format == "JPEG" and "adobe" not in image.info:
        raise Unreadable(
            "holds CMYK and lacks the Adobe marker that says whether it is inverted; save it as RGB"
        )
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        raise Unreadable(
            "names a transparent colour of 16 bits a channel; save it with an alpha channel"
        )


def _orientation(image: Image) -> int | None:
    """The transposition that turns the image upright; None if there is none or it is unreadable."""
    from PIL.ExifTags import Base
    from PIL.Image import Transpose

    try:
        way = image.getexif().get(Base.Orientation)
    except Exception:  # ignore damaged tags
        return None
    return (
        {
            2: Transpose.FLIP_LEFT_RIGHT,
            3: Transpose.ROTATE_180,
            4: Transpose.FLIP_TOP_BOTTOM,
            5: Transpose.TRANSPOSE,
            6: Transpose.ROTATE_270,
            7: Transpose.TRANSVERSE,
            8: Transpose.ROTATE_90,
        }.get(way)
        if isinstance(way, int)
        else None
    )


def _may_be_transparent(image: Image) -> bool:
    """Whether the image has alpha of any kind: a channel, a palette, or a transparent colour."""
    palette = image.palette.mode if image.mode == "P" and image.palette is not None else ""
    return (
        image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
        or "A" in palette
        or "transparency" in image.info
    )


def _grey_key_factor(image: Image) -> int:
    """The factor of a PNG's transparent grey, whose 2 or 4 bits Pillow does not scale to 8."""
    tiles = getattr(image, "tile", ())  # only images from a file have tiles
    rawmode = tiles[0].args if tiles else ""
    return {"L;2": 85, "L;4": 17}.get(rawmode if isinstance(rawmode, str) else "", 1)


def _deep(image: Image) -> tuple[Image, bool]:
    """A grey image of up to 16 bits as RGB over white, and whether any pixel is transparent."""
    import numpy as np
    from PIL import Image as images

    tags: Any = getattr(image, "tag_v2", {})
    top = 4095 if _numbers(tags.get(258)) == (12,) else 65535
    values = np.asarray(image).astype(np.uint32)
    grey = ((values * 510 + top) // (2 * top)).astype(np.uint8)  # round(255 v / top)
    if tags.get(262) == 0:  # TIFF: white is zero; Pillow inverts 8 bits but not 16
        grey = 255 - grey
    holes = np.zeros(1, bool)
    if isinstance(image.info.get("transparency"), int):
        holes = values == image.info["transparency"]
        grey[holes] = 255
    return images.fromarray(grey).convert("RGB"), bool(holes.any())


def _numbers(value: Any) -> tuple[int, ...]:
    """The numbers in a TIFF tag; empty if it is missing."""
    return () if value is None else tuple(value) if isinstance(value, tuple) else (value,)
