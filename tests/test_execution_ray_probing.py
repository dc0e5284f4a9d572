"""How many trials share a GPU, measured by tasks of a Ray that is a list here: what is asked for, told and given up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayTaskError, WorkerCrashedError

from htsweep.errors import HtsweepError
from htsweep.execution import ray_checks, ray_internals, ray_probing
from htsweep.execution.fractions import Fractions
from htsweep.execution.gpu_probe import Probe, Runs
from htsweep.execution.work import Conditions, Work, to_json
from htsweep.ledger import Store
from htsweep.planning.jobs import Job
from htsweep.planning.shapes import shape_of

OPTIONS = {"origin": "", "ships": ""}


def work(steps: int, accelerator: str = "", cpu: float = 1.0) -> Work:
    conditions = Conditions("results", cpu=cpu, gpu=1.0, accelerator=accelerator)
    return Work(Job("t1", "trial", "toy", {"steps": steps}, 0), conditions)


class Tasks:
    """Stands in for `ray`: a task is its number, and ends as the script says; None: it waits."""

    def __init__(self, *ends: Callable[[str], object] | None) -> None:
        self.asked: list[dict[str, Any]] = []
        self.given: list[Sequence[Any]] = []
        self.cancelled: list[int] = []
        self._ends, self._errors = ends, dict[int, Exception]()

    def remote(self, **_: Any) -> Any:
        def place(*given: Any) -> int:
            self.given.append(given)
            return len(self.given) - 1

        def options(**asked: Any) -> Any:
            self.asked.append(asked)
            return SimpleNamespace(remote=place)

        return lambda function: SimpleNamespace(options=options)

    def wait(self, tasks: list[int], **_: Any) -> tuple[list[int], list[int]]:
        for task in tasks:
            end = self._ends[task]
            if end is not None:
                try:
                    end(self.given[task][0])
                except Exception as error:
                    self._errors[task] = error
                return [task], []
        return [], []

    def get(self, task: int) -> None:
        if task in self._errors:
            raise self._errors[task]

    def cancel(self, task: int, **_: Any) -> None:
        self.cancelled.append(task)


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    told: dict[str, str] = {}
    monkeypatch.setattr(ray_internals, "tell", told.__setitem__)
    monkeypatch.setattr(ray_internals, "told", lambda name: told.get(name, ""))
    monkeypatch.setattr(ray_internals, "forget", lambda prefix: told.clear())
    monkeypatch.setattr(
        ray_internals,
        "words",
        lambda prefix: sorted(name for name in told if name.startswith(prefix)),
    )
    return told


def answered(
    monkeypatch: pytest.MonkeyPatch, tasks: Tasks, *works: Work, overdue: str = ""
) -> list[str]:
    """What the launch is told that asks for the shapes of these trials, until it is over."""
    monkeypatch.setattr(ray_probing, "ray", tasks)
    monkeypatch.setattr(ray_probing, "POLL_SECONDS", 0.01)
    over, said = threading.Event(), list[str]()

    def send(event: str, **content: Any) -> None:
        said.append(content.get("text", event))
        if event == "probed":
            over.set()

    channel: Any = SimpleNamespace(probes=queue.SimpleQueue(), send=send)
    channel.probes.put([to_json(one) for one in works])
    nodes: Any = SimpleNamespace(overdue=lambda shapes: overdue, waits_for=lambda: "no node yet")
    ray_probing.answer(channel, nodes, OPTIONS, over)
    return said


def raised(error: Exception) -> Callable[..., object]:
    def end(*_: object, **__: object) -> object:
        raise error

    return end


def test_one_task_for_each_type_of_gpu(
    monkeypatch: pytest.MonkeyPatch, words: dict[str, str]
) -> None:
    def measure(name: str) -> None:
        ray_internals.tell(f"{name}/1", "measuring ")
        ray_internals.tell(f"{name}/2", f"{name} ends ")

    tasks = Tasks(measure, measure)
    works = work(1), work(2, "A100"), work(3, cpu=4.0)
    said = answered(monkeypatch, tasks, *works)
    assert tasks.asked == [
        {"num_cpus": 4.0, "num_gpus": 1, "resources": {}, "max_retries": 2},
        {
            "num_cpus": 1.0,
            "num_gpus": 1,
            "resources": {"accelerator_type:A100": 0.001},
            "max_retries": 2,
        },
    ]
    assert [len(given[1]) for given in tasks.given] == [2, 1]
    assert said == ["measuring", "probe/0 ends", "measuring", "probe/1 ends", "probed"]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (WorkerCrashedError(), "WorkerCrashedError: The worker died unexpectedly"),
        (RayTaskError("measured", "", HtsweepError("n1 has no /data")), "n1 has no /data. What"),
        (RayTaskError("measured", "", ValueError("no\nmore")), "ValueError: no. What"),
    ],
)
def test_a_probe_that_fails_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, words: dict[str, str], error: Exception, why: str
) -> None:
    said, over = answered(monkeypatch, Tasks(raised(error)), work(1))
    assert said.startswith(f"gpu: auto: measuring on the cluster failed: {why}")
    assert "\n" not in said
    assert over == "probed"


def test_a_node_that_does_not_come_is_left_to_the_trials(
    monkeypatch: pytest.MonkeyPatch, words: dict[str, str]
) -> None:
    tasks = Tasks(None)
    assert answered(monkeypatch, tasks, work(1), overdue="none came") == ["probed"]
    assert tasks.cancelled == [0]


def test_what_it_waits_for_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, words: dict[str, str]
) -> None:
    monkeypatch.setattr(ray_probing, "WAIT_SECONDS", 0.0)
    tasks, turns = Tasks(None), iter([[], [0]])
    monkeypatch.setattr(tasks, "wait", lambda *_, **__: (next(turns), []))
    said = answered(monkeypatch, tasks, work(1))
    assert said == ["gpu: auto: no GPU to measure on yet after 0 s: no node yet", "probed"]


def test_whatever_goes_wrong_the_launch_hears_the_end(
    monkeypatch: pytest.MonkeyPatch, words: dict[str, str]
) -> None:
    tasks = Tasks(None)
    monkeypatch.setattr(tasks, "wait", raised(RuntimeError("no Ray")))
    said, over = answered(monkeypatch, tasks, work(1))
    assert "RuntimeError: no Ray" in said
    assert over == "probed"


# -- on the node


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """A node on which trials may run; the steps of the shapes that it measures."""
    seen: list[int] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_checks, "admitted", lambda results, gpu: True)
    monkeypatch.setattr(
        ray_probing,
        "probe_missing",
        lambda works, fractions, note: seen.extend(one.job.config["steps"] for one in works),
    )
    return seen


def texts(*works: Work) -> list[str]:
    return [to_json(one) for one in works]


def test_a_node_measures_what_the_results_lack(words: dict[str, str], node: list[int]) -> None:
    found = Probe(shape_of("toy", {"steps": 1}), "A100", 2**35, (Runs(1, 1.0, 1),))
    Fractions(Store("results"), cached=False).add(found)
    ray_probing.measured("probe/0", texts(work(1), work(2)), [], "")
    assert node == [2]
    assert [name.startswith("probe/0/") for name in words] == [True], "it has begun"


def test_a_node_that_the_launch_refuses_measures_nothing(
    words: dict[str, str], node: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_checks, "admitted", lambda results, gpu: False)
    ray_probing.measured("probe/0", texts(work(1)), [], "")
    assert node == []


def test_a_node_that_lacks_what_trials_read_says_so(words: dict[str, str], node: list[int]) -> None:
    with pytest.raises(HtsweepError, match="has no /nowhere/data"):
        ray_probing.measured("probe/0", texts(work(1)), ["/nowhere/data"], "")
    assert node == []
