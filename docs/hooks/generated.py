"""Writes the pages of the reference by asking the program, so that they cannot disagree with it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parents[2]))

import typer

import htsweep
from htsweep.cli.app import app
from htsweep.cli.listing import KINDS
from htsweep.cli.showing import show
from htsweep.planning import task

PAGES_OF_THEIR_OWN = ("settings", "methods", "scores", "protocols", "metrics")
DETAILED = ("methods", "scores")
"""The kinds of which `htsweep show` tells more of each than `htsweep list` does."""
SPECIAL = re.compile(r"([\\*_<>\[\]{}#|])")


def plain(text: Any) -> str:
    """Text as Markdown that shows it as it is; what stands between backticks is code."""
    parts = " ".join(str(text).split()).split("`")
    if len(parts) % 2 == 0:
        return SPECIAL.sub(r"\\\1", "`".join(parts)).replace("`", "\\`")
    shown = [
        SPECIAL.sub(r"\\\1", part) if at % 2 == 0 else f"`{part}`" for at, part in enumerate(parts)
    ]
    return "".join(shown)


def sentence(text: str) -> str:
    """A line that begins with a capital letter."""
    return plain(text[:1].upper() + text[1:])


def table(heads: list[str], rows: Iterator[list[str]]) -> Iterator[str]:
    """The lines of a Markdown table."""
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def listed(kind: str) -> Iterator[str]:
    """What `htsweep list KIND` prints, as a table."""
    found = KINDS[kind]
    entries = found.entries()
    yield f"{sentence(found.line)}. In a terminal: `htsweep list {kind}`."
    yield ""
    rows = (
        [f"[`{name}`](#{anchor(name)})" if kind in DETAILED else f"`{name}`", plain(line)]
        for name, line in entries.items()
    )
    yield from table(["name", "what it is"], rows)
    others = [plain(line) for line in found.others()]
    if others:
        yield f"Besides these: {'; '.join(others)}."
        yield ""


def anchor(name: str) -> str:
    """The anchor of a name's section."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def kind_page(kind: str) -> Iterator[str]:
    """The page of a kind: its table, and what `htsweep show` prints of each."""
    yield f"# {kind.capitalize()}"
    yield ""
    yield from listed(kind)
    if kind not in DETAILED:
        return
    for name in KINDS[kind].entries():
        yield f"## `{name}` {{: #{anchor(name)} }}"
        yield ""
        yield "```text"
        yield from show(name)
        yield "```"
        yield ""


def settings_page() -> Iterator[str]:
    """For each task, its settings with defaults and bounds."""
    yield "# Settings"
    yield ""
    yield f"{sentence(KINDS['settings'].line)}. In a terminal: `htsweep list settings`;"
    yield "`htsweep show learning_rate` tells all about one. Parameters of methods are with the"
    yield "[methods](methods.md), those of scores with the [scores](scores.md)."
    yield ""
    for name, line in task.known().items():
        yield f"## `{name}` {{: #{anchor(name)} }}"
        yield ""
        yield f"{plain(line)}"
        yield ""
        settings = task.find(name).settings or {}
        rows = (
            [f"`{key}`", plain(setting.doc), value(setting.default), bounds(setting)]
            for key, setting in settings.items()
            if "." not in key
        )
        yield from table(["setting", "meaning", "default", "values"], rows)


def value(given: Any) -> str:
    """A default as it would be written in a study."""
    if given is None or given == "":
        return "none"
    return f"`{str(given).lower() if isinstance(given, bool) else given}`"


def bounds(setting: Any) -> str:
    """The values that a setting takes: its names if they are few, else its bounds."""
    choices = setting.choices() if callable(setting.choices) else setting.choices
    names = [f"`{name}`" for name in choices or () if name]
    if names:
        most = 6
        more = f" and {len(names) - most} more" if len(names) > most else ""
        return ", ".join(names[:most]) + more + (", and others" if setting.open else "")
    if setting.low is not None and setting.high is not None:
        return f"{setting.low:g} to {setting.high:g}"
    words = {bool: "true or false", str: "a name", int: "a whole number", float: "a number"}
    return words.get(setting.type, "a list")


def names_page() -> Iterator[str]:
    """Every other kind of name that a study may use."""
    yield "# Other names"
    yield ""
    for kind in KINDS:
        if kind not in PAGES_OF_THEIR_OWN:
            yield f"## {kind.capitalize()}"
            yield ""
            yield from listed(kind)


def commands() -> Mapping[str, Any]:
    """Every command, those of groups too, by the words that call it."""
    top: Any = typer.main.get_command(app)
    return {
        f"{name} {inner}".strip(): one
        for name, command in top.commands.items()
        for inner, one in getattr(command, "commands", {"": command}).items()
    }


def commands_page() -> Iterator[str]:
    """What `htsweep COMMAND --help` prints of each command."""
    yield "# Commands"
    yield ""
    yield "In a terminal: `htsweep --help`, and `htsweep COMMAND --help`. Exit codes: 0; 2 for a"
    yield "mistake in the command, the study or the machine, with a message that says how to fix"
    yield "it; 3 if a trial still failed after retries; 130 if interrupted."
    yield ""
    for name, command in commands().items():
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        options = [
            one
            for one in command.params
            if one.param_type_name == "option" and "--help" not in one.opts
        ]
        words = [one.metavar if one.required else f"[{one.metavar}]" for one in arguments]
        yield f"## {name} {{: #{anchor(name)} }}"
        yield ""
        yield f"`{' '.join(['htsweep', name, *words, *(['[OPTIONS]'] if options else [])])}`"
        yield ""
        for paragraph in (command.help or "").split("\n\n"):
            yield plain(paragraph)
            yield ""
        rows = [[f"`{one.metavar}`", plain(one.help or ""), ""] for one in arguments]
        rows += [[f"`{spelled(one)}`", plain(one.help or ""), default(one)] for one in options]
        if rows:
            yield from table(["argument or option", "meaning", "default"], iter(rows))


def spelled(option: Any) -> str:
    """An option with the word for its value."""
    names = "/".join([*option.opts, *option.secondary_opts])
    return f"{names} {option.metavar}" if option.metavar else names


def default(option: Any) -> str:
    """An option's default, empty if that says nothing."""
    return "" if option.default in (None, "", False) else f"`{option.default}`"


GENERATED: Mapping[str, Callable[[], Iterator[str]]] = {
    "reference/commands.md": commands_page,
    "reference/settings.md": settings_page,
    "reference/names.md": names_page,
    **{
        f"reference/{kind}.md": lambda kind=kind: kind_page(kind) for kind in PAGES_OF_THEIR_OWN[1:]
    },
}
"""Path in the site -> the lines of the page."""


VERBS = "<!-- every verb of htsweep -->"


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """The page's text with the verbs of the package in Python, for mkdocstrings to describe."""
    return markdown.replace(VERBS, "\n\n".join(f"::: htsweep.{name}" for name in htsweep.__all__))


def on_files(files: Files, config: Any) -> Files:
    """The site's files with the generated pages."""
    for path, lines in GENERATED.items():
        files.append(File.generated(config, path, content="\n".join(lines()) + "\n"))
    return files
