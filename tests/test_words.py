"""Numbers with their nouns."""

from htsweep.words import count, plural


def test_one_is_singular_and_thousands_are_grouped() -> None:
    assert [count(number, "trial") for number in (0, 1, 2, 1200)] == [
        "0 trials",
        "1 trial",
        "2 trials",
        "1,200 trials",
    ]
    assert (plural("point", 1), plural("point", 3)) == ("point", "points")
