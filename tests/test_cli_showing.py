"""`htsweep show` tells of each name that a study may use what its declaration says, and no other."""

from __future__ import annotations

import pytest

from htsweep.cli.listing import KINDS
from htsweep.cli.showing import show
from htsweep.errors import HtsweepError
from htsweep.planning import task
from tasks import methods, scores


def test_a_method_has_its_paper_formula_tasks_and_parameters() -> None:
    said = show("l2sp")
    text = " ".join(" ".join(said).split())
    assert said[0] == "l2sp: a method of holistic_transfer, fine_tuning"
    assert "(Li, Grandvalet and Davoine, ICML 2018)" in text
    assert "backbone/2 |w - w0|^2 + head/2 |v - v0|^2" in text
    assert (
        "l2sp.backbone: pull to the source's backbone. Default 0.1, from 0 to 10000; "
        "searched 0.1, 0.01, 1 in a grid; else 0.001 to 1, in logarithms." in text
    )


def test_what_a_method_needs_is_told() -> None:
    assert "It works on attention layers" in " ".join(show("ia3"))
    assert show("swa")[0] == "swa: a method of holistic_transfer, fine_tuning"
    assert (
        show("selective_distillation")[0] == "selective_distillation: a method of holistic_transfer"
    )


def test_a_score_tells_its_formula_its_kind_and_what_it_needs() -> None:
    assert show("logme")[0] == "logme: a score of transferability"
    assert "    q = |y|^2 - sum_j t_j^2 s_j / (l + s_j)." in show("logme")
    told = " ".join(" ".join(show("tta")).split())
    assert "A bound: has parts GROUP/..." in told
    assert "It needs the images of the source domain." in told
    assert "tta.steps: steps of the optimisation." in told


def test_a_name_of_two_kinds_is_told_twice_each_with_its_own() -> None:
    said = show("linear_probe")
    second = said.index("linear_probe: a score of transferability")
    assert said[0] == "linear_probe: a method of holistic_transfer, fine_tuning"
    assert not any("linear_probe.held" in line for line in said[:second])
    assert any("linear_probe.held" in line for line in said[second:])
    assert "A control: a simple quantity that a score has to beat." in " ".join(said[second:])


def test_a_setting_has_its_default_in_each_task() -> None:
    assert show("learning_rate") == [
        "learning_rate: a setting, for `grid` and `fixed`",
        "  The backbone's learning rate at the start of the schedule.",
        "  type      a number from 1e-08 to 10",
        "  default   0.0002 (holistic_transfer)",
        "  default   0.001 (fine_tuning)",
        "  searched  0.0002, 0.001, 0.005, 0.02 in a grid; else 0.0001 to 0.1, in logarithms",
    ]


def test_every_method_and_setting_can_be_shown() -> None:
    settings = {key for name in task.known() for key in task.find(name).settings or {}}
    for name in (*methods.NAMES, *scores.NAMES, *settings):
        assert show(name)[0].startswith(f"{name}: ")
        assert all(len(line) <= 100 for line in show(name)[1:])


@pytest.mark.parametrize("kind", ["protocols", "metrics", "schedules", "backbones", "executors"])
def test_whatever_is_listed_can_be_shown(kind: str) -> None:
    for name in KINDS[kind].entries():
        assert show(name)[0].startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lr", "nothing is called 'lr'; did you mean 'learning_rate'?"),
        ("l2sp.alpha", "nothing is called 'l2sp.alpha'; 'l2sp' has l2sp.backbone, l2sp.head"),
        ("l2sq", "nothing is called 'l2sq'; did you mean 'l2sp'?"),
    ],
)
def test_what_is_not_known_is_told_with_what_may_be_meant(name: str, said: str) -> None:
    with pytest.raises(HtsweepError) as caught:
        show(name)
    assert str(caught.value).startswith(said)


def test_an_optimizer_is_said_so() -> None:
    assert show("sgd")[0].startswith("sgd: an optimizer of ")
