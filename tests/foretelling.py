"""Findings of a study of scores, for the tests of what the report says of them."""

import pairs

from htsweep.analysis.findings import Findings

DROPPED = ("uci/0", "uci/4")
OVERALL, MISSING = pairs.METRICS


def found() -> Findings:
    return pairs.findings(dropped=DROPPED)
