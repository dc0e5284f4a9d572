"""The cache of this machine: where it lies, what happens where it cannot, and that nothing is left half written."""

import errno
import os
import pwd
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from htsweep.errors import HtsweepError
from htsweep.execution.workspace import cache_folder
from tasks import cache
from tasks.data import cached


@pytest.fixture
def variables(monkeypatch):
    """Sets HOME, XDG_CACHE_HOME and HTSWEEP_CACHE; None is not there."""

    def given(home=None, xdg=None, own=None):
        for name, value in {"HOME": home, "XDG_CACHE_HOME": xdg, "HTSWEEP_CACHE": own}.items():
            if value is None:
                monkeypatch.delenv(name, raising=False)
            else:
                monkeypatch.setenv(name, str(value))

    return given


def database():
    """The home in the user database."""
    return Path(pwd.getpwuid(os.getuid()).pw_dir)


@pytest.mark.parametrize(
    ("home", "xdg", "own", "place"),
    [
        ("/h", None, None, "/h/.cache/htsweep"),
        ("/h", "/x", None, "/x/htsweep"),
        ("/h", "/x", "/o", "/o"),
        ("/h", "/x", "", "/x/htsweep"),
        ("/h", "relative", None, "/h/.cache/htsweep"),
        ("/h", None, "~/o", "/h/o"),
        ("", None, None, None),
        (None, None, None, None),
        ("relative", None, None, None),
    ],
)
def test_one_place_is_decided(variables, home, xdg, own, place):
    variables(home, xdg, own)
    assert cache.place() == (Path(place) if place else database() / ".cache" / "htsweep")


def test_a_relative_place_is_taken_from_the_working_folder(variables, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    variables(own="here")
    assert cache.folder() == tmp_path / "here"


def test_a_user_without_a_home_is_told_what_to_set(variables, monkeypatch):
    variables()
    monkeypatch.setattr(pwd, "getpwuid", lambda _: (_ for _ in ()).throw(KeyError("no such user")))
    with pytest.raises(cache.CacheUnusable, match=r"no home folder.*set HTSWEEP_CACHE"):
        cache.place()


def test_a_place_that_cannot_be_written_is_told_with_the_remedy(variables, tmp_path):
    (tmp_path / "file").write_text("")
    for own in ("/proc/1/nohome", tmp_path / "file", tmp_path / "file" / "below", "~nobody-such/x"):
        variables(own=own)
        with pytest.raises(HtsweepError, match="HTSWEEP_CACHE") as error:
            cache_folder()
        assert Path(str(own)).name in str(error.value)


def test_a_place_is_made_and_used(variables, tmp_path):
    variables(own=tmp_path / "a" / "b")
    assert cache_folder() == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_launch_without_a_cache_starts_nothing(study_file, tmp_path, variables):
    from htsweep import launch, read

    variables(own="/proc/1/nohome")
    study = read(str(study_file("task: toy\n")))
    with pytest.raises(HtsweepError, match=r"/proc/1/nohome.*HTSWEEP_CACHE"):
        launch(study, str(tmp_path / "results"), on="inline", mirror=None)
    assert not (tmp_path / "results" / "trials").exists()


def test_answers_are_remembered_by_question(variables, tmp_path):
    variables(own=tmp_path)
    asked = []
    for question in (["a", 1], ["a", 1], ["a", 2]):
        assert cache.remembered(question, lambda: asked.append(1) or len(asked)) == (
            2 if question == ["a", 2] else 1
        )
    for file in (tmp_path / "answers").iterdir():
        file.write_text("{")
    assert cache.remembered(["a", 1], lambda: 7) == 7


def test_without_a_cache_questions_are_asked_again(variables):
    variables(own="/proc/1/nohome")
    asked = iter((1, 2))
    assert [cache.remembered(["b"], lambda: next(asked)) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("kind", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_an_error_that_names_it(tmp_path, monkeypatch, kind):
    def full(*_):
        raise OSError(kind, os.strerror(kind))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(
        cache.CacheUnusable,
        match=rf"{tmp_path}.*no space for 0.0 MiB \(.* MiB are free\).*HTSWEEP_CACHE",
    ):
        cached.mapped(
            tmp_path / "kept" / "a.npy",
            (3, 5),
            np.uint8,
            lambda _: pytest.fail("written to a full disk"),
        )
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("way", ["has no call", "has no call for this file system"])
def test_space_is_taken_also_where_the_system_has_no_call_for_it(tmp_path, monkeypatch, way):
    if way == "has no call":
        monkeypatch.delattr(os, "posix_fallocate")
    else:
        monkeypatch.setattr(
            os, "posix_fallocate", lambda *_: (_ for _ in ()).throw(OSError(errno.EOPNOTSUPP, "no"))
        )
    blocks = []

    def write(target):
        (partial,) = tmp_path.iterdir()
        blocks.append(partial.stat().st_blocks * 512)
        target[:] = 7

    found = cached.mapped(tmp_path / "a.npy", (3, 2**20), np.uint8, write)
    assert blocks[0] >= 3 * 2**20
    assert (found == 7).all()


def test_space_is_taken_before_anything_is_written(tmp_path):
    def write(target):
        (partial,) = tmp_path.iterdir()
        assert partial.stat().st_blocks * 512 >= target.nbytes
        target[:] = np.arange(target.size).reshape(target.shape) % 251

    found = cached.mapped(tmp_path / "a.npy", (64, 3, 32, 32), np.uint8, write)
    assert (found == np.load(tmp_path / "a.npy")).all()
    assert found[1, 0, 0, 0] == 3 * 32 * 32 % 251


def test_what_raises_while_it_is_written_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="no image"):
        cached.mapped(
            tmp_path / "a.npy",
            (2,),
            np.uint8,
            lambda _: (_ for _ in ()).throw(ValueError("no image")),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_small_disk_ends_no_process(tmp_path):
    """A real file system of 200 KB, in a mount namespace of its own; where there is none, the errors above stand for it."""
    namespace = ["unshare", "-m"] if os.getuid() == 0 else ["unshare", "-rm"]
    code = (
        "import numpy as np; from pathlib import Path; from tasks.data import cached\n"
        f"try: cached.mapped(Path('{tmp_path}/a.npy'), (400, 1024), np.uint8, lambda target: "
        "target.fill(1))\n"
        "except OSError as error: print(error)"
    )
    script = f'mount -t tmpfs -o size=200k tmpfs {tmp_path} || exit 77; {sys.executable} -c "{code}" && ls {tmp_path}'
    done = subprocess.run(
        [*namespace, "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip("this machine gives no mount namespace")
    assert done.returncode == 0
    assert "there is no space for 0.4 MiB (0.2 MiB are free)" in done.stdout
    assert len(done.stdout.splitlines()) == 1
