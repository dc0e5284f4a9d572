"""Folders of images as datasets: decoded once, named by content, and what is wrong with them."""

import numpy as np
import painted
import pytest
from PIL import Image

from tasks import data
from tasks.data import contents, decoding, folder


@pytest.fixture
def pictures(tmp_path):
    return painted.pictures(tmp_path)


def test_a_folder_is_a_dataset(pictures, tmp_path):
    dataset = f"folder:{pictures}:art-old-photo"
    assert data.problems(dataset) == []
    source, target = data.domains(dataset)
    assert (source, target) == (f"folder:{pictures}:art-old", f"folder:{pictures}:photo")
    images = data.load(target, tmp_path / "cache", 16)
    assert images.pixels.shape == (6, 3, 16, 16)
    assert isinstance(images.pixels, np.memmap)
    assert images.classes == ("cat", "dog")
    assert images.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with Image.open(pictures / "photo" / "dog" / "2.png") as image:
        expected = np.asarray(image.resize((16, 16), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert (images.pixels[5] == expected).all()


def test_a_folder_is_decoded_once(pictures, tmp_path, monkeypatch):
    domain = f"folder:{pictures}:photo"
    data.load(domain, tmp_path / "cache", 16)
    monkeypatch.setattr(decoding, "_decode", lambda *_: pytest.fail("decoded twice"))
    data.load(domain, tmp_path / "cache", 16)


def test_a_folders_name_is_its_content(pictures, tmp_path):
    domain = f"folder:{pictures}:photo"
    before = folder.fingerprint(domain)
    pictures.rename(tmp_path / "elsewhere")
    moved = f"folder:{tmp_path / 'elsewhere'}:photo"
    assert folder.fingerprint(moved) == before
    contents.forget()
    image = tmp_path / "elsewhere" / "photo" / "cat" / "0.png"
    image.write_bytes((tmp_path / "elsewhere" / "photo" / "cat" / "1.png").read_bytes())
    assert folder.fingerprint(moved) != before


def test_classes_that_the_source_lacks_are_named(pictures):
    (pictures / "photo" / "cat").rename(pictures / "photo" / "Cat")
    (wrong,) = data.problems(f"folder:{pictures}:art-old-photo")
    assert wrong.startswith("the source art-old lacks 1 of the classes of photo: Cat (it has cat")
    assert "drop: unknown_classes" in wrong
    contents.forget()
    assert data.problems(f"folder:{pictures}:art-old-photo", dropping=True) == []


def test_a_class_without_an_image_is_named(pictures):
    for file in (pictures / "photo" / "cat").glob("*.png"):
        file.unlink()
    assert any(
        "no image of cat" in text for text in data.problems(f"folder:{pictures}:art-old-photo")
    )


def test_a_broken_image_is_named_by_its_path(pictures, tmp_path):
    broken = pictures / "photo" / "dog" / "1.png"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(
        ValueError, match=r"dog.1\.png cannot be read as an image.*repair or remove it"
    ):
        data.load(f"folder:{pictures}:photo", tmp_path / "cache", 16)
    assert not list((tmp_path / "cache" / "folders").iterdir())
