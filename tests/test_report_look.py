"""The palette."""

import re


def test_the_palette_is_hexadecimal() -> None:
    from htsweep.report.look import COLOURS

    assert all(re.fullmatch("#[0-9A-F]{6}", colour) for colour in COLOURS)
    assert len(set(COLOURS)) == len(COLOURS)
