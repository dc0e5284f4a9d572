"""Methods have colours of their own."""

from __future__ import annotations

from htsweep.mirror.colours import COLOURS, with_colour


def test_methods_have_colours_of_their_own_while_there_are_enough() -> None:
    held: dict[str, str] = {}
    for number in range(len(COLOURS) + 3):
        held = with_colour(held, f"method-{number}")
    assert set(held.values()) == set(COLOURS)
    assert with_colour(held, "method-0") == held
