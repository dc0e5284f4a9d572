"""The log of a trial, read from the results while it runs and afterwards."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ledgers import toy

from htsweep.cli.app import main
from htsweep.errors import HtsweepError
from htsweep.ledger import Lease, Ledger, Record, Store
from htsweep.planning.plan import plan
from htsweep.results import Results
from htsweep.results.logs import TrialLog
from htsweep.study.schema import Study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return toy(tmp_path / "study")


def first(study: Study) -> str:
    return next(trial for _, _, trial in plan(study).trials())


def write(folder: Path, trial: str, attempt: int, text: str) -> None:
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    (folder / "logs" / f"{trial}-{attempt}.txt").write_text(text)


def end(folder: Path, study: Study, status: str, attempt: int, reason: str | None = None) -> None:
    point, repetition, trial = next(plan(study).trials())
    config = json.dumps(point.config)
    about = {"sweep": point.sweep, "point": point.id, "point_index": point.index}
    record = Record(
        trial, "trial", status, "toy", config, repetition, attempt=attempt, reason=reason, **about
    )
    Ledger(Store(folder)).append(record, [])


def log(study: Study, folder: Path, name: str = "") -> TrialLog:
    return TrialLog(Results(study, str(folder)), name or first(study)[:8])


def test_the_last_attempt_is_the_one_that_is_shown(study: Study, tmp_path: Path) -> None:
    assert (log(study, tmp_path).text(), log(study, tmp_path).ended()) == ("", "")
    for attempt in (2, 10, 9):
        write(tmp_path, first(study), attempt, f"attempt {attempt}\n")
    write(tmp_path, f"{first(study)[:-1]}x", 11, "of another trial\n")
    assert log(study, tmp_path).text() == "attempt 10\n"
    end(tmp_path, study, "failed", 10, "raised: ValueError: no")
    assert log(study, tmp_path).ended() == (
        f"trial {first(study)}, attempt 10: failed: raised: ValueError: no"
    )


def test_a_trial_is_named_by_the_beginning_of_its_id(study: Study, tmp_path: Path) -> None:
    with pytest.raises(HtsweepError, match=r"8 trials begin with '': .*give more of the id"):
        TrialLog(Results(study, str(tmp_path)), "")
    with pytest.raises(HtsweepError, match=r"has no trial 'zz'.*htsweep status"):
        log(study, tmp_path, "zz")
    write(tmp_path, "zz0f", 1, "of a stage\n")
    assert log(study, tmp_path, "zz").text() == "of a stage\n"


def test_a_log_is_followed_to_the_end_of_its_trial(study: Study, tmp_path: Path) -> None:
    pieces = log(study, tmp_path).follow(0.001)
    assert next(pieces) == ""
    write(tmp_path, first(study), 1, "one\n")
    assert next(pieces) == "one\n"
    assert next(pieces) == ""
    write(tmp_path, first(study), 1, "one\ntwo\n")
    assert next(pieces) == "two\n"
    # It died, and the launch that is under way tries it again.
    lease = Lease(Store(tmp_path), f"study-{study.name}")
    assert lease.take() is None
    end(tmp_path, study, "failed", 1, "died: the worker's process ended")
    assert next(pieces) == ""
    write(tmp_path, first(study), 2, "again\n")
    assert next(pieces) == "again\n"
    write(tmp_path, first(study), 2, "again\nlast\n")
    end(tmp_path, study, "done", 2)
    assert list(pieces) == ["last\n"]
    lease.release()
    Ledger(Store(tmp_path)).compact()
    assert list(log(study, tmp_path).follow(0.001)) == ["again\nlast\n"]


def test_a_failure_that_nobody_tries_again_ends_it(study: Study, tmp_path: Path) -> None:
    write(tmp_path, first(study), 1, "one\n")
    end(tmp_path, study, "failed", 1, "died: killed")
    assert list(log(study, tmp_path).follow(0.001)) == ["one\n"]  # no launch is under way
    lease = Lease(Store(tmp_path), f"study-{study.name}")
    assert lease.take() is None
    end(tmp_path, study, "failed", 2, "raised: ValueError: no")
    assert list(log(study, tmp_path).follow(0.001)) == ["one\n"]  # a launch tries no such failure
    lease.release()


def test_the_command_prints_the_log_alone_on_standard_output(
    study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, first(study), 1, "one\ntwo")
    words = ["logs", str(study.file), first(study)[:6], "--results", str(tmp_path)]
    with pytest.raises(SystemExit):
        main(words)
    printed = capsys.readouterr()
    assert printed.out == "one\ntwo\n"
    assert printed.err == f"{first(study)} has not ended yet\n"
    end(tmp_path, study, "done", 1)
    with pytest.raises(SystemExit):
        main([*words, "--follow"])
    assert capsys.readouterr().out == "one\ntwo\n"
