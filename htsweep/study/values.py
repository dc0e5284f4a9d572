"""Turns the nodes of a YAML text into values: merge keys, aliases, and what a study cannot hold.

The values that aliases and merge keys expand to are counted, and nesting is limited, so that a few
lines that expand to millions of values cannot exhaust the machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, final

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from htsweep.errors import Problem

Place = tuple[str | int, ...]
"""The place of a value: the keys and positions that lead to it."""

DEEPEST = 50
"""The most lists and mappings that may be nested."""
MOST_REPEATED = 50_000
"""The most values that all aliases and merge keys together may expand to."""

TAG = "tag:yaml.org,2002:"
MERGE = TAG + "merge"
SCALARS = {TAG + name for name in ("str", "int", "float", "bool", "null")}
TEXTS = {TAG + name for name in ("str", "timestamp", "value", "merge")}
"""Tags of scalars that a study reads as text, dates among them: no key of a study is a date."""


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
            self._problem(place, "an alias may not refer to a value that contains it", line)
            return None
        if len(place) > DEEPEST:
            if not self._too_deep:  # once: with aliases it could be thousands of times
                self._problem(place[:3], f"nested deeper than {DEEPEST} levels", line)
            self._too_deep = True
            return None
        if self._is_too_much(id(node) in self._visited, place, line):
            return None
        self._visited.add(id(node))
        within = above | {id(node)}
        if isinstance(node, MappingNode):
            self._collection(node, "map", place)
            values: dict[str, Any] = {}
            for key, (item, key_line) in self._pairs(node, place, within).items():
                inner = (*place, key)
                self._lines[inner] = key_line
                values[key] = self._value(item, inner, within)
            return values
        if isinstance(node, SequenceNode):
            self._collection(node, "seq", place)
            return [
                self._value(item, (*place, index), within) for index, item in enumerate(node.value)
            ]
        assert isinstance(node, ScalarNode)
        return self._scalar(node, place)

    def _is_too_much(self, repeated: int, place: Place, line: int) -> bool:
        """Counts `repeated` more values; whether aliases and merge keys now expand to too many."""
        was_too_much = self._repeated > MOST_REPEATED
        self._repeated += repeated
        if self._repeated > MOST_REPEATED and not was_too_much:
            self._problem(
                place[:3],
                f"aliases and merge keys expand to more than {MOST_REPEATED:,} values; use fewer",
                line,
            )
        return self._repeated > MOST_REPEATED

    def _pairs(
        self, node: MappingNode, place: Place, above: frozenset[int]
    ) -> dict[str, tuple[Node, int]]:
        """Key -> (node of its value, line) of a mapping, including what is merged into it."""
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
                        "give them in one list: `<<: [*first, *second]`",
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
        pairs: dict[str, tuple[Node, int]] = {}
        for mapping in merged:
            if id(mapping) in above:
                self._problem((*place, "<<"), "a mapping may not be merged into itself", merge_line)
                continue
            brought = self._pairs(mapping, place, above | {id(mapping)})
            if self._is_too_much(len(brought), place, merge_line):
                break
            for name, value in brought.items():
                pairs.setdefault(name, value)
        # Merged keys come first; where the mapping has such a key itself, its own value wins.
        pairs = {**pairs, **own}
        self._merged[id(node)] = pairs
        return pairs

    def _to_merge(self, item: Node, place: Place, line: int) -> list[MappingNode]:
        """The mappings that a merge key names."""
        several = item.value if isinstance(item, SequenceNode) else [item]
        wrong = [item_node for item_node in several if not isinstance(item_node, MappingNode)]
        if wrong:
            self._problem(
                (*place, "<<"),
                "must be a mapping or a list of mappings, such as `<<: *name` or "
                '`<<: [*first, *second]`; to use << as an ordinary key, quote it: "<<"',
                line,
            )
        return [item_node for item_node in several if isinstance(item_node, MappingNode)]

    def _key(self, node: Node, place: Place) -> str | None:
        line = node.start_mark.line + 1
        if not isinstance(node, ScalarNode):
            self._problem(place, "a key must be text, but this one is a list or a mapping", line)
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
        except Exception as error:  # from ruamel.yaml, or from Python for numbers and `!!bool x`
            self._problem(
                place,
                f"{_shortened(text)} cannot be read: {error}; put text in quotes",
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
            message = (
                f"{_shortened(text)} would become {_number(value)}; "
                "write a number from 5e-324 to 1.8e308, or .inf"
            )
            self._problem(place, message, line)
            return None
        return value if isinstance(value, int | float | bool | None) else str(value)

    def _text(self, text: str, place: Place, line: int) -> str:
        """`text`, with pairs of JSON escapes for characters beyond U+FFFF joined."""
        if not any("\ud800" <= letter <= "\udfff" for letter in text):
            return text
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._problem(
                place,
                "contains half a character (an escape from \\ud800 to \\udfff), "
                "which no file can hold",
                line,
            )
            return ""

    def _problem(self, place: Place, message: str, line: int) -> None:
        self._problems.append(Problem(_dotted(place), message, line))


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else ".inf" if value > 0 else "-.inf"


def _lost(value: float, text: str) -> bool:
    """Whether a finite number other than 0 was written, but the float is infinite or 0."""
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
