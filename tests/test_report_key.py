"""Methods of every kind find their group, look and colour."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
from paged import synthetic

from htsweep.report import script
from htsweep.report.key import dark, key


def test_methods_of_every_kind_find_their_group_and_look() -> None:
    findings = synthetic(['["lolsgd", "wise_ft"]', "plain"], [("a", 0.5, "b")])
    mixed = replace(findings, summary=findings.summary.assign(method=[1.0, 0.5] * 5))
    found = key(mixed)
    assert found.methods == ("lolsgd + wise_ft", "plain", "1", "0.5")
    assert found.method_of(mixed.summary)[:2] == [2, 3]
    assert found.group_of(mixed.points) == [0] * len(mixed.points)
    assert found.group_of(pd.DataFrame({"x": [1]})) == [-1]
    assert found.common == "a, 50 % missing, b"


def test_colours_can_be_told_from_a_dark_background() -> None:
    """By WCAG's formula, written again."""
    from htsweep.report.look import COLOURS

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    css = script.asset("page.css")
    found = re.search(r"dark\) \{\s*:root \{\s*--paper: (#\w+)", css)
    assert found
    for colour in (*COLOURS, "#000000", "#777777"):
        assert (luminance(dark(colour)) + 0.05) / (luminance(found[1]) + 0.05) >= 3
    assert len({dark(colour) for colour in COLOURS}) == len(COLOURS)
