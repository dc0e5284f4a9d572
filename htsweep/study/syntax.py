"""What is wrong with a text that is not YAML, in plain words, with the line where it began."""

from __future__ import annotations

import re
from typing import Any

_OPENED = {
    "]": ("bracket [", "]"),
    "}": ("brace {", "}"),
}


def said(error: Any, deepest: int) -> tuple[str, int | None]:
    """A sentence on one of ruamel.yaml's errors, and the line that it is about, from 1.

    Args:
        error: a `MarkedYAMLError`.
        deepest: how many levels a text may have.
    """
    problem, context = str(error.problem or ""), str(error.context or "")
    line = _line(error.problem_mark or error.context_mark)
    began = _line(error.context_mark)
    if type(error).__name__ == "MaxDepthExceededError":
        return f"nested deeper than {deepest} levels", line
    since = f" in line {began}" if began is not None else ""
    closing = re.search(r"expected ',' or '([\]}])'", problem)
    if closing:
        opened, closes = _OPENED[closing[1]]
        return (
            f"the {opened} that was opened{since} is not closed before this line, or a comma is "
            f"missing there; add {closes} or the comma",
            line,
        )
    if "unexpected end of stream" in problem and "quoted" in context:
        return f"the quotation mark that was opened{since} is not closed", line
    if r"'\t'" in problem or "tab" in problem:
        return "there is a tab, where YAML allows only spaces; indent with spaces", line
    strange = re.search(r"found character '(.+)' that cannot start any token", problem)
    if strange:
        return f"a value cannot begin with {strange[1]}; put it in quotes", line
    if "<block end>" in problem and problem.endswith("found '?'"):
        return (
            f"a key stands among the entries (-) of the list that began{since}; indent it, or make "
            "all of them keys",
            line,
        )
    if "<block end>" in problem:
        return (
            "the indentation of this line does not fit the keys above it, which began"
            f"{since}; keys that belong together begin in one column",
            line,
        )
    if "mapping values are not allowed" in problem:
        return (
            "there is a ':' too many: put text that has a colon in quotes, and check that this "
            "line is indented like its neighbours",
            line,
        )
    if "could not find expected ':'" in problem:
        return "this line has no ':' after its key", line if began is None else began
    alias = re.search(r"found undefined alias '?([^']+)'?", problem)
    if alias:
        return f"the alias *{alias[1]} has no anchor &{alias[1]} above it", line
    return problem or context, line


def _line(mark: Any) -> int | None:
    return None if mark is None else int(mark.line) + 1
