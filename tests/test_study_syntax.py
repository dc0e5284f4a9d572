"""A text that is not YAML is explained in plain words, with the line where it began."""

from __future__ import annotations

import pytest

from htsweep.study.document import parse


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("grid:\n\tmethod: [a]\n", 2, "there is a tab"),
        (
            "a: 1\nmethod: [plain, l2sp\ndataset: [b]\n",
            3,
            "the bracket [ that was opened in line 2 is not closed before this line",
        ),
        ("fixed: {epochs: 3\nrepetitions: 3\n", 2, "the brace { that was opened in line 1 is not"),
        ('a: 1\nb: "x\n', 3, "the quotation mark that was opened in line 2 is not closed"),
        (
            "grid:\n  a: [1]\n   b: [2]\n",
            3,
            "the indentation of this line does not fit the keys above it, which began in line 2",
        ),
        ("a: b: c\n", 1, "there is a ':' too many"),
        ("select: @last\n", 1, "a value cannot begin with @; put it in quotes"),
        ("fixed: *common\n", 1, "the alias *common has no anchor &common above it"),
        ("a: 1\nselect seen\nb: 2\n", 2, "this line has no ':' after its key"),
        (
            "grid:\n  - a\n  b: c\n",
            3,
            "a key stands among the entries (-) of the list that began in line 2",
        ),
    ],
)
def test_what_is_wrong_is_told_in_plain_words(text: str, line: int, said: str) -> None:
    (problem,) = parse(text).problems
    assert problem.line == line
    assert problem.message.startswith(f"not YAML: {said}")
