"""A screened study and its launches, for the tests of screens."""

from collections.abc import Callable
from pathlib import Path

import pytest
from screened import lay

from htsweep.planning.plan import Plan
from htsweep.planning.reading import read
from htsweep.study.schema import Study

ALL, PER_PAIR, SCORES = 24, 4, 24
"""Trials of the study, those of each of its six pairs, and those of its two scores."""


def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a launch draws at its end is not looked at here, and takes longer than all else."""
    monkeypatch.setattr("htsweep.launching.Report.make", lambda *_: None)


def study(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Study]:
    text = lay(tmp_path, study_file)

    def make(*overrides: str, without: bool = False) -> Study:
        return read(study_file(text.partition("screen:")[0] if without else text), overrides)

    return make


def ids(planned: Plan) -> set[str]:
    return {trial for _, _, trial in planned.trials()}
