"""Emoji: each vendor's archives read, drawn once, checked, and repaired without a loss."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from tasks import data
from tasks.data import contents, emoji, groups, npm, vendors
from tasks.data.npm import Package
from tasks.data.vendors import Vendor

CLASSES = {"bird & bug": ["1f413", "1f426-200d-2b1b"], "keycap": ["0023-20e3"]}
CODES = [code for codes in CLASSES.values() for code in codes]


def packed(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def square(colour, flip=""):
    """An icon of 36 x 36 with its left half of a colour."""
    return {"body": f'<path fill="{colour}" d="M0 0h18v36H0z"/>', **({flip: True} if flip else {})}


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Two vendors of three emoji: one of Iconify's form, one of WebP files; archives in a folder."""
    icons = {
        "prefix": "few",
        "width": 36,
        "height": 36,
        "icons": {"rooster": square("#f00"), "bird": square("#00f")},
        "aliases": {"keycap": {"parent": "bird", "hFlip": True}},
    }
    chars = {"1f413": "rooster", "1f426-200d-2b1b": "bird", "0023-fe0f-20e3": "keycap"}
    webp = io.BytesIO()
    Image.new("RGBA", (64, 32), (0, 128, 0, 255)).save(webp, "WEBP", lossless=True)
    files = {
        "few": {"icons.json": json.dumps(icons).encode(), "chars.json": json.dumps(chars).encode()},
        "wide": {f"assets/{code}.webp": webp.getvalue() for code in CODES},
    }
    given = tmp_path / "archives"
    given.mkdir()
    made = {}
    for name, held in files.items():
        path = packed(given / f"{name}-1.0.0.tgz", held)
        made[name] = Package(name, "1.0.0", contents.of([path])[0].digest)
    read = {"few": vendors._iconify, "wide": vendors._files("package/assets", ".webp")}
    monkeypatch.setattr(
        emoji,
        "VENDORS",
        {name: Vendor(made[name], "MIT", "nobody", name, read[name]) for name in made},
    )
    monkeypatch.setattr(emoji, "KNOWN", dict.fromkeys(made, "0" * 64))
    monkeypatch.setattr(emoji, "classes", lambda: CLASSES)
    return tmp_path


def got(world, given=True):
    said = []
    emoji.get(world / "data", world / "archives" if given else None, said.append)
    return said


def pixels(world, domain, path):
    with Image.open(world / "data" / "emoji" / domain / path) as image:
        assert image.size == (128, 128)
        return np.asarray(image.convert("RGB"))


def test_a_drawing_fills_its_square_over_white_flipped_where_an_alias_says_so(world):
    got(world)
    rooster = pixels(world, "few", "bird & bug/1f413.png")
    assert (rooster[:, :64] == (255, 0, 0)).all()
    assert (rooster[:, 64:] == 255).all()
    flipped = pixels(world, "few", "keycap/0023-20e3.png")
    assert (flipped[:, :64] == 255).all()
    assert (flipped[:, 64:] == (0, 0, 255)).all()


def test_what_is_no_square_keeps_its_shape_in_the_middle(world):
    got(world)
    wide = pixels(world, "wide", "bird & bug/1f413.png")
    assert (wide[32:96] == (0, 128, 0)).all()
    assert (wide[:32] == 255).all()
    assert (wide[96:] == 255).all()


def test_the_folder_is_a_dataset_split_by_emoji_with_its_licences(world):
    said = got(world)
    root = world / "data" / "emoji"
    assert data.problems(f"folder:{root}:few-wide") == []
    assert groups.of(root) == {kind: [[code] for code in own] for kind, own in CLASSES.items()}
    orders = [data.order(f"folder:{root}:{name}", 7).place for name in ("few", "wide")]
    assert (orders[0] == orders[1]).all()
    notice = (root / emoji.NOTICE).read_text()
    assert notice.count("licence: MIT") == 2
    assert "few@1.0.0" in notice
    assert any("few: 3 images in 2 classes, drawn; their pixels" in line for line in said)


def test_a_second_time_draws_nothing(world, monkeypatch):
    got(world)
    monkeypatch.setattr(emoji, "_image", lambda _: pytest.fail("drawn twice"))
    monkeypatch.setattr(npm, "archives", lambda *_: pytest.fail("fetched twice"))
    assert sum("was there" in line for line in got(world, given=False)) == 2


@pytest.mark.parametrize("number", [1, 2, 4, 5])
def test_a_command_killed_at_any_image_goes_on(world, monkeypatch, number):
    """It dies while image `number` of six is drawn; again, only the domain that lacks is drawn."""
    count, image = [], emoji._image

    def dying(drawing):
        count.append(drawing)
        if len(count) == number:
            raise KeyboardInterrupt
        return image(drawing)

    monkeypatch.setattr(emoji, "_image", dying)
    monkeypatch.setattr(emoji, "cores", lambda: 1)
    with pytest.raises(KeyboardInterrupt):
        got(world)
    whole = number > 3
    assert (world / "data" / "emoji" / "few").exists() == whole
    monkeypatch.setattr(emoji, "_image", image)
    assert sum("was there" in line for line in got(world)) == whole
    assert len(list((world / "data" / "emoji").rglob("*.png"))) == 6


def test_a_damaged_image_is_drawn_again_and_a_users_file_is_set_aside(world):
    got(world)
    root = world / "data" / "emoji"
    before = pixels(world, "few", "bird & bug/1f413.png")
    (root / "few" / "bird & bug" / "1f413.png").write_bytes(b"")
    (root / "few" / "notes.txt").write_text("mine")
    said = got(world)
    assert (pixels(world, "few", "bird & bug/1f413.png") == before).all()
    assert (root / ".replaced-few-1" / "notes.txt").read_text() == "mine"
    assert any(".replaced-few-1" in line for line in said)
    (root / "wide" / "keycap" / "0023-20e3.png").unlink()
    got(world)
    assert not (root / ".replaced-wide-1").exists()


def test_a_folder_of_the_same_name_that_is_somebody_elses_is_kept(world):
    mine = world / "data" / "emoji" / "few" / "cat" / "1.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    got(world)
    kept = world / "data" / "emoji" / ".replaced-few-1" / "cat" / "1.png"
    assert kept.read_bytes() == b"mine"


def test_an_archive_without_a_drawing_is_named(world, monkeypatch):
    monkeypatch.setattr(emoji, "classes", lambda: CLASSES | {"moon": ["1f319"]})
    with pytest.raises(ValueError, match=r"few-1\.0\.0\.tgz has no drawing of 1f319"):
        got(world)


def test_the_classes_that_ship_are_66_of_eight_emoji_or_more():
    listed = emoji.classes()
    codes = [code for own in listed.values() for code in own]
    assert (len(listed), len(codes), len(set(codes))) == (66, 1416, 1416)
    assert min(map(len, listed.values())) == 8
    assert codes == [vendors.plain(code) for code in codes]
    assert set(emoji.KNOWN) == set(emoji.VENDORS)


def test_a_man_a_woman_and_a_person_are_one_idea():
    listed = emoji.ideas()
    assert {code for own in listed.values() for group in own for code in group} == {
        code for own in emoji.classes().values() for code in own
    }
    assert ["1f468-200d-1f52c", "1f469-200d-1f52c", "1f9d1-200d-1f52c"] in listed["person-role"]
    assert ["1f645", "1f645-200d-2640", "1f645-200d-2642"] in listed["person-gesture"]
    assert ["1f466", "1f467", "1f9d2"] in listed["person"]
    assert next(own for own in listed["geometric"] if "1f7e5" in own)[:3] == [
        "1f7e5",
        "1f7e6",
        "1f7e8",
    ]
    assert min(map(len, listed.values())) == 7
    assert sum(map(len, listed.values())) == 1226
