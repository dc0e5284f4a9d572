"""The sentences claim what the tables show and no more; the document has every table, and names stay letters."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from figured import OVERALL, SIX, made

from htsweep.analysis.design import Design
from htsweep.analysis.findings import Findings
from htsweep.analysis.summary import METRICS
from htsweep.report.answers import answers, question
from htsweep.report.document import document


def small(verdict: str, difference: float = 0.158, p: float = 0.03, n: int = 6) -> Findings:
    """One group, three methods: l2sp is highest on overall accuracy; oracle is an upper bound."""
    design = Design(("dataset", "missing_ratio"), "method")
    key = {"dataset": "mnist-uci", "missing_ratio": 0.5}
    values = {
        "plain": (0.993, 0.02, 0.506),
        "l2sp": (0.98, 0.35, 0.664),
        "oracle": (0.99, 0.99, 0.99),
    }
    metrics = list(METRICS)[:3]
    summary = pd.DataFrame(
        [
            {
                **key,
                "method": method,
                "sweep": method,
                "point": method,
                "step": 1,
                "metric": metric,
                "n": n,
                "mean": mean,
                "low": mean - 0.015,
                "high": mean + 0.016,
                "iqm": mean,
                "role": "bound" if method == "oracle" else "",
            }
            for method, means in values.items()
            for metric, mean in zip(metrics, means, strict=True)
        ]
    )
    effects = pd.DataFrame(
        [
            {
                **key,
                "method": method,
                "metric": OVERALL,
                "baseline": "plain",
                "n": n,
                "difference": gap,
                "low": 0.1,
                "high": 0.2,
                "improvement": 1.0,
                "p": p,
                "p_holm": adjusted,
                "least_p": 2 / 2**n,
                "verdict": said,
            }
            for method, gap, adjusted, said in (
                ("l2sp", difference, p, verdict),
                ("oracle", 0.48, np.nan, "bound"),
            )
        ]
    )
    points = pd.DataFrame(
        [
            {
                **key,
                "method": method,
                "role": "bound" if method == "oracle" else "",
                "front": method != "oracle",
            }
            for method in values
        ]
    )
    return Findings(
        "t",
        design,
        None,
        metrics,
        "last",
        n,
        "plain",
        trials=18,
        summary=summary,
        effects=effects,
        points=points,
    )


def test_a_sentence_says_who_wins_by_how_much_and_how_sure() -> None:
    assert answers(small("better")) == [
        "mnist-uci, 50 % missing: l2sp has the highest overall accuracy, 66.4 % [64.9, 68.0], 15.8 "
        "points above plain "
        "(p = 0.03: shown). Shown to be better than plain: l2sp. Highest on the other metrics: "
        "seen: plain (99.3 %), missing: l2sp "
        "(35.0 %). 2 of 2 methods are on the front: plain, l2sp."
    ]


def test_the_front_is_of_what_was_chosen_and_of_all_where_that_differs() -> None:
    """plain's chosen point is beaten by l2sp's; another configuration of plain is on the front."""
    found = small("better")
    axes = ("test/seen_accuracy", "test/missing_accuracy")
    place = {"dataset": "mnist-uci", "missing_ratio": 0.5, "role": ""}
    rows = [
        ("plain", 0.90, 0.10, True, False),
        ("plain", 0.99, 0.05, False, True),
        ("l2sp", 0.95, 0.40, True, True),
        ("l2sp", 0.80, 0.30, False, False),
    ]
    points = pd.DataFrame(
        [
            {**place, "method": method, axes[0]: x, axes[1]: y, "chosen": chosen, "front": front}
            for method, x, y, chosen, front in rows
        ]
    )
    (text,) = answers(replace(found, axes=axes, points=points))
    assert text.endswith(
        "1 of 2 methods is on the front of what last chose: l2sp; of all 4 configurations: "
        "plain, l2sp."
    )
    same = points.assign(front=points["front"] & (points["method"] == "l2sp"))
    (text,) = answers(replace(found, axes=axes, points=same))
    assert text.endswith("1 of 2 methods is on the front of what last chose: l2sp.")
    alone = points[points["chosen"]].assign(front=[False, True])
    (text,) = answers(replace(found, axes=axes, points=alone))
    assert text.endswith("1 of 2 methods is on the front: l2sp.")


def test_what_is_not_shown_is_said_to_be_so() -> None:
    (text,) = answers(small("not shown", p=0.2))
    assert "(p = 0.2: not shown). No method is shown to be better than plain." in text


def test_too_few_repetitions_show_nothing() -> None:
    (text,) = answers(small("too few", p=0.0625, n=5))
    assert (
        "No difference to plain can be shown: 5 repetitions cannot reach p < 0.05 (n = 5: p >= 0.0625)"
        in text
    )
    assert "p = " not in text
    (text,) = answers(small("too few", p=0.0625, n=6))
    assert (
        "6 repetitions cannot reach p < 0.05 after Holm's correction over 1 method (n = 6: p >= 0.0312 before "
        "Holm)" in text
    )


@pytest.mark.parametrize("verdict", ["not shown", "too few"])
def test_no_sentence_claims_what_no_verdict_says(verdict: str) -> None:
    for text in answers(made(verdict=verdict)):
        assert not re.search(r"(?<![Nn]o method is )[Ss]hown to be|: shown\)", text)


def test_upper_bounds_are_never_the_answer() -> None:
    found = made()
    assert all("oracle" not in text for text in answers(found))
    assert len(answers(found)) == 2


def test_a_tie_is_no_win() -> None:
    found = small("not shown")
    tied = replace(found, summary=found.summary.assign(mean=0.5))
    assert "plain has the highest overall accuracy, 50.0 %" in answers(tied)[0]
    assert "tied with 1 other" in answers(tied)[0]


def test_one_repetition_has_no_interval() -> None:
    found = small("too few", n=1, p=1.0)
    (text,) = answers(replace(found, summary=found.summary.assign(low=np.nan, high=np.nan)))
    assert "66.4 % (one repetition: no interval)" in text
    assert "1 repetition cannot reach p < 0.05 (n = 1: p >= 1)" in text


def test_the_question_names_what_was_compared() -> None:
    text = question(made())
    assert text == (
        "Which of 5 methods (source, plain, l2sp, lwf, lolsgd+wise_ft) does best in 2 groups "
        "(mnist-uci, "
        "50 % missing; uci-mnist, 30 % missing), by seen, missing, overall, harmonic mean, AUSUC? "
        "72 trials, "
        "6 repetitions of each point; configuration and step chosen by last. oracle is an upper "
        "bound. "
        "Differences are to plain, paired by repetition."
    )
    assert "and 1 more" in question(made([*SIX, "a", "b"]))


def test_tasks_of_other_kinds_are_answered_without_knowing_which_way_is_up() -> None:
    summary = pd.DataFrame(
        [
            {
                "sweep": name,
                "point": name,
                "step": 0,
                "metric": "test/loss",
                "n": 2,
                "mean": mean,
                "low": mean - 1,
                "high": mean + 1,
                "iqm": mean,
                "role": "",
            }
            for name, mean in (("a", 1.0), ("b", 4.0))
        ]
    )
    effects = pd.DataFrame(
        [
            {
                "sweep": "b",
                "metric": "test/loss",
                "baseline": "a",
                "n": 8,
                "difference": 3.0,
                "low": 2.0,
                "high": 4.0,
                "improvement": 1.0,
                "p": 0.01,
                "p_holm": 0.01,
                "least_p": 0.008,
                "verdict": "better",
            }
        ]
    )
    found = Findings(
        "t",
        Design((), "sweep"),
        None,
        ["test/loss"],
        "last",
        2,
        "a",
        trials=4,
        summary=summary,
        effects=effects,
    )
    assert answers(found) == [
        "b has the highest test/loss, 4 [3, 5], 3 above a (p = 0.01: shown). Shown to be higher "
        "than a: b."
    ]
    assert question(found).startswith(
        "Which of 2 sweeps (a, b) does best, by test/loss? 4 trials, 2 repetitions"
    )


def test_nothing_measured_gives_no_answer() -> None:
    found = Findings("t", Design(("dataset",), "method"), None, [], "last", 3, "plain", trials=2)
    assert answers(found) == []
    assert question(found).startswith("2 trials, and no point that has all its repetitions done")
    assert "no point that has all its repetitions done" in document(found)["report.md"]
