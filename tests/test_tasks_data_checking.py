"""What `htsweep data check` finds: counts beside the paper's, the first differences, bad files."""

import os

import pytest
from benchmarked import femnist, image, in_folders, listed, office_home
from PIL import Image
from visual_tasks import svhn

from tasks.data import benchmarks, checking, contents
from tasks.data.checking import check


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return office_home(tmp_path_factory.mktemp("office_home"), ("Art",))


def test_a_domain_as_the_paper_states_it_is_so_called(home):
    found = check("office_home", home)
    (art,) = [count for count in found.counts if count.domain == "Art"]
    assert (art.images, art.classes, art.by_part, art.differences) == (2427, 65, (1677, 0, 750), ())
    assert found.problems == []
    assert [text for count in found.counts for text in count.differences] == [
        "Clipart: not there",
        "Product: not there",
        "Real_World: not there",
    ]
    assert found.wrong
    assert ["Art", "2,427", "65", "1,677", "0", "750", "as", "stated"] in [
        line.split() for line in found.lines()
    ]


def test_the_first_differences_are_named(home):
    gone, empty = home / "Art/Drill/00002.jpg", home / "Art/Bed/00003.jpg"
    kept = [(file, file.read_bytes()) for file in (gone, empty)]
    beyond = image(home / "Art/Bed/99999.jpg", 0, 0, 4)
    try:
        gone.unlink()
        empty.write_bytes(b"")
        found = check("office_home", home)
        assert found.counts[0].differences == (
            "Art: 1,676 train images, the paper has 1,677",
            "Art: Drill has 14 of 15",
            "Art: 1 images that no list names: Art/Bed/99999.jpg",
        )
        assert "Art/Drill/00002.jpg (the official lists)" in found.problems[0]
        assert "Art/Bed/00003.jpg is empty" in found.problems[1]
        assert len(check("office_home", home, images=False).problems) == 0
    finally:
        beyond.unlink()
        for file, held in kept:
            file.write_bytes(held)
        contents.forget()


def test_a_benchmark_without_its_classes_is_told(tmp_path):
    assert check("femnist", femnist(tmp_path)).differences == [
        "all domains: 6 classes, the paper has 62"
    ]


@pytest.mark.parametrize(
    ("count", "differs"),
    [(17050, 0), (90048, 0), (17051, 1)],
)
def test_either_of_the_authors_lists_may_be_there(count, differs):
    """iNaturalist's two lists of training images; both are counted beside what is stated."""
    domain = benchmarks.described("inat_fungi").expected["fungi"]
    found = checking._differences(None, "fungi", {"x": count}, (count, 0, 3410), domain)
    said = [text for text in found if "train" in text]
    assert said == ["fungi: 17,051 train images, the paper has 17,050 or 90,048"][:differs]


def test_a_users_own_data_is_checked_too(tmp_path):
    found = check("lists", listed(tmp_path))
    assert not found.wrong
    assert found.lines()[-1] == "nothing is wrong"
    assert [(count.domain, count.by_part) for count in found.counts] == [
        ("art", (12, 0, 6)),
        ("photo", (12, 0, 6)),
    ]


ODD = {
    "truncated.jpg": lambda path: path.write_bytes(path.read_bytes()[:200]),
    "empty.png": lambda path: path.write_bytes(b""),
    "page.jpg": lambda path: path.write_bytes(b"<!DOCTYPE html><p>404"),
    "nowhere.png": lambda path: (path.unlink(), path.symlink_to("gone.png")),
    "loop.png": lambda path: (path.unlink(), path.symlink_to("loop.png")),
    "float.tiff": lambda path: Image.new("F", (8, 8), 0.5).save(path),
}
"""Files of no use; each must be named with what is wrong."""
FINE = {
    "a name with spaces.png": "RGB",
    "größe.png": "RGB",
    "v1.5-final.png": "RGB",
    "cmyk.tiff": "CMYK",
    "palette.png": "P",
    "grey.png": "L",
    "alpha.png": "RGBA",
    "deep.png": "I;16",
}


@pytest.mark.parametrize("layout", ["folder", "lists"])
def test_bad_images_are_named_and_odd_ones_are_read(tmp_path, layout):
    root = listed(tmp_path)
    for system in (".DS_Store", "Thumbs.db"):
        (root / "photo" / "mug" / system).write_bytes(b"x")
    (root / "photo" / "__MACOSX").mkdir()
    lines = []
    for name, mode in FINE.items():
        Image.new(mode, (9, 7)).save(root / "photo" / "mug" / name)
        lines.append(f"photo/mug/{name} 0")
    frames = [Image.new("RGB", (9, 7), (level, 0, 0)) for level in (10, 90)]
    frames[0].save(root / "photo" / "mug" / "moves.gif", save_all=True, append_images=frames[1:])
    turned = Image.new("RGB", (9, 7))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(root / "photo" / "mug" / "turned.jpg", exif=exif)
    lines += ["photo/mug/moves.gif 0", "photo/mug/turned.jpg 0"]
    with (root / "image_list" / "photo_training.txt").open("a") as file:
        file.write("\n".join(lines) + "\n")
    if layout == "folder":
        for file in (root / "image_list").iterdir():
            file.unlink()
        (root / "image_list").rmdir()
    found = check(layout, root)
    assert found.problems == []
    # What is read otherwise than it is stored is said, with the file, in every layout.
    for what, file in (
        ("turned upright, as the EXIF orientation says", "turned.jpg"),
        ("transparent parts are read as white", "alpha.png"),
        ("16 bits of grey are read as 8", "deep.png"),
        ("only the first of several frames is read", "moves.gif"),
        ("are converted without their profile", "cmyk.tiff"),
    ):
        assert [what in note and f"mug/{file}" in note for note in found.notes].count(True) == 1
    assert any("copies of another image" in note for note in found.notes)
    for name, spoil in ODD.items():
        path = image(root / "photo" / "mug" / name, 0, 0)
        spoil(path)
    if layout == "lists":
        with (root / "image_list" / "photo_training.txt").open("a") as file:
            file.write("".join(f"photo/mug/{name} 0\n" for name in ODD))
    said = "\n".join(check(layout, root).problems)
    for name in ODD:
        assert f"mug/{name}" in said, (name, said)
    assert "Thumbs.db" not in said


@pytest.mark.parametrize("layout", ["folder", "lists"])
def test_a_pipe_with_the_name_of_an_image_is_named_and_not_waited_for(tmp_path, layout):
    root = listed(tmp_path, train=2, test=1)
    pipe = root / "photo" / "mug" / "00001.jpg"
    pipe.unlink()
    os.mkfifo(pipe)
    said = "\n".join(check(layout, root).problems)
    assert "mug/00001.jpg is a pipe or a device, not a file" in said


def test_pcam_in_hdf5_is_told_with_the_remedy(tmp_path):
    (tmp_path / "pcam").mkdir()
    (tmp_path / "pcam" / "camelyonpatch_level_2_split_train_x.h5").write_bytes(b"HDF")
    with pytest.raises(ValueError, match="HDF5 files, which are not read: write their images to"):
        benchmarks.opened("vtab", str(tmp_path))
    svhn(tmp_path, train=2, test=1)
    (problem,) = check("vtab", tmp_path, images=False).problems
    assert "patch_camelyon/train/CLASS/IMAGE" in problem
    with pytest.raises(ValueError, match=r"no domain 'patch_camelyon'; .*svhn; .*HDF5"):
        benchmarks.find(f"vtab:{tmp_path}:patch_camelyon")


def test_what_lies_beside_the_domains_is_told(tmp_path):
    root = in_folders(tmp_path, ("art", "photo"), classes=2, each=2)
    image(root / "alone.png", 0, 0)
    (root / "sketch").symlink_to("sketch")
    found = check("folder", root)
    assert found.notes[0] == "left out: images beside the domains' folders (1: alone.png)"
    (problem,) = found.problems
    assert "holds a link that leads nowhere" in problem
    assert problem.endswith(": sketch; fix what it names, or remove it")


def test_a_class_of_one_image_and_a_thousand_classes_are_read(tmp_path):
    lines = {"training": [], "testing": []}
    for index in range(1000):
        file = f"wide/class {index:04}/one.png"
        image(tmp_path / file, index % 5, index, 2)
        lines["training"].append(f"{file} {index}")
    (tmp_path / "image_list").mkdir()
    for part, of in lines.items():
        (tmp_path / "image_list" / f"wide_{part}.txt").write_text("\n".join(of) + "\n")
    (tmp_path / "image_list" / "wide_testing.txt").unlink()
    contents.forget()
    found = check("lists", tmp_path)
    assert not found.wrong
    assert (found.counts[0].images, found.counts[0].classes) == (1000, 1000)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("femnist", "holds no JSON file of LEAF's"),
        ("iwildcam", "give WILDS' own folder iwildcam_v2.0"),
        ("office_home", "holds none of the folders Art, Clipart, Product, Real_World"),
        ("lists", "has no lists; it should hold"),
        ("table", "metadata.csv cannot be read"),
        ("folder", "holds no domain; it should hold DOMAIN/CLASS/IMAGE"),
    ],
)
def test_a_folder_that_holds_something_else_is_told_with_the_layout(tmp_path, name, said):
    with pytest.raises(ValueError, match=said):
        check(name, tmp_path)
