"""A value is checked against a setting: type, range, names."""

from __future__ import annotations

from typing import Any

import pytest

from htsweep.planning import task
from htsweep.planning.settings import meant, refused
from tasks.task import Setting


@pytest.mark.parametrize(
    ("setting", "value", "reason"),
    [
        (Setting(int, 1), 3, None),
        (Setting(int, 1), 3.5, "must be a whole number, but got 3.5"),
        (Setting(int, 1), True, "must be a whole number, but got True"),
        (Setting(float, 0.1), 3, None),
        (Setting(float, 0.1), float("nan"), "must be finite, but got nan"),
        (Setting(float, 0.1, low=0, high=1), -0.1, "must be at least 0, but got -0.1"),
        (Setting(float, 0.1, low=0, high=1), 1.1, "must be at most 1, but got 1.1"),
        (Setting(bool, False), 1, "must be true or false, but got 1"),
        (Setting(str, "a", choices=("a", "b")), "c", "got 'c'; known: a, b"),
        (Setting(str, "a", choices=("a", "b")), ["a", "b"], None),
        (Setting(str, "a", choices=("a", "b")), "a+b", None),
        (Setting(str, "a", choices=("a", "b")), "mine:own", None),
        (Setting(str, "a", choices=("a", "b"), open=True), "c", None),
        (Setting(str, None), None, None),
        (Setting(str, "a"), None, "must be text, but got None"),
    ],
)
def test_what_a_setting_accepts(setting: Any, value: Any, reason: str | None) -> None:
    assert refused(setting, value) == reason


SETTINGS = task.find("holistic_transfer").settings or {}


@pytest.mark.parametrize("key", ["schedule", "test_transform", "augmentation", "backbone"])
def test_several_names_are_a_chain_of_methods_alone(key: str) -> None:
    name = SETTINGS[key].default
    assert refused(SETTINGS[key], name, several=False) is None
    said = f"must be text, but got ['{name}']; write it without the brackets"
    assert refused(SETTINGS[key], [name], several=False) == said
    assert refused(SETTINGS["method"], ["plain", "l2sp"]) is None


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("lr", "did you mean 'learning_rate'?"),
        ("wd", "did you mean 'weight_decay'?"),
        ("bs", "did you mean 'batch_size'?"),
        ("l2sp.alpha", "'l2sp' has l2sp.backbone, l2sp.head"),
        ("l2sp.backbon", "did you mean 'l2sp.backbone'? 'l2sp' has l2sp.backbone, l2sp.head"),
    ],
)
def test_what_is_meant_by_a_key_that_is_not_there(key: str, said: str) -> None:
    assert meant(key, SETTINGS) == said


def test_a_similar_key_is_named_without_the_parameters_of_all_methods() -> None:
    said = meant("epoch", SETTINGS)
    assert said.startswith("did you mean 'epochs'? known: ")
    assert "." not in said.rstrip(".")
