"""What a protocol costs, worked by hand; and a protocol that reads what was sought is warned of."""

import numpy as np
import pandas as pd
import pytest
from frames import measured

from htsweep.analysis.design import Design
from htsweep.analysis.protocols import caution, protocols

OVERALL, SEEN, MISSING = "test/overall_accuracy", "test/seen_accuracy", "test/missing_accuracy"
DESIGN = Design((), "method")


def little() -> pd.DataFrame:
    """Two points of one step, two repetitions: validation prefers the first, the test data the second."""
    return measured(
        {("a", 0): [[0.9], [0.9]], ("a", 1): [[0.8], [0.8]]},
        test__overall_accuracy={("a", 0): [[0.5], [0.6]], ("a", 1): [[0.7], [0.9]]},
        test__seen_accuracy={("a", 0): [[0.9], [1.0]], ("a", 1): [[0.8], [0.9]]},
        test__missing_accuracy={("a", 0): [[0.1], [0.2]], ("a", 1): [[0.6], [0.9]]},
        validation__source_missing_accuracy={("a", 0): [[0.1], [0.1]], ("a", 1): [[0.3], [0.3]]},
    )


def row(found: pd.DataFrame, protocol: str, metric: str) -> pd.Series:
    rows = found[(found["protocol"] == protocol) & (found["metric"] == metric)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_the_gap_is_what_the_best_by_test_accuracy_has_more() -> None:
    found = protocols(little(), DESIGN, [OVERALL, SEEN])
    assert set(found["protocol"]) == {
        "last",
        "seen_validation",
        "source_validation",
        "hypervolume",
        "test_accuracy",
    }
    blind = row(found, "seen_validation", OVERALL)
    assert (blind["n"], blind["mean"]) == (2, pytest.approx(0.55))
    assert blind["gap"] == pytest.approx(0.25)
    assert blind["gap low"] <= 0.25 <= blind["gap high"]
    assert row(found, "seen_validation", SEEN)["gap"] == pytest.approx(-0.1)
    assert row(found, "source_validation", OVERALL)["gap"] == 0
    assert (found[found["protocol"] == "test_accuracy"]["gap"] == 0).all()


def test_hypervolume_is_that_of_what_is_submitted() -> None:
    found = protocols(little(), DESIGN, [OVERALL])
    assert row(found, "seen_validation", "hypervolume")["mean"] == pytest.approx(
        (0.9 * 0.1 + 1.0 * 0.2) / 2
    )
    # Both points: (0.9, 0.1) and (0.8, 0.6); (1.0, 0.2) and (0.9, 0.9).
    both = ((0.8 * 0.6 + 0.1 * 0.1) + (0.9 * 0.9 + 0.1 * 0.2)) / 2
    assert row(found, "hypervolume", "hypervolume")["mean"] == pytest.approx(both)
    assert row(found, "test_accuracy", "hypervolume")["mean"] == pytest.approx(both)
    assert row(found, "source_validation", "hypervolume")["gap"] == pytest.approx(
        both - (0.8 * 0.6 + 0.9 * 0.9) / 2
    )


def test_without_test_accuracy_there_is_no_gap() -> None:
    frame = little().drop(columns=[OVERALL])
    found = protocols(frame, DESIGN, [SEEN])
    assert "test_accuracy" not in set(found["protocol"])
    assert np.isnan(found["gap"]).all()


def test_groups_and_users_protocols_stand_in_rows_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = pd.concat(
        [
            little().assign(
                dataset=name,
                sweep=f"{name}/a",
                point=lambda rows, name=name: name + rows["point"],
                trial=lambda rows, name=name: name + rows["trial"],
            )
            for name in ("x", "y")
        ]
    )
    found = protocols(
        frame,
        Design(("dataset",), "method"),
        [OVERALL],
        names=["last", "htsweep.selection.protocols:seen_validation"],
    )
    assert len(found) == 2 * 2 * 2
    assert list(found.columns[:4]) == ["dataset", "method", "sweep", "protocol"]


def test_no_whole_point_gives_no_rows() -> None:
    assert protocols(little().assign(status="stopped"), DESIGN, [OVERALL]).empty


def test_an_adaptive_sampler_favours_what_it_sought() -> None:
    assert caution("grid", ["validation/seen_accuracy"]) == ""
    told = caution("tpe", ["validation/seen_accuracy"])
    assert "to optimise validation/seen_accuracy" in told
    assert "test columns" not in told
    assert "optimised test columns (test/ausuc)" in caution(
        "nsga2", ["validation/loss", "test/ausuc"]
    )
