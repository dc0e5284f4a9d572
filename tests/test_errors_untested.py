"""What is raised for users: where a library lacks a part, the version that the package itself asks for."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from htsweep.errors import untested

ROOT = Path(__file__).parent.parent
WANTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]


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
