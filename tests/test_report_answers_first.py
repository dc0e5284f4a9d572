"""The first sentences say who wins, by how much, how sure, and what it costs the missing classes."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.report.answers_first import first

OVERALL, SEEN, MISSING = (f"test/{name}_accuracy" for name in ("overall", "seen", "missing"))
VALUES = {
    "source": (0.55, 0.58, 0.52),
    "plain": (0.50, 0.99, 0.01),
    "l2sp": (0.66, 0.98, 0.35),
    "lwf": (0.64, 0.97, 0.33),
    "oracle": (0.98, 0.98, 0.97),
}
ROLES = {"source": "source", "oracle": "bound"}


def row(
    method: str, metric: str, difference: float, p: float, verdict: str, **more: object
) -> dict:
    return {
        "method": method,
        "metric": metric,
        "baseline": "plain",
        "n": 6,
        "difference": difference,
        "p_holm": p,
        "verdict": verdict,
        **more,
    }


def made(groups: int = 1, verdict: str = "better", p: float = 0.047) -> Findings:
    """Six repetitions; in the second group all are two points lower."""
    names = ["a-b", "b-a"][:groups]
    summary = pd.DataFrame(
        [
            {
                "dataset": name,
                "method": method,
                "metric": metric,
                "n": 6,
                "mean": mean - 0.02 * number,
                "role": ROLES.get(method, ""),
            }
            for number, name in enumerate(names)
            for method, means in VALUES.items()
            for metric, mean in zip((OVERALL, SEEN, MISSING), means, strict=True)
        ]
    )
    tests = [
        row("l2sp", OVERALL, 0.16, p, verdict),
        row("lwf", OVERALL, 0.14, 0.2, "not shown"),
        row("oracle", OVERALL, 0.48, float("nan"), "bound"),
    ]
    effects = pd.DataFrame([{**each, "dataset": name} for name in names for each in tests])
    rivals = pd.DataFrame(
        [row("lwf", OVERALL, -0.02, 0.3, "not shown", dataset=name) for name in names]
    )
    return Findings(
        "t",
        Design(("dataset",), "method"),
        None,
        (SEEN, MISSING, OVERALL),
        "last",
        6,
        "plain",
        summary=summary,
        effects=effects,
        pooled=pd.DataFrame(tests) if groups > 1 else pd.DataFrame(),
        runners_up=rivals,
    )


def test_one_group_has_the_winner_its_lead_and_its_price() -> None:
    assert first(made()) == (
        "l2sp is best in overall accuracy, 66.0 %: 16.0 points above plain (p = 0.047). "
        "The runner-up, lwf, is 2.0 points behind (p = 0.3, not shown). "
        "On the missing classes l2sp keeps 35.0 % where plain keeps 1.0 % (the source model had "
        "52.0 %); on the seen classes it reaches 98.0 % and plain 99.0 %."
    )


def test_over_groups_it_is_the_mean_and_the_pooled_test() -> None:
    assert first(made(2)).startswith(
        "l2sp is best in overall accuracy over 2 groups, 65.0 %: 16.0 points above plain "
        "(p = 0.047). The runner-up, lwf, is 2.0 points behind. On the missing classes l2sp keeps "
        "34.0 % where plain keeps 0.0 %"
    )


@pytest.mark.parametrize(
    ("verdict", "p", "said"),
    [
        ("not shown", 0.2, "(p = 0.2, not shown)"),
        ("too few", 0.125, "(6 repetitions are too few to show it)"),
    ],
)
def test_what_no_test_shows_is_no_win(verdict: str, p: float, said: str) -> None:
    text = first(made(verdict=verdict, p=p))
    assert text.startswith(
        "No method is shown to be better than plain. l2sp has the highest overall accuracy, "
        f"66.0 %: 16.0 points above plain {said}."
    )
    assert "is best" not in text


def test_the_baseline_may_win() -> None:
    found = made()
    summary = found.summary.copy()
    at = (summary["method"] == "plain") & (summary["metric"] == OVERALL)
    summary.loc[at, "mean"] = 0.7
    assert first(replace(found, summary=summary)).startswith(
        "No method is above plain, the baseline, which has the highest overall accuracy, 70.0 %; "
        "next is l2sp, 4.0 points below."
    )


def test_what_is_as_high_is_not_called_lower() -> None:
    found = made()
    summary = found.summary.copy()
    for method in ("plain", "l2sp"):
        at = (summary["method"] == method) & (summary["metric"] == OVERALL)
        summary.loc[at, "mean"] = 0.7 if method == "plain" else 0.69998
    assert "70.0 %; next is l2sp, as high." in first(replace(found, summary=summary))
    at = (found.summary["method"] == "lwf") & (found.summary["metric"] == OVERALL)
    summary = found.summary.copy()
    summary.loc[at, "mean"] = 0.65998
    assert "The runner-up, lwf, is as high (p = 0.3, not shown)." in first(
        replace(found, summary=summary)
    )


def test_a_value_that_a_group_lacks_wins_nothing() -> None:
    found = made(2)
    lacks = (found.summary["method"] == "l2sp") & (found.summary["dataset"] == "b-a")
    text = first(replace(found, summary=found.summary[~lacks]))
    assert text.startswith("No method is shown to be better than plain") is False
    assert "lwf has the highest overall accuracy over 2 groups, 63.0 %" in text
    assert "Shown to be better than plain: l2sp" in text


def test_nothing_measured_has_no_answer() -> None:
    assert first(replace(made(), summary=pd.DataFrame())) == ""
