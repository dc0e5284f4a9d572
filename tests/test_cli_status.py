"""The state of a study, from its ledger alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import spared

from htsweep.cli.status import status
from htsweep.launching import Launched
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
