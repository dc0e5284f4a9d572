"""Values as they are called in a report."""

import pytest

from htsweep.report import names


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (0.5, "0.5"),
        (1e-3, "0.001"),
        ("a_b", "a_b"),
        ('["a", "b"]', "a + b"),
        (["a", "b"], "a + b"),
        ("[broken", "[broken"),
        (float("nan"), "none"),
    ],
)
def test_values_are_called(given: object, text: str) -> None:
    assert names.value(given) == text
