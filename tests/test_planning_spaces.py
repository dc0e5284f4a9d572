"""Search spaces of files, with what a study overrides, and what is wrong with them."""

import pytest

from htsweep.planning import spaces
from htsweep.planning.spaces import Spaces, check, unknown
from htsweep.planning.task import find
from htsweep.study.document import Located, parse
from htsweep.study.schema import Search
from tasks.recipe import RECIPE

TEXT = """\
search:
  spaces:
    l2sp: {head: [0.2, 0.4]}
    all: {learning_rate: {low: 0.001, high: 0.1, log: true}}
"""
SETTINGS = find("holistic_transfer").settings


def search(text: str = TEXT) -> Search:
    return Search(**parse(text).value["search"])


def located(text: str) -> Located:
    return Located(parse(text), set())


def test_a_space_is_its_file_with_the_study_s_values_and_what_all_have() -> None:
    found = {one.key: one for one in Spaces(search()).of(["l2sp"])}
    assert list(found) == ["l2sp.backbone", "l2sp.head", "learning_rate"]
    assert found["l2sp.backbone"].grid == (0.01, 0.1, 1.0)
    assert found["l2sp.head"].choices == (0.2, 0.4)
    assert (found["learning_rate"].low, found["learning_rate"].high) == (0.001, 0.1)


def test_what_is_fixed_is_not_searched() -> None:
    read = Spaces(search())
    assert [one.key for one in read.of(["l2sp"], {"l2sp.head", "epochs"})] == [
        "l2sp.backbone",
        "learning_rate",
    ]
    assert len(read.of(["l2sp"])) == 3, "the whole space is as it was"


def test_without_a_search_there_is_no_dimension() -> None:
    assert Spaces(None).of(["l2sp"]) == ()


def test_known_spaces_have_their_first_line() -> None:
    assert spaces.known()["l2sp"] == (
        "L2-SP: how strongly backbone and head are held at the source's weights."
    )


@pytest.mark.parametrize(
    ("text", "key", "line", "said"),
    [
        ("{l2sp: {haed: {grid: [1]}}}", "l2sp.haed", 3, "no key 'l2sp.haed'; did you mean 'l2sp."),
        ("{all: {epochs: {choices: [1, 2.5]}}}", "all.epochs", 3, "2.5"),
        ("{l2sp: {head: {low: 2, high: 1}}}", "l2sp.head", 3, "low"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, key: str, line: int, said: str) -> None:
    text = f"search:\n  spaces:\n    {text}\n"
    (problem,) = check(search(text), ["l2sp", "all"], SETTINGS, located(text))
    assert (problem.key, problem.line) == (f"search.spaces.{key}", line)
    assert said in problem.message


def test_a_space_that_no_method_has_is_told() -> None:
    text = "search:\n  spaces:\n    l2ps: {}\n    all: {}\n    l2sp: {}\n"
    (problem,) = unknown(search(text), ["l2sp"], located(text))
    assert (problem.key, problem.line) == ("search.spaces.l2ps", 3)
    assert "no method of the grid has this space; did you mean 'l2sp'?" in problem.message


@pytest.mark.parametrize("name", sorted(set(spaces.known()) - {"training"}))
def test_every_shipped_space_can_be_searched(name: str) -> None:
    """As the planner reads it, which is stricter than YAML."""
    text = f"search:\n  spaces:\n    {name}: {{}}\n"
    settings = {**SETTINGS, **find("transferability").settings}
    assert list(check(search(text), [name], settings, located(text))) == []


def test_every_setting_of_a_recipe_can_be_tuned_for_all_methods() -> None:
    keys = spaces.training_keys(SETTINGS)
    # `milestones` are a list, and with their factor belong to the schedule `step`.
    assert set(RECIPE) - set(keys) == {"milestones", "milestone_factor"}
    text = f"search:\n  spaces:\n    training: {{{', '.join(f'{key}: ' for key in keys)}}}\n"
    assert list(check(search(text), ["training"], SETTINGS, located(text))) == []
    found = {one.key: one for one in Spaces(search(text), SETTINGS).of(["training"])}
    assert {one.default for one in found.values()} >= {0.0002, "sgd", "none", True}


@pytest.mark.parametrize(("name", "kept", "new"), [("l2sp", 0.1, 0.01), ("l2", 1e-4, 1e-3)])
def test_the_usual_range_has_the_default_of_the_task(name: str, kept: float, new: float) -> None:
    """A grid search of `fine_tuning`, whose head is new, must not take the weight of a kept one."""
    for task, value in (("holistic_transfer", kept), ("fine_tuning", new)):
        read = Spaces(search(f"search:\n  spaces:\n    {name}: {{}}\n"), find(task).settings)
        found = {one.key: one for one in read.of([name])}[f"{name}.head"]
        assert (found.default, found.grid) == (value, (value,)), task
    study_s = f"search:\n  spaces:\n    {name}: {{head: {{low: 0.001, high: 1, default: 0.5}}}}\n"
    (head,) = (
        one
        for one in Spaces(search(study_s), find("fine_tuning").settings).of([name])
        if one.key == f"{name}.head"
    )
    assert head.default == 0.5
