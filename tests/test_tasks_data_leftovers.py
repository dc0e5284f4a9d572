"""What is half made in the cache goes when nobody goes on with it, and never from the living."""

import os
import time

import numpy as np
import pytest
from PIL import Image

from tasks import cache, locking
from tasks.data import cached, decoding, leftovers


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "folders"
    place.mkdir()
    return place


def half(folder, name, age):
    """A partial file of 1,000 bytes with marks, or a temporary one, last written `age` ago."""
    path = folder / name
    path.write_bytes(bytes(1000))
    made = [path]
    if path.suffix == leftovers.PARTIAL:
        made.append(path.with_suffix(leftovers.MARKS))
        made[1].write_text("0\n")
    for own in made:
        os.utime(own, (time.time() - age,) * 2)
    return path


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_nobody_went_on_with_for_a_week_is_removed_with_its_marks(folder):
    half(folder, "old-4.partial", leftovers.WEEK + 60)
    half(folder, "killed.npy.7-0a1b2c3d.tmp", leftovers.WEEK + 60)
    half(folder, "recent-4.partial", leftovers.WEEK - 60)
    (folder / "whole-4.npy").write_bytes(b"kept")
    os.utime(folder / "whole-4.npy", (0, 0))
    assert leftovers.remove(folder) == 2000
    assert names(folder) == ["recent-4.chunks", "recent-4.partial", "whole-4.npy"]


def test_a_chunk_that_was_just_finished_keeps_the_file(folder):
    path = half(folder, "slow-4.partial", leftovers.WEEK + 60)
    path.with_suffix(leftovers.MARKS).write_text("0\n256\n")
    assert leftovers.remove(folder) == 0
    assert path.exists()


def test_what_a_process_works_on_stays(folder):
    path = half(folder, "mine-4.partial", leftovers.WEEK + 60)
    lock = leftovers.lock_of(folder / "mine-4.npy")
    lock.parent.mkdir()
    with locking.alone(lock):
        assert leftovers.remove(folder) == 0
        assert path.exists()
    assert leftovers.remove(folder) == 1000


def test_no_folder_has_no_leftovers(tmp_path):
    assert leftovers.remove(tmp_path / "none") == 0


def images(tmp_path):
    place = tmp_path / "root" / "photo" / "cat"
    place.mkdir(parents=True)
    Image.new("L", (9, 7), 40).save(place / "0.png")
    return [place / "0.png"]


def test_the_next_decoding_cleans_up(tmp_path, folder):
    half(folder, "old-4.partial", leftovers.WEEK + 60)
    decoding.decoded(images(tmp_path), folder / "new-4.npy", 4)
    assert names(folder) == ["new-4.npy"]


def test_a_decoding_that_was_killed_is_gone_on_with_however_old_it_is(tmp_path, folder):
    paths, kept = images(tmp_path), folder / "mine-4.npy"
    partial = kept.with_suffix(leftovers.PARTIAL)
    cached.lay_out(partial, (1, 3, 4, 4), np.dtype(np.uint8))
    partial.with_suffix(leftovers.MARKS).write_text("0\n")
    for path in (partial, partial.with_suffix(leftovers.MARKS)):
        os.utime(path, (0, 0))
    # Marked as decoded, so that its zeros are taken as they are.
    assert not decoding.decoded(paths, kept, 4).any()


@pytest.mark.parametrize(("age", "mapped"), [(leftovers.HOUR + 60, True), (60, False)])
def test_where_room_is_lacking_an_hour_is_enough(tmp_path, folder, monkeypatch, age, mapped):
    monkeypatch.setenv(cache.LIMIT, "1000")
    paths = images(tmp_path / "elsewhere")
    monkeypatch.setenv(cache.VARIABLE, str(folder.parent / "cache"))
    own = folder.parent / "cache" / "folders"
    own.mkdir(parents=True)
    half(own, "old-4.partial", age)
    found = decoding.fitting(paths, own / "new-4.npy", 4)
    assert isinstance(found, np.memmap) == mapped
    assert (own / "old-4.partial").exists() != mapped
