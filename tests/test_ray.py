"""Trials under a real Ray: the same numbers as inline, and whatever dies in between."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from htsweep import results
from htsweep.launching import launch
from htsweep.ledger import Ledger, Store
from htsweep.status import status
from htsweep.study import Study, read

pytestmark = pytest.mark.ray
HTSWEEP = str(Path(sys.executable).parent / "htsweep")
SLOW = "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 4\nfixed: {seconds: 0.15}\n"


def numbers(study: Study, folder: Path) -> list[dict[str, Any]]:
    frame = results.measurements(study, str(folder)).sort_values(["trial", "step"])
    return frame.to_dict("records")


def ends(folder: Path) -> list[dict[str, Any]]:
    return Ledger(Store(folder)).trials(every=True).to_pylist()


def start(study: Path, folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([HTSWEEP, "launch", str(study), "--results", str(folder), "--no-mirror", *words],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for_ends(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while len(Ledger(Store(folder)).records()) < count:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The Ray workers of a launch that hold a trial."""
    found = []
    for one in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "ResourceTrainable.train" in " ".join(one.cmdline()):
                found.append(one)
    return found


def test_ray_equals_inline_whatever_else_fails(study_file: Callable[..., Path], tmp_path: Path) -> None:
    path = study_file("task: toy\ngrid: {x: [0.2, 0.8], fail: ['', raise, exit, hang]}\nrepetitions: 2\n"
                      "resources: {time_limit_seconds: 2}\nretry: {attempts: 1}\n")
    study = read(path)
    done = launch(study, str(tmp_path / "ray"), mirror=None)
    assert (done.agenda.done["trial done"], done.failed) == (4, 12)
    launch(read(path, ["grid.fail=['']"]), str(tmp_path / "inline"), on="inline", mirror=None)
    good = [row for row in numbers(study, tmp_path / "ray") if row["status"] == "done"]
    assert good == numbers(study, tmp_path / "inline")
    reasons = sorted({failure.reason.split(":")[0] for failure in status(study, str(tmp_path / "ray")).failures})
    assert reasons == ["died", "raised", "time_limit"]


def test_a_killed_driver_loses_nothing_and_repeats_nothing(study_file: Callable[..., Path], tmp_path: Path) -> None:
    path, folder = study_file(SLOW), tmp_path / "killed"
    process = start(path, folder)
    wait_for_ends(folder, 4, process)
    process.kill()
    process.wait()
    rest = start(path, folder)
    said, _ = rest.communicate(timeout=120)
    assert rest.returncode == 0, said
    study = read(path)
    launch(study, str(tmp_path / "whole"), on="inline", mirror=None)
    assert numbers(study, folder) == numbers(study, tmp_path / "whole")
    trials = [row["trial"] for row in ends(folder) if row["status"] == "done"]
    assert len(trials) == len(set(trials)) == 12


def test_a_killed_worker_s_trial_is_tried_again(study_file: Callable[..., Path], tmp_path: Path) -> None:
    path, folder = study_file("task: toy\ngrid: {x: [0.1, 0.9]}\nfixed: {seconds: 1.5}\n"), tmp_path / "results"
    process = start(path, folder)
    deadline = time.monotonic() + 60
    while len(found := workers(process)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(1)
    found[0].kill()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    rows = ends(folder)
    assert sorted(row["status"] for row in rows) == ["done", "done", "failed"]
    [died] = [row for row in rows if row["status"] == "failed"]
    assert died["reason"].startswith("died:")


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(study_file: Callable[..., Path], tmp_path: Path) -> None:
    path, folder = study_file(SLOW), tmp_path / "results"
    process = start(path, folder)
    wait_for_ends(folder, 2, process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert f"htsweep launch {path}" in said
    assert "Traceback" not in said
    assert psutil.wait_procs(family, timeout=10)[1] == []
    assert all(row["status"] == "done" for row in ends(folder))
    before = len(ends(folder))
    rest = launch(read(path), str(folder), on="inline", mirror=None)
    assert (rest.agenda.reused, rest.agenda.done["trial done"]) == (before, 12 - before)


@pytest.fixture
def cluster(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster started by hand, with a token, as `cluster.yaml` starts one; ended by its own process alone."""
    folder = tmp_path_factory.mktemp("ray")
    token = folder / "token"
    token.write_text("a" * 64)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    head = subprocess.Popen(
        [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--port={port}", "--num-cpus=2",
         "--node-ip-address=127.0.0.1", "--include-dashboard=false", f"--temp-dir={folder}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        assert head.poll() is None
        assert time.monotonic() < deadline
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.2)
    time.sleep(2)
    family = psutil.Process(head.pid).children(recursive=True)
    yield f"127.0.0.1:{port}"
    head.terminate()
    head.wait(30)
    for one in psutil.wait_procs(family, timeout=10)[1]:
        one.kill()


def test_an_existing_cluster(study_file: Callable[..., Path], tmp_path: Path, cluster: str) -> None:
    path = study_file("task: toy\ngrid: {x: [0.1, 0.5]}\nrepetitions: 2\n")
    process = start(path, tmp_path / "results", "--address", cluster)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(ends(tmp_path / "results")) == 4
    greedy = start(path, tmp_path / "results", "--address", cluster, "--set", "resources.gpu=1", "--set", "repetitions=3")
    said, _ = greedy.communicate(timeout=120)
    assert greedy.returncode == 2, said
    assert "gpu 1 (the largest node has 0)" in said


def test_an_address_where_nothing_answers(study_file: Callable[..., Path], tmp_path: Path) -> None:
    process = start(study_file(SLOW), tmp_path / "results", "--address", "127.0.0.1:1")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "no Ray cluster answers" in said
