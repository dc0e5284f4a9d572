"""A task is asked about configs of which some settings are not known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from htsweep.planning.checks.asking import UNKNOWN, Asked, others
from htsweep.planning.task import Task
from tasks.task import Setting, declare

SETTINGS = {
    "epochs": Setting(int, 5, low=0, high=100),
    "warmup": Setting(int, 0, low=0, high=100),
    "images": Setting(str, "grey", open=True),
    "model": Setting(str, "small"),
}


def problems(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    wrong = [("model", "has no name")] if config["model"] == "" else []
    if config["images"] not in ("grey", "colour"):
        return [*wrong, ("images", f"no images {config['images']!r}")]
    if config["warmup"] > config["epochs"]:
        wrong.append(("warmup", f"{config['warmup']} of {config['epochs']}"))
    if config["model"] == "large" and config["images"] == "grey":
        wrong.append(("model", "takes colours"))
    return wrong


@declare(
    settings=SETTINGS,
    resolve=lambda config: {key: one.default for key, one in SETTINGS.items()} | config,
    problems=problems,
)
def trains(config: Mapping[str, Any], workspace: Any) -> Iterator[Mapping[str, Any]]:
    yield {}


TASK = Task("trains", trains)


@pytest.mark.parametrize(
    ("config", "lost", "certain"),
    [
        ({"warmup": 7, "epochs": 5}, (), [("warmup", "7 of 5")]),
        # A conflict of two settings that are known, whatever the third is to be.
        ({"warmup": 7, "epochs": 5, "model": "big"}, ("model",), [("warmup", "7 of 5")]),
        # With other epochs there would be none.
        ({"warmup": 7, "epochs": "few"}, ("epochs",), []),
        # The default images are grey, but those that were meant may not be.
        ({"model": "large", "images": 1}, ("images",), []),
        ({"model": "large", "warmup": 1, "epochs": 0}, ("warmup",), [("model", "takes colours")]),
        # Not even which setting is lost is known: what a value has by itself is told.
        ({"model": "large", "warmup": 7}, None, []),
        ({"model": "", "warmup": 7}, None, [("model", "has no name")]),
        ({"warmup": 5, "epochs": 4}, None, []),
    ],
)
def test_what_is_told_holds_whatever_is_not_known(
    config: Mapping[str, Any], lost: Any, certain: list[tuple[str, str]]
) -> None:
    assert sorted(Asked(TASK, TASK.problems).certain(config, lost)[1]) == certain


def test_what_is_told_of_many_configs_holds_whatever_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """After so many questions that others no longer stand in for what is not known."""
    monkeypatch.setattr("htsweep.planning.checks.asking.MOST_UNSURE", -1)
    asked = Asked(TASK, TASK.problems)
    # The default images are grey, but those that were meant may not be.
    assert asked.certain({"model": "large", "images": 1}, {"images"})[1] == []
    assert asked.certain({"warmup": 7, "epochs": "few"}, {"epochs"})[1] == []
    held = [("model", "has no name")]
    assert asked.certain({"model": "", "images": 1}, {"images"})[1] == held
    assert asked.certain({"model": "", "epochs": "few"}, {"epochs"})[1] == held


def test_what_a_first_problem_hides_is_asked_for_without_it() -> None:
    def one(config: Mapping[str, Any]) -> list[tuple[str, str]]:
        return problems(config)[:1]

    config = {"warmup": 7, "model": "large", "images": "grey"}
    asked = Asked(TASK, one)
    assert asked.certain(config, ())[1] == [("warmup", "7 of 5")]
    _, found, lost = asked.all_about(config, ())
    assert found == [("warmup", "7 of 5"), ("model", "takes colours")]
    assert lost == {"warmup", "model"}


def test_a_task_that_cannot_do_without_a_setting_is_not_quoted_on_its_default() -> None:
    def needs_all(config: Mapping[str, Any]) -> dict[str, Any]:
        return {"epochs": config["epochs"], "model": config["model"]}

    kept = {key: SETTINGS[key] for key in ("epochs", "model")}
    trains_all = declare(settings=kept, resolve=needs_all)(lambda config, workspace: iter(()))
    asked = Asked(Task("trains_all", trains_all), lambda config: [])
    assert asked.certain({"model": "large", "epochs": "few"}, {"epochs"}) == (None, [])


def test_an_answer_is_settled_if_nothing_that_is_not_known_changes_it() -> None:
    asked = Asked(TASK, lambda config: [("name", config["model"])])
    assert asked.settled({"model": "large"}, {"warmup", "images"})
    assert not asked.settled({"model": "large"}, {"model"})
    assert not asked.settled({"model": "large"}, None)


def test_others_are_as_unlike_the_default_as_can_be() -> None:
    assert list(others(SETTINGS["epochs"])) == [0, 100]
    assert list(others(SETTINGS["images"])) == [UNKNOWN]
    assert list(others(Setting(bool, True))) == [False]
    names = list(others(Setting(str, "a", choices=tuple("abcdefghij"))))
    assert names == ["a", "c", "e", "g", "i"]
    assert list(others(None)) == []
