"""The fraction of a GPU under `gpu: auto`: from recorded probes, raised where memory ran out, and kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_execution_loop import Heard, Scripted

from htsweep import launching
from htsweep.execution import probing
from htsweep.execution.agenda import Agenda
from htsweep.execution.conditions import conditions_of
from htsweep.execution.executor import Ended, Event, Notice, Probed, Started
from htsweep.execution.fractions import Fractions
from htsweep.execution.gpu_probe import Probe, Runs
from htsweep.execution.loop import run_agenda
from htsweep.execution.watch import Silent
from htsweep.execution.work import Conditions, Outcome, Work
from htsweep.launching import agenda_of
from htsweep.ledger import Store
from htsweep.planning.jobs import Job
from htsweep.planning.reading import read
from htsweep.planning.shapes import shape_of
from htsweep.results import Results
from htsweep.results.estimate import estimate

GIB = 2**30
A100 = {"usable": True, "why": "", "name": "NVIDIA A100", "total_bytes": 80 * GIB, "mps": False}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of each test's own."""
    monkeypatch.setenv("HTSWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def probe(
    config: dict[str, Any], count: int, device: str = "NVIDIA A100", at: float = 1.0
) -> Probe:
    runs = [Runs(each, 10.0, GIB) for each in (1, 2, 4, 8) if each <= count]
    return Probe(shape_of("toy", config), device, 80 * GIB, tuple(runs), measured=at)


CONFIG = {"x": 0.1, "steps": 3}
OTHER = {"x": 0.1, "steps": 4}


def test_what_a_probe_found_holds_for_its_shape_alone(tmp_path: Path) -> None:
    fractions = Fractions(Store(tmp_path / "results"))
    assert fractions.of("toy", CONFIG) == 1.0
    fractions.add(probe(CONFIG, 4))
    assert fractions.of("toy", {**CONFIG, "x": 0.9}) == 0.25  # a number with a fraction is no shape
    assert (fractions.of("toy", OTHER), fractions.knows("toy", OTHER)) == (1.0, False)


def test_it_is_kept_with_the_results_and_for_later_studies(tmp_path: Path, cache: Path) -> None:
    Fractions(Store(tmp_path / "results")).add(probe(CONFIG, 4))
    assert Fractions(Store(tmp_path / "results")).of("toy", CONFIG) == 0.25
    assert Fractions(Store(tmp_path / "others")).of("toy", CONFIG) == 0.25
    for path in (cache / "probes").rglob("*.json"):
        path.write_text("not JSON")
    assert Fractions(Store(tmp_path / "others")).of("toy", CONFIG) == 1.0


def test_what_another_machine_measures_is_kept_for_later_studies_here(tmp_path: Path) -> None:
    here, there = (Fractions(Store(tmp_path / "results"), cached=on) for on in (True, False))
    assert here.of("toy", CONFIG) == 1.0
    there.add(probe(CONFIG, 4))
    assert here.of("toy", CONFIG) == 1.0
    here.reread()
    assert here.of("toy", CONFIG) == 0.25
    assert Fractions(Store(tmp_path / "others")).of("toy", CONFIG) == 0.25
    assert Fractions(Store(tmp_path / "others"), cached=False).of("toy", CONFIG) == 1.0


def test_of_several_types_of_gpu_the_smallest_counts_unless_one_is_asked_for(
    tmp_path: Path,
) -> None:
    fractions = Fractions(Store(tmp_path / "results"))
    fractions.add(probe(CONFIG, 8))
    fractions.add(probe(CONFIG, 2, device="Tesla T4"))
    assert fractions.of("toy", CONFIG) == 0.5
    assert fractions.of("toy", CONFIG, "A100") == 0.125
    assert not fractions.knows("toy", CONFIG, "H100")
    fractions.add(probe(CONFIG, 4, device="Tesla T4", at=2.0))  # measured anew
    assert fractions.of("toy", CONFIG) == 0.25


def test_each_time_that_memory_runs_out_the_fraction_grows(tmp_path: Path) -> None:
    fractions = Fractions(Store(tmp_path / "results"))
    fractions.add(probe(CONFIG, 8))
    taken = [fractions.of("toy", CONFIG)]
    for _ in range(3):
        taken.append(fractions.ran_out("toy", CONFIG, taken[-1], "t1"))
    assert taken == [0.125, 0.25, 0.5, 1.0]
    assert Fractions(Store(tmp_path / "results")).of("toy", CONFIG) == 1.0


# -- in a launch


@pytest.fixture
def study(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., Results]:
    text = (
        "task: toy\ngrid: {steps: [3, 4]}\nfixed: {x: 0.1}\nretry: {attempts: 1}\n"
        "resources: {gpu: auto, when: [{steps: 4, gpu: 0.5}]}\n"
    )
    return lambda: Results(read(study_file(text)), str(tmp_path / "results"))


def agenda(results: Results) -> Agenda:
    return agenda_of(results, results.plan)


def ended(job: Job, reason: str | None = None) -> Outcome:
    return Outcome(job.trial, "failed" if reason else "done", reason)


OUT = "out_of_memory: OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB"


def test_memory_that_runs_out_takes_no_attempt_and_the_next_has_more(
    study: Callable[..., Results],
) -> None:
    results = study()
    Fractions(results.store).add(probe(results.plan.sweeps[0].base, 4))
    todo = agenda(results)
    first, second = todo.next(), todo.next()
    assert first
    assert second
    assert (todo.amount(first).gpu, todo.amount(second).gpu) == (0.25, 0.5)
    todo.end(first, ended(first, OUT))
    again = todo.next()
    assert again == first
    assert (todo.amount(again).gpu, todo.attempt(again)) == (0.5, 2)
    todo.end(again, ended(again, OUT))
    last = todo.next()
    assert last
    assert todo.amount(last).gpu == 1.0
    todo.end(last, ended(last, OUT))  # a whole GPU is not enough: this one counts, `attempts: 1`
    assert todo.next() is None
    assert [end.trial for end in todo.failures] == [first.trial]
    # A fraction that the user gave is theirs.
    todo.end(second, ended(second, OUT))
    assert todo.next() is None
    assert len(todo.failures) == 2


def test_memory_of_the_machine_is_another_matter(study: Callable[..., Results]) -> None:
    results = study()
    Fractions(results.store).add(probe(results.plan.sweeps[0].base, 4))
    todo = agenda(results)
    job = todo.next()
    assert job
    todo.end(job, ended(job, "out_of_memory: MemoryError: "))
    assert [end.trial for end in todo.failures] == [job.trial]
    assert todo.amount(job).gpu == 0.25


def test_unknown_shapes_are_measured_once_and_plan_shows_them(
    study: Callable[..., Results],
) -> None:
    results, notes = study(), list[str]()
    asked: list[Any] = []

    def measure(task: str, config: Any, conditions: Conditions) -> Callable[[int], Runs]:
        asked.append((task, config["steps"]))
        return lambda count: Runs(count, 10.0 * max(1, count / 4), 2 * GIB)

    def probe_missing() -> None:
        fractions = Fractions(results.store)
        conditions = conditions_of(results.study, results.location)
        works = probing.unmeasured_shapes(results.plan, fractions, conditions)
        probing.probe_missing(works, fractions, notes.append, facts=lambda: A100, measure=measure)

    assert "toy: fail , steps 3: not measured yet: a whole GPU until then" in "\n".join(
        estimate(results).lines()
    )
    probe_missing()
    probe_missing()
    assert asked == [("toy", 3)]  # the other's fraction is given
    assert notes[-1].startswith("gpu: auto: 1/4 of a NVIDIA A100 (2.0 of 80 GiB each, 4.0 times")
    said = "\n".join(estimate(results).lines())
    assert "gpu     toy: fail , steps 3: 1/4 of a NVIDIA A100" in said
    assert "auto GPU" in said
    Fractions(results.store).ran_out("toy", results.plan.sweeps[0].base, 0.25, "t1")
    assert "0.5 of a GPU, since memory ran out on less" in "\n".join(estimate(results).lines())


def test_without_a_gpu_here_it_says_so_and_takes_a_whole_one(
    study: Callable[..., Results],
) -> None:
    results, notes = study(), list[str]()
    facts = {**A100, "usable": False, "why": "torch finds no usable GPU"}
    fractions = Fractions(results.store)
    conditions = conditions_of(results.study, results.location)
    works = probing.unmeasured_shapes(results.plan, fractions, conditions)
    probing.probe_missing(works, fractions, notes.append, facts=lambda: facts)
    assert "not measured yet, and not here: torch finds no usable GPU" in notes[0]
    job = agenda(results).next()
    assert job
    assert agenda(results).amount(job).gpus == 1.0


def test_trials_after_a_screen_are_measured_as_its_scores_are(
    study: Callable[..., Results], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The executor is open by then."""
    results, asked = study(), list[int]()
    monkeypatch.setattr(launching, "run_agenda", lambda *_: False)
    monkeypatch.setattr(launching, "probe_missing", lambda works, *_: asked.append(len(works)))
    place: Any = contextlib.nullcontext()
    opening = launching._opened_when_needed(place, Silent(), "starting", here=True)
    with opening as opened:
        for _ in range(2):
            opened.run(agenda(results), conditions_of(results.study, results.location))
    assert asked == [1, 1]


def done_at_once(given: Work) -> Iterator[Event]:
    """A trial that needs no GPU."""
    yield Started(given.job.trial)
    yield Ended(given.job.trial, Outcome(given.job.trial, "done"))


class Elsewhere(Scripted):
    """An executor whose trials run on machines that measure."""

    def __init__(self, measured: Callable[[list[Work]], object]) -> None:
        super().__init__(*[done_at_once] * 9)
        self._measured = measured

    def probe(self, works: list[Work]) -> bool:
        self._events += [Notice("measuring"), Probed()]
        self._measured(works)
        return True


def test_trials_elsewhere_take_what_is_measured_there_before(
    study: Callable[..., Results],
) -> None:
    results, heard, asked = study(), Heard(), list[Any]()

    def measured(works: list[Work]) -> None:
        asked.extend(
            (work.job.task, work.job.config["steps"], work.conditions.gpu) for work in works
        )
        Fractions(results.store, cached=False).add(probe(works[0].job.config, 4))

    submitted = []
    for _ in range(2):
        place = Elsewhere(measured)
        conditions = conditions_of(results.study, results.location)
        run_agenda(agenda(results.reread()), place, conditions, heard)
        submitted.append([work.conditions.gpu for work in place.submitted])
    # Nothing is recorded here, so that the second launch has the same to do.
    assert submitted == [[0.25, 0.5]] * 2
    assert asked == [("toy", 3, 1.0)]
    assert heard.words.count("measuring") == 1


def test_what_cannot_be_measured_elsewhere_takes_a_whole_gpu(
    study: Callable[..., Results],
) -> None:
    results = study()
    place = Elsewhere(list)
    run_agenda(agenda(results), place, conditions_of(results.study, results.location), Heard())
    assert [work.conditions.gpu for work in place.submitted] == [1.0, 0.5]


def test_ctrl_c_while_other_machines_measure_starts_no_trial(
    study: Callable[..., Results],
) -> None:
    results = study()

    def interrupted(works: list[Work]) -> None:
        raise KeyboardInterrupt

    place = Elsewhere(interrupted)
    conditions = conditions_of(results.study, results.location)
    assert run_agenda(agenda(results), place, conditions, Heard())
    assert (place.stopped, place.submitted) == (True, [])
