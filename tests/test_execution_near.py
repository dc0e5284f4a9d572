"""A freed slot gets a trial whose artifacts its node holds, and is never left idle for that."""

from __future__ import annotations

import heapq
import random
from types import SimpleNamespace
from typing import Any

from ray.tune.schedulers import FIFOScheduler

from htsweep.execution.near import Near

ONE, TWO = {"CPU": 1}, {"CPU": 2}


def trial(name: str, *needs: str, takes: Any = ONE) -> Any:
    return SimpleNamespace(
        trial_id=name,
        status="PENDING",
        config={"needs": list(needs), "shape": takes},
    )


def added(*trials: Any) -> Near:
    near = Near()
    for each in trials:
        near.on_trial_add(None, each)
    return near


def chosen(near: Near) -> str | None:
    """What Tune starts next."""
    found = near.choose_trial_to_run(None)
    if found is not None:
        found.status = "RUNNING"
    return found and found.trial_id


def test_a_node_that_holds_the_artifact_gets_its_trial() -> None:
    first = trial("0", "a")
    near = added(first, trial("1", "b"), trial("2", "a"), trial("3", "b", "a"))
    assert chosen(near) == "0"
    near.on_trial_complete(None, first, {"node": "n1"})
    assert chosen(near) == "2"  # the first of those that need most of what the node has
    assert chosen(near) == "1"  # no slot was freed: the first that waits
    near.on_trial_complete(None, trial("1", "b"), {"node": "n1"})
    assert chosen(near) == "3"
    assert chosen(near) is None


def test_without_any_such_trial_the_first_gets_the_slot() -> None:
    near = added(trial("1", "b"), trial("2", "c"))
    near.on_trial_complete(None, trial("0", "a"), {"node": "n1"})
    assert chosen(near) == "1"


def test_a_slot_is_for_trials_that_take_as_much() -> None:
    near = added(trial("1", "b"), trial("2", "a", takes=TWO), trial("3", "c"))
    near.on_trial_complete(None, trial("0", "a"), {"node": "n1"})
    assert chosen(near) == "1"
    near.on_trial_complete(None, trial("0", "a", takes=TWO), {"node": "n1"})
    assert chosen(near) == "2"
    # None takes as much as the slot that was freed: others start where there is room.
    near.on_trial_complete(None, trial("0", "a", takes=TWO), {"node": "n1"})
    assert chosen(near) == "3"


def test_what_ended_otherwise_is_forgotten() -> None:
    one, two = trial("1"), trial("2")
    near = added(one, two)
    near.on_trial_error(None, one)
    near.on_trial_remove(None, two)
    assert chosen(near) is None


def fetches(scheduler: Any, nodes: int, slots: int, sources: int, trials: int) -> int:
    """How often a node fetches a source model: trials of all sources alternate, of varied length."""
    lengths = random.Random(0)
    listed = [trial(str(number), f"source-{number % sources}") for number in range(trials)]
    controller = SimpleNamespace(get_trials=lambda: listed)
    for each in listed:
        scheduler.on_trial_add(controller, each)
    held: dict[str, set[str]] = {f"n{number}": set() for number in range(nodes)}
    free = [f"n{number % nodes}" for number in range(nodes * slots)]
    running: list[tuple[float, str, Any]] = []
    now, count = 0.0, 0
    while free or running:
        if not free:
            now, node, ended = heapq.heappop(running)
            ended.status = "TERMINATED"
            scheduler.on_trial_complete(controller, ended, {"node": node})
            free.append(node)
        node, started = free.pop(0), scheduler.choose_trial_to_run(controller)
        if started is None:
            continue
        started.status = "RUNNING"
        heapq.heappush(running, (now + lengths.uniform(0.5, 1.5), node, started))
        missing = set(started.config["needs"]) - held[node]
        count += len(missing)
        held[node] |= missing
    assert {each.status for each in listed} == {"TERMINATED"}
    return count


def test_fewer_artifacts_are_fetched_than_in_order() -> None:
    """Four nodes of two slots, twelve source models, ten trials of each."""
    near, fifo = (fetches(each, 4, 2, 12, 120) for each in (Near(), FIFOScheduler()))
    assert fifo == 4 * 12  # every node fetches every model
    assert near <= 16
