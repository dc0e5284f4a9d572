"""Values as they are called in a report."""

import pandas as pd
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


def test_memory_is_shown_in_megabytes_and_other_costs_as_they_are() -> None:
    costs = pd.DataFrame(
        {
            "cost": ["peak_memory_bytes", "seconds"],
            "value": [250_000_000, 12],
            "value low": [200_000_000, 11],
            "value high": [300_000_000, 13],
        }
    )
    shown = names.priced(costs)
    assert shown[["value", "value low", "value high"]].to_numpy().tolist() == [
        pytest.approx([250, 200, 300]),
        [12, 11, 13],
    ]
    assert names.cost("peak_memory_bytes") == "peak memory (MB)"
    assert names.priced(costs.iloc[:0]).empty


def test_a_tick_is_short() -> None:
    given = (0.0001, 0.03, 1, 1000, 20_000, 300_000, 2_000_000, 1e9)
    assert [names.rounded(value) for value in given] == [
        "0.0001",
        "0.03",
        "1",
        "1000",
        "20k",
        "300k",
        "2M",
        "1G",
    ]
