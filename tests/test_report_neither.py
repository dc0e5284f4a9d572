"""What a report says of classes that are neither seen nor missing."""

import pandas as pd

from htsweep.report import names, neither


class Measured:
    def __init__(self, **columns):
        self.table = pd.DataFrame({"trial": ["a", "b"], **columns})

    def measurements(self, columns, *, kind):
        assert (columns, kind) == ([neither.SHARE], "numbers")
        return self.table


def test_the_range_of_their_share_is_told():
    said = neither.told(Measured(**{neither.SHARE: [0.0125, 0.5]}))
    assert "predicted for 1.2 to 50.0 % of the test images (test/other_share)" in said
    assert names.amount(0.0125, neither.SHARE) == "1.2 %"


def test_nothing_is_told_where_there_are_none():
    assert neither.told(Measured()) == ""
    assert neither.told(Measured(**{neither.SHARE: [float("nan")] * 2})) == ""
