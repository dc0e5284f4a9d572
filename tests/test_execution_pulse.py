"""What a launch says of itself in the results while it runs."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

import pytest
from ledgers import toy

from htsweep.execution import pulse as module
from htsweep.execution.agenda import Agenda
from htsweep.execution.load import Gpu, Load, Node
from htsweep.execution.pulse import Beat, Pulse, beats
from htsweep.execution.watch import Silent
from htsweep.execution.work import Outcome
from htsweep.launching import launch
from htsweep.ledger import Store
from htsweep.planning.jobs import Job
from htsweep.planning.plan import plan


@pytest.fixture
def agenda(tmp_path: Path) -> Agenda:
    return Agenda(plan(toy(tmp_path / "study")), {})


def next_of(agenda: Agenda) -> Job:
    job = agenda.next()
    assert job is not None
    return job


def said(folder: Path, until: int | None = None) -> Beat:
    """What the one launch has said, once it says that so many run."""
    over = time.monotonic() + 10
    while True:
        found = beats(Store(folder), "study")
        if found and (until is None or found[0].count == until):
            return found[0]
        assert time.monotonic() < over
        time.sleep(0.01)


def test_it_says_what_runs_and_where(
    agenda: Agenda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    pulse = Pulse(Silent(), Store(tmp_path), "study", local=False)
    assert beats(Store(tmp_path), "study") == []
    pulse.note("waiting for nodes")
    pulse.tick(agenda)
    first = said(tmp_path)
    assert (first.host, first.pid) == (platform.node(), os.getpid())
    assert (first.count, first.left, first.eta, first.said) == (0, 8, None, "waiting for nodes")
    jobs = [next_of(agenda), next_of(agenda)]
    agenda.slots = 4
    gpu = Gpu("H100", 0.5, 3, 4)
    agenda.nodes = [Node("gpu-1", (jobs[0].trial,), Load(8, 1.5, 1, 2, (gpu,), 3.0))]
    for job in jobs:
        pulse.started(agenda, job)
    second = said(tmp_path, 2)
    assert second.nodes == tuple(agenda.nodes)
    assert second.slots == 4
    assert [(one.trial, one.what) for one in second.running] == [
        (job.trial, f"y={job.config['y']}, repetition {job.repetition}") for job in jobs
    ]
    agenda.end(jobs[0], Outcome(jobs[0].trial, "done", seconds=3.0))
    pulse.ended(agenda, jobs[0], Outcome(jobs[0].trial, "done", seconds=3.0))
    third = said(tmp_path, 1)
    assert (third.done, third.left) == (1, 7)
    assert third.eta is not None
    assert third.eta == pytest.approx(7 * 3 / 4, rel=0.5)
    agenda.requeue(jobs[1])  # its node was lost: no end is reported
    pulse.tick(agenda)
    assert said(tmp_path, 0).running == ()
    pulse.close()
    assert beats(Store(tmp_path), "study") == []
    assert list((tmp_path / "running").rglob("*.json")) == []


def test_on_this_machine_it_says_what_the_machine_uses(agenda: Agenda, tmp_path: Path) -> None:
    pulse, job = Pulse(Silent(), Store(tmp_path), "study", local=True), next_of(agenda)
    pulse.started(agenda, job)
    [node] = said(tmp_path, 1).nodes
    pulse.close()
    assert (node.name, node.trials) == (platform.node(), (job.trial,))
    assert node.load is not None
    assert node.load.memory > 0


def test_what_a_killed_launch_said_is_no_news_and_is_removed(
    agenda: Agenda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    store.write("running/study/half.json", b'{"host": "a"}')
    store.write("running/study/old.json", b"{}")
    silent = time.time() - module.SILENT_SECONDS - 1
    os.utime(tmp_path / "running" / "study" / "old.json", (silent, silent))
    assert beats(store, "study") == []
    pulse = Pulse(Silent(), store, "study", local=False)
    pulse.tick(agenda)
    said(tmp_path)
    assert not (tmp_path / "running" / "study" / "old.json").exists()
    pulse.close()


def test_a_store_that_is_away_stops_nothing(
    agenda: Agenda, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    (tmp_path / "running").write_text("a file in place of the folder")
    pulse = Pulse(Silent(), Store(tmp_path), "study", local=False)
    pulse.tick(agenda)
    time.sleep(0.1)
    (tmp_path / "running").unlink()
    said(tmp_path)
    pulse.close()


def test_a_launch_says_it_and_takes_it_along(tmp_path: Path) -> None:
    study = toy(
        tmp_path / "study",
        "task: toy\nstudy: study\ngrid: {y: [0.5]}\nfixed: {steps: 1, seconds: 0.3}\n",
    )
    seen: list[Beat] = []

    class Looks(Silent):
        def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
            seen.append(said(tmp_path))
            raise KeyboardInterrupt  # who interrupts gets no report, which takes a while

    done = launch(study, str(tmp_path), on="inline", mirror=None, watch=Looks())
    assert done.interrupted
    [beat] = seen
    assert beat.pid == os.getpid()
    assert [node.name for node in beat.nodes] == [platform.node()]
    assert beats(Store(tmp_path), "study") == []
