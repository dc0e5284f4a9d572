"""`status --watch`: one picture at a terminal, and elsewhere a text whenever a count changes."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from ledgers import fill, toy

from htsweep.cli import watching
from htsweep.cli.watching import follow, picture
from htsweep.execution.load import Node
from htsweep.execution.pulse import Beat
from htsweep.ledger import Lease, Store
from htsweep.results import Results


def test_a_picture_fits_the_terminal() -> None:
    drawn = picture([f"line {number} is long" for number in range(30)], 10, 6)
    shown = drawn.removeprefix("\x1b[H").removesuffix("\x1b[J").split("\x1b[K\n")
    assert shown == ["line 0 is ", "line 1 is ", "line 2 is ", "line 3 is ", "... and 26", ""]
    assert picture(["one"], 80, 24) == "\x1b[Hone\x1b[K\n\x1b[J"


def test_it_is_printed_again_where_a_count_changes_and_not_with_each_beat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study = toy(tmp_path / "study")
    looks: list[int] = []
    lease = Lease(Store(tmp_path), f"study-{study.name}")
    assert lease.take() is None

    def said(store: Store, name: str) -> list[Beat]:
        looks.append(len(looks))
        at = 100.0 + len(looks)
        return [Beat("h", 7, 0.0, at, 2, 8, 0, 0, 8, None, (), 2, (Node("gpu-1", ("a", "b")),))]

    def sleep(seconds: float) -> None:
        if len(looks) == 3:
            fill(study, tmp_path, [0])
        if len(looks) == 5:
            fill(study, tmp_path, [1])
            lease.release()

    monkeypatch.setattr("htsweep.cli.status.beats", said)
    monkeypatch.setattr(watching.time, "sleep", sleep)
    follow(Results(study, str(tmp_path)), as_json=False, every_seconds=0)
    printed = capsys.readouterr().out
    assert [line for line in printed.splitlines() if line.startswith("trials")] == [
        "trials  8: 0 done, 0 stopped early, 0 failed, 8 to run",
        "trials  8: 4 done, 0 stopped early, 0 failed, 4 to run",
        "trials  8: 8 done, 0 stopped early, 0 failed, 0 to run",
    ]
    assert "node    gpu-1: 2 running" in printed


def test_at_a_terminal_one_picture_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    study, screen = toy(tmp_path / "study"), Terminal()
    fill(study, tmp_path, [0])
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(watching.time, "sleep", lambda seconds: fill(study, tmp_path, [1]))
    follow(Results(study, str(tmp_path)), as_json=False)
    assert screen.getvalue().startswith("\x1b[2J\x1b[Hstudy study\x1b[K\n")
    assert screen.getvalue().count("\x1b[H") == 2
