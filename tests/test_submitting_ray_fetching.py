"""Results that come as text, printed by a job where they are; a real job is in test_submitting_ray_jobs.py."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import HtsweepError
from htsweep.launching import launch
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.gather import FOLDERS, gather
from htsweep.submitting import ray_fetching, sending


def wanted(results: Path, have: list[str] | None = None, most: int = 10**7) -> dict[str, object]:
    return {
        "results": str(results),
        "folders": list(FOLDERS),
        "have": have or [],
        "most": most,
        "spare": ["artifacts", "logits"],
    }


def printed(what: dict[str, object], folder: Path) -> str:
    """As the job prints it: in a Python that has nothing of htsweep."""
    (folder / "wanted.json").write_text(json.dumps(what))
    words = [sys.executable, "-I", "-S", sending.__file__, str(folder / "wanted.json")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout


def put(folder: Path, name: str, size: int = 10) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_comes_is_what_was_there(study_file: Callable[..., Path], tmp_path: Path) -> None:
    study = read(study_file("task: toy\ngrid: {x: [0.1, 0.5]}\nrepetitions: 2\n"))
    launch(study, tmp_path / "there", on="inline", mirror=None)
    text = "a line of Ray's\n" + printed(wanted(tmp_path / "there"), tmp_path)
    data, left = ray_fetching.unpacked(text)
    assert not left
    (tmp_path / "came").mkdir()
    ray_fetching.place(data, tmp_path / "came")
    assert gather([str(tmp_path / "came")], str(tmp_path / "here")).trials == 4
    columns = ["validation/score"]
    [there, here] = [
        sorted(Results(study, str(tmp_path / name)).measurements(columns)["validation/score"])
        for name in ("there", "here")
    ]
    assert there == here


def test_only_what_is_new_is_sent(tmp_path: Path) -> None:
    for name in ("trials/a.parquet", "trials/b.parquet", "logs/deep/c.txt", "leases/d"):
        put(tmp_path / "there", name)
    put(tmp_path / "there", "trials/.e.part")
    (tmp_path / "there/trials/f").symlink_to("/etc/passwd")
    text = printed(wanted(tmp_path / "there", have=["trials/a.parquet"]), tmp_path)
    (tmp_path / "came").mkdir()
    ray_fetching.place(ray_fetching.unpacked(text)[0], tmp_path / "came")
    assert names(tmp_path / "came") == {"trials/b.parquet", "logs/deep/c.txt"}


def test_models_are_left_behind_where_all_is_too_much(tmp_path: Path) -> None:
    put(tmp_path / "there", "artifacts/model", 5000)
    put(tmp_path / "there", "trials/a.parquet", 900)
    data, left = ray_fetching.unpacked(printed(wanted(tmp_path / "there", most=1000), tmp_path))
    assert left == {"artifacts": 5000}
    (tmp_path / "came").mkdir()
    ray_fetching.place(data, tmp_path / "came")
    assert names(tmp_path / "came") == {"trials/a.parquet"}
    with pytest.raises(HtsweepError, match="a job's log carries at most"):
        ray_fetching.unpacked(printed(wanted(tmp_path / "there", most=800), tmp_path))


def test_without_results_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(HtsweepError, match="nowhere holds no results on "):
        ray_fetching.unpacked(printed(wanted(tmp_path / "nowhere"), tmp_path))


@pytest.mark.parametrize(
    "harm",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text.replace("H4s", "H4t", 1),
        lambda text: text.replace('"sha256"', '"sum"'),
        lambda text: text.replace("{", "[", 1),
    ],
)
def test_what_is_damaged_or_cut_off_is_not_used(tmp_path: Path, harm: Callable[[str], str]) -> None:
    put(tmp_path / "there", "trials/a.parquet", 100)
    text = printed(wanted(tmp_path / "there"), tmp_path)
    assert ray_fetching.unpacked(text)
    with pytest.raises(HtsweepError, match="damaged or cut off"):
        ray_fetching.unpacked(harm(text))


def test_a_job_that_fails_is_quoted() -> None:
    with pytest.raises(HtsweepError, match="printed none: python: not found"):
        ray_fetching.unpacked("python: not\nfound\n")


@pytest.mark.parametrize(
    "name", ["../out", "trials/../../out", "/trials/out", "other/out", "trials"]
)
def test_no_name_leads_out_of_the_results(tmp_path: Path, name: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        about = tarfile.TarInfo(name)
        if name == "trials":
            about.type, about.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(about, io.BytesIO())
    (tmp_path / "came").mkdir()
    with pytest.raises(HtsweepError, match="none of the results"):
        ray_fetching.place(packed.getvalue(), tmp_path / "came")
    assert names(tmp_path) == set()
