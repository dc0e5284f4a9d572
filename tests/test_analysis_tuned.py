"""The point at the defaults against what a protocol chose, worked by hand."""

import itertools

import pandas as pd
import pytest

from htsweep.analysis.design import Design
from htsweep.analysis.tuned import tuned

DESIGN = Design((), "method")
SEEN, VALIDATED = "test/seen_accuracy", "validation/seen_accuracy"


def measured(rates: tuple[float, ...] = (0.1, 0.01), method: str = "plain") -> pd.DataFrame:
    """Two repetitions of a point per rate, two steps each; the lower the rate, the better."""
    rows = []
    for (index, rate), repetition, step in itertools.product(enumerate(rates), (0, 1), (0, 60)):
        value = 0.5 - rate + 0.1 * repetition + step / 600
        rows.append(
            {
                "sweep": method,
                "point": f"{method} {rate}",
                "point_index": index,
                "trial": f"{method} {rate} {repetition}",
                "repetition": repetition,
                "status": "done",
                "role": "",
                "method": method,
                "learning_rate": rate,
                "step": step,
                SEEN: value,
                VALIDATED: value,
            }
        )
    return pd.DataFrame(rows)


def test_the_default_is_at_its_last_step_and_the_choice_is_the_protocols() -> None:
    found = tuned(measured(), DESIGN, [SEEN, "not there"], {"learning_rate": 0.1})
    row = found.set_index("protocol").loc["seen_validation"]
    assert row["default"] == pytest.approx(0.5 - 0.1 + 0.05 + 0.1)
    assert row["tuned"] == pytest.approx(0.5 - 0.01 + 0.05 + 0.1)
    # The same in both repetitions, so that the interval has no width.
    assert row[["difference", "low", "high"]].tolist() == pytest.approx([0.09] * 3)
    assert row["n"] == 2
    assert set(found["metric"]) == {SEEN}


def test_without_a_point_at_the_defaults_there_is_no_difference() -> None:
    found = tuned(measured(), DESIGN, [SEEN], {"learning_rate": 0.5})
    assert found["default"].isna().all()
    assert found["difference"].isna().all()
    assert found["tuned"].notna().all()


def test_a_sweep_of_one_point_is_not_tuned() -> None:
    both = pd.concat([measured(), measured((0.1,), "source")], ignore_index=True)
    found = tuned(both, DESIGN, [SEEN], {"learning_rate": 0.1})
    assert set(found["method"]) == {"plain"}
    assert tuned(measured((0.1,)), DESIGN, [SEEN], {"learning_rate": 0.1}).empty


def test_a_parameter_that_does_not_apply_is_at_its_default() -> None:
    rows = measured().assign(**{"l2sp.backbone": float("nan")})
    found = tuned(rows, DESIGN, [SEEN], {"learning_rate": 0.1, "l2sp.backbone": 0.1})
    assert found["default"].notna().all()


def test_nothing_searched_gives_no_row() -> None:
    assert tuned(measured(), DESIGN, [SEEN], {}).empty
