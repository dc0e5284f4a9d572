"""The summary of a small study, for the tests of the Pareto figure."""

from pathlib import Path

import pytest
from frames import METHODS, digits, trials_of

from htsweep.report.pareto import pareto

NAMES = ["frontier.png", "frontier.svg", "frontier.pdf", "frontier.html", "frontier.csv"]
SCRIPT = "<script>alert(1)</script>"


def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a study with a name that would like to be a script."""
    frame = digits(
        {**METHODS, SCRIPT: (0.97, 0.4), "$a_b$": (0.96, 0.1)}, datasets=("mnist-uci", "uci-mnist")
    )
    out = tmp_path_factory.mktemp("drawn")
    paths = pareto(
        trials_of(frame), frame, out, parameters=["l2sp.backbone"], title=f"digits {SCRIPT}"
    )
    assert [path.name for path in paths] == NAMES
    assert sorted(path.name for path in out.iterdir()) == sorted(NAMES)
    return out
