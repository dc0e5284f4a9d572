"""Points of a panel are thinned, and what counts is kept."""

import numpy as np
import pandas as pd
from paged import GROUPS, METHODS, drawn, synthetic

from htsweep.report.page import page
from htsweep.report.page.columns import POINTS, thin


def test_beyond_a_thousand_points_a_panel_is_thinned_and_says_so() -> None:
    findings = synthetic(METHODS[:3], GROUPS[:1], points=1500)
    html = page(findings)
    found = drawn(html)
    assert len(found["frontiers"]["x"]) == POINTS
    assert f"{POINTS} of {len(findings.points)} points are drawn" in found["notes"]["frontiers"]
    kept = {
        (x, y)
        for x, y, beaten in zip(
            *(found["frontiers"][name] for name in ("x", "y", "beaten")), strict=True
        )
        if not beaten
    }
    front = findings.points[findings.points["front"]]
    assert len(kept) == len(front)
    assert len(html) < 5_000_000


def test_thinning_keeps_what_counts_and_the_limit() -> None:
    frame = pd.DataFrame({"value": range(100)})
    keep = np.zeros(100, bool)
    keep[[3, 97]] = True
    few = frame[thin([0] * 50 + [1] * 50, keep, 10)]
    assert {3, 97} <= set(few["value"])
    assert (few["value"] < 50).sum() == 10
    assert (few["value"] >= 50).sum() == 10
    assert few["value"].is_monotonic_increasing
