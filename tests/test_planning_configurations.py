"""A parameter of a method in the grid is a configuration of that method, never a group."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import StudyError
from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.results import Results

HEAD = "task: holistic_transfer\n"
LISTED = "grid: {missing_ratio: [0.3, 0.5], method: [plain, l2sp], l2sp.backbone: [0.01, 0.1]}\n"
METHODS = "grid: {method: [plain, l2sp], l2sp.backbone: [0.01, 0.1]}\n"


@pytest.fixture
def planned(study_file: Callable[..., Path]) -> Callable[[str], Plan]:
    return lambda text: plan(read(study_file(HEAD + text)))


def trials(found: Plan) -> set[str]:
    return {trial for *_, trial in found.trials()}


def test_it_parts_no_groups(study_file: Callable[..., Path]) -> None:
    results = Results(read(study_file(HEAD + LISTED)), "nowhere")
    assert results.factors == ["missing_ratio", "method"]
    assert results.parameters == ["l2sp.backbone"]
    found = results.plan
    assert [sweep.factors for sweep in found.sweeps] == [
        {"missing_ratio": ratio, "method": method}
        for ratio in (0.3, 0.5)
        for method in ("plain", "l2sp")
    ]


def test_its_trials_are_those_of_single_studies(planned: Callable[[str], Plan]) -> None:
    """One study for each configuration, with the value fixed, has the same ids."""
    apart = [
        trials(planned(f"grid: {{method: [l2sp]}}\nfixed: {{l2sp.backbone: {value}}}\n"))
        for value in (0.01, 0.1)
    ]
    plain = trials(planned("grid: {method: [plain]}\n"))
    assert trials(planned(METHODS)) == plain.union(*apart)


def test_other_parameters_are_not_searched(planned: Callable[[str], Plan]) -> None:
    found = planned(
        "grid: {method: [l2sp, [l2sp, lolsgd]], l2sp.backbone: [0.01, 0.1]}\nrepetitions: 2\n"
    )
    assert found.searched == ("l2sp.backbone",)
    assert found.trial_count == (2 + 2) * 2


def test_a_search_of_the_whole_grid_has_its_values_too(planned: Callable[[str], Plan]) -> None:
    search = "search: {spaces: {training: {learning_rate: [0.1, 0.2, 0.3]}, l2sp: {head: [0.1]}}}\n"
    assert sorted(planned(METHODS + search).sizes.values()) == [3, 6]


def test_an_ablation_is_not_parted_by_a_parameter_that_all_have(
    study_file: Callable[..., Path],
) -> None:
    text = "ablate: {full: {method: [l2sp, feature_rank], l2sp.backbone: 0.01}}\n"
    assert Results(read(study_file(HEAD + text)), "nowhere").factors == ["method"]
    changed = text.replace("}}", "}, components: {pull: {l2sp.backbone: 0}}}")
    assert "l2sp.backbone" in Results(read(study_file(HEAD + changed)), "nowhere").factors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "grid: {method: [plain, wise_ft], l2sp.backbone: [0.01]}\n",
            "no cell of the grid has 'l2sp', so that its parameter would do nothing",
        ),
        (
            METHODS + "search: {sampler: random, trials: 4}\n",
            "`search: {spaces: {l2sp: {backbone: [0.01, 0.1]}}}`",
        ),
        (METHODS + "search: {trials: 4}\n", "which has a limit"),
        (
            METHODS + "search: {spaces: {l2sp: {backbone: [1]}}}\n",
            "is also in `search.spaces.l2sp`; remove one of them",
        ),
    ],
)
def test_what_cannot_be_meant_is_told(
    text: str, said: str, study_file: Callable[..., Path]
) -> None:
    with pytest.raises(StudyError) as caught:
        read(study_file(HEAD + text))
    (problem,) = caught.value.problems
    assert (problem.key, problem.line) == ("grid.l2sp.backbone", 2)
    assert said in problem.message
