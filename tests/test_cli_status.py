"""The state of a study, from its ledger alone."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import spared
from ledgers import TRIALS, fill, toy

from htsweep.cli.status import status
from htsweep.launching import Launched
from htsweep.ledger import Lease, Ledger, Record, Store
from htsweep.planning.plan import plan
from htsweep.results import Results
from htsweep.study.schema import Study

ALL, PER_PAIR, SCORES = 24, 4, 24
"""Trials of the study, those of each of its six pairs, and those of its two scores."""


@pytest.fixture
def study(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Study]:
    return spared.study(study_file, tmp_path)


@pytest.fixture
def run(
    study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Launched]:
    return spared.run(study, tmp_path, monkeypatch)


def test_a_status_counts_the_scores(
    run: Callable[..., Launched], study: Callable[..., Study], tmp_path: Path
) -> None:
    before = status(Results(study(), str(tmp_path / "results")))
    assert (before.left, before.unfinished) == (ALL, ALL + SCORES)
    run()
    after = status(Results(study(), str(tmp_path / "results")))
    assert (after.done, after.left, after.unfinished, after.failures) == (8, 0, 0, ())
    assert "24 trials (24 done, 0 to run)" in after.lines()[1]
    assert json.loads(after.json())["screen"]["spared"] == 16


def test_failures_have_their_last_reason_and_log(tmp_path: Path) -> None:
    study = toy(tmp_path / "study")
    fill(study, tmp_path / "results", [0])
    ledger = Ledger(Store(tmp_path / "results"))
    failed, *_ = [entry for entry in plan(study).trials() if entry[1] == 1]
    point, repetition, trial = failed
    for attempt, reason in ((1, "died"), (2, "ValueError: no")):
        ledger.append(
            Record(
                trial,
                "trial",
                "failed",
                "toy",
                json.dumps(point.config),
                repetition,
                sweep=point.sweep,
                point=point.id,
                point_index=point.index,
                attempt=attempt,
                reason=reason,
                log=f"logs/{attempt}.log",
                ended=1.6e9 + attempt,
            ),
            [],
        )
    found = status(Results(study, str(tmp_path / "results")))
    assert (found.trials, found.done, found.failed) == (TRIALS, TRIALS // 2, 1)
    (failure,) = found.failures
    assert (failure.trial, failure.attempts, failure.reason) == (trial, 2, "ValueError: no")
    assert failure.what == f"y={point.config['y']}, repetition 1"
    text = "\n".join(found.lines())
    assert f"trials  8: 4 done, 0 stopped early, 1 failed, {found.left} to run" in text
    assert f"after 2 attempts: ValueError: no\n        log: {failure.log}" in text
    assert failure.log is not None
    assert failure.log.endswith("/logs/2.log")
    told = json.loads(found.json())
    assert (told["failed"], told["failures"][0]["trial"]) == (1, trial)
    assert "offered" not in told


def test_a_held_study_says_by_whom_and_offers_no_copy(tmp_path: Path) -> None:
    study = toy(tmp_path / "study")
    fill(study, tmp_path / "results")
    free = status(Results(study, str(tmp_path / "results")))
    assert (free.held_by, free.left) == (None, 0)
    assert any("htsweep" in line for line in free.offered), "MLflow has none of the trials"
    lease = Lease(Store(tmp_path / "results"), f"study-{study.name}")
    assert lease.take() is None
    held = status(Results(study, str(tmp_path / "results")))
    lease.release()
    assert held.held_by is not None
    assert held.held_by.startswith(f"process {os.getpid()} on ")
    assert held.lines()[0] == f"study {study.name}; being launched by {held.held_by}"
    assert held.offered == ()
