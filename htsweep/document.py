"""A YAML 1.2 text whose every value knows its line; the home of YAML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any, final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from htsweep.errors import Problem

Place = tuple[str | int, ...]
"""Where a value stands: the keys and positions that lead to it."""


@final
@dataclass(frozen=True)
class Document:
    """The values of a YAML text, the line of each, and what is wrong with the text itself."""

    value: Any
    lines: Mapping[Place, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    def line(self, place: Place) -> int | None:
        """The line of the value at `place`, or of the nearest value around it."""
        for length in range(len(place), -1, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return None


def parse(text: str) -> Document:
    """The document that `text` is; syntax errors and duplicate keys are its problems.

    YAML 1.2: `1e-3` is a number; `yes`, `no`, `on` and `off` are text.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        root = yaml.compose(StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        return Document(None, problems=(Problem("", f"not YAML: {error.problem or error.context}", line),))
    except YAMLError as error:
        return Document(None, problems=(Problem("", f"not YAML: {error}"),))
    if root is None:
        return Document(None)
    lines: dict[Place, int] = {}
    problems: list[Problem] = []
    value = _value(yaml, root, (), lines, problems, frozenset())
    return Document(value, lines, tuple(problems))


def read(path: Path) -> Document:
    """The document in the file `path`."""
    return parse(path.read_text(encoding="utf-8"))


def scalar(text: str) -> Any:
    """What `text` means as a YAML value; text that is not YAML is itself."""
    document = parse(text)
    return text if document.problems else document.value


def dump(value: Any) -> str:
    """`value` as YAML on one line, as a study file would hold it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{dump(key)}: {dump(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(dump, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if not isinstance(value, str):
        return repr(value)
    # Plain where it means itself also inside a list, where commas and brackets have a meaning.
    plain = parse(f"[{value}]").value == [value] if value.isprintable() else False
    return value if plain else json.dumps(value)


def _value(
    yaml: YAML, node: Node, place: Place, lines: dict[Place, int], problems: list[Problem], above: frozenset[int]
) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(place, line)
    if id(node) in above:
        problems.append(Problem(_dotted(place), "an alias may not hold itself", line))
        return None
    within = above | {id(node)}
    if isinstance(node, MappingNode):
        found: dict[Any, Any] = {}
        for key, item, key_line in _pairs(yaml, node):
            inner = (*place, key)
            if key in found:
                first = lines[inner]
                problems.append(Problem(_dotted(inner), f"the key stands twice, first in line {first}; keep one", key_line))
                continue
            lines[inner] = key_line
            found[key] = _value(yaml, item, inner, lines, problems, within)
        return found
    if isinstance(node, SequenceNode):
        return [_value(yaml, item, (*place, index), lines, problems, within) for index, item in enumerate(node.value)]
    assert isinstance(node, ScalarNode)
    return _scalar(yaml, node, place, problems)


def _pairs(yaml: YAML, node: MappingNode) -> Iterator[tuple[str, Node, int]]:
    for key, item in node.value:
        name = key.value if isinstance(key, ScalarNode) else str(key.value)
        yield name, item, key.start_mark.line + 1


def _scalar(yaml: YAML, node: ScalarNode, place: Place, problems: list[Problem]) -> Any:
    try:
        value = yaml.constructor.construct_object(node)
    except (YAMLError, ValueError) as error:
        problems.append(Problem(_dotted(place), f"cannot be read: {error}", node.start_mark.line + 1))
        return None
    # Dates are text to a study: no key of one is a date.
    return value if isinstance(value, str | int | float | bool | None) else str(node.value)


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))
