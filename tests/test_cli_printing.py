"""Markdown is drawn at a terminal, whole, and passed on as it is on a pipe."""

from __future__ import annotations

import io
import re

import pytest

from htsweep.cli.printing import show

TEXT = """\
# study

The **best** is `l2sp`.

| method | configuration |
| ------ | ------------: |
| l2sp   | **l2sp.backbone=0.1, l2sp.head=0.01, l2sp.something_longer=0.123** |
| a\\_b   | 0.5 |
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_pipe_it_is_markdown() -> None:
    said = io.StringIO()
    show(TEXT, said)
    assert said.getvalue() == TEXT


def test_at_a_terminal_it_is_a_table_and_no_name_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    said = Terminal()
    show(TEXT, said)
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue())
    assert not set("|*`\u2026") & set(text)
    assert "The best is l2sp." in text
    assert "a_b" in text
    column = "".join(
        line.split(maxsplit=1)[-1].strip() for line in text.splitlines() if "=" in line
    )
    assert "l2sp.backbone=0.1" in column
    assert max(map(len, text.splitlines())) <= 40


def test_a_table_that_is_too_wide_breaks_between_words(monkeypatch: pytest.MonkeyPatch) -> None:
    head = "| method | seen | missing | overall | configuration |\n| - | -: | -: | -: | - |\n"
    row = "| wise_ft | 97.0 [78.2, 100.0] | 28.5 [0.0, 100.0] | 62.9 [4.0, 100.0] | {} |\n"
    values = ["wise_ft.alpha=0.3", "l2sp.backbone=0.1, l2sp.head=0.01"]
    for width in (75, 90, 130):
        monkeypatch.setenv("COLUMNS", str(width))
        said = Terminal()
        show(head + "".join(map(row.format, values)), said)
        lines = re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).splitlines()
        assert max(map(len, lines)) <= width
        words = {word for line in lines for word in line.split()}
        assert {"wise_ft", "97.0", "100.0]", *" ".join(values).split()} <= words
