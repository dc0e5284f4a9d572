"""Parts of MLflow that are not public: where one is gone, that is an error in words, with the version that was tested."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from ledgers import fill, toy
from sqlalchemy import Column, Integer

from htsweep.errors import HtsweepError
from htsweep.mirror import internals
from htsweep.report import build
from htsweep.results import Results

REMEDY = r"htsweep is tested with mlflow.*<3\.18.* Install that: pip install 'mlflow"


def test_all_of_them_are_as_they_were_tested() -> None:
    internals.check()


@pytest.mark.parametrize("name", internals.FUNCTIONS)
def test_a_function_that_is_gone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delattr(internals.utils, name)
    said = rf"mlflow 3\.17\.\d+ lacks mlflow\.store\.db\.utils\.{name}, which .*{REMEDY}"
    with pytest.raises(HtsweepError, match=said):
        internals.check()


class Table:
    """A table of runs in another version."""

    __tablename__ = "tags"

    def __init__(self, **columns: Column) -> None:  # type: ignore[type-arg]
        self.columns = columns

    @property
    def __table__(self) -> "Table":
        return self


def test_columns_that_are_others(monkeypatch: pytest.MonkeyPatch) -> None:
    key, value = Column("key", Integer, nullable=False), Column("value", Integer)
    renamed = Table(key=key, content=value)
    monkeypatch.setattr(internals, "COLUMNS", {renamed: ("key", "value")})
    with pytest.raises(HtsweepError, match=rf"lacks the column value of its table tags.*{REMEDY}"):
        internals.check()
    needed = Table(key=key, value=value, owner=Column("owner", Integer, nullable=False))
    monkeypatch.setattr(internals, "COLUMNS", {needed: ("key", "value")})
    with pytest.raises(HtsweepError, match=rf"lacks a default for the column owner.*{REMEDY}"):
        internals.check()
    by_itself = Table(key=key, value=value, owner=Column("owner", Integer, default=0))
    monkeypatch.setattr(internals, "COLUMNS", {by_itself: ("key", "value")})
    internals.check()


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (
            "import mlflow.store.tracking.dbmodels.models as m; del m.SqlTag",
            "lacks mlflow.store.tracking.dbmodels.models.SqlTag, which htsweep uses",
        ),
        ("sys.modules['mlflow'] = None", "lacks mlflow.store, which htsweep uses"),
    ],
)
def test_the_verb_says_so_and_nothing_is_written(tmp_path: Path, gone: str, said: str) -> None:
    study, results = toy(tmp_path), tmp_path / "results"
    fill(study, results)
    report = build.folder_of(Results(study, str(results))) / "report.html"
    report.parent.mkdir(parents=True)
    report.write_text("<html></html>")  # to draw it takes longer than all else
    words = [str(study.file), "--results", str(results)]
    code = f"import sys; from htsweep.cli.app import main\n{gone}\nmain(['mirror', *sys.argv[1:]])"
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "pip install 'mlflow<3.18,>=3.17'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results" / "mlflow.db").exists()


def test_a_launch_leaves_its_environment_alone(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """What quietens MLflow, and leads past a proxy, is set in the process that copies, and not here."""
    study = study_file("task: toy\ngrid: {x: [0.1]}\n")
    code = (
        "import logging, os, sys\nbefore = dict(os.environ)\n"
        "level = logging.getLogger('urllib3').level\n"
        "import htsweep\n"
        "done = htsweep.launch(htsweep.read(sys.argv[1]), sys.argv[2], on='inline')\n"
        "assert done.mirrored.runs == 1, done.mirrored\n"
        "assert dict(os.environ) == before, set(os.environ.items()) ^ set(before.items())\n"
        "assert logging.getLogger('urllib3').level == level\n"
        "assert 'mlflow' not in sys.modules"
    )
    words = [str(study), str(tmp_path / "results")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_version_is_one_that_was_looked_at() -> None:
    """The bulk writer and the view lean on what MLflow does not promise; a new major version is to be looked at."""
    assert mlflow.__version__.startswith("3.")
