"""The fenced blocks of the documentation's pages, and how each is told what to do with.

A comment before a block says it: `<!-- run -->` runs a block of commands; `<!-- run smaller -->` runs it with the settings of
the page's `<!-- smaller: KEY=VALUE ... -->`, in this process and without MLflow; `<!-- file: NAME -->` writes the block to a file
beside the page's studies; `<!-- printed -->` says that the commands before printed these lines; `<!-- not run: REASON -->` that
it cannot run here.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
BROUGHT = ["README.md", "CONTRIBUTING.md", "tasks/README.md", "benchmarks/README.md"]
"""Pages of the site that lie outside docs/."""
PAGES = sorted([*(ROOT / path for path in BROUGHT), *ROOT.glob("docs/**/*.md")])
FENCE = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```(?P<language>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SNIPPET = re.compile(r"^--8<--\n(.+)\n--8<--\n", re.MULTILINE)
"""An included file. On three lines, since ruff takes the form on one line for Python, and spaces it."""
COMMANDS = ("sh", "bash")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str
    mark: str
    """What the comment before it says; empty if there is none."""

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT).as_posix()}:{self.line}"

    @property
    def file(self) -> str:
        """The file that it is written to; empty if it is none."""
        return self.mark.removeprefix("file: ") if self.mark.startswith("file: ") else ""

    @property
    def why_not(self) -> str:
        """Why it cannot run here; empty if it can."""
        return self.mark.removeprefix("not run: ") if self.mark.startswith("not run: ") else ""


def blocks(page: Path) -> list[Block]:
    """The blocks of a page in their order; an included file stands for the line that includes it."""
    whole = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=whole.count("\n", 0, found.start("language")) + 1,
            language=found["language"].strip(),
            text=SNIPPET.sub(
                lambda path: (ROOT / path[1]).read_text(encoding="utf-8"), found["text"]
            ),
            mark=found["mark"] or "",
        )
        for found in FENCE.finditer(whole)
    ]


def smaller(page: Path) -> list[str]:
    """The settings with which the page's blocks run, as options; the page says them in a comment."""
    found = re.search(r"<!-- smaller: (.+?) -->", page.read_text(encoding="utf-8"))
    return [word for each in (found[1].split() if found else []) for word in ("--set", each)]


def calls(text: str) -> Iterator[list[str]]:
    """The words of each call of htsweep in a block of commands, without `htsweep` itself."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|\||;(?=\s)", line):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # one of several commands that are quoted for another shell
                words = re.sub("['\"]", "", part).split()
            if words[:2] == ["uv", "run"]:
                words = words[2:]
            if words[:1] == ["htsweep"]:
                yield words[1:]


def named(page: Path) -> Iterator[str]:
    """The calls of htsweep that stand in the page's running text, as they are written."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    yield from re.findall(r"(?<!`)`(htsweep [^`\n]+)`(?!`)", text)
