"""All tables of a report from the tables of a study, also where the study is an odd one."""

import pandas as pd
import pytest
from frames import digits, trials_of

from htsweep.analysis.conclusions import StudyContext, conclude, failures
from htsweep.analysis.design import Design

DESIGN = Design(("dataset",), "method")


def about(**more: object) -> StudyContext:
    given = {
        "title": "t",
        "design": DESIGN,
        "protocol": "last",
        "repetitions": 8,
        "empty": "plain",
        **more,
    }
    return StudyContext(**given)  # type: ignore[arg-type]


def test_a_baseline_may_be_a_number() -> None:
    frame = digits(repetitions=8)
    strength = {
        "source": 0.0,
        "plain": 0.5,
        "l2sp": 1.0,
        "selective_distillation": 2.0,
        "oracle": 3.0,
    }
    numbered = frame.assign(strength=frame["method"].map(strength))
    design = Design(("dataset",), "strength")
    for asked, shown in ((0, "0.0"), (0.5, "0.5"), (None, "0.5")):
        found = conclude(trials_of(numbered), numbered, about(design=design, baseline=asked))
        assert found.baseline == shown
        assert set(found.effects["strength"]) == set(strength.values()) - {float(shown)}


def test_the_baseline_is_plain_and_else_no_bound() -> None:
    frame = digits(repetitions=8)
    assert conclude(trials_of(frame), frame, about()).baseline == "plain"
    without = frame[frame["method"] != "plain"]
    assert conclude(trials_of(without), without, about()).baseline == "l2sp"


@pytest.mark.parametrize(
    ("repetitions", "said"),
    [(1, "One repetition"), (5, "takes 6"), (6, "among 3 comparisons"), (8, "")],
)
def test_what_repetitions_cannot_show_is_said_first(repetitions: int, said: str) -> None:
    frame = digits(repetitions=repetitions)
    told = " ".join(conclude(trials_of(frame), frame, about(repetitions=repetitions)).warnings)
    assert said in told
    assert ("cannot" in told or "One repetition" in told) == bool(said)


def test_an_oracle_and_a_sampler_that_looked_are_warned_of() -> None:
    frame = digits(repetitions=8)
    told = conclude(
        trials_of(frame),
        frame,
        about(protocol="test_accuracy", sampler="tpe", objectives=["test/ausuc"]),
    ).warnings
    assert any("upper bound" in one for one in told)
    assert any("optimised test columns (test/ausuc)" in one for one in told)


def test_nothing_that_is_whole_gives_empty_tables_and_says_what_failed() -> None:
    frame = digits(repetitions=2).assign(status="failed")
    trials = trials_of(frame).assign(reason="raised: OSError", log="a.txt")
    found = conclude(trials, frame, about(repetitions=2))
    assert found.summary.empty
    assert found.points.empty
    assert found.failures["trials"].sum() == 10
    assert set(found.failures["reason"]) == {"raised: OSError"}


def test_what_is_to_come_is_counted() -> None:
    trials = trials_of(digits(repetitions=2)).assign(reason=None, log=None)
    planned = pd.DataFrame([{"sweep": "new", "dataset": "x", "method": "ewc"}])
    found = failures(trials, about(repetitions=3, planned=planned))
    waiting = found.set_index("method")["trials"].to_dict()
    assert waiting == {
        "source": 1,
        "plain": 1,
        "l2sp": 1,
        "selective_distillation": 1,
        "oracle": 1,
        "ewc": 3,
    }
    assert set(found["status"]) == {"not run"}
