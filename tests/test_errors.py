"""Messages of errors: every problem at once, a near name, and a remedy for what a file system refuses."""

from __future__ import annotations

import errno

import pytest

from htsweep.errors import Problem, StudyError, did_you_mean, is_of_the_disk, remedy_of, why


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "your quota"),
        (errno.EROFS, "on another one"),
        (errno.EACCES, "get permission to write to /x"),
        (errno.EPERM, "get permission"),
        (errno.ENAMETOOLONG, "shorter path"),
        (errno.EIO, "mounted and intact"),
        (errno.EMFILE, "check /x"),
    ],
)
def test_each_error_of_a_file_system_has_a_remedy(number: int, hint: str) -> None:
    remedy = remedy_of(OSError(number, "why", "/x"), "--results")
    assert hint in remedy
    assert "--results" in remedy


def test_the_name_that_the_user_gives_the_folder_by_is_in_the_remedy() -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/x/trials")
    assert why(full, "--results", "/x") == (
        "No space left on device; free some space on its disk, or give another folder by --results"
    )
    assert remedy_of(ValueError("odd"), path="/x") == (
        "check /x, or give another folder; then run this again"
    )


def test_a_refusal_of_the_disk_is_told_from_other_errors() -> None:
    assert is_of_the_disk(OSError(errno.EROFS, "read-only"))
    assert not is_of_the_disk(OSError(errno.ECONNREFUSED, "refused"))


def test_a_near_name_is_suggested_and_a_far_one_is_not() -> None:
    assert did_you_mean("l2ps", ["plain", "l2sp"]) == "did you mean 'l2sp'? known: l2sp, plain"
    assert did_you_mean("zzz", ["plain", "l2sp"]) == "known: l2sp, plain"
    assert did_you_mean("x", []) == ""
    many = did_you_mean("n1", [f"n{number:03}" for number in range(40)])
    assert many.endswith("n029, ...")


def test_problems_come_in_the_order_of_the_file() -> None:
    error = StudyError("a.yaml", [Problem("y", "second", 7), Problem("x", "first", 2)])
    assert str(error) == (
        "a.yaml: 2 problems, nothing was started\n  line 2: x: first\n  line 7: y: second"
    )
    assert str(StudyError("a.yaml", [Problem("", "empty")])) == (
        "a.yaml: 1 problem, nothing was started\n  empty"
    )
