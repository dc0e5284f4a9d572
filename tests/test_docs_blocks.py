"""Every command, study and piece of Python on the documentation's pages works."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from blocks import COMMANDS, PAGES, ROOT, Block, blocks, calls, named, smaller

from htsweep.cli.app import app, main
from htsweep.planning import task
from htsweep.planning.plan import plan
from htsweep.planning.reading import read

BASE = {"task": "task: holistic_transfer\n", "grid": "grid: {method: [plain, l2sp]}\n"}
"""What makes a study of a piece that lacks these keys."""
LANGUAGES = (*COMMANDS, "yaml", "python", "text", "")
NOT_RUN = {
    "CONTRIBUTING.md": 1,
    "README.md": 3,
    "docs/datasets.md": 2,
    "docs/how_to/cluster.md": 8,
    "docs/how_to/metrics.md": 1,
    "docs/how_to/mlflow_server.md": 4,
    "docs/how_to/slurm.md": 3,
    "docs/how_to/storage.md": 4,
    "docs/how_to/submit.md": 3,
    "docs/tutorial/images.md": 1,
    "docs/tutorial/method.md": 1,
}
"""Page -> its blocks that cannot run here, each of which says why."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that has the repository's studies and documents, in which a page's blocks run."""
    for name in ("studies", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    # Pages, and other tests, call their modules alike.
    for name, module in list(sys.modules.items()):
        if str(tmp_path.parent) in str(getattr(module, "__file__", "")):
            monkeypatch.delitem(sys.modules, name)
    task.find.cache_clear()
    before = set(sys.modules)
    yield tmp_path
    task.find.cache_clear()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def commands() -> dict[str, typer.core.TyperCommand]:
    top = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return {
        f"{name} {inner}".strip(): one
        for name, command in top.items()
        for inner, one in getattr(command, "commands", {"": command}).items()
    }


KNOWN = commands()


def options(words: list[str]) -> set[str]:
    """The options of the command that the words call."""
    command = KNOWN.get(" ".join(words[:2])) or KNOWN[words[0]]
    return {name for one in command.params for name in [*one.opts, *one.secondary_opts]}


def called(words: list[str], less: list[str], expected: int) -> str:
    """What a call of htsweep prints; it must end with the expected exit code."""
    if less:
        words = [*words, *(less if "--set" in options(words) else [])]
        if words[0] == "launch":
            words += [] if "--on" in words else ["--on", "inline", "--no-mirror"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()) as errors:
        try:
            main(words)
            code: object = 0
        except SystemExit as end:
            code = end.code or 0
    assert code == expected, f"htsweep {shlex.join(words)}: {code}\n{errors.getvalue()}"
    return printed.getvalue()


def planned(block: Block, folder: Path) -> None:
    """Reads a study, or a piece of one together with a small grid, and plans it."""
    path = folder / (block.file or "piece.yaml")
    lacks = [line for key, line in BASE.items() if f"\n{key}:" not in f"\n{block.text}"]
    path.write_text("".join([*lacks, block.text]), encoding="utf-8")
    assert plan(read(path)).trial_count > 0


def do(block: Block, folder: Path, before: str) -> str:
    """What a block prints, after it was run or read."""
    if block.why_not:
        return before
    if block.language in COMMANDS:
        how = re.fullmatch(r"run( smaller)?(, exit (\d))?", block.mark)
        assert how is not None, "say whether it runs: <!-- run -->"
        less = smaller(block.page) if how[1] else []
        lines = [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]
        found = list(calls(block.text))
        assert len(found) == len(lines), "a block that runs has calls of htsweep alone"
        return "".join(called(words, less, int(how[3] or 0)) for words in found)
    if block.file and block.language != "yaml":
        (folder / block.file).write_text(block.text, encoding="utf-8")
    if block.language == "yaml":
        planned(block, folder)
    if block.language == "python":
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block.text, block.where, "exec"), {"__name__": "block"})
        return printed.getvalue()
    if block.mark == "printed":
        there = {" ".join(line.split()) for line in before.splitlines()}
        for line in block.text.splitlines():
            assert " ".join(line.split()) in {*there, "..."}, f"not printed: {line}\n{before}"
    return before


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)], ids=name_of)
def test_blocks_work(page: Path, folder: Path, own_cache: Path) -> None:
    printed = ""
    for block in blocks(page):
        assert block.language in LANGUAGES, block.where
        try:
            printed = do(block, folder, printed)
        except Exception as error:
            raise AssertionError(f"{block.where}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_is_overlooked(page: Path) -> None:
    fences = re.findall(r"^[ \t>]*(?:```|~~~)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks(page))


def test_blocks_that_cannot_run_are_counted() -> None:
    """One more is a decision: this number is changed by hand."""
    found = [block for page in PAGES for block in blocks(page) if block.why_not]
    assert Counter(name_of(block.page) for block in found) == NOT_RUN


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_calls_name_commands_and_options_that_exist(page: Path) -> None:
    """Also those that are not run, and those of the running text."""
    every = [
        words for block in blocks(page) if block.language in COMMANDS for words in calls(block.text)
    ]
    for written in named(page):
        with contextlib.suppress(ValueError):  # a quotation mark of SQL that ends on the next line
            every += calls(written)
    for words in every:
        if words[0].startswith("-") or words[0].isupper() or words[0] == "...":
            continue
        assert words[0] in KNOWN or " ".join(words[:2]) in KNOWN, words
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in {*options(words), "--help"}, words
