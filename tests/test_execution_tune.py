"""What Tune's loop does with the work of a launch, without a Ray."""

import queue
import time
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.execution.tune_controller import TuneController

from htsweep.execution import observer, ray_internals, ray_nodes
from htsweep.execution.observer import Observer
from htsweep.execution.tune import Feed


def test_a_trial_that_lost_its_node_is_returned_while_tune_has_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Tune's step lasts until the next trial comes, which is the very one that was not returned."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(time, "time", lambda: clock.now)
    monkeypatch.setattr(time, "sleep", lambda seconds: setattr(clock, "now", clock.now + seconds))
    monkeypatch.setattr(ray_nodes, "living_ids", lambda: {"n2"})
    monkeypatch.setattr(ray_internals, "draining", set)
    monkeypatch.setattr(ray_internals, "told", lambda name: "n1")
    monkeypatch.setattr(ray_internals, "forget", lambda name: None)
    work: Any = queue.SimpleQueue()
    sent: list[tuple[str, Any]] = []

    def send(event: str, **content: Any) -> None:
        sent.append((event, content))
        if event == "returned":  # as the launch does
            work.put(None)

    channel: Any = SimpleNamespace(send=send)
    nodes: Any = SimpleNamespace(slots=2, see=list, overdue=lambda waiting: "")
    feed = Feed(work, channel, {"address": "head:6379", "ships": ""})
    feed.running["tune1"] = "t1"
    watch = Observer(feed.running, channel, nodes, elsewhere=True)
    feed.idle = watch.look
    clock.now += 0.5
    watch.on_trial_error(1, [], SimpleNamespace(trial_id="tune1", get_error=lambda: "died"))
    watch.on_step_end(1, [])  # too soon after the last report
    assert not sent
    search = SimpleNamespace(next_trial=lambda: None if feed.suggest("tune2") is None else "end")
    controller: Any = SimpleNamespace(
        _search_alg=search, is_finished=lambda: False, add_trial=lambda trial: None
    )
    assert TuneController._update_trial_queue(controller, blocking=True, timeout=600)
    assert ("returned", {"trial": "t1", "again": True}) in sent
    assert ("alive", {"slots": 2}) in sent
    assert clock.now < 1000 + observer.NODE_SECONDS
