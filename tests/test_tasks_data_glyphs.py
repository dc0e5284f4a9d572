"""Characters of fonts: drawn once, on one line, and each family on one side of a split."""

import hashlib
import io
import tarfile
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from tasks import data
from tasks.data import benchmarks, contents, glyphs, groups
from tasks.data.glyphs import Family
from tasks.data.npm import Package

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
FILES = {
    "plain": [("Plain", "DejaVuSans.ttf"), ("Plain", "DejaVuSans-Bold.ttf")],
    "serif": [("Roman", "DejaVuSerif.ttf"), ("Roman", "DejaVuSerif-Bold.ttf")],
}
STYLES = ("400Regular", "700Bold")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Two domains of one family each, in archives as Expo's packages are."""
    given = tmp_path / "archives"
    given.mkdir()
    listed = {}
    for domain, files in FILES.items():
        path = given / f"{domain}-1.0.0.tgz"
        faces = []
        with tarfile.open(path, "w:gz") as archive:
            for style, (family, file) in zip(STYLES, files, strict=True):
                content, faces = (FONTS / file).read_bytes(), [*faces, f"{family}_{style}"]
                member = tarfile.TarInfo(f"package/{style}/{faces[-1]}.ttf")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        package = Package(domain, "1.0.0", hashlib.sha256(path.read_bytes()).hexdigest())
        own = Family(files[0][0], package, "OFL-1.1", "Copyright nobody", tuple(faces))
        listed[domain] = [own]
    monkeypatch.setattr(glyphs, "families", lambda: listed)
    monkeypatch.setattr(glyphs, "KNOWN", dict.fromkeys(FILES, "0" * 64))
    return tmp_path


@pytest.fixture
def made(world):
    said = []
    glyphs.get(world / "data", world / "archives", said.append)
    contents.forget()
    return world / "data" / "glyphs", said


def ink(root, path):
    """Rows and columns with ink, from the first to the last."""
    with Image.open(root / path) as image:
        dark = np.asarray(image) < 128
    assert dark.shape == (64, 64)
    return [
        (int(side.argmax()), 63 - int(side[::-1].argmax())) for side in (dark.any(1), dark.any(0))
    ]


def test_the_characters_of_a_font_have_one_size_and_stand_on_one_line(made):
    root, _ = made
    at = {
        name: ink(root, f"plain/{name}/Plain_400Regular.png")
        for name in ("capital_c", "small_c", "small_x", "capital_x", "small_p", "digit_1")
    }
    heights = {name: rows[1] - rows[0] for name, (rows, _) in at.items()}
    assert heights["capital_c"] > 1.2 * heights["small_c"]
    feet = [at[name][0][1] for name in ("small_x", "capital_x", "digit_1")]
    assert max(feet) - min(feet) <= 1
    assert at["small_p"][0][1] > feet[0] + 5
    middles = [sum(columns) / 2 for _, columns in at.values()]
    assert middles == pytest.approx([31.5] * 6, abs=2)
    assert min(rows[0] for rows, _ in at.values()) >= glyphs.MARGIN - 1


def test_each_class_holds_every_face_and_no_two_characters_are_alike(made):
    root, said = made
    assert len(list(root.glob("plain/*/*.png"))) == 2 * 62
    drawings = {path.read_bytes() for path in root.glob("serif/*/Roman_700Bold.png")}
    assert len(drawings) == 62
    assert "drawing 62 characters of 1 families: serif" in said
    assert any(line.startswith("plain: 124 images in 62 classes, drawn") for line in said)
    notice = (root / "NOTICE").read_text()
    assert "serif: Roman (Roman_400Regular, Roman_700Bold)" in notice
    assert "licence: OFL-1.1" in notice


def test_a_second_time_draws_nothing(made, world, monkeypatch):
    monkeypatch.setattr(glyphs, "characters", lambda _: pytest.fail("drawn twice"))
    said = []
    glyphs.get(world / "data", None, said.append)
    assert any(line.startswith("plain: 124 images in 62 classes, was there") for line in said)


def test_an_archive_without_its_fonts_is_named(world, monkeypatch):
    (only,) = glyphs.families()["plain"]
    other = Family("Plain", only.package, "", "", ("Plain_900Black",))
    monkeypatch.setattr(glyphs, "families", lambda: {"plain": [other]})
    with pytest.raises(ValueError, match=r"plain-1\.0\.0\.tgz does not hold the fonts: .*900Black"):
        glyphs.get(world / "data", world / "archives", lambda _: None)


def test_a_study_can_use_them_by_family_and_by_image(made):
    root, _ = made
    assert data.problems(f"folder:{root}:plain-serif") == []
    assert data.problems(f"table:{root}:plain-serif") == []
    domain = benchmarks.find(f"table:{root}:serif")
    assert set(domain.rows().group) == {"Roman"}
    assert sorted(domain.classes) == sorted(glyphs.CLASSES.values())
    listed = groups.of(root)
    assert listed["small_q"] == [
        ["Plain_400Regular", "Plain_700Bold"],
        ["Roman_400Regular", "Roman_700Bold"],
    ]


def test_every_font_is_named_with_its_package_and_licence():
    listed = glyphs.families()
    assert set(listed) == set(glyphs.KNOWN) == {"sans", "serif", "mono", "hand"}
    families = [family for own in listed.values() for family in own]
    assert len(families) == len({family.package for family in families}) == 64
    assert {family.licence for family in families} == {"OFL-1.1", "Apache-2.0", "UFL-1.0"}
    faces = [face for family in families for face in family.faces]
    assert len(faces) == len(set(faces)) == 111
    assert all(len(family.package.sha256) == 64 for family in families)
    assert len(glyphs.CLASSES) == len(set(glyphs.CLASSES.values())) == 62
