"""What a machine has, as containers, Slurm and git tell it."""

import os
import subprocess
from pathlib import Path

import pytest

from htsweep.execution import machine


def groups(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("cpu_max", "cpu.max").replace(
            "cfs_", "cpu.cfs_"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("files", "own", "quota"),
    [
        ({"cpu_max": "150000 100000\n"}, "0::/\n", 1.5),
        ({"cpu_max": "max 100000\n"}, "0::/\n", float("inf")),
        (
            {"slice__cpu_max": "300000 100000", "slice__job__cpu_max": "max 100000"},
            "0::/slice/job\n",
            3.0,
        ),
        (
            {"cpu__cfs_quota_us": "400000", "cpu__cfs_period_us": "100000"},
            "4:memory:/x\n3:cpu,cpuacct:/\n",
            4.0,
        ),
        (
            {"cpu__cfs_quota_us": "-1", "cpu__cfs_period_us": "100000"},
            "3:cpu,cpuacct:/\n",
            float("inf"),
        ),
        (
            {"cpu__docker__1__cfs_quota_us": "50000", "cpu__docker__1__cfs_period_us": "100000"},
            "3:cpu:/docker/1\n",
            0.5,
        ),
        ({"cpu_max": "nonsense"}, "", float("inf")),
    ],
)
def test_a_container_s_quota(
    tmp_path: Path, files: dict[str, str], own: str, quota: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups(tmp_path / "cgroup", **files)
    (tmp_path / "own").write_text(own)
    folders = machine._control_groups(tmp_path / "cgroup", tmp_path / "own")
    monkeypatch.setattr(machine, "_control_groups", lambda: folders)
    assert machine._quota() == quota
    free = len(os.sched_getaffinity(0))
    assert machine.cores() == max(1, int(min(free, quota)))
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    assert machine.cores() == 1
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1000")
    assert machine.cores() == max(1, int(min(free, quota)))


@pytest.mark.parametrize(
    ("visible", "devices", "count"),
    [
        ("0,1", 2, 2),
        ("0, 1", 2, 2),
        ("", 2, 0),
        ("-1", 2, 0),
        ("NoDevFiles", 0, 0),
        ("NoDevFiles", 4, 0),
        ("0,-1,1", 2, 1),
        ("0,1,2,3", 2, 2),
        ("GPU-0a1b,GPU-2c3d", 2, 2),
        ("MIG-1,MIG-2,MIG-3", 1, 3),
        ("void", 1, 0),
        ("none", 1, 0),
        ("0,0", 2, 0),
        ("2,3", 0, 2),  # device files may be hidden from a container that has the GPUs all the same
    ],
)
def test_gpus_as_cuda_counts_them(visible: str, devices: int, count: int) -> None:
    assert len(machine._visible(visible, devices)) == count


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "safe.directory=*", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "study.yaml").write_text("task: toy\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "a study")
    return folder


def test_the_commit_and_whether_files_differ(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert machine.commit(repository) == (head, False)
    (repository / "study.yaml").write_text("task: other\n")
    assert machine.commit(repository) == (head, True)
    assert machine.commit(repository.parent) == (None, None)


def test_a_repository_of_another_user_s(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a folder that is mounted into a container is; git itself refuses it ("dubious ownership")."""
    monkeypatch.setenv("HOME", str(repository.parent))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    if os.geteuid() == 0:
        for path in [repository, *repository.rglob("*")]:
            os.chown(path, 12345, 12345)
        refused = subprocess.run(
            ["git", "-C", str(repository), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "dubious ownership" in refused.stderr
    assert machine.commit(repository) == (git(repository, "rev-parse", "HEAD"), False)


def test_variables_of_a_git_hook_name_another_repository(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    head, dirty = machine.commit(repository)
    monkeypatch.delenv("GIT_DIR")
    assert (head, dirty) == (git(repository, "rev-parse", "HEAD"), False)
