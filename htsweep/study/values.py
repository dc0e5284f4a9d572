"""The nodes of a YAML text as values: merge keys, aliases, and what a study cannot hold; part of document.py.

Whatever the nodes are, the answer comes soon: what an alias or a merge key stands for is counted,
and nesting is limited, so that a few lines that expand to millions of values take neither the time
nor the memory of the machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from htsweep.errors import Problem

Place = tuple[str | int, ...]
"""Where a value stands: the keys and positions that lead to it."""

DEEPEST = 50
"""The most lists and mappings that may stand inside one another."""
MOST_REPEATED = 50_000
"""The most values that aliases and merge keys together may stand for."""

TAG = "tag:yaml.org,2002:"
MERGE = TAG + "merge"
SCALARS = {TAG + name for name in ("str", "int", "float", "bool", "null")}
TEXTS = {TAG + name for name in ("str", "timestamp", "value", "merge")}
"""Tags of scalars that are text to a study. Dates are: no key of a study is a date."""


@final
class Reading:
    """Turns the nodes of one text into values."""

    def __init__(self, yaml: YAML) -> None:
        self._yaml = yaml
        self._lines: dict[Place, int] = {}
        self._problems: list[Problem] = []
        self._visited: set[int] = set()
        self._merged: dict[int, dict[str, tuple[Node, int]]] = {}
        self._repeated = 0
        self._too_deep = False

    def read(self, root: Node) -> tuple[Any, Mapping[Place, int], tuple[Problem, ...]]:
        """The value of `root`, the line of each value in it, and what is wrong with them."""
        value = self._value(root, (), frozenset())
        return value, self._lines, tuple(self._problems)

    def _value(self, node: Node, place: Place, above: frozenset[int]) -> Any:
        line = node.start_mark.line + 1
        self._lines.setdefault(place, line)
        if id(node) in above:
            self._problem(place, "an alias may not stand inside what it stands for", line)
            return None
        if len(place) > DEEPEST:
            if not self._too_deep:  # once is enough: with aliases it is easily thousands of times
                self._problem(place[:3], f"nested deeper than {DEEPEST} levels", line)
            self._too_deep = True
            return None
        if self._is_too_much(id(node) in self._visited, place, line):
            return None
        self._visited.add(id(node))
        within = above | {id(node)}
        if isinstance(node, MappingNode):
            self._collection(node, "map", place)
            found: dict[str, Any] = {}
            for key, (item, key_line) in self._pairs(node, place, within).items():
                inner = (*place, key)
                self._lines[inner] = key_line
                found[key] = self._value(item, inner, within)
            return found
        if isinstance(node, SequenceNode):
            self._collection(node, "seq", place)
            return [
                self._value(item, (*place, index), within) for index, item in enumerate(node.value)
            ]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, place)

    def _is_too_much(self, repeated: int, place: Place, line: int) -> bool:
        """Whether aliases and merge keys stand for too many values by now, `repeated` more than before."""
        was_too_much = self._repeated > MOST_REPEATED
        self._repeated += repeated
        if self._repeated > MOST_REPEATED and not was_too_much:
            self._problem(
                place[:3],
                f"aliases and merge keys stand for more than {MOST_REPEATED:,} values; use fewer",
                line,
            )
        return self._repeated > MOST_REPEATED

    def _pairs(
        self, node: MappingNode, place: Place, above: frozenset[int]
    ) -> dict[str, tuple[Node, int]]:
        """The keys of a mapping, each with its value's node and its line, what is merged into it included."""
        known = self._merged.get(id(node))
        if known is not None:
            return known
        own: dict[str, tuple[Node, int]] = {}
        merged: list[MappingNode] = []
        merge_line = 0
        for key, item in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, ScalarNode) and str(key.tag) == MERGE:
                if merge_line:
                    self._problem(
                        (*place, "<<"),
                        f"is listed twice, first in line {merge_line}; to merge several mappings, "
                        "give "
                        "them in one list: `<<: [*first, *second]`",
                        line,
                    )
                    continue
                merge_line = line
                merged = self._to_merge(item, place, line)
                continue
            name = self._key(key, place)
            if name is None:
                continue
            if name in own:
                self._problem(
                    (*place, name),
                    f"is listed twice, first in line {own[name][1]}; remove one",
                    line,
                )
                continue
            own[name] = (item, line)
        found: dict[str, tuple[Node, int]] = {}
        for mapping in merged:
            if id(mapping) in above:
                self._problem((*place, "<<"), "a mapping may not be merged into itself", merge_line)
                continue
            brought = self._pairs(mapping, place, above | {id(mapping)})
            if self._is_too_much(len(brought), place, merge_line):
                break
            for name, value in brought.items():
                found.setdefault(name, value)
        # In the order of the file as far as there is one: what is merged first, and what is the
        # mapping's own in its place.
        found = {**found, **own}
        self._merged[id(node)] = found
        return found

    def _to_merge(self, item: Node, place: Place, line: int) -> list[MappingNode]:
        """The mappings that a merge key names."""
        several = item.value if isinstance(item, SequenceNode) else [item]
        wrong = [one for one in several if not isinstance(one, MappingNode)]
        if wrong:
            self._problem(
                (*place, "<<"),
                "merges a mapping, or a list of mappings, such as `<<: *name` or "
                '`<<: [*first, *second]`; a key that is called so is written "<<"',
                line,
            )
        return [one for one in several if isinstance(one, MappingNode)]

    def _key(self, node: Node, place: Place) -> str | None:
        line = node.start_mark.line + 1
        if not isinstance(node, ScalarNode):
            self._problem(place, "a key is text, but this one is a list or a mapping", line)
            return None
        name = self._text(str(node.value), place, line)
        if name == "":
            self._problem(place, "a key is empty; name it, or remove it", line)
            return None
        return name

    def _collection(self, node: Node, kind: str, place: Place) -> None:
        if str(node.tag) != TAG + kind:
            self._problem(
                place,
                f"the tag {_tag(node)} has no meaning in a study; remove it, and write a plain "
                "list or mapping",
                node.start_mark.line + 1,
            )

    def _scalar(self, node: ScalarNode, place: Place) -> Any:
        tag, text, line = str(node.tag), str(node.value), node.start_mark.line + 1
        if tag in TEXTS:
            return self._text(text, place, line)
        if tag not in SCALARS:
            self._problem(
                place,
                f"the tag {_tag(node)} has no meaning in a study; remove it, and write text or a "
                "number",
                line,
            )
            return None
        try:
            value = self._yaml.constructor.construct_object(node)
        except (
            Exception
        ) as error:  # ruamel.yaml's own, and what Python says of numbers and of `!!bool x`
            self._problem(
                place,
                f"{_shortened(text)} cannot be read: {error}; text is written in quotes",
                line,
            )
            return None
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            self._problem(
                place,
                f"{_shortened(text)} does not fit 64 bits; write it in quotes if it is a name",
                line,
            )
            return None
        if isinstance(value, float) and _lost(value, text):
            message = f"{_shortened(text)} would become {_number(value)}; write a number from 5e-324 to 1.8e308, or .inf"
            self._problem(place, message, line)
            return None
        return value if isinstance(value, int | float | bool | None) else str(value)

    def _text(self, text: str, place: Place, line: int) -> str:
        """`text`, in which the two escapes that JSON writes for a character beyond U+FFFF are that one character."""
        if not any("\ud800" <= letter <= "\udfff" for letter in text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._problem(
                place,
                "holds half a character (an escape from \\ud800 to \\udfff), which no file can hold",
                line,
            )
            return ""

    def _problem(self, place: Place, message: str, line: int) -> None:
        self._problems.append(Problem(_dotted(place), message, line))


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else ".inf" if value > 0 else "-.inf"


def _lost(value: float, text: str) -> bool:
    """Whether a finite number other than 0 was written, and the float is none."""
    digits = text.lower().partition("e")[0]
    return (math.isinf(value) and "inf" not in text.lower()) or (
        value == 0 and any(digit in "123456789" for digit in digits)
    )


def _tag(node: Node) -> str:
    tag = str(node.tag)
    return f"!!{tag.removeprefix(TAG)}" if tag.startswith(TAG) else tag


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:20]}...{text[-10:]}")


def _dotted(place: Place) -> str:
    return ".".join(map(str, place))
