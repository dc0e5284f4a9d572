"""Images without room in the cache: the same pixels from their files, and the same numbers."""

import shutil
from collections import namedtuple

import numpy as np
import pytest
import torch
from PIL import Image
from workspace import Workspace, same, stage

from tasks import cache, data, loading
from tasks.data import decoding
from tasks.data.undecoded import Undecoded
from tasks.holistic_transfer import holistic_transfer, source
from tasks.on_demand import OnDemand


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    for domain in ("art", "photo"):
        for name in ("cat", "dog"):
            place = tmp_path / "root" / domain / name
            place.mkdir(parents=True)
            for number in range(12):
                pixels = rng.integers(0, 256, (20, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    root = tmp_path / "root"
    files = sorted(path.relative_to(root) for path in root.glob("*/*/*.png"))
    lines = [f"{file},{file.parts[1]},{file.parts[0]}" for file in files]
    (root / "metadata.csv").write_text("\n".join(["file,class,domain", *lines]))
    return root


@pytest.fixture(params=["folder", "table"])
def ways(request, root, tmp_path, monkeypatch):
    """The images of a domain decoded into the cache, and left in their files."""

    def load(way):
        monkeypatch.setenv(cache.IMAGES, way)
        return data.load(f"{request.param}:{root}:art", tmp_path / way, 8)

    return load("decoded"), load("files")


def test_the_pixels_are_those_of_the_cache(ways):
    decoded, left = (images.pixels for images in ways)
    assert isinstance(left, Undecoded)
    assert left.shape == decoded.shape
    assert (len(left), left.nbytes, left.dtype) == (len(decoded), decoded.nbytes, decoded.dtype)
    rows = np.array([5, 0, 23, 5])
    assert (left[rows] == decoded[rows]).all()
    assert (left[3:30] == decoded[3:30]).all()
    assert left[:0].shape == (0, 3, 8, 8)


def test_they_are_indexed_as_a_tensor(ways):
    tensor, demanded = (loading.tensors(images, "cpu")[0] for images in ways)
    assert isinstance(demanded, OnDemand)
    assert demanded.shape == tensor.shape
    assert torch.equal(demanded[torch.tensor([7, 2])], tensor[torch.tensor([7, 2])])
    assert torch.equal(demanded[4:9], tensor[4:9])


def test_an_image_that_cannot_be_read_is_named(ways, root):
    (root / "art" / "dog" / "3.png").write_bytes(b"")
    with pytest.raises(ValueError, match=r"dog/3\.png is empty \(0 bytes\); repair or remove it"):
        ways[1].pixels[:]


@pytest.mark.parametrize(
    ("way", "limit", "free", "decodes"),
    [
        ("auto", "", 10**12, True),
        ("auto", "4000", 10**12, False),  # 24 images of 192 bytes
        ("auto", "", 2**30 + 4607, False),
        ("auto", "", 2**30 + 4608, True),
        ("files", "", 10**12, False),
    ],
)
def test_there_is_room_or_they_stay_in_their_files(
    root, tmp_path, monkeypatch, capsys, way, limit, free, decodes
):
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setenv(cache.IMAGES, way)
    monkeypatch.setenv(cache.LIMIT, limit)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, free))
    paths = sorted(root.glob("art/*/*.png"))
    found = decoding.fitting(paths, tmp_path / "cache" / "folders" / "x-8.npy", 8)
    assert isinstance(found, np.memmap) == decodes
    said = capsys.readouterr().err
    assert ("is decoded again for each batch" in said) != decodes


def test_what_is_decoded_already_is_used(root, tmp_path, monkeypatch):
    paths, kept = sorted(root.glob("art/*/*.png")), tmp_path / "cache" / "x-8.npy"
    decoding.decoded(paths, kept, 8)
    monkeypatch.setenv(cache.IMAGES, "files")
    assert isinstance(decoding.fitting(paths, kept, 8), np.memmap)


def test_another_word_is_refused(monkeypatch):
    monkeypatch.setenv(cache.IMAGES, "jpeg")
    with pytest.raises(cache.CacheUnusable, match="must be auto, decoded or files"):
        cache.images_way()


def test_a_trial_measures_the_same_bit_for_bit(root, tmp_path, monkeypatch):
    rows = []
    for way in ("decoded", "files"):
        monkeypatch.setenv(cache.IMAGES, way)
        place = tmp_path / way
        config = holistic_transfer.resolve(
            {
                "dataset": f"folder:{root}:art-photo",
                "image_size": 16,
                "epochs": 2,
                "steps_per_epoch": 2,
                "batch_size": 6,
                "source_epochs": 1,
                "source_steps_per_epoch": 2,
                "source_batch_size": 6,
            }
        )
        _, given = holistic_transfer.stages(config)["source"]
        workspace = Workspace(place / "trial", cache=place / "cache")
        workspace.stages = {
            "source": stage(source, source.resolve(given), place / "source", 0, place / "cache")
        }
        rows.append(list(holistic_transfer(config, workspace)))
        assert (place / "cache" / "folders").exists() == (way == "decoded")
    assert len(rows[0]) == 3
    assert same(*rows)
