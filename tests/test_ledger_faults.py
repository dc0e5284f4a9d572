"""Results that cannot be read or written: each verb says the path and the remedy, and nothing is half written."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from htsweep import results
from htsweep.cli.app import main
from htsweep.cli.status import status
from htsweep.errors import HtsweepError, LedgerError
from htsweep.execution.work import Conditions, Work
from htsweep.execution.worker import Worker
from htsweep.launching import launch
from htsweep.ledger import Ledger, Record, Store, store
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.report import build
from htsweep.results import Results
from htsweep.study.schema import Study

HTSWEEP = str(Path(sys.executable).parent / "htsweep")
TOY = "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\n"


@pytest.fixture
def toy(study_file: Callable[..., Path]) -> Study:
    return read(study_file(TOY))


def refusing(
    monkeypatch: pytest.MonkeyPatch, number: int, when: Callable[[Path], bool], half: bool = True
) -> None:
    """Has the file system refuse to write the objects that `when` picks, half way through their bytes."""
    real = store._created

    class Refusing:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Refusing:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, data: bytes) -> None:
            if half:
                self.file.write(data[: len(data) // 2])
                self.file.flush()
            raise OSError(number, os.strerror(number), self.file.name)

    asked: list[Path] = []
    place = store._place

    def placed(target: Path, data: bytes) -> None:
        asked.append(target)
        place(target, data)

    monkeypatch.setattr(store, "_place", placed)
    monkeypatch.setattr(
        store, "_created", lambda path: Refusing(real(path)) if when(asked[-1]) else real(path)
    )


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some of your quota"),
        (errno.EROFS, "is read-only"),
        (errno.EACCES, "get permission"),
        (errno.ESTALE, "mounted and intact"),
        (errno.EIO, "mounted and intact"),
    ],
)
def test_what_cannot_be_written_is_told_with_the_remedy_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    ledger = Ledger(Store(tmp_path))
    ledger.append(Record("t0", "trial", "done", "toy", "{}", 0, steps=1), [{"step": 0, "a": 1.0}])
    refusing(monkeypatch, number, lambda target: target.parent.name == "trials")
    with pytest.raises(LedgerError) as told:
        ledger.append(
            Record("t1", "trial", "done", "toy", "{}", 0, steps=1), [{"step": 0, "a": 1.0}]
        )
    words = str(told.value)
    assert words.startswith(f"{tmp_path}/trials/t1-")
    assert f".parquet cannot be written: {os.strerror(number)}; " in words
    assert remedy in words
    assert words.endswith("by --results") or "by --results;" in words
    assert ".part" not in words
    assert [path.name[:3] for path in tmp_path.rglob("*") if path.is_file()] == ["t0-", "t0-"]
    assert ledger.trials(["trial"]).to_pylist() == [{"trial": "t0"}]


def test_an_object_that_is_written_over_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Store(tmp_path)
    place.write("leases/x/a.json", b"before")
    refusing(monkeypatch, errno.ENOSPC, lambda target: True)
    with pytest.raises(LedgerError, match="No space left"):
        place.write("leases/x/a.json", b"after")
    assert place.read("leases/x/a.json") == b"before"
    assert len(list(tmp_path.rglob("*.*"))) == 1


def test_a_trial_whose_record_cannot_be_written_is_not_done_and_runs_again(
    toy: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        written: list[Path] = []

        def third(target: Path) -> bool:
            written.extend(
                [target] if target.parent.name == "trials" and target not in written else []
            )
            return target in written[2:]

        refusing(patch, errno.ENOSPC, third)
        with pytest.raises(
            LedgerError, match=r"trials/\w+-\w+\.parquet cannot be written: No space left"
        ):
            launch(toy, str(tmp_path / "r"), on="inline", mirror=None)
    assert status(Results(toy, str(tmp_path / "r"))).done == 2
    done = launch(toy, str(tmp_path / "r"), on="inline", mirror=None)
    assert (done.agenda.reused, done.agenda.done["trial done"]) == (2, 1)


def test_the_process_of_a_trial_tells_that_the_ledger_takes_no_record(
    toy: Study, tmp_path: Path
) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "trials").write_text("a file")
    planned = plan(toy)
    point, repetition, _ = next(iter(planned.trials()))
    worker = Worker()
    try:
        with pytest.raises(LedgerError, match=r"r/trials/\w+-\w+\.parquet cannot be written"):
            worker.run(
                Work(
                    planned.job(point, repetition),
                    Conditions(str(tmp_path / "r"), folder=str(tmp_path)),
                    {},
                    1,
                )
            )
    finally:
        worker.close()
    assert list((tmp_path / "r" / "measurements").iterdir()) == []


def test_a_compaction_that_cannot_be_written_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(Store(tmp_path))
    for index in range(4):
        ledger.append(
            Record(f"t{index}", "trial", "done", "toy", "{}", 0, steps=1),
            [{"step": 0, "a": float(index)}],
        )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.parquet")}
    for kind in ("measurements", "trials"):
        with monkeypatch.context() as patch:
            refusing(
                patch,
                errno.ENOSPC,
                lambda target, kind=kind: (
                    target.name.startswith("all-") and target.parent.name == kind
                ),
            )
            with pytest.raises(
                LedgerError, match=rf"{kind}/all-\w+\.parquet cannot be written: No space left"
            ):
                ledger.compact()
        assert {
            path: path.read_bytes() for path in tmp_path.rglob("*.parquet") if path in before
        } == before
        assert ledger.measurements()["a"].to_pylist() == [0.0, 1.0, 2.0, 3.0]
    assert not list((tmp_path / "leases").iterdir())
    assert ledger.compact() == 4


def test_what_another_user_has_recorded_unreadably_is_not_merged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger(Store(tmp_path))
    for index in range(4):
        ledger.append(
            Record(f"t{index}", "trial", "done", "toy", "{}", 0, steps=1),
            [{"step": 0, "a": float(index)}],
        )
    real = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.name.startswith("t0-") and path.parent.name == "measurements":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", refused)
    assert ledger.compact() == 3
    assert "measurements/t0-" in caplog.text
    assert "ask its owner for permission to read it" in caplog.text
    trials = ledger.trials()
    mine = trials.take(
        [row for row, trial in enumerate(trials["trial"].to_pylist()) if trial != "t0"]
    )
    assert ledger.measurements(trials=mine)["a"].to_pylist() == [1.0, 2.0, 3.0]
    with pytest.raises(
        LedgerError,
        match=r"measurements/t0-\w+\.parquet cannot be read: Permission denied; ask its owner",
    ):
        ledger.measurements()


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """The exit code of a command, and what it said."""

    def run(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        return int(ended.value.code or 0), capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    "verb",
    ["plan", "status", "report", "query", "export", "pareto", "mirror", "launch --on inline"],
)
@pytest.mark.parametrize("place", ["file", "file/below", "odd"])
def test_a_file_in_place_of_a_folder(
    toy: Study, tmp_path: Path, said: Callable[..., tuple[int, str]], verb: str, place: str
) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "trials").write_text("a file")
    (tmp_path / "odd" / "leases").write_text("a file")
    name, *rest = verb.split()
    code, text = said(name, str(toy.file), *rest, "--results", str(tmp_path / place))
    assert code == 2
    [error] = [line for line in text.splitlines() if line.startswith("error: ")]
    assert "Not a directory" in error
    assert str(tmp_path / place) in error
    assert "--results" in text


def test_results_that_vanish_under_a_launch(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "vanishing_module.py").write_text(
        "import shutil\ndef vanishing(config, workspace):\n    if config['x'] == 2:\n"
        f"        shutil.rmtree({str(tmp_path / 'r')!r})\n    yield {{'step': 0, 'score': 1.0}}\n"
    )
    study = read(study_file("task: vanishing_module:vanishing\ngrid: {x: [1, 2, 3]}\n"))
    with pytest.raises(
        LedgerError,
        match=r"r/leases/study-study/\w+\.json is gone: .* or the results were removed or unmounted",
    ):
        launch(study, str(tmp_path / "r"), on="inline", mirror=None)
    assert status(Results(study, str(tmp_path / "r"))).done == 2


# -- real file systems
# -----------------------------------------------------------------------------------------------------------


def mounted(tmp_path: Path, script: str, size: str = "600k") -> subprocess.CompletedProcess[str]:
    """Runs a script where tmp_path / "small" is a file system of that size; skips where none can be mounted."""
    (tmp_path / "small").mkdir()
    apart = (
        ["unshare", "--mount"] if os.getuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    )
    mount = f"mount -t tmpfs -o size={size} tmpfs {tmp_path / 'small'}"
    if (
        shutil.which("unshare") is None
        or subprocess.run([*apart, "sh", "-c", mount], check=False).returncode
    ):
        pytest.skip("no file system can be mounted here; the tests that pretend one hold the rule")
    return subprocess.run(
        [*apart, "bash", "-c", f"{mount} && {script}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )


FILLING = """\
import random
def filling(config, workspace):
    draw = random.Random(config["x"])
    for step in range(20):
        yield {"step": step, "score": 0.5, "curve": [draw.random() for _ in range(600)]}
"""


@pytest.mark.parametrize("on", ["inline", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_disk_that_fills_up_while_trials_end(
    study_file: Callable[..., Path], tmp_path: Path, on: str
) -> None:
    (tmp_path / "filling_module.py").write_text(FILLING)
    path = study_file("task: filling_module:filling\ngrid: {x: [1, 2, 3, 4, 5, 6, 7, 8]}\n")
    words = f"{HTSWEEP} launch {path} --no-mirror --results {tmp_path}/small/r"
    done = mounted(
        tmp_path,
        f"{words} --on {on}; echo exit $? 1>&2; find {tmp_path}/small -name '*.part'; "
        f"{HTSWEEP} status {path} --results {tmp_path}/small/r; mount -o remount,size=100m "
        f"{tmp_path}/small; "
        f"{words} --on inline; cp -r {tmp_path}/small/r {tmp_path}/kept",
    )
    assert "exit 2" in done.stderr, done.stderr
    assert "cannot be written: No space left on device; free some space on its disk" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert ".part" not in done.stdout
    study = read(path)
    assert len(results.measurements(study, str(tmp_path / "kept"))) == 160
    assert Ledger(Store(tmp_path / "kept")).trials(every=True).num_rows == 8


def test_results_that_can_only_be_read(toy: Study, tmp_path: Path) -> None:
    launch(toy, str(tmp_path / "r"), on="inline", mirror=None)
    verbs = [
        "plan",
        "status",
        "report",
        "query",
        f"export --out {tmp_path}/out",
        f"pareto --out {tmp_path}/out",
    ]
    told = " ".join(
        f"{HTSWEEP} {verb} {toy.file} --results {tmp_path}/small/r > /dev/null && echo "
        f"{verb.split()[0]} well;"
        for verb in verbs
    )
    done = mounted(
        tmp_path,
        f"cp -r {tmp_path}/r {tmp_path}/small/ && mount -o remount,ro {tmp_path}/small && {{ "
        f"{told} "
        f"{HTSWEEP} launch {toy.file} --on inline --no-mirror --results {tmp_path}/small/r; echo "
        f"exit $?; }}",
        "20m",
    )
    assert done.stdout.split("\n")[:6] == [f"{verb.split()[0]} well" for verb in verbs], done.stderr
    assert "exit 2" in done.stdout
    assert (
        "cannot be written: Read-only file system; that disk is read-only, so give a folder on "
        "another one" in done.stderr
    )
    assert "Traceback" not in done.stderr


def test_a_report_that_cannot_be_written(toy: Study, tmp_path: Path) -> None:
    launch(toy, str(tmp_path / "r"), on="inline", mirror=None)
    (tmp_path / "out").write_text("a file")
    for act in (
        lambda: build.write(Results(toy, str(tmp_path / "r")), tmp_path / "out"),
        lambda: build.export(Results(toy, str(tmp_path / "r")), tmp_path / "out", "csv"),
    ):
        with pytest.raises(HtsweepError, match=r"out/\w+\.\w+ cannot be written: "):
            act()
