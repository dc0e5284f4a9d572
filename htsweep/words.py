"""Numbers with their nouns, for sentences."""

from __future__ import annotations


def count(number: int, what: str) -> str:
    """`1 trial`, `1,200 trials`."""
    return f"{number:,} {plural(what, number)}"


def plural(what: str, number: int) -> str:
    """The singular or the plural of a word."""
    return what if number == 1 else f"{what}s"
