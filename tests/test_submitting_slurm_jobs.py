"""A job of Slurm after it was submitted, by stand-ins for Slurm's commands."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.cli.app import main
from htsweep.errors import HtsweepError
from htsweep.planning.reading import read
from htsweep.submitting import slurm_jobs
from htsweep.submitting.jobs import Submitted
from htsweep.submitting.submission import Submission, recall, remember

JOB = Submission("slurm", "42", "/shared/results", 1.8e9, log="/nowhere/log")


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has a command of Slurm print something, or fail with it; each call adds to `calls`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def say(command: str, text: str, code: int = 0) -> None:
        program = folder / command
        program.write_text(
            f'#!/bin/bash\necho "{command} $*" >> {folder}/calls\n'
            f"echo '{text}'{' >&2' if code else ''}\nexit {code}\n"
        )
        program.chmod(0o755)

    say("squeue", "slurm_load_jobs error: Invalid job id specified", 1)
    say("sacct", "")
    return say


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("PENDING|Resources", "waiting"),
        ("RUNNING|None", "running"),
        ("COMPLETING|None", "running"),
        ("COMPLETED|None", "done"),
        ("CANCELLED|None", "stopped"),
        ("NODE_FAIL|NodeDown", "failed"),
    ],
)
def test_slurm_s_states_in_our_words(says: Callable[..., None], said: str, word: str) -> None:
    says("squeue", said)
    assert slurm_jobs.state(JOB).word == word
    assert said.partition("|")[2] in slurm_jobs.state(JOB).why


def test_an_ended_job_is_asked_of_the_accounting(says: Callable[..., None]) -> None:
    assert slurm_jobs.state(JOB).word == "gone"
    assert slurm_jobs.state(JOB).ended
    says("sacct", "CANCELLED by 1000|0:15")
    assert slurm_jobs.state(JOB).word == "stopped"
    says("sacct", "FAILED|3:0")
    assert (slurm_jobs.state(JOB).word, "3:0" in slurm_jobs.state(JOB).why) == ("failed", True)


def test_stop_cancels_what_runs_and_nothing_else(says: Callable[..., None], tmp_path: Path) -> None:
    says("scancel", "")
    assert not slurm_jobs.stop(JOB)
    says("squeue", "RUNNING|None")
    assert slurm_jobs.stop(JOB)
    assert "scancel 42" in (tmp_path / "bin" / "calls").read_text().splitlines()
    says("scancel", "Access denied", 1)
    with pytest.raises(HtsweepError, match="did not end job 42: Access denied"):
        slurm_jobs.stop(JOB)


def test_without_slurm_it_says_where_to_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HtsweepError, match=r"no squeue: run this on a login node"):
        slurm_jobs.state(JOB)


def test_a_log_is_followed_until_the_job_ends(says: Callable[..., None], tmp_path: Path) -> None:
    log = tmp_path / "log"
    job = Submission("slurm", "42", "/shared/results", 1.8e9, log=str(log))
    says("squeue", "RUNNING|None")
    pieces = slurm_jobs.follow(job, 0.01)
    assert next(pieces) == ""
    log.write_text("one\n")
    assert next(pieces) == "one\n"
    assert next(pieces) == ""
    log.write_text("one\ntwo\n")
    says("squeue", "COMPLETED|None")
    assert list(pieces) == ["two\n"]


def test_a_submission_is_found_from_the_study_s_folder(
    study_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    says: Callable[..., None],
) -> None:
    path = study_file("task: toy\ngrid: {x: [0.1]}\n")
    study = read(path)
    assert recall(study) is None
    with pytest.raises(HtsweepError, match=r"was not submitted.*htsweep submit"):
        Submitted(study)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bin" / "sbatch").write_text("#!/bin/bash\necho '42;cluster'\n")
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    with pytest.raises(SystemExit) as caught:
        main(["submit", "study.yaml", "--slurm", "--results", "r 100%"])
    assert not caught.value.code
    assert "htsweep logs study.yaml --follow" in capsys.readouterr().out
    found = Submitted(study)
    assert found.called == "job 42 of Slurm"
    assert (found.job.results, found.job.log) == (
        str(tmp_path / "r 100%"),
        f"{tmp_path}/r 100%/slurm/study-42.log",
    )
    with pytest.raises(HtsweepError, match=r"has no results there, so that.*rsync -a 'LOGIN_HOST"):
        found.fetch("results")
    (tmp_path / ".htsweep" / "study.json").write_text("{}")
    with pytest.raises(HtsweepError, match=r"study\.json.*cannot be read.*--address"):
        recall(study)


def test_what_is_remembered_is_hidden_from_git_and_written_anew(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    study = read(study_file("task: toy\ngrid: {x: [0.1]}\n"))
    remember(study, JOB)
    assert recall(study) == JOB
    assert (tmp_path / ".htsweep" / ".gitignore").read_text() == "*\n"
    later = Submission("ray", "htsweep-study-1", "s3://b/r", 1.9e9, "http://head:8265")
    remember(study, later)
    assert recall(study) == later
