"""A full disk ends no trial: what it ends does not count, and the launch says what to do."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from htsweep.errors import HtsweepError
from htsweep.execution import disk
from tasks import cache

TASK = """
import os
def fill(config, workspace):
    yield {"step": 0, "test/overall_accuracy": 0.5}
    if config["x"] == 2:
        data = workspace.cache / "data"
        try:
            while True:
                data.open("ab").write(os.urandom(10**5))
        finally:
            if config["clears"]:
                data.unlink()
"""
LAUNCHES = """
from htsweep.errors import HtsweepError
import htsweep
for clears in (True, False):
    study = htsweep.read("study.yaml", [f"fixed.clears={str(clears).lower()}"])
    try:
        htsweep.launch(study, f"results{clears}", on="inline", mirror=None)
    except HtsweepError as error:
        print(error)
    ended = htsweep.trials(study, f"results{clears}")
    print(dict(zip(ended["x"], ended["status"])))
"""


def test_a_full_disk_stops_the_launch_and_who_fills_and_clears_it_fails_alone(
    tmp_path: Path,
) -> None:
    """A real file system of 3 MB for the cache, in a mount namespace of its own."""
    (tmp_path / "filling.py").write_text(TASK)
    (tmp_path / "study.yaml").write_text(
        "study: s\ntask: filling:fill\ngrid: {x: [1, 2, 3]}\nfixed: {clears: true}\n"
    )
    place = tmp_path / "cache"
    place.mkdir()
    namespace = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    mounted = f"mount -t tmpfs -o size=3m tmpfs {place} || exit 77; exec {sys.executable} -c '"
    done = subprocess.run(
        [*namespace, "sh", "-c", f"{mounted}{LAUNCHES}'"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, cache.VARIABLE: str(place)},
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine gives no mount namespace")
    cleared, said, full = done.stdout.splitlines()
    assert cleared == "{1: 'done', 2: 'failed', 3: 'done'}"
    assert "the cache takes no file: No space left on device; free some space on its disk" in said
    assert "uses up no attempt" in said
    assert full == "{1: 'done'}"


@pytest.fixture
def no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache, not made yet, on a disk that takes nothing."""

    def probe(folder: str) -> None:
        if folder == str(tmp_path):
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "below" / "cache"))
    monkeypatch.setattr(disk, "_probe", probe)
    return tmp_path / "below" / "cache"


def test_a_disk_is_full_also_before_the_cache_is_there(no_room: Path, tmp_path: Path) -> None:
    assert disk.full() == (
        f"{no_room}: Disk quota exceeded; free some of your quota on its disk, or give another "
        "folder by HTSWEEP_CACHE"
    )


def test_a_cache_that_cannot_be_written_is_no_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial may need none."""
    monkeypatch.setenv(cache.VARIABLE, "/proc/1/cache")
    assert disk.full() == ""
    assert "decoded data cannot be kept at /proc/1/cache" in disk.problem()


@pytest.mark.parametrize(
    ("raised", "blamed"),
    [
        (cache.CacheUnusable("no"), True),
        (OSError(errno.ENOSPC, "full"), True),
        (HtsweepError("no"), False),
        (OSError(errno.ENOENT, "no such file"), False),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_which_exceptions_may_be_the_machine_s_fault(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, blamed: bool, wrapped: bool
) -> None:
    monkeypatch.setattr(disk, "problem", lambda: "its disk is full")
    outer: Any = RuntimeError("while loading")
    outer.__cause__ = raised
    said = disk.fault_of_this_machine(outer if wrapped else raised)
    assert ("its disk is full" in said) == blamed
    monkeypatch.setattr(disk, "problem", lambda: "")
    assert disk.fault_of_this_machine(raised) == ""
