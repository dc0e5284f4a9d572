"""`htsweep list` names everything that a study may name, and says how to write your own."""

from __future__ import annotations

import pytest

from htsweep import selection
from htsweep.cli.listing import KINDS, lines
from htsweep.errors import HtsweepError
from tasks import methods


def test_each_kind_has_a_heading_and_its_names() -> None:
    listed = lines()
    for name, kind in KINDS.items():
        place = listed.index(f"{name}: {kind.line}")
        entries = kind.entries()
        assert entries
        for entry, line in zip(entries, listed[place + 1 :], strict=False):
            assert line.startswith(f"  {entry} ")
            assert entries[entry] in line


def test_every_method_is_listed_with_its_line_and_your_own_are_named() -> None:
    listed = lines("methods")
    for name in methods.NAMES:
        [line] = [line for line in listed if line.startswith(f"  {name} ")]
        assert len(line.split(maxsplit=1)[1]) > 20
    assert "module:function" in listed[-1]


def test_several_kinds_are_separated_by_commas() -> None:
    assert lines("tasks, protocols") == [*lines("tasks"), "", *lines("protocols")]
    assert [line.split()[0] for line in lines("protocols")[1:-1]] == list(selection.NAMES)


def test_settings_have_their_defaults_and_bounds() -> None:
    listed = lines("settings")
    (rate,) = (line for line in listed if line.split()[:1] == ["learning_rate"])
    assert rate.endswith("(default 0.0002; 1e-08 to 10)")
    (schedule,) = (line for line in listed if line.split()[:1] == ["schedule"])
    assert schedule.endswith("(default cosine; known: cosine, constant, linear, step)")
    assert not any("." in line.split()[0] for line in listed[1:])


def test_an_unknown_kind_is_named_with_the_nearest() -> None:
    with pytest.raises(HtsweepError, match=r"cannot list 'methdos': did you mean 'methods'\?"):
        lines("tasks,methdos")


@pytest.mark.parametrize(
    "kind", ["methods", "scores", "backbones", "tasks", "protocols", "executors", "optimizers"]
)
def test_what_else_may_be_written_comes_last(kind: str) -> None:
    assert lines(kind)[-1].split()[0] == "..."


def test_what_not_all_tasks_take_has_those_that_do() -> None:
    listed = {line.split()[0]: line for line in lines("datasets")[1:]}
    assert listed["pretrained-uci"].endswith(" [fine_tuning, transferability]")
    assert not listed["mnist-uci"].endswith("]")


def test_what_is_for_tests_is_not_offered() -> None:
    assert not any(line.split()[:1] == ["toy"] for line in lines("tasks"))
    assert not any(line.split()[:1] == ["fail"] for line in lines("settings"))
