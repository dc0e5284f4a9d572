"""What a module defines is read from its text, and nothing of it runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from answering import answering

from htsweep.errors import HtsweepError
from htsweep.launching import launch
from htsweep.planning.reading import read
from htsweep.planning.unrun import defines


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("def f(o): ...", True),
        ("if True:\n    f = len", True),
        ("try:\n    from math import sqrt as f\nexcept ImportError:\n    f = None", True),
        ("from math import *", True),
        ("def __getattr__(name): return len", True),
        ("globals()['f'] = len", True),
        ("def g(o):\n    return f(o)", False),
        ("import f.g as h", False),
    ],
)
def test_a_name_is_found_as_far_as_the_text_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, there: bool
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"unrun_{abs(hash(text))}"
    (tmp_path / f"{name}.py").write_text(f"raise SystemExit('it ran')\n{text}\n")
    assert defines(name, "f") is there
    package = tmp_path / f"in_{name}"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('it ran')\n")
    (package / "part.py").write_text(text)
    assert defines(f"in_{name}.part", "f") is there


def test_what_is_no_module_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "broken_unrun.py").write_text("def f(:\n")
    with pytest.raises(SyntaxError):
        defines("broken_unrun", "f")
    for name in ("no_such_module_unrun", "broken_unrun.part", ""):
        with pytest.raises((ImportError, ValueError)):
            defines(name, "f")


def test_a_study_s_metrics_run_when_it_is_launched_and_not_when_it_is_read(
    tmp_path: Path, study_file: Callable[..., Path]
) -> None:
    answering(tmp_path)
    mark = tmp_path / "ran"
    (tmp_path / "loud_metrics.py").write_text(
        f"open({str(mark)!r}, 'w').close()\nraise RuntimeError('loud')\ndef f(outputs): ...\n"
    )
    text = (tmp_path / "study.yaml").read_text()
    study = read(study_file(f"{text}metrics: ['loud_metrics:f']\n"))
    assert not mark.exists()
    with pytest.raises(HtsweepError, match="importing loud_metrics raised RuntimeError: loud"):
        launch(study, str(tmp_path / "r"), on="inline", mirror=None)
    assert mark.exists()
    assert not (tmp_path / "r").exists()
