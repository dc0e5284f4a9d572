"""A report is drawn again exactly when something that it depends on has changed."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.execution.agenda import Agenda
from htsweep.execution.watch import Silent
from htsweep.launching import Launched, launch
from htsweep.planning.reading import read
from htsweep.report import build, current
from htsweep.results import Results

TEXT = "task: toy\ngrid: {x: [0.1, 0.5]}\nrepetitions: 2\n"


class Told(Silent):
    """Keeps the tables that it is given."""

    def __init__(self) -> None:
        self.tables: list[str] = []

    def reported(self, agenda: Agenda, table: str) -> None:
        self.tables.append(table)


@pytest.fixture
def again(
    study_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[bool, Launched, Told]]:
    """Launches; whether the report was drawn, what was done, and what was told."""
    drawn: list[int] = []
    write = build.write

    def counted(*given: object, **named: object) -> object:
        drawn.append(1)
        return write(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(build, "write", counted)

    def go(text: str = TEXT, *overrides: str) -> tuple[bool, Launched, Told]:
        drawn.clear()
        told = Told()
        study = read(study_file(text), overrides)
        done = launch(study, str(tmp_path / "results"), on="inline", mirror=None, watch=told)
        return bool(drawn), done, told

    return go


def test_nothing_new_draws_nothing_and_tells_the_same(
    again: Callable[..., tuple[bool, Launched, Told]],
) -> None:
    drawn, first, told = again()
    assert drawn
    for _ in range(2):
        redrawn, done, retold = again()
        assert not redrawn
        assert (done.paths, done.table) == (first.paths, first.table)
        assert retold.tables == told.tables == [first.table]
        assert all(path.exists() for path in done.paths)


def test_a_new_trial_another_key_or_a_changed_file_draws_again(
    again: Callable[..., tuple[bool, Launched, Told]],
) -> None:
    _, first, _ = again()
    assert again(TEXT.replace("0.5]", "0.5, 0.9]"))[0]  # new trials
    assert again(TEXT)[0]  # the other study's report is there now
    assert not again(TEXT)[0]
    assert again(TEXT + "x-note: 1\n")[0]  # the page shows the study's file
    page = next(path for path in first.paths if path.name == "report.html")
    page.write_text("edited")
    assert again(TEXT + "x-note: 1\n")[0]
    assert page.read_text() != "edited"
    page.unlink()
    assert again(TEXT + "x-note: 1\n")[0]
    assert page.exists()


def test_what_another_study_adds_to_the_results_changes_nothing(
    again: Callable[..., tuple[bool, Launched, Told]],
) -> None:
    again()
    assert again("study: other\n" + TEXT.replace("0.5]", "0.7]"))[0]
    assert not again()[0]


def test_another_version_of_the_code_draws_again(
    again: Callable[..., tuple[bool, Launched, Told]], monkeypatch: pytest.MonkeyPatch
) -> None:
    again()
    assert not again()[0]
    monkeypatch.setattr(current, "_code", lambda: "another")
    assert again()[0]


PICKS = """\
from htsweep.selection import Protocol
from places import PLACE

def pick(measurements):
    last = measurements.sort_values("step").drop_duplicates("trial", keep="last")
    points = last.sort_values("point_index").groupby("sweep").nth(PLACE).reset_index()
    return points[["sweep", "point", "step"]]

ONE = Protocol(name="one", line="one of them", pick=pick, reads=("validation/score",))
"""


def test_a_user_s_own_code_draws_again_when_it_changes(
    again: Callable[..., tuple[bool, Launched, Told]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("place_picks", "places")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def launched(place: int, code: str = PICKS) -> tuple[bool, str]:
        (tmp_path / "place_picks.py").write_text(code)
        (tmp_path / "places.py").write_text(f"PLACE = {place}\n")
        for name in names:  # as in a process of its own
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        drawn, done, told = again(
            "task: toy\nrepetitions: 1\nsearch: {spaces: {all: {x: [0.1, 0.9]}}}\n"
            "select: place_picks:ONE\n"
        )
        assert told.tables == [done.table]
        return drawn, done.table

    try:
        drawn, first = launched(0)
        assert drawn
        assert "x=0.1" in first
        assert launched(0) == (False, first)
        drawn, other = launched(-1)  # what the named module imports
        assert drawn
        assert "x=0.9" in other
        drawn, said = launched(-1, PICKS.replace("one of them", "the other one"))
        assert drawn
        assert "the other one" in said
    finally:
        for name in names:
            sys.modules.pop(name, None)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"made_of": "STAMP"}', "\0"])
def test_a_broken_note_counts_for_nothing(
    again: Callable[..., tuple[bool, Launched, Told]], tmp_path: Path, content: str
) -> None:
    _, done, _ = again()
    note = done.paths[0].parent / current.NAME
    study = read(next(tmp_path.glob("*.yaml")))
    stamp = current.made_of(Results(study, str(tmp_path / "results")))
    assert current.find(note.parent, stamp) is not None
    note.write_text(content.replace("STAMP", stamp))
    assert current.find(note.parent, stamp) is None
    assert again()[0]
