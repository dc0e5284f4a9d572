"""What `htsweep --help` says of every command; tests/golden/help.txt holds it.

A wanted change of it: `uv run python tests/test_cli_help.py` writes the file again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import typer

from htsweep.cli.app import app, main

GOLDEN = Path(__file__).parent / "golden" / "help.txt"
TOP = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS = {
    f"{name} {inner}".strip(): one
    for name, command in TOP.items()
    for inner, one in getattr(command, "commands", {"": command}).items()
}
"""Every command, those of groups too, by the words that call it."""


def described() -> Iterator[str]:
    """Each command, its arguments and its options in words of ours, without the layout, which is Typer's."""
    group = typer.main.get_command(app)
    yield f"htsweep: {group.help}"
    yield from parameters(group)
    for name, command in COMMANDS.items():
        yield ""
        summary = command.short_help or (command.help or "").partition("\n")[0]
        yield f"htsweep {name}: {summary}"
        yield from (f"  {line}".rstrip() for line in (command.help or "").splitlines()[1:])
        yield from parameters(command)


def parameters(command: object) -> Iterator[str]:
    for one in command.params:  # type: ignore[attr-defined]
        names = "/".join([*one.opts, *one.secondary_opts])
        if one.param_type_name == "argument":
            names = one.metavar if one.required else f"[{one.metavar}]"
        elif one.metavar:
            names += f" {one.metavar}"
        if "completion" in names:  # Typer's own, in its words
            yield f"  {names}"
            continue
        default = "" if one.default in (None, "", False) else f" (default: {one.default})"
        yield f"  {names}: {one.help}{default}"


def helped(*words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0


def test_the_help_of_every_command_is_as_reviewed() -> None:
    assert "\n".join(described()) + "\n" == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", ["80", "50"])
def test_summaries_are_whole(
    columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    helped()
    said = " ".join(capsys.readouterr().out.split())
    for name, command in TOP.items():
        assert f"{name} {command.short_help or command.help}" in said
    assert "..." not in said.replace("[ARGS]...", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_usage_names_each_argument_once(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    helped(*name.split())
    usage = capsys.readouterr().out.partition("\n")[0]
    assert "[[" not in usage
    arguments = usage.partition("[OPTIONS]")[2].split()
    assert len(arguments) == len(set(arguments))
    assert all(word.strip("[]{}").isupper() for word in arguments)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"htsweep {version('htsweep')}\n"


@pytest.mark.parametrize(
    ("words", "offered"),
    [("htsweep pl", ["plan"]), ("htsweep list sc", ["scores", "schedules"])],
)
def test_the_shell_completes(words: str, offered: list[str]) -> None:
    asked = {
        "_HTSWEEP_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    code = "import sys; sys.argv = ['htsweep']; from htsweep.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == offered


if __name__ == "__main__":
    GOLDEN.write_text("\n".join(described()) + "\n", encoding="utf-8")
