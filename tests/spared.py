"""A screened study and its launch, for the tests of what a screen spares."""

from collections.abc import Callable
from pathlib import Path

import pytest
from screened import lay

from htsweep.launching import Launched, launch
from htsweep.planning.reading import read
from htsweep.study.schema import Study


def study(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Study]:
    text = lay(tmp_path, study_file)

    def make(*overrides: str, without: bool = False) -> Study:
        return read(study_file(text.partition("screen:")[0] if without else text), overrides)

    return make


def run(
    study: Callable[..., Study], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Launched]:
    # What a launch draws at its end is not looked at here, and takes longer than all else.
    monkeypatch.setattr("htsweep.launching.Report.make", lambda *_: None)
    return lambda *overrides: launch(
        study(*overrides), str(tmp_path / "results"), on="inline", mirror=None
    )
