"""Whether a written report is that of what there is: then nothing need be drawn again.

A hidden file beside the report says what it was made of: the study, what the ledger had of it,
where the results were, and the code that analyses and draws, the user's own included.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

from htsweep.errors import HtsweepError
from htsweep.files import put
from htsweep.results import Results

PAGES = ("report.html", "report.md", "report.tex")
"""Of a report's files, those that a launch names beside its figures."""
NAME = ".current.json"
OURS = ("htsweep", "tasks", "search_spaces")
"""The packages whose files make a report: tasks say what is a bound, spaces how much is planned."""
OTHERS = ("numpy", "pandas", "scipy", "moocore", "matplotlib", "plotly", "jinja2")
"""The packages of others whose version makes a difference."""
NAMED = re.compile(r"([A-Za-z_]\w*)(?:\.\w+)*:[A-Za-z_]")
"""A `module:name` in a study; the group is the top-level module."""


@final
@dataclass(frozen=True)
class Written:
    """A report as it was written."""

    table: str
    """The study's results as Markdown."""
    paths: tuple[Path, ...]
    """Its files, in the order in which a launch names them."""
    mirrored: str = ""
    """The tracking URI of the MLflow that has all of it; empty: none is known to."""
    answer: str = ""
    """The answer to the study's question, in a few words; "" if there is none."""


@final
class Report:
    """The report of a study's results: its table, figures and pages, unless they exist already."""

    def __init__(self, results: Results) -> None:
        self._results = results
        self._stamp = ""
        self.trouble = ""
        """Why it could not be written; "" if it was."""
        self.written = Written("", ())
        """What was written; empty if no trial has a result."""

    def make(self, tell: Callable[[str], None]) -> None:
        """Writes the report if needed; `tell` gets the table before figures and pages are drawn."""
        from htsweep.report import answers_first, build, names

        results, out = self._results, build.folder_of(self._results)
        try:
            self._stamp = made_of(results)
            there = find(out, self._stamp)
            if there is not None:
                self.written = there
                tell(there.table)
                return
            table = build.tell(results)
            self.written = Written(table, ())
            tell(table)
            paths = list(build.draw(results, out))
            findings, files = build.write(results, out)
            pages = [path for path in files if path.name in PAGES]
            with names.labelled(findings.labels):
                answer = answers_first.first(findings)
            self.written = Written(table, (*paths, *pages), answer=answer)
            keep(out, self._stamp, self.written)
        except HtsweepError as error:
            # The trials are done and recorded, whatever becomes of their report.
            self.trouble = str(error)

    def mirrored(self, uri: str) -> None:
        """Records that MLflow at this tracking URI has everything, including the report."""
        from htsweep.report import build

        if self.trouble or not self.written.paths or not uri:
            return
        out = build.folder_of(self._results)
        with contextlib.suppress(HtsweepError):
            keep(out, self._stamp, replace(self.written, mirrored=uri))


def made_of(results: Results) -> str:
    """A digest of everything that a report of `results` depends on."""
    study = results.study
    own = _own_code(study.text, study.file)
    content = [results.state, results.location, str(study.file), _code(), own]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def find(out: Path, stamp: str) -> Written | None:
    """The report below `out`, if it was made of what `stamp` says and no file has changed since."""
    try:
        content: dict[str, Any] = json.loads((out / NAME).read_text(encoding="utf-8"))
        if content["made_of"] != stamp:
            return None
        paths = tuple(out / name for name in content["files"])
        same = all(_version(path) == content["files"][path.name] for path in paths)
        texts = content["mirrored"], content["answer"]
        return Written(content["table"], paths, *texts) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # it is not there, or an earlier version wrote it


def answer_in(out: Path) -> str:
    """The answer of the report below `out`; "" if there is none, or of an earlier version."""
    try:
        return str(json.loads((out / NAME).read_text(encoding="utf-8"))["answer"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def keep(out: Path, stamp: str, written: Written) -> None:
    """Says beside the report what it was made of."""
    content = {
        "made_of": stamp,
        "table": written.table,
        "files": {path.name: _version(path) for path in written.paths},
        "mirrored": written.mirrored,
        "answer": written.answer,
    }
    put(out / NAME, json.dumps(content))


def _version(path: Path) -> list[int]:
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


@functools.cache
def _code() -> str:
    """A digest of the code that makes a report, but for the user's own."""
    lines = []
    for name in OTHERS:
        try:
            lines.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            lines.append(f"{name} missing")
    for name in OURS:
        found = importlib.util.find_spec(name)
        for root in (found.submodule_search_locations or ()) if found else ():
            lines += _files(Path(root), sorted(Path(root).rglob("*")))
    return _digest(lines)


def _own_code(text: str, file: Path) -> str:
    """A digest of the user's modules: those that the study names, and all that lie beside it."""
    folder = Path(file).absolute().parent
    lines = _files(folder, sorted(folder.glob("*.py")))
    for name in sorted(set(NAMED.findall(text)) - set(OURS)):
        try:
            found = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            continue  # it only looks like a module
        if found is None or not found.has_location or found.origin is None:
            continue
        root = Path(found.origin).parent
        package = found.submodule_search_locations is not None
        lines += _files(root, sorted(root.rglob("*.py")) if package else [Path(found.origin)])
    return _digest(lines)


def _files(root: Path, paths: Iterable[Path]) -> list[str]:
    """A line for each file: its path below `root` and a digest of its bytes."""
    return [
        f"{path.relative_to(root).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in paths
        if path.is_file() and "__pycache__" not in path.parts
    ]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
