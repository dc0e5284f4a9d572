"""What the launch is told of Tune's loop: why an actor died, and that a node's end is not a trial's fault."""

from types import SimpleNamespace
from typing import Any

import pytest

from htsweep.execution import observer, ray_internals, ray_nodes
from htsweep.execution.observer import Observer

Sent = list[dict[str, Any]]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock, the nodes that live, and where trials run."""
    state = SimpleNamespace(now=1000.0, alive={"n1", "n2"}, places={"place/t1": "n1"}, drains=set())
    monkeypatch.setattr(observer.time, "monotonic", lambda: state.now)
    monkeypatch.setattr(ray_nodes, "living_ids", lambda: state.alive)
    monkeypatch.setattr(ray_internals, "draining", lambda: state.drains)
    monkeypatch.setattr(ray_internals, "told", lambda name: state.places.get(name, ""))
    monkeypatch.setattr(ray_internals, "forget", lambda name: None)
    return state


def watched(running: dict[str, str], elsewhere: bool = True) -> tuple[Observer, Sent]:
    sent: Sent = []
    channel = SimpleNamespace(
        send=lambda event, **content: sent.append({"event": event, **content})
    )
    nodes = SimpleNamespace(slots=2, see=list, overdue=lambda waiting: "", waits_for=lambda: "")
    watch = Observer(running, channel, nodes, elsewhere=elsewhere)  # type: ignore[arg-type]
    return watch, sent


def dies(watch: Observer, state: SimpleNamespace, why: str = "the actor died") -> None:
    trial = SimpleNamespace(trial_id="tune1", get_error=lambda: why)
    watch.on_trial_error(1, [], trial)
    state.now += 1
    watch.on_step_end(1, [])


def told(sent: Sent) -> list[dict[str, Any]]:
    return [message for message in sent if message["event"] != "alive"]


def test_on_this_machine_a_death_is_told_at_once(cluster: SimpleNamespace) -> None:
    cluster.places = {}
    watch, sent = watched({"tune1": "t1"}, elsewhere=False)
    dies(watch, cluster)
    assert told(sent) == [{"event": "died", "trial": "t1", "why": "the actor died"}]


def test_a_death_by_the_end_of_a_node_is_no_attempt(cluster: SimpleNamespace) -> None:
    """Ray may notice the end of the node later than that of the actor."""
    watch, sent = watched({"tune1": "t1"})
    dies(watch, cluster)
    assert told(sent) == []
    cluster.alive = {"n2"}
    cluster.now += 1
    watch.on_step_end(2, [])
    notice, returned = told(sent)
    assert "a node of the cluster ended (n1)" in notice["text"]
    assert returned == {"event": "returned", "trial": "t1", "again": True}


def test_a_trial_that_leaves_a_node_which_drains_is_no_attempt(cluster: SimpleNamespace) -> None:
    """The node lives, and the actor ends itself."""
    cluster.drains = {"n1"}
    watch, sent = watched({"tune1": "t1"})
    dies(watch, cluster)
    notice, returned = told(sent)
    assert "a node of the cluster drains (n1)" in notice["text"]
    assert returned == {"event": "returned", "trial": "t1", "again": True}


def test_a_node_that_has_drained_and_gone_is_said_to_drain(cluster: SimpleNamespace) -> None:
    """It ends as soon as its trials have left, which may be before anyone looks."""
    cluster.alive = {"n2"}
    watch, sent = watched({"tune1": "t1"})
    dies(watch, cluster, "ray.exceptions.RayTaskError(NodeDrains): ray::Trainee.train()")
    notice, returned = told(sent)
    assert "a node of the cluster drains (n1)" in notice["text"]
    assert returned == {"event": "returned", "trial": "t1", "again": True}


def test_a_death_before_the_trial_began_is_no_attempt(cluster: SimpleNamespace) -> None:
    cluster.places = {}
    watch, sent = watched({"tune1": "t1"})
    dies(watch, cluster)
    assert told(sent) == [{"event": "returned", "trial": "t1", "again": True}]


def test_a_death_on_a_node_that_lives_is_the_trial_s_own(cluster: SimpleNamespace) -> None:
    watch, sent = watched({"tune1": "t1"})
    dies(watch, cluster)
    cluster.now += observer.NODE_SECONDS
    watch.on_step_end(2, [])
    assert told(sent) == [{"event": "died", "trial": "t1", "why": "the actor died"}]


def test_a_trial_that_ends_node_after_node_is_not_run_for_ever(cluster: SimpleNamespace) -> None:
    running: dict[str, str] = {}
    watch, sent = watched(running)
    cluster.alive = {"n2"}
    for _ in range(observer.LOSSES + 1):
        running["tune1"] = "t1"
        dies(watch, cluster)
    events = [message["event"] for message in told(sent)]
    assert events == ["notice", *["returned"] * observer.LOSSES, "died"]


def test_slots_follow_the_nodes_and_vain_waiting_ends(cluster: SimpleNamespace) -> None:
    watch, sent = watched({"tune1": "t1"})
    cluster.now += 1
    watch.on_step_end(1, [])
    assert sent == [{"event": "alive", "slots": 2}]
    cluster.now += 1
    watch.on_step_end(2, [])
    assert sent[-1] == {"event": "alive"}
    watch._nodes.overdue = lambda waiting: "no node came"  # type: ignore[method-assign]
    cluster.now += 1
    watch.on_step_end(3, [])
    assert sent[-1] == {"event": "refused", "kind": "ResourceError", "text": "no node came"}


def test_waiting_is_judged_by_the_shapes_of_what_waits(cluster: SimpleNamespace) -> None:
    watch, _ = watched({"tune1": "t1"})
    asked: list[Any] = []
    watch._nodes.overdue = lambda waiting: asked.append(waiting) or ""  # type: ignore[method-assign, func-returns-value]
    watch._shapes |= {"tune0": {"CPU": 1.0}, "tune1": {"GPU": 1.0}}  # tune0 has ended
    cluster.now += 1
    watch.on_step_end(1, [])
    assert asked == [[{"GPU": 1.0}]]
