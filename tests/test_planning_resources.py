"""What each trial and stage takes, by the study's `resources`: never part of its id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.planning.resources import Amounts, amounts_of, lines
from htsweep.study.schema import Study

HEAD = "task: holistic_transfer\nshare_trainings: false\ngrid:\n  backbone: [lenet_bn, resnet18]\n  method: [plain, [wise_ft, lolsgd]]\n"
DIFFER = (
    "resources: {default: {gpu: 0.25}, when: [{backbone: resnet18, gpu: 1, accelerator: A100},"
    " {method: wise_ft+lolsgd, cpu: 2, time_limit_seconds: 60}]}\n"
)


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Callable[[str], Study]:
    return lambda text: read(study_file(text))


def test_entries_apply_to_what_meets_their_conditions(study: Callable[[str], Study]) -> None:
    planned = plan(study(HEAD + DIFFER))
    amounts = Amounts(planned.study, planned.task)
    assert [str(amounts.of(point.config)) for point in planned.points] == [
        "1 CPU, 0.25 GPU",
        "2 CPU, 0.25 GPU, 60 s at most",  # as the file writes the chain, whatever its order
        "1 CPU, 1 GPU (A100)",
        "2 CPU, 1 GPU (A100), 60 s at most",
    ]


def test_stages_follow_the_rule_with_their_own_configs(study: Callable[[str], Study]) -> None:
    planned = plan(study(HEAD + DIFFER))
    amounts = Amounts(planned.study, planned.task)
    taken = {
        stage.config["backbone"]: str(amounts.of(stage.config))
        for stage in planned.known_stages.values()
        if stage.task == "holistic_transfer:source"
    }
    assert taken == {"lenet_bn": "1 CPU, 0.25 GPU", "resnet18": "1 CPU, 1 GPU (A100)"}


def test_ids_do_not_depend_on_it(study: Callable[[str], Study]) -> None:
    with_it, without = plan(study(HEAD + DIFFER)), plan(study(HEAD))
    assert [point.id for point in with_it.points] == [point.id for point in without.points]
    assert list(with_it.known_stages) == list(without.known_stages)


def test_plan_says_which_trials_take_what(study: Callable[[str], Study]) -> None:
    said = lines(plan(study(HEAD + DIFFER + "repetitions: 3\n")))
    assert (
        said[0]
        == "takes   1 CPU, 0.25 GPU: 3 trials and 3 stages (backbone lenet_bn; method plain)"
    )
    assert said[1].startswith("        2 CPU, 0.25 GPU, 60 s at most: 3 trials (backbone lenet_bn")
    assert len(said) == 4
    assert lines(plan(study(HEAD + "resources: {gpu: 0.5}\n"))) == []


SEARCHED = (
    "task: toy\nsearch: {sampler: %s, trials: 3, spaces: {all: {steps: [1, 2, 3]}}}\n"
    "objectives: [{metric: validation/score}]\n"
    "resources: {cpu: 1, when: [{steps: [2, 3], cpu: 2}, {steps: 3, gpu: 1}]}\n"
)


def test_a_searched_value_decides_trial_by_trial(study: Callable[[str], Study]) -> None:
    planned = plan(study(SEARCHED % "grid"))
    amounts = Amounts(planned.study, planned.task)
    taken = {point.config["steps"]: str(amounts.of(point.config)) for point in planned.points}
    assert taken == {1: "1 CPU", 2: "2 CPU", 3: "2 CPU, 1 GPU"}
    assert [line[8:] for line in lines(planned)] == [
        f"{amount}: 1 trials" for amount in ("1 CPU", "2 CPU", "2 CPU, 1 GPU")
    ]


def test_of_what_a_sampler_may_propose_every_amount_is_known(
    study: Callable[[str], Study],
) -> None:
    """A launch checks that a node can hold each of them."""
    planned = plan(study(SEARCHED % "tpe"))
    assert {str(amount) for amount in amounts_of(planned)} >= {"1 CPU", "2 CPU", "2 CPU, 1 GPU"}
