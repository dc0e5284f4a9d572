"""The launch's side of Ray, against stand-ins for the process that uses Ray: what each of its ends and silences means."""

import time
from pathlib import Path

import pytest

from htsweep.errors import ExecutorLost, ResourceError
from htsweep.execution import ray, ray_process
from htsweep.execution.executor import Ended, Event, Notice, Probed, Returned, Started
from htsweep.execution.ray import Ray
from htsweep.execution.work import Conditions, Work
from htsweep.planning.jobs import Job
from htsweep.study.resources import Amount

SPEAKS = """
import json, os, sys, time
commands, events = map(int, sys.argv[1:])
tell = os.fdopen(events, "w", buffering=1)
def say(**message): tell.write(json.dumps(message) + "\\n")
lines = os.fdopen(commands)
"""
READY = SPEAKS + 'say(event="slots", slots=2, logs="/ray/logs")\n'
OUTCOME = '{"trial": work["job"]["trial"], "status": "done", "values": {"a": 1.0}}'
WORKS = (
    READY
    + f"""
for line in lines:
    command = json.loads(line)
    if command["do"] != "run": break
    work = json.loads(command["work"])
    say(event="started", trial=work["job"]["trial"])
    say(event="ended", trial=work["job"]["trial"], outcome={OUTCOME})
"""
)
WORK = Work(Job("t1", "trial", "toy", {}, 0), Conditions(""), {}, 1)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "ORPHAN_SECONDS", 0.0)


def events(executor: Ray, until: type, seconds: float = 20) -> list[Event]:
    """What it tells until an event of the type."""
    heard: list[Event] = []
    over = time.monotonic() + seconds
    while not any(isinstance(event, until) for event in heard):
        assert time.monotonic() < over, heard
        heard += executor.events(0.05)
    return heard


def use(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(ray_process, "PROGRAM", program)


def test_work_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, WORKS)
    with Ray([Amount()]) as executor:
        assert executor.slots == 1
        assert executor.started() == 2
        executor.submit(WORK)
        started, ended = events(executor, Ended)
        assert started == Started("t1")
        assert isinstance(ended, Ended)
        assert (ended.outcome.status, ended.outcome.values) == ("done", {"a": 1.0})


def test_a_process_that_ends_is_replaced_and_its_work_returned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(
        monkeypatch,
        READY + 'lines.readline(); say(event="started", trial="t1"); sys.exit("no more memory")',
    )
    with Ray([Amount()]) as executor:
        executor.started()
        executor.submit(WORK)
        started, notice, returned = events(executor, Returned)
        assert (started, returned) == (Started("t1"), Returned("t1", again=True))
        assert isinstance(notice, Notice)
        assert (
            "the local Ray was lost: its process ended with code 1: no more memory" in notice.text
        )
        use(monkeypatch, WORKS)
        assert executor.started() == 2


def test_a_ray_that_is_lost_again_and_again_ends_the_launch_in_our_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(
        monkeypatch,
        READY + 'say(event="lost", why="Ray\'s control store (GCS) ended"); os._exit(70)',
    )
    with (
        pytest.raises(
            ExecutorLost,
            match=r"lost 4 times in a row: Ray's control store .* the next launch goes on",
        ) as error,
        Ray([Amount()], "head:6379") as executor,
    ):
        events(executor, Ended)
    assert "the Ray cluster at head:6379" in str(error.value)
    assert "/ray/logs" in str(error.value)


def test_what_cannot_be_placed_is_told_as_the_error_that_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(
        monkeypatch,
        SPEAKS + 'say(event="refused", kind="ResourceError", text="gpu 8: no node has that")',
    )
    with pytest.raises(ResourceError, match="gpu 8"), Ray([Amount(gpu=8)]) as executor:
        events(executor, Ended)


def test_a_ray_that_does_not_start_is_told_with_its_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_process, "START_SECONDS", 0.2)
    use(monkeypatch, SPEAKS + "lines.read()")
    with Ray([Amount()]) as executor:
        [notice] = events(executor, Notice)
        assert isinstance(notice, Notice)
        assert "Ray has not started after" in notice.text
        assert "driver.log" in notice.text


def test_a_silent_process_counts_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_process, "SILENT_SECONDS", 0.5)
    use(monkeypatch, READY + "time.sleep(60)")
    with Ray([Amount()]) as executor:
        executor.started()
        [notice] = events(executor, Notice)
        assert isinstance(notice, Notice)
        assert "its process has not answered for 0.5 s" in notice.text
        use(monkeypatch, WORKS)


def test_temporary_files_go_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, WORKS)
    with Ray([Amount()]) as executor:
        executor.started()
        assert executor._driver is not None
        folder = Path(executor._driver._scratch.path)
        assert folder.exists()
    assert not folder.exists()


PROBES = (
    READY
    + """
command = json.loads(lines.readline())
say(event="notice", text=f"{command['do']} {len(command['works'])}")
"""
)


def test_what_nodes_measure_is_told_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, PROBES + 'say(event="probed"); lines.read()')
    with Ray([Amount(gpu="auto")], "head:6379") as executor:
        assert executor.probe([WORK])
        assert events(executor, Probed) == [Notice("probe 1"), Probed()]
    with Ray([Amount(gpu="auto")]) as here:
        assert not here.probe([WORK]), "on this machine, the launch measures"


def test_a_cluster_that_is_lost_while_it_measures_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, PROBES + 'sys.exit("no more memory")')
    with Ray([Amount(gpu="auto")], "head:6379") as executor:
        executor.probe([WORK])
        *_, said, over = events(executor, Probed)
        assert over == Probed()
        assert isinstance(said, Notice)
        assert "takes a whole GPU until the next launch" in said.text
        use(monkeypatch, WORKS)
