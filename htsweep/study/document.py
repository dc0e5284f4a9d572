"""Reads YAML 1.2 with ruamel.yaml, and remembers the line of every value.

`parse` returns quickly whatever the text, with a value or with problems: the values that aliases
and merge keys expand to are counted, and nesting is limited, so that neither a few lines that
expand to millions of values nor a file of opening brackets can exhaust the machine.
"""

from __future__ import annotations

import codecs
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from htsweep.errors import Problem
from htsweep.study import syntax
from htsweep.study.values import DEEPEST, Place, Reading

__all__ = [
    "Document",
    "Located",
    "Place",
    "Unreadable",
    "dump",
    "override",
    "parse",
    "read",
    "scalar",
    "text_in",
]

MOST_BYTES = 2**16
"""The size of the largest file that is read.

Parsing takes 10 to 25 s per megabyte, and no study may take longer than about a second to read.
"""
ENCODINGS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte-order mark -> encoding, longer marks first.

The mark of UTF-32-LE begins with that of UTF-16-LE.
"""


@final
@dataclass(frozen=True)
class Document:
    """The values of a YAML text, the line of each, and what is wrong with the text."""

    value: Any
    lines: Mapping[Place, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    is_yaml: bool = True
    """Whether the text is YAML at all; if it is, any problems are about single values."""

    def line(self, place: Place) -> int | None:
        """The line of the value at `place`, or of the nearest value that contains it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


class Located:
    """Where each key of the study was set: a line of the file, or an override."""

    def __init__(
        self,
        parsed: Document,
        overridden: set[str],
        origins: Mapping[str, Sequence[int]] | None = None,
        names: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._parsed = parsed
        self._overridden = overridden
        self._origins = origins or {}
        self._names = names or {}

    def expanded(self, origins: Mapping[str, Sequence[int]]) -> Located:
        """The same for a grid in which some values stood for several.

        Args:
            origins: key of the grid -> of each of its values, the place of what it came from.
        """
        return Located(self._parsed, self._overridden, origins, self._names)

    def with_names(self, names: Mapping[str, Sequence[str]]) -> Located:
        """The same for a grid in which some values are named.

        Args:
            names: key of the grid -> the names of its values.
        """
        return Located(self._parsed, self._overridden, self._origins, names)

    def has(self, place: Place) -> bool:
        """Whether the file, or an override, gives a value at `place`, which holds keys alone."""
        key, value = ".".join(map(str, place)), self._parsed.value
        for part in place:
            value = value.get(part) if isinstance(value, dict) else None
        return value is not None or any(
            f"{name}.".startswith(f"{key}.") for name in self._overridden
        )

    def problem(self, place: Place, message: str) -> Problem:
        """The problem `message` at `place`."""
        if place[:1] == ("grid",) and len(place) > 2 and place[1] in self._origins:
            place = ("grid", place[1], self._origins[str(place[1])][int(place[2])], *place[3:])
        if place[:1] == ("grid",) and len(place) > 2 and place[1] in self._names:
            place = ("grid", place[1], self._names[str(place[1])][int(place[2])], *place[3:])
        key = ".".join(map(str, place))
        if any(key == name or key.startswith(f"{name}.") for name in self._overridden):
            return Problem(f"--set {key}", message)
        return Problem(key, message, self._parsed.line(place))


@final
class Unreadable(Exception):
    """A file is not text; `problem` says where and what to do."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def parse(text: str) -> Document:
    """Parses `text`.

    YAML 1.2: `1e-3` is a number; `yes`, `no`, `on` and `off` are text. Merge keys work as in YAML
    1.1: `<<: *name` or `<<: [*first, *second]` brings the keys of a mapping, a key of the mapping
    itself wins over what is merged, and the first of several merged mappings over the later ones.
    The line of a merged value is the line where the value is written.

    Problems are syntax errors, duplicate keys, and values that a study cannot hold: tags, numbers
    that do not fit 64 bits, text that cannot be encoded, keys that are not text.
    """
    if len(text) > MOST_BYTES:
        return _broken(
            f"the text has {len(text)} characters, but a study file has at most {MOST_BYTES}"
        )
    yaml = YAML(typ="safe", pure=True)
    yaml.max_depth = DEEPEST
    try:
        with warnings.catch_warnings():
            # ruamel.yaml warns of anchors that are defined again, which YAML allows.
            warnings.simplefilter("ignore")
            root = yaml.compose(StringIO(text))
            return Document(None) if root is None else Document(*Reading(yaml).read(root))
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return _broken(
            f"not YAML: the character U+{_code(error.character):04X} is not allowed; remove it",
            line,
        )
    except MarkedYAMLError as error:
        why, place = syntax.said(error, DEEPEST)
        return _broken(f"not YAML: {why}", place)
    except YAMLError as error:
        return _broken(f"not YAML: {error}")
    except RecursionError:
        return _broken(f"nested deeper than {DEEPEST} levels")
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        # ruamel.yaml 0.19 raises these for some texts that are not YAML, such as `%YAML 1.x`.
        return _broken(f"not YAML: {type(error).__name__}: {error}")


def read(path: Path) -> Document:
    """The document in the file `path`.

    Raises:
        Unreadable: the file is not text.
        OSError: it cannot be opened.
    """
    return parse(text_in(path))


def text_in(path: Path) -> str:
    """The text of the file `path`: in the encoding of its byte-order mark, else UTF-8.

    Raises:
        Unreadable: it is too large, or not in that encoding.
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Unreadable(
            Problem(
                "",
                f"the file is larger than {MOST_BYTES // 2**10} KiB, "
                "the most that a study may have",
            )
        )
    mark, encoding = next(
        ((mark, name) for mark, name in ENCODINGS if data.startswith(mark)), (b"", "utf-8")
    )
    body = data.removeprefix(mark)
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        message = (
            f"byte 0x{body[error.start]:02x} is not {encoding.upper()}; save the file as UTF-8"
        )
        raise Unreadable(Problem("", message, line)) from None


def scalar(text: str) -> Any:
    """The value of `text` as YAML; text that is not YAML is its own value."""
    return _meaning(parse(text), text)


def override(text: str) -> tuple[Any, tuple[Problem, ...]]:
    """The value of `text` as in `scalar`, and what is wrong with it."""
    document = parse(text)
    return _meaning(document, text), document.problems if document.is_yaml else ()


def dump(value: Any) -> str:
    """`value` as YAML on one line, as a study file would hold it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{dump(key)}: {dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(dump, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if not isinstance(value, str):
        return repr(value)
    # Plain only if it has the same meaning inside a list, where commas and brackets count too.
    plain = parse(f"[{value}]").value == [value] if value.isprintable() else False
    return value if plain else json.dumps(value)


def _meaning(document: Document, text: str) -> Any:
    return document.value if document.is_yaml else text


def _broken(message: str, line: int | None = None) -> Document:
    return Document(None, problems=(Problem("", message, line),), is_yaml=False)


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character)
