"""Image files of every kind, made by hand where Pillow reads a kind and does not write it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

from PIL import Image


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The file that Pillow writes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: tuple[bytes, bytes]
) -> bytes:
    """A PNG of raw rows; `colour` is PNG's colour type, `chunks` stand before the pixels."""
    stride = len(rows) // height
    lines = b"".join(b"\0" + rows[start : start + stride] for start in range(0, len(rows), stride))
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def tiff(
    width: int,
    height: int,
    pixels: bytes,
    *,
    bits: Sequence[int] = (8,),
    photometric: int = 1,
    extra: int | None = None,
    sample_format: int | None = None,
    big: bool = False,
) -> bytes:
    """An uncompressed TIFF of one strip."""
    order = ">" if big else "<"
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, bits),
        259: (3, [1]),
        262: (3, [photometric]),
        273: (4, [8]),
        277: (3, [len(bits)]),
        278: (4, [height]),
        279: (4, [len(pixels)]),
    }
    tags |= {} if extra is None else {338: (3, [extra])}
    tags |= {} if sample_format is None else {339: (3, [sample_format] * len(bits))}
    start = 8 + len(pixels) + len(pixels) % 2
    beyond = start + 2 + 12 * len(tags) + 4
    entries, later = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(order + {3: "H", 4: "I"}[kind] * len(values), *values)
        if len(packed) > 4:
            place = struct.pack(order + "I", beyond + len(later))
            later += packed
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, kind, len(values)) + place
    head = (b"MM" if big else b"II") + struct.pack(order + "HI", 42, start)
    return (
        head
        + pixels
        + b"\0" * (len(pixels) % 2)
        + struct.pack(order + "H", len(tags))
        + entries
        + b"\0\0\0\0"
        + later
    )


def without_adobe(jpeg: bytes) -> bytes:
    """The JPEG without the marker that says how its colours are stored."""
    start = jpeg.index(b"\xff\xee")
    length = struct.unpack(">H", jpeg[start + 2 : start + 4])[0]
    return jpeg[:start] + jpeg[start + 2 + length :]
