"""Mistakes in a screen are told all at once, each where it stands, before anything runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from screened import lay

from htsweep.errors import StudyError
from htsweep.planning.reading import read
from htsweep.study.schema import Study


@pytest.fixture
def study(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Study]:
    text = lay(tmp_path, study_file)

    def make(*overrides: str, without: bool = False) -> Study:
        return read(study_file(text.partition("screen:")[0] if without else text), overrides)

    return make


def problems(make: Callable[..., Study], *overrides: str) -> dict[str, str]:
    with pytest.raises(StudyError) as caught:
        make(*overrides)
    return {
        problem.key.removeprefix("--set "): problem.message for problem in caught.value.problems
    }


@pytest.mark.parametrize(
    ("overrides", "key", "hint"),
    [
        (["screen.task=transferabilty"], "screen.task", "did you mean 'transferability'?"),
        (["screen.task=toy"], "screen.task", "task 'toy' computes no scores"),
        (["screen.scores=[wort]"], "screen.scores.0", "did you mean 'worth'?"),
        (["screen.scores=[worth, shaky, worth]"], "screen.scores.2", "is listed twice; remove one"),
        (["screen.scores=[]"], "screen.scores", "must have at least one entry"),
        (
            ["screen.by=shaky"],
            "screen.by",
            "'shaky' is not one of `scores`; known: contrary, worth",
        ),
        (["screen.margin=0.1"], "screen", "but has both"),
        (["screen.keep=null"], "screen", "but has neither"),
        (["screen.keep=0"], "screen.keep", "must be at least 1, but got 0"),
        (["screen.keep=al"], "screen.keep", "did you mean 'all'?"),
        (["screen.keep=1.5"], "screen.keep", "must be a whole number"),
        (["screen.keep=null", "screen.margin=-1"], "screen.margin", "must be at least 0"),
        (["screen.repetitions=0"], "screen.repetitions", "must be at least 1"),
        (["screen.kep=1"], "screen.kep", "did you mean 'keep'?"),
        (
            ["screen.fixed.contrary.scal=1"],
            "screen.fixed.contrary.scal",
            "did you mean 'contrary.scale'?",
        ),
        (
            ["screen.fixed.contrary.scale=0.1"],
            "screen.fixed.contrary.scale",
            "must be at least 0.5",
        ),
        (["screen.fixed.source=big"], "screen.fixed.source", "is a factor of the study"),
        (["screen.fixed.score=worth"], "screen.fixed.score", "listed under `scores`"),
        (
            ["screen.scores=[worth, level]"],
            "screen.scores.1",
            "score level: the level of mid is not defined",
        ),
        (
            ["grid.source=[big]"],
            "screen",
            "each target has only one pair, so there is nothing to drop: vary the source under "
            "`grid` (any of domain, source, depth), or set `keep: all`",
        ),
        (
            ["search.spaces.all.depth=[1, 2]"],
            "search.spaces.all.depth",
            "make it a factor under `grid`",
        ),
        (
            [
                "ablate={full: {method: l2sp, depth: 3}, components: {depth: {depth: 1}}}",
                "grid={source: [big, mid]}",
            ],
            "screen",
            "the ablation changes depth",
        ),
    ],
)
def test_each_kind_of_mistake(
    study: Callable[..., Study], overrides: list[str], key: str, hint: str
) -> None:
    found = problems(study, *overrides)
    assert list(found) == [key]
    assert hint in found[key]


def test_mistakes_are_told_at_once(study: Callable[..., Study]) -> None:
    found = problems(
        study,
        "screen.scores=[wort]",
        "screen.by=contrary",
        "screen.margin=0.1",
        "screen.fixed.dept=1",
        "select=lst",
    )
    assert found.keys() == {"screen.scores.0", "screen.by", "screen", "screen.fixed.dept", "select"}


def test_a_study_of_scores_has_no_screen(study: Callable[..., Study]) -> None:
    task = study().screen.task  # type: ignore[union-attr]
    found = problems(study, f"task={task}", "grid={source: [big, mid], score: [worth]}")
    assert "computes scores itself" in found["screen"]
    assert "a column of the tables of scores" in found["grid.score"]


def test_what_needs_a_screen_s_pairs_is_fine_with_all_kept(study: Callable[..., Study]) -> None:
    assert study("screen.keep=all", "grid.source=[big]").screen is not None
    assert (
        study(
            "screen.keep=all",
            "ablate={full: {method: l2sp, depth: 3}, components: {depth: {depth: 1}}}",
            "grid={source: [big, mid]}",
        ).screen
        is not None
    )
