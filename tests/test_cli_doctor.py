"""The doctor names what is wrong with a machine, says what to do, and never breaks itself."""

from __future__ import annotations

import errno
import json
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from htsweep.cli import doctor
from htsweep.cli.app import main
from htsweep.cli.doctor import examine
from htsweep.errors import ResourceError
from htsweep.ledger import Store

NOWHERE = "/proc/htsweep-cannot-write-here"
"""Where nobody may make a folder, not even root."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither Ray nor torch nor MLflow, which take seconds."""
    for name in ("_ray", "_devices", "_mlflow"):
        monkeypatch.setattr(doctor, name, lambda: ("is there", ""))


def examined(results: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and what was found and the remedy by the checks that failed."""
    said: list[str] = []
    code = examine(results, said.append)
    failed = {}
    for text in said:
        line, _, after = text.partition("\n")
        if line.startswith("FAIL"):
            name, found = re.fullmatch(r"FAIL  (\S+) +(.*)", line).groups()  # type: ignore[union-attr]
            failed[name] = (found, after.partition("remedy: ")[2])
    return code, failed


def test_all_well_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_GIB", 0)
    assert examined(str(tmp_path / "a" / "b" / "results")) == (0, {})
    assert not (tmp_path / "a").exists()
    (tmp_path / "there").mkdir()
    assert examined(str(tmp_path / "there"))[0] == 0
    assert list((tmp_path / "there").iterdir()) == []


def test_json_has_the_versions_and_every_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "FREE_GIB", 10**9)
    with pytest.raises(SystemExit) as caught:
        main(["doctor", "--json", "--results", str(tmp_path)])
    found = json.loads(capsys.readouterr().out)
    assert caught.value.code == 1
    assert set(found) == {"htsweep", "python", "platform", "packages", "ok", "checks"}
    assert found["htsweep"] == version("htsweep")
    assert found["packages"]["ray"] == version("ray")
    assert found["ok"] is False
    names = [check["name"] for check in found["checks"]]
    assert names == [
        "versions",
        "devices",
        "temporary",
        "disk",
        "storage",
        "cache",
        "ray",
        "mlflow",
    ]
    for check in found["checks"]:
        assert set(check) == {"name", "ok", "found", "remedy"}
        assert check["ok"] == (check["remedy"] == "") == (check["name"] != "disk")
        assert check["found"]


def test_a_package_that_is_not_installed_is_null_and_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("ray", "no-such-package"))
    code, failed = examined(str(tmp_path))
    assert code == 1
    assert failed["versions"][1] == "install no-such-package: uv sync"
    assert doctor.document([])["packages"] == {"ray": version("ray"), "no-such-package": None}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, in which nobody may write")
def test_results_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_GIB", 0)
    code, failed = examined(NOWHERE)
    assert code == 1
    assert set(failed) == {"storage"}
    assert NOWHERE in failed["storage"][0]
    assert "so give another folder by --results" in failed["storage"][1]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc, in which nobody may write")
def test_a_home_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_GIB", 0)
    monkeypatch.setenv("HOME", NOWHERE)
    monkeypatch.delenv("HTSWEEP_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    code, failed = examined(str(tmp_path))
    assert (code, set(failed)) == (1, {"cache"})
    assert failed["cache"][1] == "set HTSWEEP_CACHE to a folder that can be written"


def test_a_results_path_that_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "FREE_GIB", 0)
    (tmp_path / "results").write_text("")
    code, failed = examined(str(tmp_path / "results"))
    assert (code, set(failed)) == (1, {"disk", "storage"})
    for name in failed:
        assert failed[name][1] == "part of its path is a file, so give another folder by --results"


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Store, name: str, data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", f"{tmp_path}/{name}")

    monkeypatch.setattr(Store, "write", full)
    monkeypatch.setattr(doctor, "FREE_GIB", 10**9)
    code, failed = examined(str(tmp_path))
    assert (code, set(failed)) == (1, {"disk", "storage"})
    assert (
        failed["disk"][1]
        == "free at least 1000000000 GiB there, or give --results a folder on another disk"
    )
    assert failed["storage"] == (
        f"{tmp_path} cannot be written: No space left on device",
        "free some space on its disk, or give another folder by --results",
    )


def test_no_folder_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(doctor, "FREE_GIB", 0)
    monkeypatch.setattr(tempfile, "gettempdir", none)
    _, failed = examined(str(tmp_path))
    assert "set the environment variable TMPDIR" in failed["temporary"][1]


def test_whatever_a_check_raises_has_a_remedy_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "FREE_GIB", 0)
    raised = {
        "_ray": ResourceError(
            "no folder is short enough for Ray's sockets\nset TMPDIR to a folder with a shorter "
            "path"
        ),
        "_devices": subprocess.TimeoutExpired(["python"], 120),
        "_mlflow": KeyError("tables"),
    }
    for name, error in raised.items():

        def check(error: Exception = error) -> doctor.Finding:
            raise error

        monkeypatch.setattr(doctor, name, check)
    code, failed = examined(str(tmp_path))
    assert code == 1
    assert failed["ray"] == (
        "no folder is short enough for Ray's sockets",
        "set TMPDIR to a folder with a shorter path",
    )
    assert failed["devices"] == (
        "no answer within 120 s",
        "the disk that holds the packages may be slow; run this again",
    )
    assert failed["mlflow"][0] == "KeyError: 'tables'"
    assert failed["mlflow"][1].startswith("reinstall the packages (uv sync)")


def test_a_store_that_loses_what_lies_beside_a_removed_object(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a gateway to a bucket does that takes the folder's mark for the folder."""
    whole = Store.delete

    def deletes_all(self: Store, name: str) -> None:
        for entry in self.list(name.rpartition("/")[0]):
            whole(self, entry.name)

    monkeypatch.setattr(Store, "delete", deletes_all)
    monkeypatch.setattr(doctor, "FREE_GIB", 0)
    code, failed = examined(str(tmp_path))
    assert (code, set(failed)) == (1, {"storage"})
    assert failed["storage"] == (
        f"{tmp_path}/.doctor loses an object when one beside it is removed",
        "give --results another folder or bucket",
    )
