"""Pairs of a screened study, the plan of their scores, and which pairs are kept."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import screening
from hypothesis import given
from hypothesis import strategies as st
from screening import SCORES, ids

from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.planning.screen import decide, pairs_of, plan_of
from htsweep.study.schema import Study


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    return screening.no_report(monkeypatch)


@pytest.fixture
def study(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Study]:
    return screening.study(study_file, tmp_path)


VALUES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=2),
    st.tuples(
        st.one_of(st.none(), st.integers(-3, 3).map(float)), st.sampled_from(["uci", "usps"])
    ),
    max_size=9,
)


def split(
    drawn: Mapping[str, tuple[float | None, str]],
) -> tuple[dict[str, float | None], dict[str, str]]:
    return {pair: value for pair, (value, _) in drawn.items()}, {
        pair: target for pair, (_, target) in drawn.items()
    }


@given(VALUES, st.integers(1, 5))
def test_the_best_of_each_target_are_kept_with_ties_and_whatever_is_unknown(
    drawn: dict[str, tuple[float | None, str]], keep: int
) -> None:
    values, targets = split(drawn)
    kept = decide(values, targets, keep, None)
    for pair, value in values.items():
        better = [
            other
            for other, its in values.items()
            if targets[other] == targets[pair]
            and value is not None
            and its is not None
            and its > value
        ]
        assert (pair in kept) == (value is None or len(better) < keep)
    assert kept <= decide(values, targets, keep + 1, None) <= decide(values, targets, "all", None)
    assert decide(values, targets, "all", None) == set(values)


@given(VALUES, st.floats(0, 5), st.floats(0, 5))
def test_a_margin_keeps_what_is_near_the_best(
    drawn: dict[str, tuple[float | None, str]], margin: float, more: float
) -> None:
    values, targets = split(drawn)
    kept = decide(values, targets, None, margin)
    for pair, value in values.items():
        best = max(
            (
                its
                for other, its in values.items()
                if its is not None and targets[other] == targets[pair]
            ),
            default=None,
        )
        assert (pair in kept) == (value is None or best is None or best - value <= margin)
    assert kept <= decide(values, targets, None, margin + more)


@given(
    VALUES,
    st.one_of(st.tuples(st.integers(1, 5), st.none()), st.tuples(st.none(), st.floats(0, 5))),
    st.data(),
)
def test_what_is_dropped_stays_dropped_when_more_is_known(
    drawn: dict[str, tuple[float | None, str]],
    rule: tuple[int | None, float | None],
    data: st.DataObject,
) -> None:
    values, targets = split(drawn)
    hidden = data.draw(st.sets(st.sampled_from(sorted(values)))) if values else set()
    before = {pair: None if pair in hidden else value for pair, value in values.items()}
    assert decide(values, targets, *rule) <= decide(before, targets, *rule)


def test_a_pair_is_what_the_scoring_task_is_told_whatever_the_method(
    study: Callable[..., Study],
) -> None:
    planned = plan(study())
    pairs = pairs_of(study(), planned.sweeps)
    assert [pair.label for pair in pairs] == [
        f"domain={domain}, source={source}"
        for domain in ("uci", "usps")
        for source in ("big", "mid", "small")
    ]
    assert [pair.target for pair in pairs] == ["uci"] * 3 + ["usps"] * 3
    assert [len(pair.sweeps) for pair in pairs] == [2] * 6
    assert frozenset[str]().union(*(pair.sweeps for pair in pairs)) == {
        sweep.id for sweep in planned.sweeps
    }
    # What a study leaves to its task's defaults is told as well.
    assert all(pair.given["depth"] == 3 for pair in pairs)


def test_pairs_have_names_of_their_own_whatever_scores_are_asked_for(
    study: Callable[..., Study],
) -> None:
    def names(*overrides: str) -> list[str]:
        one = study(*overrides)
        return [pair.id for pair in pairs_of(one, plan(one).sweeps)]

    assert len(set(names())) == 6
    assert (
        names()
        == names("screen.scores=[contrary, worth, shaky]")
        == names("screen.fixed.contrary.scale=2.0")
    )
    assert not set(names()) & set(names("fixed.depth=4"))


def test_variants_of_an_ablation_are_one_pair(study: Callable[..., Study]) -> None:
    ablate = "ablate={full: {method: l2sp}, components: {pull: {method: plain}}}"
    one = study(ablate, "grid={domain: [uci], source: [big, small]}")
    assert [len(pair.sweeps) for pair in pairs_of(one, plan(one).sweeps)] == [2, 2]


def test_scores_are_the_trials_of_a_study_of_the_scoring_task(
    study: Callable[..., Study], study_file: Callable[..., Path]
) -> None:
    one = study("screen.fixed.contrary.scale=2.0")
    scored = plan_of(plan(one))
    assert scored is not None
    assert one.screen is not None
    assert scored.trial_count == SCORES
    alone = read(
        study_file(
            f"task: {one.screen.task}\ngrid: {{domain: [uci, usps], source: [big, mid, small], "
            "score: [worth, contrary]}\nrepetitions: 2\nfixed: {contrary.scale: 2.0}\n",
            "alone.yaml",
        )
    )
    assert ids(scored) == ids(plan(alone))
    assert {sweep.id for sweep in scored.sweeps} == {sweep.id for sweep in plan(alone).sweeps}
    # The source models are those of the study's own trials.
    stages = scored.stages((point, repetition) for point, repetition, _ in scored.trials())
    assert (
        stages.keys()
        == plan(one)
        .stages((point, repetition) for point, repetition, _ in plan(one).trials())
        .keys()
    )
    more = plan_of(plan(study("screen.repetitions=5")))
    assert more is not None
    assert more.trial_count == 60
