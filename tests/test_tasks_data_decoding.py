"""Decoding into the cache: chunks survive a kill, one process decodes, and bad files are all named."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from tasks import cache
from tasks.data import decoding, pixels


@pytest.fixture
def paths(tmp_path):
    """Twenty images of one class, each of one grey, which decodes to itself."""
    place = tmp_path / "root" / "photo" / "cat"
    place.mkdir(parents=True)
    for number in range(20):
        Image.new("L", (9, 7), 10 * number).save(place / f"{number:02}.png")
    return sorted(place.iterdir())


GREYS = [10 * number for number in range(20)]


def greys(array):
    assert array.shape == (20, 3, 4, 4)
    assert (array == array[:, :1, :1, :1]).all()
    return array[:, 0, 0, 0].tolist()


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "CHUNK", 3)
    return tmp_path / "cache" / "folders" / "content-4.npy"


def test_images_are_decoded_in_their_order_and_mapped(paths, kept):
    array = decoding.decoded(paths, kept, 4)
    assert greys(array) == GREYS
    assert isinstance(array, np.memmap)
    # Neither a half file nor marks are left.
    assert list(kept.parent.iterdir()) == [kept]


def test_of_a_killed_decoding_the_finished_chunks_are_kept(paths, kept, monkeypatch):
    read, count = pixels.read, []

    def dying(file, size):
        count.append(file.name)
        if len(count) == 8:
            raise KeyboardInterrupt
        return read(file, size)

    monkeypatch.setattr(decoding, "cores", lambda: 1)
    monkeypatch.setattr(pixels, "read", dying)
    with pytest.raises(KeyboardInterrupt):
        decoding.decoded(paths, kept, 4)
    assert not kept.exists()
    count.clear()
    monkeypatch.setattr(
        pixels, "read", lambda file, size: count.append(file.name) or read(file, size)
    )
    assert greys(decoding.decoded(paths, kept, 4)) == GREYS
    assert count == [str(path) for path in paths[6:]]


def test_a_line_that_was_cut_short_marks_nothing(tmp_path):
    (tmp_path / "marks").write_text("0\n12\n3")
    assert decoding._marked(tmp_path / "marks") == {0, 12}


def test_half_a_file_of_another_shape_is_no_beginning(paths, kept):
    kept.parent.mkdir(parents=True)
    kept.with_suffix(".partial").write_bytes(b"\x93NUMPY half")
    kept.with_suffix(".chunks").write_text("0\n3\n")
    assert greys(decoding.decoded(paths, kept, 4)) == GREYS


def test_all_unreadable_files_are_named_at_once_and_nothing_half_is_left(paths, kept):
    whole = paths[4].read_bytes()
    paths[4].write_bytes(whole[:40])
    paths[15].write_bytes(b"")
    with pytest.raises(ValueError, match=r"2 images: .*04\.png .*15\.png is empty .*remove them"):
        decoding.decoded(paths, kept, 4)
    assert list(kept.parent.iterdir()) == []
    paths[4].write_bytes(whole)
    with pytest.raises(ValueError, match=r"^\S*15\.png is empty \(0 bytes\); repair or remove it"):
        decoding.decoded(paths, kept, 4)


def _decode(paths, kept, counted, there):
    read = pixels.read

    def slow(file, size):
        with counted.get_lock():
            counted.value += 1
        there.set()
        time.sleep(0.02)
        return read(file, size)

    pixels.read = slow
    decoding.CHUNK = 3
    assert greys(decoding.decoded(paths, kept, 4)) == GREYS


def test_of_several_processes_one_decodes(paths, kept):
    context = multiprocessing.get_context("fork")
    counted, there = context.Value("i", 0), context.Event()
    several = [
        context.Process(target=_decode, args=(paths, kept, counted, there)) for _ in range(3)
    ]
    for one in several:
        one.start()
    for one in several:
        one.join(60)
        assert one.exitcode == 0
    assert counted.value == 20


def test_when_the_one_that_decodes_is_killed_another_goes_on(paths, kept):
    context = multiprocessing.get_context("fork")
    counted, there = context.Value("i", 0), context.Event()
    first = context.Process(target=_decode, args=(paths, kept, counted, there))
    first.start()
    assert there.wait(60)
    second = context.Process(target=_decode, args=(paths, kept, counted, context.Event()))
    second.start()
    time.sleep(0.1)
    os.kill(first.pid, signal.SIGKILL)
    first.join(60)
    second.join(60)
    assert (first.exitcode, second.exitcode) == (-signal.SIGKILL, 0)
    assert kept.exists()


def test_progress_is_said_only_where_it_takes_long(paths, kept, monkeypatch, capsys):
    decoding.decoded(paths, kept, 4)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(decoding, "SAID_AFTER", 0.0)
    monkeypatch.setattr(decoding, "SAID_EVERY", 0.0)
    decoding.decoded(paths, kept.with_name("other-4.npy"), 4)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 20
    assert "photo at 4 pixels: 20 of 20 images" in lines[-1]
    assert lines[-1].endswith("0 s left")


@pytest.mark.parametrize(
    ("limit", "refused"),
    [("1.2KB", "must be a size"), ("900", "allows 9e-07 GB"), ("2000", ""), ("1 gb", ""), ("", "")],
)
def test_the_cache_keeps_to_its_limit(paths, kept, monkeypatch, limit, refused):
    """Twenty images of 4 pixels a side take 960 bytes."""
    monkeypatch.setenv(cache.VARIABLE, str(kept.parent.parent))
    monkeypatch.setenv(cache.LIMIT, limit)
    if refused:
        with pytest.raises(cache.CacheUnusable, match=refused):
            decoding.decoded(paths, kept, 4)
        assert not kept.exists()
        return
    decoding.decoded(paths, kept, 4)
    if limit == "2000":  # what is there counts
        with pytest.raises(cache.CacheUnusable, match=r"holds 1\.09e-06 GB, but"):
            decoding.decoded(paths, kept.with_name("other-4.npy"), 4)
        # What is decoded already is used all the same.
        monkeypatch.setenv(cache.LIMIT, "1")
        decoding.decoded(paths, kept, 4)
