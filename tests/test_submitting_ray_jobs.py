"""A study on a Ray cluster through its job server: a real head, started here, with a token of its own."""

from __future__ import annotations

import http.server
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from autoscaled import free_port
from jobserving import Head, job_server

from htsweep.cli.app import main
from htsweep.commands import Given
from htsweep.errors import HtsweepError
from htsweep.launching import launch
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.submitting import ray_jobs

PROGRAMS = Path(sys.executable).parent
OWN = "export PATH=" + shlex.quote(str(PROGRAMS)) + ':"$PATH"'
TASK = """\
def ratio(config, workspace):
    print("ratio of", config["x"])
    yield {"step": 0, "validation/ratio": 1 / config["x"]}
"""
STUDY = "study: ratios\ntask: my_ratio_task:ratio\ngrid: {x: [1, 2, 4]}\n"


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    with job_server() as started:
        yield started


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with a task of its own, in the current folder."""
    (tmp_path / "ratios.yaml").write_text(STUDY)
    (tmp_path / "my_ratio_task.py").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def called(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(list(words))
    return int(caught.value.code or 0)


ELSEWHERE = """\
import sys
from htsweep.cli.app import main
from htsweep.submitting import jobs
jobs.is_here = lambda place: False
main(sys.argv[1:])
"""
"""Htsweep on a machine that does not see the results' folder."""


def at_head(*words: str, **variables: str) -> tuple[int, str]:
    """The exit code of a command, and what it printed; in a process of its own, since Ray reads once whether it has a token."""
    return answered([str(PROGRAMS / "htsweep"), *words], **variables)


def answered(words: list[str], **variables: str) -> tuple[int, str]:
    done = subprocess.run(
        words,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.ray
def test_a_study_runs_on_the_cluster_with_the_numbers_of_this_machine(
    head: Head, folder: Path
) -> None:
    there = folder / "there"
    options = ["--address", head.url, "--results", str(there), "--no-mirror", "--before", OWN]
    code, said = at_head("submit", "ratios.yaml", *options, "--follow")
    assert code == 0, said
    assert "submitted job htsweep-ratios-" in said
    assert "ratios: ran 3 trials" in said
    assert said.endswith(f"is done; the results are in {there}\n")

    study = read("ratios.yaml")
    launch(study, "here", on="inline", mirror=None)
    columns = ["validation/ratio"]
    numbers = [
        Results(study, str(place)).measurements(columns).drop(columns="sweep").values.tolist()
        for place in (there, "here")
    ]
    assert sorted(numbers[0]) == sorted(numbers[1])
    [ended, *_] = Results(study, str(there)).rows(["trial", "status", "code"])
    assert ended["status"] == "done"
    assert ended["code"], "the user's own task went along"

    code, said = at_head("fetch", "ratios.yaml", "--results", "copied")
    assert code == 0, said
    assert f"{there}: trials done 3, new 3" in said
    assert "htsweep report ratios.yaml --results copied" in said
    # The same for a machine that does not see that folder: a job of the cluster prints what is new.
    apart = [sys.executable, "-c", ELSEWHERE, "fetch", "ratios.yaml", "--results", "sent"]
    for new in (3, 0):
        code, said = answered(apart)
        assert code == 0, said
        assert (f"{there} on the cluster: trials done 3, new 3" in said) == bool(new)
        assert (f"sent has all that {there} at {head.url} has" in said) == (not new)
    assert {path.name for path in (folder / "sent/trials").iterdir()} == {
        path.name for path in (folder / "copied/trials").iterdir()
    }
    # From another machine, which has the study alone, the server knows the job.
    shutil.rmtree(folder / ".htsweep")
    code, said = at_head("logs", "ratios.yaml", "--address", head.url)
    assert code == 0, said
    assert "ratios: ran 3 trials" in said
    code, said = at_head("logs", "ratios.yaml")
    assert code == 2
    assert "was not submitted" in said


@pytest.mark.ray
def test_the_head_has_the_counts_of_that_launch_for_prometheus(head: Head) -> None:
    """Of the study that the test before has run to its end."""
    counts = exported(head)
    assert counts["trials_total", "done"] == 3
    assert counts["ledger_rows_total", ""] == 6
    assert 0 < counts["trial_seconds_total", ""] < 60


@pytest.mark.ray
def test_a_job_measures_where_a_gpu_is(head: Head, folder: Path) -> None:
    """Here, that the node has none is what it finds."""
    study = f"{STUDY}resources: {{cpu: 1, gpu: auto}}\n"
    (folder / "ratios.yaml").write_text(study)
    options = ["--address", head.url, "--results", str(folder / "r"), "--before", OWN]
    code, said = at_head("submit", "ratios.yaml", *options, "--measure")
    assert code == 0, said
    assert "It waits for a node with a GPU, and measures there." in said
    assert "kinds of trial not measured yet, and not here: " in said
    assert not (folder / ".htsweep").exists(), "it is not the launch that `logs` speaks of"
    code, said = at_head("submit", "ratios.yaml", "--slurm", "--measure")
    assert code == 2
    assert "--measure goes with the job server of a Ray cluster" in said


@pytest.mark.ray
def test_what_fails_at_once_is_told_at_once(head: Head, folder: Path) -> None:
    options = ["--address", head.url, "--results", str(folder / "r")]
    stand_in(folder, "echo htsweep 0.0.1")
    before = f"export PATH={folder / 'bin'}:$PATH"
    code, said = at_head("submit", "ratios.yaml", *options, "--before", before)
    assert code == 3, said
    assert "the cluster has htsweep 0.0.1, but the study was checked with" in said
    assert "has ended: failed" in said


@pytest.mark.ray
def test_a_launch_that_goes_on_is_stopped_as_by_ctrl_c(head: Head, folder: Path) -> None:
    program = (
        '[ "$1" = --version ] && exec ' + shlex.quote(str(PROGRAMS / "htsweep")) + " --version\n"
        "trap 'echo interrupted; exit 130' TERM\n"
        "echo first trial started after 0.1 s\n"
        "while true; do sleep 0.1; done"
    )
    stand_in(folder, program)
    before = f"export PATH={folder / 'bin'}:$PATH"
    options = ["--address", head.url, "--results", str(folder / "r"), "--before", before]
    code, said = at_head("submit", "ratios.yaml", *options)
    assert code == 0, said
    assert "It goes on without this machine." in said
    assert "htsweep logs ratios.yaml --follow" in said
    code, said = at_head("stop", "ratios.yaml")
    assert code == 0, said
    assert "stopped; what has ended is recorded" in said
    assert "interrupted" in at_head("logs", "ratios.yaml")[1]
    assert "had ended before: stopped" in at_head("stop", "ratios.yaml")[1]


def exported(head: Head) -> dict[tuple[str, str], float]:
    """(what is counted, the status) -> the count, as Prometheus gets them of the study."""
    with urllib.request.urlopen(head.metrics, timeout=20) as answer:
        text = answer.read().decode()
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"ray_htsweep_(\w+)\{(.*)\} (\S+)", line)
        if match is not None and 'study="ratios"' in match[2]:
            status = re.search(r'status="(\w*)"', match[2])
            found[match[1], status[1] if status else ""] = float(match[3])
    return found


def stand_in(folder: Path, program: str) -> None:
    """Writes a program that is called as htsweep, to bin/."""
    (folder / "bin").mkdir()
    path = folder / "bin" / "htsweep"
    path.write_text(f"#!/bin/bash\n{program}\n")
    path.chmod(0o755)


@pytest.mark.ray
def test_a_cluster_that_asks_for_its_token_says_how_to_give_it(head: Head, folder: Path) -> None:
    environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64, "RAY_AUTH_TOKEN_PATH": ""}
    code, said = at_head("logs", "ratios.yaml", "--address", head.url, **environment)
    assert code == 2
    assert "the cluster asks for its token. Set RAY_AUTH_MODE=token" in said


class Answer(http.server.BaseHTTPRequestHandler):
    """A server that is none of Ray."""

    code, text = 200, b"<html>"

    def do_GET(self) -> None:
        self.send_response(self.code)
        self.end_headers()
        self.wfile.write(self.text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def other() -> Iterator[Callable[[int, bytes], str]]:
    """Starts a server that answers with a code and a text; its URL."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)

    def answering(code: int, text: bytes) -> str:
        server.RequestHandlerClass = type("Other", (Answer,), {"code": code, "text": text})
        return f"http://127.0.0.1:{server.server_port}"

    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield answering
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("code", "text", "why"),
    [
        (200, b"<html>", "no job server of Ray"),
        (200, b"[]", "no job server of Ray"),
        (404, b"", "it answers with 404"),
    ],
)
def test_another_server_is_told_from_a_job_server(
    other: Callable[[int, bytes], str], folder: Path, code: int, text: bytes, why: str
) -> None:
    given = Given("ratios.yaml", address=other(code, text), results="/shared/results")
    with pytest.raises(HtsweepError) as caught:
        ray_jobs.submit(read("ratios.yaml"), given)
    assert why in str(caught.value)
    assert "ray dashboard cluster.yaml" in str(caught.value)


def test_a_server_that_is_not_reached_is_told_with_the_remedy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    words = ["submit", "ratios.yaml", "--address", url, "--results", "s3://bucket/results"]
    assert called(*words) == 2
    said = capsys.readouterr().err
    assert f"--address {url}: no job server of Ray answers there" in said
    assert "ray dashboard cluster.yaml" in said


def test_mistakes_are_found_before_anything_is_sent(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = ["--address", "HEAD:6379", "--tracking-uri", "http://me:hunter2@host"]
    assert called("submit", "ratios.yaml", *to) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 4
    assert "--address HEAD:6379: submit takes the URL of the cluster's job server" in said
    assert "--results results: the job runs in a folder of its own" in said
    assert "MLFLOW_TRACKING_PASSWORD" in said
    assert "hunter2" not in said
    (folder / "ratios.yaml").write_text(STUDY.replace("grid", "gird"))
    assert called("submit", "ratios.yaml", "--address", "http://head:8265") == 2
    assert "nothing was started" in capsys.readouterr().err


def test_the_user_s_own_address_counts_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://elsewhere:1")
    with ray_jobs._address_given():
        assert "RAY_ADDRESS" not in os.environ
    assert os.environ["RAY_ADDRESS"] == "http://elsewhere:1"
