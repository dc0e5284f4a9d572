"""Mistakes in `resources`: all at once, each where it stands, with what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import StudyError
from htsweep.planning.reading import read
from htsweep.study.schema import Study

HEAD = "task: toy\ngrid:\n  x: [0.1, 0.5]\n  y: [0.2, 0.3]\n"


@pytest.fixture
def told(study_file: Callable[..., Path]) -> Callable[..., dict[str, str]]:
    def problems(resources: str, *overrides: str) -> dict[str, str]:
        with pytest.raises(StudyError) as raised:
            read(study_file(f"{HEAD}resources:\n{resources}"), overrides)
        found = {}
        for problem in raised.value.problems:
            found[problem.key] = f"{problem.line}: {problem.message}"
        return found

    return problems


def test_every_mistake_is_told_at_once_with_its_line(told: Callable[..., dict[str, str]]) -> None:
    found = told(
        "  default: {gpu: 0.25}\n"
        "  when:\n"
        "    - {z: 1, gpu: 1}\n"
        "    - {x: 0.9, gpu: 1}\n"
        "    - {x: [0.1, 0.7], gpu: 1}\n"
        "    - {x: 0.1, y: 0.2, gpu: 0.5}\n"
        "    - {gpu: 2}\n"
        "    - {y: 0.3}\n"
        "    - {y: 0.3, accelerator: A100, gpu: 0}\n"
    )
    assert found["resources.when.0.z"].startswith(
        "8: no trial and no stage of the study has this key"
    )
    assert (
        found["resources.when.1.x"]
        == "9: no trial and no stage of the study has 0.9; did you mean '0.5'? known: 0.1, 0.5"
    )
    assert found["resources.when.2.x.1"].startswith(
        "10: no trial and no stage of the study has 0.7"
    )
    assert found["resources.when.3.gpu"] == (
        "11: is 0.5, but resources.when.2 says 1, and what has x=0.1, y=0.2 meets the conditions "
        "of both; add a condition to one of them, so that nothing meets both"
    )
    assert found["resources.when.4"].startswith("12: has no condition")
    assert found["resources.when.4.gpu"].startswith("12: is 2, but a trial uses one GPU")
    assert found["resources.when.5"].startswith("13: does not say what such a trial takes")
    assert found["resources.when.6.accelerator"].startswith(
        "14: is A100, but such a trial takes no"
    )
    assert found["resources.when.6.gpu"].startswith("14: is 0, but resources.when.2 says 1")


def test_conditions_that_nothing_meets_together(
    study_file: Callable[..., Path], told: Callable[..., dict[str, str]]
) -> None:
    listed = "search: {spaces: {all: {steps: [1, 2]}}}\n"
    found = told(f"  when: [{{x: 0.1, steps: 3, cpu: 2}}]\n{listed}")
    assert "has 3" in found["resources.when.0.steps"]
    # 0.1 and 0.9 exist, in different cells.
    study = "task: toy\nablate: {full: {x: 0.1}, components: {a: {x: 0.9, y: 0.2}}}\n"
    with pytest.raises(StudyError, match="meets all these conditions at once"):
        read(study_file(f"{study}resources: {{when: [{{x: 0.1, y: 0.2, cpu: 2}}]}}\n"))


def test_searched_values_contradict_only_where_both_hold(
    study_file: Callable[..., Path], told: Callable[..., dict[str, str]]
) -> None:
    search = "search: {spaces: {all: {steps: [1, 2]}}}\n"
    apart = f"{HEAD}{search}resources: {{when: [{{steps: 1, cpu: 2}}, {{steps: 2, cpu: 3}}]}}\n"
    assert read(study_file(apart)).resources.cpu == 3
    found = told(f"  when: [{{steps: [1, 2], cpu: 2}}, {{steps: 2, cpu: 3}}]\n{search}")
    assert "is 3, but resources.when.0 says 2" in found["resources.when.1.cpu"]


@pytest.mark.parametrize(
    ("resources", "key", "words"),
    [
        ("  {default: {cpu: 1}, gpu: 1}\n", "resources", "`gpu` is given beside `default`"),
        ("  {gpu: many}\n", "resources.gpu", "known: auto"),
        ("  {gpuz: 1}\n", "resources.gpuz", "did you mean 'gpu'"),
        ("  {accelerator: A100}\n", "resources.accelerator", "takes no GPU"),
        ("  {accelerator: 'a b', gpu: 1}\n", "resources.accelerator", "such as A100"),
        ("  {when: [{x: 0.1, cpu: 0}]}\n", "resources.when.0.cpu", "greater than 0"),
        ("  {default: {gpu: 3}}\n", "resources.default.gpu", "uses one GPU"),
    ],
)
def test_a_wrong_value(
    told: Callable[..., dict[str, str]], resources: str, key: str, words: str
) -> None:
    assert words in told(resources)[key]


def test_the_plain_form_is_the_default(study_file: Callable[..., Path]) -> None:
    def given(text: str, *overrides: str) -> Study:
        return read(study_file(f"{HEAD}resources: {text}\n"), overrides)

    assert given("{cpu: 2, gpu: 0.5}").resources == given("{default: {cpu: 2, gpu: 0.5}}").resources
    beside = given("{gpu: 0.5, when: [{x: 0.1, gpu: 1}]}").resources
    assert (beside.default.gpu, beside.gpu) == (0.5, 1.0)
    assert given("{cpu: 2}", "resources.cpu=3").resources.default.cpu == 3
