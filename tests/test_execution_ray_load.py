"""Which trials run on which node of a Ray, by words in a store that is a dictionary here."""

from __future__ import annotations

import json
import platform
import threading
import time
from typing import Any

import pytest

from htsweep.execution import ray_internals, ray_load, ray_nodes
from htsweep.execution.ray_load import LOAD, PLACE, Places


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Ray's store of words; its living nodes are `n1` and `n2`."""
    kept: dict[str, str] = {}

    def forget(prefix: str) -> None:
        for name in [one for one in kept if one.startswith(prefix)]:
            del kept[name]

    monkeypatch.setattr(ray_internals, "tell", kept.__setitem__)
    monkeypatch.setattr(ray_internals, "told", lambda name: kept.get(name, ""))
    monkeypatch.setattr(
        ray_internals, "words", lambda prefix: [one for one in kept if one.startswith(prefix)]
    )
    monkeypatch.setattr(ray_internals, "forget", forget)
    monkeypatch.setattr(ray_nodes, "living_ids", lambda: {"n1", "n2"})
    return kept


def test_a_node_says_what_it_uses_once_for_all_processes_on_it(
    words: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ray_load.report_once("n1")
    said = words[f"{LOAD}n1"]
    assert json.loads(said)["name"] == platform.node()
    assert json.loads(said)["load"]["memory"] > 0
    assert not ray_load.report_once("n1")
    assert words[f"{LOAD}n1"] == said
    later = time.time() + ray_load.BEAT_SECONDS
    monkeypatch.setattr(ray_load.time, "time", lambda: later)
    assert ray_load.report_once("n1")


def test_trials_are_listed_with_the_node_on_which_they_run(words: dict[str, str]) -> None:
    for node in ("n1", "n2", "gone"):
        ray_load.report_once(node)
    words |= {f"{PLACE}a": "n1", f"{PLACE}b": "n2", f"{PLACE}c": "n1"}
    places = Places().of(["a", "b", "c", "waits"])
    assert places == {"a": "n1", "b": "n2", "c": "n1"}
    assert [one["trials"] for one in ray_load.nodes(places)] == [["a", "c"], ["b"]]
    assert {one["name"] for one in ray_load.nodes(places)} == {platform.node()}


def test_a_trial_that_moves_is_found_again(
    words: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words[f"{PLACE}a"] = "n1"
    places = Places()
    assert places.of(["a"]) == {"a": "n1"}
    words[f"{PLACE}a"] = "n2"
    later = time.monotonic() + ray_load.ASK_SECONDS + 1
    monkeypatch.setattr(ray_load.time, "monotonic", lambda: later)
    assert places.of(["a"]) == {"a": "n2"}


def test_words_of_ended_trials_are_forgotten_but_not_at_once(words: dict[str, str]) -> None:
    words |= {f"{PLACE}a": "n1", f"{PLACE}b": "n1"}
    places = Places()
    assert places.of(["b"]) == {"b": "n1"}
    assert f"{PLACE}a" in words, "it may just be tried again"
    assert places.of(["b"]) == {"b": "n1"}
    assert list(words) == [f"{PLACE}b"]


def test_the_launch_is_sent_the_nodes_until_the_end(
    words: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_load, "BEAT_SECONDS", 0.01)
    ray_load.report_once("n1")
    words[f"{PLACE}a"] = "n1"
    over, sent = threading.Event(), []

    class Pipe:
        def send(self, event: str, **content: Any) -> None:
            sent.append((event, content))
            over.set()

    ray_load.watch({"tune": "a"}, Pipe(), over)  # type: ignore[arg-type]
    [(event, content)] = sent
    assert event == "nodes"
    assert [one["trials"] for one in content["nodes"]] == [["a"]]
