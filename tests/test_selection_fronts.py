"""The search for a front agrees with a comparison of all pairs."""

from hypothesis import given
from hypothesis import strategies as st

from htsweep.selection.fronts import non_dominated

NUMBER = st.integers(0, 5).map(float)


@given(pairs=st.lists(st.tuples(NUMBER, NUMBER), max_size=20))
def test_the_front_is_what_no_other_pair_beats(pairs: list[tuple[float, float]]) -> None:
    beaten = [any(a >= x and b >= y and (a, b) != (x, y) for a, b in pairs) for x, y in pairs]
    flags = non_dominated([x for x, _ in pairs], [y for _, y in pairs])
    assert flags.tolist() == [not worse for worse in beaten]
