"""Trials under a real Ray: the same numbers as inline, and whatever dies in between."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psutil
import pytest

from htsweep import results
from htsweep.cli.measuring import room_of
from htsweep.cli.status import status
from htsweep.launching import Launched, launch
from htsweep.ledger import Ledger, Store
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.estimate import estimate
from htsweep.results.room import Machine
from htsweep.study.schema import Study

pytestmark = pytest.mark.ray
PLAIN = (
    "from htsweep import launching\nfrom htsweep.cli.app import main\n"
    "launching.Report.make = launching.Warming = lambda *_: None\nmain()"
)
"""The command, without the report at a launch's end, which takes as long as a small study."""
SLOW = "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 4\nfixed: {seconds: 0.15}\n"


def numbers(study: Study, folder: Path) -> list[dict[str, Any]]:
    frame = results.measurements(study, str(folder)).sort_values(["trial", "step"])
    return frame.to_dict("records")


def ends(folder: Path) -> list[dict[str, Any]]:
    return Ledger(Store(folder)).trials(every=True).to_pylist()


def start(study: Path, folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-c", PLAIN, "launch", str(study)),
            *("--results", str(folder), "--no-mirror", *words),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def inline(study: Study, folder: Path) -> Launched:
    """A launch of the study in this process, without its report."""
    with mock.patch("htsweep.launching.Report.make"):
        return launch(study, str(folder), on="inline", mirror=None)


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


def test_ray_equals_inline_whatever_else_fails(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = study_file(
        "task: toy\ngrid: {x: [0.2, 0.8], fail: ['', raise, exit, hang]}\nrepetitions: 2\n"
        "resources: {time_limit_seconds: 2}\nretry: {attempts: 1}\n"
    )
    study = read(path)
    done = launch(study, str(tmp_path / "ray"), mirror=None)
    assert (done.agenda.done["trial done"], done.failed) == (4, 12)
    inline(read(path, ["grid.fail=['']"]), tmp_path / "inline")
    good = [row for row in numbers(study, tmp_path / "ray") if row["status"] == "done"]
    assert good == numbers(study, tmp_path / "inline")
    reasons = sorted(
        {
            failure.reason.split(":")[0]
            for failure in status(Results(study, str(tmp_path / "ray"))).failures
        }
    )
    assert reasons == ["died", "raised", "time_limit"]


def test_a_killed_driver_loses_and_repeats_nothing_and_a_killed_worker_s_trial_is_tried_again(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    path, folder = study_file(SLOW.replace("0.15", "0.5")), tmp_path / "killed"
    process = start(path, folder)
    wait_for_ends(folder, 4, process)
    process.kill()
    process.wait()
    rest = start(path, folder)
    deadline = time.monotonic() + 90
    while len(found := workers(rest)) < 2:
        assert rest.poll() is None, rest.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    time.sleep(0.3)
    found[0].kill()
    said, _ = rest.communicate(timeout=120)
    assert rest.returncode == 0, said
    [died] = [row for row in ends(folder) if row["status"] == "failed"]
    assert died["reason"].startswith("died:")
    study = read(path)
    inline(study, tmp_path / "whole")
    assert numbers(study, folder) == numbers(study, tmp_path / "whole")
    trials = [row["trial"] for row in ends(folder) if row["status"] == "done"]
    assert len(trials) == len(set(trials)) == 12
    assert died["trial"] in trials


def daemon(process: subprocess.Popen[str], words: str) -> psutil.Process:
    """The process of a launch's Ray whose command line has the words."""
    [one] = [
        child
        for child in psutil.Process(process.pid).children(recursive=True)
        if words in " ".join(child.cmdline()) and child.status() != psutil.STATUS_ZOMBIE
    ]
    return one


def test_a_launch_survives_the_loss_of_its_ray(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Ray's control store is killed, then the process that uses Ray."""
    path, folder = study_file(SLOW.replace("0.15", "0.4")), tmp_path / "results"
    process = start(path, folder)
    for count, words in ((2, "gcs_server"), (7, "htsweep.execution.driver")):
        wait_for_ends(folder, count, process)
        daemon(process, words).kill()
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert said.count("the local Ray was lost: ") == 2, said
    assert "Ray's control store (GCS) ended" in said
    assert "its process ended with code -9" in said
    assert "Traceback" not in said
    study = read(path)
    inline(study, tmp_path / "whole")
    assert numbers(study, folder) == numbers(study, tmp_path / "whole")
    assert [row["status"] for row in ends(folder)] == ["done"] * 12


def test_sigterm_ends_a_launch_as_ctrl_c_does(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    path, folder = study_file(SLOW), tmp_path / "results"
    process = start(path, folder)
    time.sleep(3)  # Ray is starting
    family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert psutil.wait_procs(family, timeout=10)[1] == []


def test_trials_run_where_the_launch_does_even_from_a_thread(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same interpreter, working folder, modules and relative paths, under `uv run` too; nothing is written to the home.

    From a thread, as a notebook server or a web application launches."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "data.txt").write_text("4.5")
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "only_on_the_path.py").write_text("VALUE = 2.0\n")
    home = tmp_path / "home"
    home.mkdir(mode=0o500)
    (tmp_path / "own_task.py").write_text(
        "import os, sys\ndef read(config, workspace):\n    import only_on_the_path\n"
        "    yield {'step': 0, 'data': float(open('data.txt').read()), 'value': "
        "only_on_the_path.VALUE,\n"
        f"           'same': float(sys.executable == {sys.executable!r})}}\n"
    )
    path = study_file("task: own_task:read\n")
    monkeypatch.chdir(tmp_path / "lab")
    monkeypatch.syspath_prepend(str(tmp_path / "library"))
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    monkeypatch.setenv("HOME", str(home))
    study, launched = read(path), []
    thread = threading.Thread(
        target=lambda: launched.append(launch(study, str(tmp_path / "results"), mirror=None))
    )
    thread.start()
    thread.join(120)
    [done] = launched
    assert (done.agenda.done["trial done"], done.failed) == (1, 0)
    [row] = numbers(study, tmp_path / "results")
    assert (row["data"], row["value"], row["same"]) == (4.5, 2.0, 1.0)
    assert list(home.iterdir()) == []


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
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
    rest = inline(read(path), folder)
    assert (rest.agenda.reused, rest.agenda.done["trial done"]) == (before, 12 - before)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A cluster started by hand, with a token, as `cluster.yaml` starts one; ended by its own process alone."""
    # Short: the path of a socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    token = folder / "token"
    token.write_text("a" * 64)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    head = subprocess.Popen(
        [
            str(Path(sys.executable).parent / "ray"),
            "start",
            "--head",
            "--block",
            f"--port={port}",
            "--num-cpus=2",
            "--node-ip-address=127.0.0.1",
            "--include-dashboard=false",
            f"--temp-dir={folder}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
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
    shutil.rmtree(folder, ignore_errors=True)


def test_an_existing_cluster(study_file: Callable[..., Path], tmp_path: Path, cluster: str) -> None:
    path = study_file("task: toy\ngrid: {x: [0.1, 0.5]}\nrepetitions: 2\n")
    process = start(path, tmp_path / "results", "--address", cluster)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(ends(tmp_path / "results")) == 4
    greedy = start(
        path,
        tmp_path / "results",
        "--address",
        cluster,
        "--set",
        "resources.gpu=1",
        "--set",
        "repetitions=3",
    )
    said, _ = greedy.communicate(timeout=120)
    assert greedy.returncode == 2, said
    assert "gpu 1 (the largest node has 0)" in said
    larger = Results(read(path, ["repetitions=10"]), str(tmp_path / "results"))
    there = room_of(larger, None, cluster)
    assert there is not None
    assert list(there.machines) == [Machine(2, 0)]
    assert f"on the 2 slots of the cluster at {cluster}, as it is now" in "\n".join(
        estimate(larger, room=there).lines()
    )


def test_an_address_where_nothing_answers(study_file: Callable[..., Path], tmp_path: Path) -> None:
    process = start(study_file(SLOW), tmp_path / "results", "--address", "127.0.0.1:1")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert "no Ray cluster answers" in said
