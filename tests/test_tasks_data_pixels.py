"""What an image file holds, as pixels: each kind with the values that it stands for, or refused for a reason."""

import io
import struct
import warnings

import numpy as np
import pytest
from images import png, saved, tiff, without_adobe
from PIL import Image

from tasks.data import pixels

WHITE, BLACK, RED, GREEN = [255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0]
SEEN = (10, 200, 30)


def grey(value):
    return [value] * 3


def over_white(colour, alpha):
    """The colour where `alpha` of 255 covers white."""
    return [(value * alpha + 255 * (255 - alpha)) / 255 for value in colour]


def image(mode, *values):
    """One row of pixels."""
    made = Image.new(mode, (len(values), 1))
    made.putdata(values)
    return made


def palette(alpha=None):
    """Two pixels of the colours 0 (red) and 1 (green)."""
    made = image("P", 0, 1)
    made.putpalette([*RED, *GREEN])
    return saved(made, "PNG", **({} if alpha is None else {"transparency": alpha}))


def frames(kind):
    first = Image.new("RGB", (2, 1), tuple(RED))
    return saved(
        first,
        kind,
        save_all=True,
        append_images=[Image.new("RGB", (2, 1), tuple(GREEN))],
        **({"lossless": True} if kind == "WEBP" else {}),
    )


def sixteen(order, *values):
    return struct.pack(f"{order}{len(values)}H", *values)


TRANSPARENT, DEEP = ["transparent"], ["16 bits"]
KINDS = {
    # name: (file, what each pixel is, marks)
    "1 bit": (saved(image("1", 0, 255), "PNG"), [BLACK, WHITE], []),
    "2 bits of grey": (
        png(4, 1, 2, 0, bytes([0b00011011])),
        [grey(0), grey(85), grey(170), grey(255)],
        [],
    ),
    "4 bits of grey": (png(2, 1, 4, 0, bytes([0x0F])), [BLACK, WHITE], []),
    "L": (saved(image("L", 0, 77, 255), "PNG"), [BLACK, grey(77), WHITE], []),
    "L with a grey for nothing": (
        saved(image("L", 0, 77), "PNG", transparency=77),
        [BLACK, WHITE],
        TRANSPARENT,
    ),
    "2 bits with a grey for nothing": (
        png(4, 1, 2, 0, bytes([0b00011011]), (b"tRNS", sixteen(">", 1))),
        [grey(0), WHITE, grey(170), grey(255)],
        TRANSPARENT,
    ),
    "4 bits with a grey for nothing": (
        png(2, 1, 4, 0, bytes([0x0F]), (b"tRNS", sixteen(">", 0))),
        [WHITE, WHITE],
        TRANSPARENT,
    ),
    "1 bit with a grey for nothing": (
        png(2, 1, 1, 0, bytes([0b01000000]), (b"tRNS", sixteen(">", 0))),
        [WHITE, WHITE],
        TRANSPARENT,
    ),
    "LA": (
        saved(image("LA", (100, 255), (100, 51), (100, 0)), "PNG"),
        [grey(100), grey(224), WHITE],
        TRANSPARENT,
    ),
    "LA of TIFF": (
        tiff(2, 1, bytes([100, 255, 100, 51]), bits=(8, 8), extra=2),
        [grey(100), grey(224)],
        TRANSPARENT,
    ),
    "La, alpha multiplied in": (
        tiff(2, 1, bytes([100, 255, 20, 51]), bits=(8, 8), extra=1),
        [grey(100), grey(224)],
        TRANSPARENT,
    ),
    "P": (palette(), [RED, GREEN], []),
    "P with a colour for nothing": (palette(0), [WHITE, GREEN], TRANSPARENT),
    "P with half a colour": (palette(bytes([255, 51])), [RED, over_white(GREEN, 51)], TRANSPARENT),
    "P that says opaque": (palette(bytes([255, 255])), [RED, GREEN], []),
    "PA": (
        saved(image("RGBA", (*RED, 255), (*GREEN, 0)).convert("PA"), "TIFF"),
        [RED, WHITE],
        TRANSPARENT,
    ),
    "RGB": (saved(image("RGB", SEEN), "PNG"), [SEEN], []),
    "RGB with a colour for nothing": (
        saved(image("RGB", SEEN, (9, 9, 9)), "PNG", transparency=(9, 9, 9)),
        [SEEN, WHITE],
        TRANSPARENT,
    ),
    "RGBA": (
        saved(image("RGBA", (*SEEN, 255), (*SEEN, 51), (*SEEN, 0)), "PNG"),
        [SEEN, over_white(SEEN, 51), WHITE],
        TRANSPARENT,
    ),
    "RGBA that is opaque": (saved(image("RGBA", (*SEEN, 255)), "PNG"), [SEEN], []),
    "RGBa, alpha multiplied in": (
        tiff(1, 1, bytes([2, 40, 6, 51]), bits=(8,) * 4, photometric=2, extra=1),
        [over_white(SEEN, 51)],
        TRANSPARENT,
    ),
    "RGB and a channel that means nothing": (
        tiff(1, 1, bytes([*SEEN, 0]), bits=(8,) * 4, photometric=2, extra=0),
        [SEEN],
        [],
    ),
    "CMYK": (
        saved(image("CMYK", (255, 0, 0, 0), (0, 0, 0, 255)), "TIFF"),
        [[0, 255, 255], BLACK],
        [],
    ),
    "YCbCr": (saved(image("YCbCr", (76, 85, 255)), "TIFF"), [[254, 0, 0]], []),
    # sRGB's red in CIE L*a*b* under D50: 54.29, 80.81, 69.89; a and b are signed bytes.
    "LAB": (
        tiff(3, 1, bytes([138, 81, 70, 255, 0, 0, 128, 0, 0]), bits=(8,) * 3, photometric=8),
        [RED, WHITE, grey(119)],
        [],
    ),
    "16 bits": (
        saved(Image.fromarray(np.array([[0, 257, 25700, 65535]], np.uint16)), "PNG"),
        [BLACK, grey(1), grey(100), WHITE],
        DEEP,
    ),
    "16 bits with a grey for nothing": (
        png(2, 1, 16, 0, sixteen(">", 25700, 257), (b"tRNS", sixteen(">", 25700))),
        [WHITE, grey(1)],
        ["16 bits", "transparent"],
    ),
    "16 bits of TIFF": (
        tiff(2, 1, sixteen("<", 25700, 65535), bits=(16,)),
        [grey(100), WHITE],
        DEEP,
    ),
    "16 bits of TIFF, big end first": (
        tiff(2, 1, sixteen(">", 25700, 65535), bits=(16,), big=True),
        [grey(100), WHITE],
        DEEP,
    ),
    "16 bits of TIFF, white is zero": (
        tiff(2, 1, sixteen("<", 25700, 65535), bits=(16,), photometric=0),
        [grey(155), BLACK],
        DEEP,
    ),
    "12 bits of TIFF": (
        tiff(2, 1, bytes([0x64, 0x6F, 0xFF]), bits=(12,)),
        [grey(100), WHITE],
        DEEP,
    ),
    "8 bits of TIFF, white is zero": (
        tiff(2, 1, bytes([0, 255]), photometric=0),
        [WHITE, BLACK],
        [],
    ),
    "16 bits of PGM": (b"P5 2 1 65535\n" + sixteen(">", 25700, 65535), [grey(100), WHITE], DEEP),
    "12 bits of PGM": (b"P5 2 1 4095\n" + sixteen(">", 1606, 4095), [grey(100), WHITE], DEEP),
    "PGM of few greys": (b"P5 2 1 5\n\x01\x05", [grey(51), WHITE], []),
    "PBM": (b"P4 2 1\n\x40", [WHITE, BLACK], []),
    "16 bits a colour": (png(1, 1, 16, 2, sixteen(">", 2570, 51400, 7710)), [SEEN], []),
    "16 bits a colour and alpha": (
        png(1, 1, 16, 6, sixteen(">", 2570, 51400, 7710, 13107)),
        [over_white(SEEN, 51)],
        TRANSPARENT,
    ),
    "16 bits of grey and alpha": (
        png(1, 1, 16, 4, sixteen(">", 25700, 13107)),
        [grey(224)],
        TRANSPARENT,
    ),
    "GIF with a colour for nothing": (
        saved(Image.open(io.BytesIO(palette(0))), "GIF", transparency=0),
        [WHITE, GREEN],
        TRANSPARENT,
    ),
    "BMP": (saved(image("RGB", SEEN), "BMP"), [SEEN], []),
    "WebP": (
        saved(image("RGBA", (*SEEN, 51)), "WEBP", lossless=True, exact=True),
        [over_white(SEEN, 51)],
        TRANSPARENT,
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_has_the_pixels_that_it_stands_for(name):
    file, expected, marks = KINDS[name]
    with Image.open(io.BytesIO(file)) as opened:
        found, done = pixels.rgb(opened)
    assert found.mode == "RGB"
    coarse = 6 if name == "LAB" else 1  # a step of L*, a* or b* is up to five of RGB
    assert np.abs(np.asarray(found)[0] - np.array(expected)).max() <= coarse
    assert sorted(done) == marks
    remarks = [pixels.CONVERTED] if name.startswith(("CMYK", "LAB", "HSV")) else []
    assert pixels.examine(io.BytesIO(file)) == (marks, remarks)


@pytest.mark.parametrize("name", [name for name, (_, _, marks) in KINDS.items() if not marks])
def test_what_has_no_mark_is_read_as_it_always_was(name):
    """Ids of data that is read as before stay, since fingerprints name marks alone."""
    file = KINDS[name][0]
    with (
        Image.open(io.BytesIO(file)) as opened,
        Image.open(io.BytesIO(file)) as again,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        assert np.array_equal(np.asarray(pixels.rgb(opened)[0]), np.asarray(again.convert("RGB")))


def test_sixteen_bits_are_eight_where_these_write_them():
    eight = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)
    deep = Image.fromarray((eight * np.uint16(257)).astype(np.uint16))
    read = [
        pixels.read(io.BytesIO(saved(one, "PNG")), 16) for one in (deep, Image.fromarray(eight))
    ]
    assert np.array_equal(*read)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("way", range(1, 9))
def test_every_orientation_is_turned_upright(kind, way):
    """A dot in the upper left corner of the picture: where the file keeps it is what the tag says."""
    upright = np.zeros((32, 64, 3), np.uint8)
    upright[:16, :16] = 255
    turns = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
        8: lambda a: np.rot90(a, 3),
    }
    exif = Image.Exif()
    exif[0x0112] = way
    file = saved(Image.fromarray(np.ascontiguousarray(turns[way](upright))), kind, exif=exif)
    with Image.open(io.BytesIO(file)) as opened:
        found, marks = pixels.rgb(opened)
    assert found.size == (64, 32)
    assert np.abs(np.asarray(found).astype(int) - upright)[2:14, 2:14].max() < 30
    assert np.asarray(found)[20:, 30:].max() < 30
    # Pillow turns a TIFF itself
    assert marks == (set() if way == 1 or kind == "TIFF" else {"turned"})


@pytest.mark.parametrize("way", [0, 9, 255])
def test_an_orientation_that_says_nothing_turns_nothing(way):
    exif = Image.Exif()
    exif[0x0112] = way
    file = saved(Image.new("RGB", (6, 4)), "JPEG", exif=exif)
    assert pixels.examine(io.BytesIO(file)) == ([], [])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_is_read_and_it_is_told(kind):
    assert pixels.examine(io.BytesIO(frames(kind)))[1] == [pixels.FIRST]
    assert np.abs(pixels.read(io.BytesIO(frames(kind)), 4)[:, 0, 0].astype(int) - RED).max() <= 1


def test_a_phone_s_second_picture_is_no_animation():
    file = saved(
        Image.new("RGB", (8, 8), "red"),
        "MPO",
        save_all=True,
        append_images=[Image.new("RGB", (8, 8))],
    )
    assert pixels.examine(io.BytesIO(file)) == ([], [])


def test_a_cmyk_jpeg_is_inverted_where_adobe_says_so():
    file = saved(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG", quality=100)
    assert np.abs(pixels.read(io.BytesIO(file), 8)[:, 0, 0].astype(int) - [0, 255, 255]).max() <= 2
    with pytest.raises(pixels.Unreadable, match="lacks the Adobe marker"):
        pixels.examine(io.BytesIO(without_adobe(file)))


def test_one_pixel_is_an_image():
    assert (
        pixels.read(io.BytesIO(saved(image("RGB", SEEN), "PNG")), 8)
        == np.array(SEEN)[:, None, None]
    ).all()


WHOLE = {
    "JPEG": saved(Image.effect_noise((64, 64), 80).convert("RGB"), "JPEG"),
    "progressive JPEG": saved(
        Image.effect_noise((64, 64), 80).convert("RGB"), "JPEG", progressive=True
    ),
    **{
        kind: saved(Image.effect_noise((64, 64), 80).convert("RGB"), kind)
        for kind in ("PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM")
    },
}
REFUSED = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "HTML": (b"\n<!DOCTYPE html><html>404</html>", "is an HTML page"),
    "git-lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "git-lfs pointer.*git lfs pull",
    ),
    "git-annex": (b"/annex/objects/SHA256E-s11--abc.png\n", "git-annex pointer"),
    "SVG": (b"<svg xmlns='x'/>", "SVG"),
    "PDF": (b"%PDF-1.7", "PDF"),
    "Photoshop": (b"8BPS\0\1", "Photoshop"),
    "HEIC": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
    "noise": (b"\1\2\3\4" * 8, "is no image that is read"),
    "PostScript": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        "is no image that is read",
    ),
    "float": (saved(Image.new("F", (2, 2), 0.5), "TIFF"), "float values.*8 or 16 bits"),
    "32 bits": (saved(Image.new("I", (2, 2), 7), "TIFF"), "does not say which is black"),
    "unsigned 32 bits": (tiff(1, 1, bytes(4), bits=(32,)), "32-bit values"),
    "signed 8 bits": (tiff(1, 1, b"\xff", sample_format=2), "signed values"),
    "signed 16 bits": (tiff(1, 1, b"\xff\xff", bits=(16,), sample_format=2), "signed values"),
    "16 bits with a colour for nothing": (
        png(1, 1, 16, 2, bytes(6), (b"tRNS", sixteen(">", 300, 0, 0))),
        "transparent colour",
    ),
    "400 million pixels": (
        png(20_000, 20_000, 1, 0, bytes(20_000)),
        "more than 178,956,970 pixels; make it smaller",
    ),
    **{
        f"a {kind} cut short": (
            file[: len(file) * 2 // 3],
            "cannot be read as an image|or cut short",
        )
        for kind, file in WHOLE.items()
    },
    **{
        f"the start of a {kind}": (file[:40], "cannot be read as an image|or cut short")
        for kind, file in WHOLE.items()
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_right_is_refused_with_the_reason(name):
    file, reason = REFUSED[name]
    for ask in (pixels.examine, lambda stream: pixels.read(stream, 8)):
        with pixels.quiet(), pytest.raises(pixels.Unreadable, match=reason):
            ask(io.BytesIO(file))


@pytest.mark.parametrize("kind", WHOLE)
def test_what_is_whole_is_read(kind):
    assert pixels.examine(io.BytesIO(WHOLE[kind])) == ([], [])


def test_a_large_image_is_read_without_a_warning(monkeypatch):
    """Pillow warns from a half of the limit on, which is an error in these tests."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pixels.quiet():
        pixels.examine(io.BytesIO(saved(Image.new("RGB", (15, 10)), "PNG")))
        with pytest.raises(pixels.Unreadable, match="make it smaller"):
            pixels.examine(io.BytesIO(saved(Image.new("RGB", (30, 10)), "PNG")))
