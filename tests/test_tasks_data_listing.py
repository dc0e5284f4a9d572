"""What lies in a domain's folder: what is used, what is left out and why, and what must be mended."""

import os
import shutil
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from pictures import domains, picture
from PIL import Image

from tasks import data
from tasks.data import contents, folder, listing

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Domains `art` and `photo` with three images each of ant and bee."""
    domains(tmp_path, {"ant": 3, "bee": 3})
    return tmp_path


def problems(root: Path, pair: str = "art-photo") -> list[str]:
    contents.forget()
    return data.problems(f"folder:{root}:{pair}")


def notes(root: Path) -> list[str]:
    contents.forget()
    return data.notes(f"folder:{root}:art-photo")


def test_all_that_is_used_is_counted(root):
    picture(root / "photo" / "bee" / "3.png")
    assert notes(root) == [
        "art: 6 images in 2 classes, 3 each",
        "photo: 7 images in 2 classes, 3 to 4 each",
    ]


@pytest.mark.parametrize(
    "suffix",
    [".PNG", ".JPEG", ".jfif", ".jpe", ".tiff", ".webp", ".bmp", ".gif", ".ppm", ".apng", ".dib"],
)
def test_a_suffix_of_images_is_read(root, suffix):
    picture(root / "photo" / "ant" / f"x{suffix}")
    assert notes(root)[1].startswith("photo: 7 images in 2 classes, 3 to 4 each")
    assert problems(root) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ant/x.heic", ".heic files (1: ant/x.heic)"),
        ("ant/x.npy", ".npy files (1: ant/x.npy)"),
        ("ant/x", "files without a suffix (1: ant/x)"),
        ("x.png", "images beside the class folders (1: x.png)"),
        ("ant/a/x.png", "images one folder deeper (1: ant/a/x.png)"),
        ("ant/a/b/x.png", "images one folder deeper (1: "),
        ("ant/Thumbs.db", "hidden or of the system (1: ant/Thumbs.db)"),
        ("ant/._0.png", "hidden or of the system (1: ant/._0.png)"),
        (".DS_Store", "hidden or of the system (1: .DS_Store)"),
        ("ant/.ipynb_checkpoints/x.png", "hidden or of the system (1: "),
    ],
)
def test_what_is_left_out_is_said_with_the_reason(root, name, said):
    path = root / "photo" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    assert notes(root)[1].partition("; left out: ")[2].startswith(said)
    assert problems(root) == []
    assert data.classes(f"folder:{root}:photo") == ("ant", "bee")


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir",
        "__MACOSX",
        ".ipynb_checkpoints",
        "lost+found",
        "$RECYCLE.BIN",
        "System Volume Information",
        "#recycle",
        "@Recycle",
        "__pycache__",
        ".git",
    ],
)
def test_a_system_s_folder_is_no_class(root, name):
    for domain in ("art", "photo"):
        picture(root / domain / name / "0.png")
    contents.forget()
    assert data.classes(f"folder:{root}:photo") == ("ant", "bee")
    assert problems(root) == []
    assert name in notes(root)[0]


def test_a_class_that_lacks_images_is_told_where_they_may_be(root):
    for path in (root / "photo" / "ant").iterdir():
        path.unlink()
    picture(root / "photo" / "ant" / "inner" / "0.png")
    assert "has no image of ant" in problems(root)[0]
    assert "images one folder deeper (1: ant/inner/0.png)" in problems(root)[0]


def test_one_class_is_none(root):
    for path in root.glob("*/ant/*"):
        path.unlink()
    for path in root.glob("*/ant"):
        path.rmdir()
    assert len([text for text in problems(root) if "holds only one class, bee" in text]) == 2
    assert "at least two classes" in data.fine_tuning_problems(f"pretrained-folder:{root}:art")[0]


def test_links_that_lead_nowhere_are_counted_and_named(root):
    for number in range(5):
        (root / "photo" / "ant" / f"z{number}.png").symlink_to(root / "nowhere" / f"{number}.png")
    (root / "photo" / "loop").symlink_to(root / "photo" / "loop")
    (root / "art" / "cat").symlink_to(root / "gone")
    told = "\n".join(problems(root))
    assert (
        "holds 5 links that lead nowhere (No such file or directory): ant/z0.png, ant/z1.png, "
        "ant/z2.png, and 2 more" in told
    )
    assert "holds a link that leads nowhere (Too many levels of symbolic links): loop" in told
    assert "art holds a link that leads nowhere (No such file or directory): cat" in told


def test_links_that_lead_somewhere_are_followed(root):
    elsewhere = picture(root / "store" / "x.png")
    (root / "photo" / "ant" / "linked.png").symlink_to(elsewhere)
    for domain in ("art", "photo"):
        picture(root / "store" / domain / "0.png")
        (root / domain / "cat").symlink_to(root / "store" / domain)
    assert problems(root) == []
    assert data.load(f"folder:{root}:photo", root / "cache", 8).labels.tolist() == [
        0,
        0,
        0,
        0,
        1,
        1,
        1,
        2,
    ]


def test_a_folder_that_leads_into_itself_is_walked_once(root):
    (root / "photo" / "ant" / "again").symlink_to(root / "photo")
    picture(root / "photo" / "ant" / "inner" / "0.png")
    assert problems(root) == []


def test_unreadable_images_are_named_all_at_once_and_again_until_they_are_mended(root, monkeypatch):
    monkeypatch.setattr(contents, "SETTLED_SECONDS", 0)
    bad = {
        "ant/0.png": b"",
        "ant/1.png": b"<html>404</html>",
        "bee/2.png": (root / "photo" / "bee" / "2.png").read_bytes()[:60],
    }
    for name, held in bad.items():
        (root / "photo" / name).write_bytes(held)
    for _ in range(2):
        (told,) = problems(root)
        assert told.startswith(f"3 of the 6 images in {root / 'photo'} cannot be used: ")
        assert "ant/0.png is empty (0 bytes); " not in told
        assert "ant/0.png is empty (0 bytes), ant/1.png is an HTML page" in told
        assert "bee/2.png cannot be read as an image" in told
    for name in bad:
        picture(root / "photo" / name)
    assert problems(root) == []


def test_what_may_not_be_read_is_named(root):
    """As a user without rights, since a superuser may read everything."""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to other users
        copy = Path(shutil.copytree(root, Path(place) / "data"))
        Path(place).chmod(0o755)
        copy.chmod(0o755)
        (copy / "photo" / "ant" / "0.png").chmod(0)
        (copy / "art" / "bee").chmod(0)
        superuser = os.geteuid() == 0
        try:
            if superuser:
                os.seteuid(65534)
            told = "\n".join(problems(copy))
            locked = "\n".join(problems(copy / "art" / "bee"))
        finally:
            if superuser:
                os.seteuid(0)
            (copy / "art" / "bee").chmod(0o755)
    assert "ant/0.png cannot be read: Permission denied" in told
    assert "art holds a folder that cannot be opened (Permission denied): bee" in told
    assert "bee cannot be opened: Permission denied" in locked


def test_a_class_in_two_unicode_forms_is_one(root):
    picture(root / "art" / COMPOSED / "0.png")
    picture(root / "photo" / DECOMPOSED / "0.png")
    assert problems(root) == []
    images = [
        data.load(f"folder:{root}:{domain}", root / "cache", 8) for domain in ("art", "photo")
    ]
    assert images[0].classes == images[1].classes == ("ant", "bee", COMPOSED)
    assert images[0].labels.tolist() == images[1].labels.tolist()
    assert data.missing_names(f"folder:{root}:art-photo", [DECOMPOSED]) == [COMPOSED]


def test_two_classes_that_look_alike_are_told_apart(root):
    for name in (COMPOSED, DECOMPOSED):
        picture(root / "art" / name / "0.png")
        picture(root / "photo" / COMPOSED / "0.png")
    assert any(
        "2 folders named café, which look alike and differ in their Unicode form" in text
        for text in problems(root)
    )


def test_classes_that_differ_in_case_alone_are_told(root):
    picture(root / "art" / "Cat" / "0.png")
    picture(root / "photo" / "cat" / "0.png")
    assert any(
        "the source art lacks 1 of the classes of photo: cat (it has Cat for cat: only upper and "
        in text
        for text in problems(root)
    )


def test_letters_of_both_cases_are_two_classes(root):
    for domain in ("art", "photo"):
        picture(root / domain / "A" / "0.png")
        picture(root / domain / "a" / "0.png")
    assert problems(root) == []
    assert data.classes(f"folder:{root}:art") == ("A", "a", "ant", "bee")


def test_names_with_spaces_dots_and_dashes_are_names(root):
    for domain in ("art", "photo"):
        for name in ("big cat", "v1.5", "a-b", "it's", "x:y"):
            picture(root / domain / name / "0 1-2.x.png")
    assert problems(root) == []
    assert data.missing_names(f"folder:{root}:art-photo", ["v1.5", "big cat"]) == [
        "big cat",
        "v1.5",
    ]


def test_a_class_whose_name_is_no_utf8_is_told_and_can_be_printed(root):
    for domain in ("art", "photo"):
        raw = os.fsencode(root / domain) + b"/caf\xe9"
        Path(os.fsdecode(raw)).mkdir()
        shutil.copy(root / domain / "ant" / "0.png", os.fsdecode(raw))
    told = problems(root)
    assert (
        sum(
            "caf\\xe9 is a class whose name is not UTF-8; rename the folder" in text
            for text in told
        )
        == 2
    )
    "\n".join(told).encode()


def test_an_image_whose_name_is_no_utf8_is_an_image(root):
    with open(os.fsencode(root / "photo" / "ant") + b"/\xff\n.png", "wb") as file:
        file.write(picture(root / "x.png").read_bytes())
    (root / "x.png").unlink()
    assert problems(root) == []
    assert notes(root)[1].startswith("photo: 7 images")
    "\n".join(notes(root)).encode()
    assert data.load(f"folder:{root}:photo", root / "cache", 8).pixels.shape == (7, 3, 8, 8)


def test_a_path_that_is_no_utf8_is_told(root):
    raw = Path(os.fsdecode(os.fsencode(root) + b"/\xff"))
    raw.mkdir()
    for domain in ("art", "photo"):
        (root / domain).rename(raw / domain)
    (told,) = data.problems(f"folder:{raw}:art-photo")
    assert "\\xff" in told
    assert "is not UTF-8" in told


@pytest.mark.parametrize("pair", ["art-art", "art-link", "link-art"])
def test_a_domain_is_not_its_own_target(root, pair):
    (root / "link").symlink_to(root / "art")
    assert "test images too; take two domains" in problems(root, pair)[0]


def test_images_that_both_domains_hold_are_counted(root):
    (root / "photo" / "bee" / "same.png").write_bytes((root / "art" / "ant" / "0.png").read_bytes())
    assert notes(root)[-1] == (
        "photo: images that are in art too, so that the source model is trained on what the target "
        "is "
        "tested on: 1 of 7 (bee/same.png)"
    )


def test_copies_within_a_domain_are_counted(root):
    (root / "art" / "bee" / "copy.png").write_bytes((root / "art" / "ant" / "0.png").read_bytes())
    assert (
        "art: copies of another image, so that one may be trained on and its copy tested: 1 of 7 "
        "(bee/copy.png)" in notes(root)
    )


def test_a_pair_that_can_be_cut_in_two_ways_is_refused(root):
    for name in ("art-photo", "photo-art"):
        picture(root / name / "ant" / "0.png")
    assert problems(root, "art-photo") == []
    (told,) = problems(root, "art-photo-art")
    assert "could be 'art' to 'photo-art', or 'art-photo' to 'art'" in told


@pytest.mark.parametrize(
    "dataset",
    [
        "folder:",
        "folder::a-b",
        "folder:ROOT:",
        "folder:ROOT:art",
        "folder:ROOT:-photo",
        "folder:ROOT:art-",
        "folder:~nobody-such/x:a-b",
        "folder:ROOT/loop:a-b",
        "folder:\0:a-b",
        "folder:ROOT/art/ant/0.png:a-b",
        f"folder:{'x' * 5000}:a-b",
    ],
)
def test_odd_datasets_are_problems_in_words(root, dataset):
    (root / "loop").symlink_to(root / "loop")
    dataset = data.canonical(dataset.replace("ROOT", str(root)))
    for told in (data.problems(dataset), data.fine_tuning_problems(dataset)):
        assert len(told) == 1
        assert told[0]


def test_a_root_may_have_colons_dashes_and_ats(root):
    odd = root / "a:b-c @d" / "e"
    odd.mkdir(parents=True)
    for domain in ("art", "photo"):
        (root / domain).rename(odd / domain)
    assert problems(odd) == []
    assert data.canonical(f"folder:{odd}/:art-photo@blur") == f"folder:{odd}:art-photo@blur3"


def test_a_relative_root_is_that_of_the_working_folder_of_now(root, monkeypatch):
    (root / "inner").mkdir()
    monkeypatch.chdir(root)
    assert data.canonical("folder:.:art-photo") == f"folder:{root}:art-photo"
    monkeypatch.chdir(root / "inner")
    assert data.canonical("folder:.:art-photo") == f"folder:{root / 'inner'}:art-photo"
    assert data.canonical("folder:..:art-photo") == f"folder:{root}:art-photo"


def test_the_fingerprint_of_plain_images_is_made_of_names_and_bytes_alone(root):
    """As it always was, so that trials keep their ids."""
    import hashlib

    total = hashlib.sha256()
    for path in sorted((root / "photo").glob("*/*")):
        name = path.relative_to(root / "photo").as_posix()
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    assert folder.fingerprint(f"folder:{root}:photo") == total.hexdigest()[:16]


def test_what_is_read_in_another_way_than_before_has_another_fingerprint(root, monkeypatch):
    """The same bytes: else decoded pixels of another version would be taken from the cache, under the same trial's id."""
    Image.new("RGBA", (8, 8), (9, 9, 9, 99)).save(root / "photo" / "ant" / "0.png")
    domain = f"folder:{root}:photo"
    contents.forget()
    marked = folder.fingerprint(domain)
    first = data.load(domain, root / "cache", 8)
    for version, same in ((folder.pixels.VERSION + 1, False), (folder.pixels.VERSION, True)):
        contents.forget()
        monkeypatch.setattr(folder.pixels, "VERSION", version)
        assert (folder.fingerprint(domain) == marked) is same
    assert np.array_equal(data.load(domain, root / "cache", 8).pixels, first.pixels)
    assert len(list((root / "cache" / "folders").iterdir())) == 1


def test_names_are_shown_in_letters_that_can_be_printed():
    assert listing.shown(os.fsdecode(b"a\xffb\n\x1b[31m")) == "a\\xffb\\n\\x1b[31m"
    assert listing.some("abcde", 3) == "a, b, c, and 2 more"
    assert listing.some("abc", 3) == "a, b, c"
