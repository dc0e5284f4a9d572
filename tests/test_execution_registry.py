"""Executors by name: the built-in ones, a user's own beside the study, and what is said of all else."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.cli.app import main
from htsweep.errors import HtsweepError, ResourceError
from htsweep.execution.inline import Inline
from htsweep.execution.ray import Ray
from htsweep.execution.registry import BUILT_IN, Options, make

OWN = """
from htsweep.errors import HtsweepError
from htsweep.execution.inline import Inline

def mine(options):
    if options.gpu:
        raise HtsweepError("mine has no GPU")
    return Inline()

def nothing(options):
    return 3
"""


def test_the_built_in_ones() -> None:
    assert isinstance(make("inline", Options()), Inline)
    assert isinstance(make("ray", Options()), Ray)
    for name in BUILT_IN:
        with pytest.raises(ResourceError, match=r"resources\.cpu: a trial takes 4096"):
            make(name, Options(cpu=4096))
    assert isinstance(make("ray", Options(cpu=4096, address="head:6379")), Ray)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_executors.py").write_text(OWN)
    (tmp_path / "broken_executors.py").write_text("import nowhere_at_all\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_one_s_own_and_what_it_refuses(own: Path) -> None:
    assert isinstance(make("own_executors:mine", Options()), Inline)
    with pytest.raises(HtsweepError, match="mine has no GPU"):
        make("own_executors:mine", Options(gpu=1))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "slurm",
            "unknown executor 'slurm'; choose inline or ray, or name your own as module:function",
        ),
        ("", "unknown executor ''; choose"),
        ("own_executors:", "unknown executor 'own_executors:'; choose inline or ray"),
        (
            "not_there:mine",
            "unknown executor 'not_there:mine': there is no module 'not_there' beside the study",
        ),
        ("not.there:mine", "there is no module 'not.there'"),
        ("own_executors:mein", "own_executors.py has no function 'mein'; did you mean 'mine'?"),
        (
            "broken_executors:mine",
            "broken_executors.py cannot be imported: ModuleNotFoundError: No module named",
        ),
        ("own_executors:nothing", "the function returned a int, which is not an executor"),
    ],
)
def test_what_is_no_executor_is_said(own: Path, name: str, said: str) -> None:
    with pytest.raises(HtsweepError, match=re.escape(said)):
        make(name, Options())


def test_one_s_own_is_found_beside_the_study(
    study_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "beside_the_study.py").write_text(OWN)
    study = study_file("task: toy\ngrid: {x: [0.1]}\n")
    words = ["launch", str(study), "--results", str(tmp_path / "results"), "--no-mirror", "--on"]
    with pytest.raises(SystemExit) as end:
        main([*words, "slurm"])
    assert end.value.code == 2
    assert "unknown executor 'slurm'; choose inline or ray" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    with pytest.raises(SystemExit) as end:
        main([*words, "beside_the_study:mine"])
    assert end.value.code == 0, capsys.readouterr()
