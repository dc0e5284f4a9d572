"""A task is asked about every cell and every listed value, and what it says of many is said once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import Problem, StudyError
from htsweep.planning.reading import read

PICKY = """\
from tasks.task import Setting, filled

ASKED = []


def picky(config, workspace):
    yield {"step": 0, "test/score": 1.0}


picky.settings = {"a": Setting(float, 0.0), "b": Setting(str, "x"), "c": Setting(int, 0), "d": Setting(str, "x")}
picky.resolve = lambda config: filled(picky.settings, config)


def problems(config):
    ASKED.append(config)
    found = []
    if config["a"] > 0.9 and config["b"] == "z":
        found.append(("b", "z goes with small numbers alone"))
    if config["b"].startswith("bad"):
        found.append(("b", f"no such thing as {config['b']}"))
    if config["d"] == "broken":
        found.append(("d", "broken is broken"))
    if config["c"] > 7:
        found.append(("c", "at most 7"))
    return found


picky.problems = problems
"""


@pytest.fixture
def problems(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., list[Problem]]:
    name = "picky_" + "".join(one for one in tmp_path.name if one.isalnum())
    study_file(PICKY, f"{name}.py")

    def of(text: str) -> list[Problem]:
        try:
            read(study_file(f"task: {name}:picky\n{text}"))
        except StudyError as error:
            return list(error.problems)
        return []

    return of


def asked(folder: Path) -> int:
    import importlib

    return len(
        importlib.import_module(
            "picky_" + "".join(one for one in folder.name if one.isalnum())
        ).ASKED
    )


NUMBERS = ",".join(f"{number / 9_000:.4f}"[1:] for number in range(9_000))


def test_a_mistake_in_the_last_cell_of_many_is_found(
    problems: Callable[..., list[Problem]],
) -> None:
    [found] = problems(
        f"grid: {{a: [{NUMBERS}, 1.5], b: [x, y]}}\nfixed: {{d: x}}\n".replace("[x, y]", "[x, z]")
    )
    # a is above 0.9 in 899 cells of the list's own, and in the one behind.
    assert (found.key, found.line) == ("grid.b", 2)
    assert found.message == "z goes with small numbers alone (in 900 of 18,002 cells)"
    assert problems(f"grid: {{a: [{NUMBERS}]}}\n") == []
    [last] = problems(f"grid: {{a: [{NUMBERS}], d: [x]}}\n".replace("[x]", "[x, broken]"))
    assert last.message == "broken is broken (in 9,000 of 18,000 cells)"


def test_many_different_mistakes_are_few_lines(problems: Callable[..., list[Problem]]) -> None:
    found = problems(f"grid: {{b: [{', '.join(f'bad{number}' for number in range(500))}]}}\n")
    assert len(found) == 21
    assert "no such thing as bad0" in found[0].message
    assert found[-1].message == "and 480 more problems with this key"


@pytest.mark.parametrize(
    "sampler", ["sampler: grid", "sampler: random, trials: 1000000000", "sampler: tpe, trials: 5"]
)
def test_a_searched_value_is_judged_by_the_task_as_well(
    problems: Callable[..., list[Problem]], sampler: str
) -> None:
    """Names are not of a range, and a task whose names are open judges them itself."""
    text = (
        f"search: {{{sampler}, spaces: {{all: {{b: [x, y, bad], d: [x, broken], c: [1, 8, "
        f"2]}}}}}}\n"
        "objectives: [{metric: test/score, oracle: true}]\n"
    )
    found = {problem.key: problem.message for problem in problems(text)}
    assert found == {
        "search.spaces.all.b": "no such thing as bad",
        "search.spaces.all.d": "broken is broken",
        "search.spaces.all.c": "at most 7",
    }


def test_of_long_lists_the_ends_and_all_names_are_tried(
    problems: Callable[..., list[Problem]], tmp_path: Path
) -> None:
    names = ", ".join(f"n{number}" for number in range(300))
    fine = f"search: {{spaces: {{all: {{a: [{NUMBERS}], b: [{names}, {{}}], c: [1, 2]}}}}}}\n"
    assert problems(fine.replace("{}", "last")) == []
    assert asked(tmp_path) <= 25_000
    [found] = problems(fine.replace("{}", "bad"))
    assert (found.key, found.message) == ("search.spaces.all.b", "no such thing as bad")
    many = ",".join(map(str, [*range(-10_000, 0), 8]))
    few = fine.replace(NUMBERS, "0.1")
    [found] = problems(few.replace("[1, 2]", f"[{many}]").replace("{}", "last"))
    assert (found.key, found.message) == ("search.spaces.all.c", "at most 7")


def test_values_of_a_list_that_stand_twice_or_are_refused_are_few_lines(
    problems: Callable[..., list[Problem]],
) -> None:
    twice = problems(f"grid: {{a: [{', '.join(['0.5'] * 5_000)}]}}\n")
    assert len(twice) == 21
    assert twice[-1].message == "4,979 more of its values are listed twice"
    wrong = problems(f"grid: {{a: [{', '.join(f'n{number}' for number in range(5_000))}]}}\n")
    assert len(wrong) == 21
    assert wrong[-1].message == "4,980 more of its values are invalid"
    one_list = problems(
        f"search: {{sampler: grid, spaces: {{all: {{a: {{low: 0, high: 1, grid: "
        f"{list(range(1000))}}}}}}}}}\n"
    )
    assert "but got 2, 3, 4 and 995 more" in one_list[0].message


def test_one_and_true_are_two_values(study_file: Callable[..., Path]) -> None:
    path = study_file("task: bare_values:bare\ngrid: {a: [1, true, 0]}\n")
    (path.parent / "bare_values.py").write_text(
        "def bare(config, workspace):\n    yield {'step': 0}\n"
    )
    assert read(path).grid == {"a": [1, True, 0]}
    with pytest.raises(StudyError, match=r"the value 1\.0 is listed twice"):
        read(path, ["grid.a=[1, true, 1.0]"])


def test_an_answer_that_is_not_a_role_is_a_problem_of_the_study(
    study_file: Callable[..., Path],
) -> None:
    study_file(
        "def task(config, workspace):\n    yield {'step': 0}\n\n\n"
        "task.role = lambda config: 'oracle' if config['x'] == 2 else ''\n",
        "no_role.py",
    )
    with pytest.raises(StudyError, match=r"must be 'source', 'bound' or ''") as caught:
        read(study_file("task: no_role:task\ngrid: {x: [1, 2]}\n"))
    assert len(caught.value.problems) == 1
