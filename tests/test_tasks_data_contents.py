"""The contents of files: read again only where a file may have changed."""

import os
import time

import pytest

from tasks.data import contents


def test_files_that_stay_the_same_are_not_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "SETTLED_SECONDS", 0)
    path = tmp_path / "file"
    path.write_bytes(b"content")
    first = contents.digest(path)
    monkeypatch.setattr(contents, "_content", lambda *_: pytest.fail("read twice"))
    assert contents.digest(path) == first


@pytest.mark.parametrize("settled", [0, 2])
def test_a_file_in_another_ones_place_is_read(tmp_path, monkeypatch, settled):
    """As copies are that keep the time of change: the same size, the same time."""
    monkeypatch.setattr(contents, "SETTLED_SECONDS", settled)
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = contents.digest(path)
    status = path.stat()
    time.sleep(0.02)  # a clock of files ticks every 4 ms
    path.write_bytes(b"two")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert contents.digest(path) != first


def test_a_file_just_written_is_not_trusted_to_its_clock(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"one")
    first = contents.digest(path)
    monkeypatch.setattr(contents, "_stamp", lambda _: [3, 0, time.time_ns()])
    path.write_bytes(b"two")
    assert contents.digest(path) != first


def test_what_another_version_answered_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setattr(contents, "SETTLED_SECONDS", 0)
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(path.name.encode())
    asked = []

    def examine(file):
        asked.append(file.read().decode())
        return asked[-1]

    for version, answers in ((1, 2), (1, 2), (2, 4)):
        assert [content.answer for content in contents.of(paths, examine, version)] == ["a", "b"]
        assert len(asked) == answers
    assert [content.digest for content in contents.of(paths)] == [
        content.digest for content in contents.of(paths, examine, 2)
    ]
    assert len(asked) == 4


def test_answers_are_remembered_for_a_moment(monkeypatch):
    """Two seconds, or ten times as long as the answer took."""
    now = [100.0]
    monkeypatch.setattr(contents.time, "monotonic", lambda: now[0])
    asked = []

    @contents.for_a_moment
    def slow(name):
        asked.append(name)
        now[0] += 1.0
        return len(asked)

    assert [slow("a"), slow("a"), slow("b")] == [1, 1, 2]
    now[0] += 8.5
    assert [slow("a"), slow("b")] == [1, 2]
    now[0] += 1.1
    assert slow("a") == 3


def test_that_something_is_wrong_is_remembered_too():
    asked = []

    @contents.for_a_moment
    def missing(name):
        asked.append(name)
        raise FileNotFoundError(name)

    for _ in range(3):
        with pytest.raises(FileNotFoundError, match="a"):
            missing("a")
    assert asked == ["a"]
    contents.forget()
    with pytest.raises(FileNotFoundError):
        missing("a")
    assert asked == ["a", "a"]
