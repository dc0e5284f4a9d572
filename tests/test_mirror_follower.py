"""The process beside a launch: whatever becomes of it, the launch says what MLflow lacks, and the next one brings it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ledgers import fill, looked, toy
from mirrored import empty

from htsweep import launching
from htsweep.cli.launch import closing_lines
from htsweep.commands import Given
from htsweep.errors import HtsweepError
from htsweep.execution.agenda import Agenda
from htsweep.execution.watch import Silent
from htsweep.execution.work import Outcome
from htsweep.launching import Launched, launch
from htsweep.ledger import Ledger, Store
from htsweep.mirror.coverage import Mirrored
from htsweep.mirror.follower import Follower
from htsweep.mirror.updating import settle
from htsweep.planning.plan import Job
from htsweep.results import Results
from htsweep.study.schema import Study

TEXT = "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 4\nfixed: {seconds: 0.2, steps: 1}\n"
TRIALS = 12


class At(Silent):
    """Does something at the end of one trial, of which the number is given."""

    def __init__(self, number: int, act: Callable[[], object]) -> None:
        self._left, self._act = number, act

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Launched]:
    """Launches the study in this process; without its report, which takes seconds."""
    monkeypatch.setattr(launching.Report, "make", lambda *_: None)
    study = toy(tmp_path, TEXT)

    def go(watch: Any = None, **options: Any) -> Launched:
        return launch(study, str(tmp_path / "results"), on="inline", watch=watch, **options)

    return go


def children() -> dict[int, str]:
    """The command lines of this process' children."""
    found = {}
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int((path / "stat").read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found[int(path.name)] = (
                    (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                )
    return found


def followers() -> list[int]:
    return [pid for pid, words in children().items() if "htsweep.mirror.process" in words]


def lines(study: Study, results: Path, done: Launched) -> list[str]:
    return closing_lines(study, Given(str(study.file), (), str(results), "inline"), done)


def test_a_launch_mirrors_all_and_says_nothing_of_it(
    run: Callable[..., Launched], tmp_path: Path
) -> None:
    done = run()
    study = toy(tmp_path, TEXT)
    assert done.mirrored == Mirrored(TRIALS, TRIALS)
    assert looked(study, tmp_path / "results").whole
    assert not any("MLflow" in line for line in lines(study, tmp_path / "results", done))
    assert run(mirror=None).mirrored is None
    # With nothing left to run, a database that was deleted comes back, and nothing is said.
    (tmp_path / "results" / "mlflow.db").unlink()
    assert run().mirrored == Mirrored(TRIALS, TRIALS)
    assert looked(study, tmp_path / "results").whole


@pytest.mark.usefixtures("run")
def test_a_launch_on_a_copy_says_so_and_leaves_the_original_alone(tmp_path: Path) -> None:
    study = toy(tmp_path, TEXT)
    fill(study, tmp_path / "results")
    empty(tmp_path / "results" / "mlflow.db")
    settle(Results(study, str(tmp_path / "results")), "", 0.0)
    before = {
        path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()
    }
    shutil.copytree(tmp_path / "results", tmp_path / "copy")
    done = launch(study, str(tmp_path / "copy"), on="inline")
    assert done.mirrored is not None
    assert done.mirrored.whole
    [note] = done.mirrored.notes
    assert note.startswith(f"{tmp_path}/copy/mlflow.db was copied or moved: ")
    assert note in lines(study, tmp_path / "copy", done)
    assert {
        path: path.read_bytes() for path in (tmp_path / "results").rglob("*") if path.is_file()
    } == before


def test_a_follower_that_is_killed_is_told_with_counts_and_the_command_works(
    run: Callable[..., Launched],
    tmp_path: Path,
) -> None:
    study, results = toy(tmp_path, TEXT), tmp_path / "results"
    empty(tmp_path / "results" / "mlflow.db")  # MLflow takes a second to make it
    done = run(At(4, lambda: [os.kill(pid, signal.SIGKILL) for pid in followers()]))
    assert done.mirrored is not None
    assert done.mirrored.of == TRIALS
    assert not done.mirrored.whole
    *_, said, offered = lines(study, results, done)
    assert said == (
        f"MLflow has {done.mirrored.runs} of {TRIALS} ended trials: the process that copies to it "
        "ended with code -9"
    )
    command = offered.removeprefix("To bring it up to date: ")
    assert command == f"htsweep mirror {shlex.join([str(study.file), '--results', str(results)])}"
    # The next launch has nothing to run, and brings all.
    assert run().mirrored == Mirrored(TRIALS, TRIALS)


def test_a_follower_that_cannot_be_started_is_told(
    run: Callable[..., Launched],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("htsweep.mirror.follower.subprocess.Popen", fails)
    done = run()
    assert done.mirrored == Mirrored(
        0,
        TRIALS,
        "the process that copies to it could not be started: "
        "[Errno 11] Resource temporarily unavailable",
    )


def test_a_follower_that_takes_too_long_is_ended_and_told(
    run: Callable[..., Launched],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("htsweep.mirror.follower.PATIENCE_SECONDS", 0.3)
    done = run(At(TRIALS, lambda: [os.kill(pid, signal.SIGSTOP) for pid in followers()]))
    monkeypatch.undo()
    assert done.mirrored is not None
    assert done.mirrored.trouble.startswith("it was not done after")
    assert not followers()


def test_a_database_that_is_deleted_while_a_launch_runs_has_all_in_the_end(
    run: Callable[..., Launched],
    tmp_path: Path,
) -> None:
    database = tmp_path / "results" / "mlflow.db"

    def delete() -> None:
        deadline = time.monotonic() + 60
        while not database.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        database.unlink()

    assert run(At(8, delete)).mirrored == Mirrored(TRIALS, TRIALS)


def test_a_study_file_that_is_edited_while_it_is_launched_changes_nothing(
    run: Callable[..., Launched],
    tmp_path: Path,
) -> None:
    """What was launched is mirrored, and not what the file says by the time the mirror starts."""
    empty(tmp_path / "results" / "mlflow.db")  # MLflow takes a second to make it
    done = run(
        At(1, lambda: (tmp_path / "study.yaml").write_text("task: toy\ngrid: {x: [0.77]}\n"))
    )
    assert done.mirrored == Mirrored(TRIALS, TRIALS)


def test_what_a_user_s_module_prints_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launching.Report, "make", lambda *_: None)
    (tmp_path / "noisy_module.py").write_text(
        "import os\nprint('{\"runs\": 7}')\nos.write(1, b'{}')\ndef noisy(config, workspace):\n    "
        "yield {'step': 0, 'a': 1.0}\n"
    )
    empty(tmp_path / "results" / "mlflow.db")  # MLflow takes a second to make it
    done = launch(
        toy(tmp_path, "task: noisy_module:noisy\n"), str(tmp_path / "results"), on="inline"
    )
    assert done.mirrored == Mirrored(1, 1)


def test_a_password_stands_on_no_command_line_and_in_no_message(
    run: Callable[..., Launched], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("htsweep.mirror.follower.RETRY_SECONDS", 1.0)
    seen: list[str] = []
    done = run(
        At(2, lambda: seen.extend(children().values())),
        mirror="http://me:s3cret@127.0.0.1:9/mlflow",
    )
    assert any("htsweep.mirror.process" in words for words in seen)
    assert not any("s3cret" in words for words in seen)
    assert done.mirrored is not None
    assert (done.mirrored.runs, done.mirrored.of) == (None, TRIALS)
    study = toy(tmp_path, TEXT)
    said = "\n".join(
        closing_lines(
            study,
            Given(
                str(study.file),
                (),
                str(tmp_path / "results"),
                "inline",
                None,
                "http://me:s3cret@127.0.0.1:9/mlflow",
            ),
            done,
        )
    )
    assert "s3cret" not in said
    assert "MLflow has an unknown number of 12 ended trials: " in said
    assert "--tracking-uri http://me:PASSWORD@127.0.0.1:9/mlflow" in said


def test_a_tracking_uri_that_is_none_is_told_before_anything_starts(
    run: Callable[..., Launched], tmp_path: Path
) -> None:
    with pytest.raises(HtsweepError, match="did you mean 'http'"):
        run(mirror="htp://host")
    assert not (tmp_path / "results").exists()


def test_a_launch_that_raises_leaves_the_rest_to_the_follower(
    run: Callable[..., Launched], tmp_path: Path
) -> None:
    def fails() -> None:
        raise RuntimeError("the executor broke")

    empty(tmp_path / "results" / "mlflow.db")  # MLflow takes a second to make it
    with pytest.raises(RuntimeError, match="the executor broke"):
        run(At(6, fails))
    deadline = time.monotonic() + 60
    study, results = toy(tmp_path, TEXT), tmp_path / "results"
    while not looked(study, results).whole and time.monotonic() < deadline:
        time.sleep(0.2)
    assert looked(study, results).runs == Ledger(Store(results)).trials().num_rows
    for pid in followers():  # it ends by itself; what is left of it until then is looked after here
        os.waitpid(pid, 0)


def test_a_long_study_reaches_the_follower(tmp_path: Path) -> None:
    """As long as a study may be, and nearly as a pipe holds: it is written while the process starts."""
    study = toy(tmp_path, TEXT + "x-long:\n" + "".join(f"  - {'y' * 100}\n" for _ in range(600)))
    fill(study, tmp_path / "results")
    empty(tmp_path / "results" / "mlflow.db")  # MLflow takes a second to make it
    results = Results(study, str(tmp_path / "results"))
    follower = Follower(results, "", Silent())
    follower.finish(results)
    assert follower.mirrored == Mirrored(TRIALS, TRIALS)


CODE = (
    "import sys\nfrom htsweep.cli.app import main\nfrom htsweep import launching\n"
    "launching.Report.make = lambda *_: None\n"
    "main(['launch', sys.argv[1], '--on', 'inline', '--results', sys.argv[2]])"
)


@pytest.mark.parametrize(("seconds", "follower_too"), [(2.5, True), (6.0, False)])
def test_after_a_kill_the_next_launch_has_all_or_says_what_is_missing(
    seconds: float,
    follower_too: bool,
    tmp_path: Path,
) -> None:
    """The launch, and at other times its follower as well, is killed at some moment: of starting, running, or copying."""
    study, results = toy(tmp_path, TEXT), tmp_path / "results"
    words = [sys.executable, "-P", "-c", CODE, str(study.file), str(results)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    mine = [pid for pid in _all_followers() if _parent(pid) == process.pid] if follower_too else []
    for pid in (*mine, process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    there = looked(study, results)
    assert there.of == TRIALS
    assert there.whole, done.stdout
    assert "MLflow has" not in done.stdout
    assert not re.search("Traceback", done.stdout + done.stderr)


def _all_followers() -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if b"htsweep.mirror.process" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def _parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return -1
