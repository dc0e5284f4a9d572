"""Messages of errors: every problem at once, a near name, and a remedy for what a file system refuses."""

from __future__ import annotations

import errno
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from htsweep.errors import (
    Problem,
    StudyError,
    did_you_mean,
    is_of_the_disk,
    remedy_of,
    untested,
    why,
)

ROOT = Path(__file__).parent.parent
WANTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


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


def test_a_message_that_repeats_a_long_text_keeps_its_rule_and_its_remedy() -> None:
    """A name in a study may fill the whole file."""
    name = "x" * 60_000
    said = str(Problem(name, f"unknown protocol '{name}'; known: last"))
    assert len(said) < 7_000
    assert "(60,000 characters)" in said
    assert "unknown protocol 'xxx" in said
    assert said.endswith("x'; known: last")
    short = "y" * 6_000
    assert Problem("", short).message == short


def test_the_remedy_is_what_the_package_asks_for() -> None:
    for library in ("ray", "mlflow", "ruamel.yaml"):
        said = str(untested(library, "a.part"))
        offered = Requirement(said.rpartition("pip install ")[2].strip("'"))
        [wanted] = [one for one in map(Requirement, WANTED) if one.name == library]
        assert wanted.specifier
        assert (offered.specifier, offered.extras) == (wanted.specifier, wanted.extras)
        assert f"{library} " in said
        assert " lacks a.part, which htsweep uses" in said


def test_private_parts_are_used_under_a_cap() -> None:
    for library, next_version in (("ray", "2.61"), ("mlflow", "3.18")):
        [wanted] = [one for one in map(Requirement, WANTED) if one.name == library]
        assert not wanted.specifier.contains(next_version)


def test_what_could_not_be_imported_is_named() -> None:
    error = ImportError("cannot import name 'Gone' from 'a.module' (/somewhere/a/module.py)")
    assert " lacks a.module.Gone, which" in str(untested("ray", error))
    assert " lacks a.module, which" in str(untested("ray", ImportError("?", name="a.module")))
    assert str(untested("no-such-library", "x")).startswith("no-such-library is not installed;")
