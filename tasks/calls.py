"""Reads texts such as `RandomCrop(28, padding=2), Grayscale`: names with arguments."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, final

NAME = re.compile(r"[A-Za-z_][\w.]*(?::[A-Za-z_]\w*)?")
OPENING, CLOSING, QUOTES = "([{", ")]}", "\"'"


class Refused(ValueError):
    """A name or its arguments are wrong; the message has the remedy."""


@final
@dataclass(frozen=True)
class Call:
    """A name, or `module:function`, with arguments that are Python literals."""

    name: str
    values: tuple[Any, ...] = ()
    named: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """The one text of equal calls: named arguments are sorted, empty brackets left out."""
        arguments = [repr(value) for value in self.values]
        arguments += [f"{name}={value!r}" for name, value in sorted(self.named.items())]
        return f"{self.name}({', '.join(arguments)})" if arguments else self.name


def read(text: str) -> list[Call]:
    """The calls in a text, separated by commas.

    Raises:
        Refused: the text is no list of names with literal arguments; says which part is not.
    """
    return [_call(part) for part in _parts(text)]


def canonical(text: str) -> str:
    """One text for all texts with the same calls; the text itself if it has none."""
    try:
        return ", ".join(map(str, read(text)))
    except Refused:
        return text


def own(name: str) -> Any:
    """What `module:name` names, which may raise anything when it is imported."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _call(part: str) -> Call:
    name = NAME.match(part)
    if name is None:
        raise Refused(f"got {part!r}; a part is a name, with arguments in brackets if any")
    arguments = part[name.end() :].strip()
    if not arguments:
        return Call(name.group())
    try:
        made = ast.parse(f"call{arguments}", mode="eval").body
        if not isinstance(made, ast.Call) or not isinstance(made.func, ast.Name):
            raise ValueError
        values = tuple(ast.literal_eval(value) for value in made.args)
        named = {str(word.arg): ast.literal_eval(word.value) for word in made.keywords if word.arg}
        if len(named) < len(made.keywords):
            raise ValueError
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise Refused(
            f"the arguments of {part!r} cannot be read; give numbers, texts in quotes, True, "
            "False, None, and lists or tuples of them"
        ) from error
    return Call(name.group(), values, named)


def _parts(text: str) -> Iterator[str]:
    """The parts of a text between the commas that are in no brackets and no quotes."""
    depth, quote, part = 0, "", ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in QUOTES:
            quote = letter
        elif letter in OPENING or letter in CLOSING:
            depth += 1 if letter in OPENING else -1
        if letter == "," and not depth and not quote:
            yield part.strip()
            part = ""
        else:
            part += letter
    yield part.strip()
