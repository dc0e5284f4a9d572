"""A dataset's root in a bucket: one copy on a machine, of one version, for all processes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from pictures import domains

from tasks import buckets, data
from tasks.buckets import BucketUnusable, File
from tasks.data import contents, corruptions

URI = "s3://key@bucket/photos?region=there"


class Shelf:
    """A bucket in memory, which counts what is read of it."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[bytes, str]] = {}
        self.listed = 0
        self.copied: list[str] = []

    def put(self, name: str, data: bytes, stamp: str = "1") -> None:
        self.held[name] = data, stamp

    def files(self, uri: str) -> Sequence[File]:
        self.listed += 1
        return [File(name, len(data), stamp) for name, (data, stamp) in self.held.items()]

    def copy(self, uri: str, targets: Mapping[File, Path]) -> None:
        for file, target in targets.items():
            self.copied.append(file.name)
            target.write_bytes(self.held[file.name][0])


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf()
    monkeypatch.setattr(buckets, "reader", made)
    monkeypatch.setenv("HTSWEEP_CACHE", str(tmp_path / "cache"))
    yield made
    buckets.pin({})


def content(place: Path) -> dict[str, bytes]:
    return {
        path.relative_to(place).as_posix(): path.read_bytes()
        for path in place.rglob("*")
        if path.is_file()
    }


def test_a_folder_is_itself() -> None:
    assert buckets.place("/data/photos") == Path("/data/photos")
    assert buckets.note("/data/photos") == ""


def test_a_bucket_is_copied_once_and_again_only_where_it_changed(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf.put("art/ant/0.png", b"zero")
    shelf.put("art/bee/1.png", b"one")
    first = buckets.place(URI)
    assert content(first) == {"art/ant/0.png": b"zero", "art/bee/1.png": b"one"}
    assert buckets.place(URI) == first
    assert (shelf.listed, len(shelf.copied)) == (2, 2)  # before and after copying
    assert capsys.readouterr().err == f"copying s3://bucket/photos: 2 files, 0.0 MB, to {first}\n"
    buckets.forget()
    assert buckets.place(URI) == first
    assert (shelf.listed, len(shelf.copied)) == (3, 2)
    shelf.put("art/ant/0.png", b"ZERO", stamp="2")  # as long as before
    assert buckets.place(URI) == first
    buckets.forget()
    second = buckets.place(URI)
    assert second != first
    assert content(second) == {"art/ant/0.png": b"ZERO", "art/bee/1.png": b"one"}
    assert content(first)["art/ant/0.png"] == b"zero"  # a trial may be reading it
    assert shelf.copied[2:] == ["art/ant/0.png"]


def test_what_was_lost_of_a_copy_is_copied_again_and_what_came_is_removed(shelf: Shelf) -> None:
    for number in range(3):
        shelf.put(f"a/{number}.png", b"x" * (number + 1))
    place = buckets.place(URI)
    (place / "a" / "0.png").unlink()
    (place / "a" / "1.png").write_bytes(b"")
    (place / "a" / "more.png").write_bytes(b"y")
    buckets.forget()
    assert content(buckets.place(URI)) == {f"a/{n}.png": b"x" * (n + 1) for n in range(3)}
    assert sorted(shelf.copied[3:]) == ["a/0.png", "a/1.png"]


def test_a_worker_uses_the_version_that_was_planned_with_or_none(shelf: Shelf) -> None:
    shelf.put("a/0.png", b"x")
    place, planned = buckets.place(URI), buckets.versions()
    shelf.put("a/1.png", b"y")
    listed = shelf.listed
    buckets.forget()
    buckets.pin({URI: planned[URI]})
    assert (buckets.place(URI), shelf.listed) == (place, listed)  # without a look at the bucket
    (place / "a" / "0.png").unlink()  # as on a node that never had it
    buckets.forget()
    buckets.pin({URI: planned[URI]})
    with pytest.raises(BucketUnusable, match=r"has changed since the launch planned its trials"):
        buckets.place(URI)
    buckets.pin({})  # the next launch
    assert sorted(content(buckets.place(URI))) == ["a/0.png", "a/1.png"]


def test_others_wait_for_the_one_that_copies(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.put("a/0.png", b"x")
    begun, go_on, copy = threading.Event(), threading.Event(), shelf.copy

    def slow(uri: str, targets: Mapping[File, Path]) -> None:
        begun.set()
        assert go_on.wait(10)
        copy(uri, targets)

    monkeypatch.setattr(shelf, "copy", slow)
    places: list[Path] = []
    first, second = (
        threading.Thread(target=lambda: places.append(buckets._copy_of(URI))) for _ in range(2)
    )
    first.start()
    assert begun.wait(10)
    second.start()
    time.sleep(0.1)
    assert places == []
    go_on.set()
    first.join(10)
    second.join(10)
    assert len(places) == 2
    assert len(set(places)) == 1
    assert shelf.copied == ["a/0.png"]


def test_the_cache_keeps_its_limit_and_old_versions_go(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("a/0.png", b"x" * 3_000_000)
    monkeypatch.setenv("HTSWEEP_CACHE_LIMIT", "2MB")
    with pytest.raises(BucketUnusable, match=r"no room here.*HTSWEEP_CACHE_LIMIT allows 0\.002 GB"):
        buckets.place(URI)
    assert shelf.copied == []
    monkeypatch.delenv("HTSWEEP_CACHE_LIMIT")
    buckets.forget()
    first = buckets.place(URI)
    os.utime(first.with_name(f"{first.name}.json"), (0, 0))
    shelf.put("a/0.png", b"y")
    buckets.forget()
    second = buckets.place(URI)
    assert (first.exists(), second.exists()) == (False, True)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "there is nothing; see that bucket and path are spelt"),
        (["a/../../x"], "no name of a file; rename it"),
        (["/etc/x"], "no name of a file; rename it"),
        (["a", "a/b.png"], "a file cannot be a folder too"),
    ],
)
def test_what_no_folder_can_hold_is_refused(shelf: Shelf, names: list[str], said: str) -> None:
    for name in names:
        shelf.put(name, b"x")
    with pytest.raises(BucketUnusable, match=said) as told:
        buckets.place(URI)
    assert str(told.value).startswith("s3://bucket/photos: ")
    assert shelf.copied == []


def test_a_bucket_that_changes_while_it_is_copied_is_no_dataset(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.put("a/0.png", b"x")
    copy = shelf.copy

    def while_changing(uri: str, targets: Mapping[File, Path]) -> None:
        copy(uri, targets)
        shelf.put("a/1.png", b"y")

    monkeypatch.setattr(shelf, "copy", while_changing)
    with pytest.raises(BucketUnusable, match="has changed while it was copied; run this again"):
        buckets.place(URI)
    monkeypatch.setattr(shelf, "copy", copy)
    buckets.forget()
    assert sorted(content(buckets.place(URI))) == ["a/0.png", "a/1.png"]


def test_a_dataset_in_a_bucket_is_the_one_in_a_folder(shelf: Shelf, tmp_path: Path) -> None:
    folder = domains(tmp_path / "photos", {"ant": 3, "bee": 2})
    for name, bytes_ in content(tmp_path / "photos").items():
        shelf.put(name, bytes_)
    there = data.canonical("folder:s3://bucket/photos/?a=b:art-photo")
    assert there == "folder:s3://bucket/photos?a=b:art-photo"
    assert data.problems(there) == []
    pairs = list(zip(data.domains(folder), data.domains(there), strict=True))
    for here, far in pairs:
        assert data.fingerprint(here) == data.fingerprint(far)
        assert data.counts(here) == data.counts(far)
        images = [data.load(name, tmp_path / "decoded", 8) for name in (here, far)]
        assert (images[0].pixels == images[1].pixels).all()
    said = data.notes(there)
    place = buckets.place("s3://bucket/photos?a=b")
    assert said[0].startswith("s3://bucket/photos: 10 files, ")
    assert said[0].endswith(f" MB, copied to {place}")
    assert said[1:] == data.notes(folder)
    assert data.each("folder:s3://bucket/photos:art-*") == ["folder:s3://bucket/photos:art-photo"]
    # Messages name what the user knows, not the copy.
    shelf.put("art/cow/note.txt", b"no image")
    buckets.forget()
    contents.forget()
    (text, *_) = data.problems(there)
    assert text.startswith("s3://bucket/photos/art has no image of cow")
    (text,) = data.problems("folder:s3://bucket/photos?a=b:art-print")
    assert text == "s3://bucket/photos has no domain 'print'; its folders are art, photo"
    (text,) = data.problems("folder:s3://bucket/my-photos")
    assert "must be folder:ROOT:SOURCE-TARGET" in text


def test_the_copy_of_a_bucket_is_not_needed_to_name_a_dataset(shelf: Shelf) -> None:
    assert data.canonical("office_home:gs://b/o/:Art-Clipart") == "office_home:gs://b/o:Art-Clipart"
    assert shelf.listed == 0


def test_the_at_of_a_container_is_no_corruption() -> None:
    art = "office_home:abfss://box@lab.dfs.core.windows.net/oh:Art"
    assert corruptions.canonical(art) == art
    assert corruptions.canonical(f"{art}@blur") == f"{art}@blur3"
    with pytest.raises(ValueError, match="'Art@blurr' is no corrupted domain"):
        corruptions.canonical(f"{art}@blurr")
