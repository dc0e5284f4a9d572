"""Turns any exception into text of limited length.

The exception's own text may be a gigabyte, not valid Unicode, or raise another exception.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from htsweep.ledger.names import plain

LONGEST_REASON, LONGEST_ACCOUNT, LONGEST_TEXT = 300, 100_000, 20_000
"""The most characters that are kept of the one-line reason, the traceback, and any text in it."""
_LONGEST_CHAIN = 50


def account(raised: BaseException) -> tuple[str, str]:
    """(`raised: ValueError: the first line of its text`, the traceback)."""
    name = _name(raised)
    # torch raises an OutOfMemoryError of its own, whose type is not known here.
    kind = "out_of_memory" if name in ("OutOfMemoryError", "MemoryError") else "raised"
    lines = [line.strip() for line in _text(raised).splitlines() if line.strip()]
    reason = plain(f"{kind}: {name}: {lines[0] if lines else ''}")[:LONGEST_REASON]
    return reason, cut(_traceback(raised, reason))


def cut(text: str) -> str:
    """The text, without its middle if it is too long to keep."""
    half = LONGEST_ACCOUNT // 2
    left_out = len(text) - 2 * half
    return (
        text
        if left_out <= 0
        else f"{text[:half]}\n... {left_out} characters are left out ...\n{text[-half:]}"
    )


def _traceback(raised: BaseException, reason: str) -> str:
    chain = list(_chain(raised))
    if len(chain) < _LONGEST_CHAIN and all(
        len(_text(exception)) < LONGEST_TEXT for exception in chain
    ):
        try:
            return "".join(traceback.format_exception(raised))
        except Exception:  # formatting runs the exception's own code, which may raise
            pass
    return (
        "Traceback (most recent call last):\n"
        f"{''.join(traceback.format_tb(raised.__traceback__))}{reason}\n"
    )


def _chain(raised: BaseException) -> Iterator[BaseException]:
    """The exception and those that led to it or that it groups, at most `_LONGEST_CHAIN`."""
    seen: dict[int, BaseException] = {}
    left: list[BaseException | None] = [raised]
    while left and len(seen) < _LONGEST_CHAIN:
        exception = left.pop()
        if exception is not None and id(exception) not in seen:
            seen[id(exception)] = exception
            yield exception
            inside = exception.exceptions if isinstance(exception, BaseExceptionGroup) else ()
            left += [exception.__cause__, exception.__context__, *inside]


def _name(raised: BaseException) -> str:
    try:
        return str(type(raised).__name__)[:100]
    except Exception:  # a metaclass of its own
        return "BaseException"


def _text(raised: BaseException) -> str:
    """The exception's text, cut to `LONGEST_TEXT` characters."""
    try:
        text = str(raised)
        return str.__str__(text)[:LONGEST_TEXT]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return f"(its text cannot be loaded: it raises {_name(error)})"
