"""What a launch shows of its best points while it runs: the means so far, however many points there are."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from large import BILLION
from rich.console import Console

from htsweep.cli.progress import Progress
from htsweep.execution.agenda import Agenda
from htsweep.execution.work import Outcome
from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.study.schema import Study

ACCURACY = st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5])


def grid() -> Plan:
    values = [round(0.05 * number, 2) for number in range(8)]
    return plan(
        Study(study="s", task="toy", grid={"noise": [0.0, 0.1], "x": values}, repetitions=2)
    )


@given(st.lists(st.tuples(ACCURACY, ACCURACY), min_size=32, max_size=32), st.integers(0, 32))
def test_the_frontier_so_far_is_of_means(measured: list[tuple[float, float]], ended: int) -> None:
    agenda, shown = Agenda(grid(), {}), Progress("s", Console(file=io.StringIO()))
    means: dict[str, list[tuple[float, float]]] = {}
    for seen, missing in measured[:ended]:
        job = agenda.next()
        assert job is not None
        outcome = Outcome(
            job.trial, "done", values={"test/seen_accuracy": seen, "test/missing_accuracy": missing}
        )
        agenda.end(job, outcome)
        shown.ended(agenda, job, outcome)
        means.setdefault(f"{job.config['noise']} | {job.config['x']}", []).append((seen, missing))
    points = {
        label: (len(each), *(sum(axis) / len(each) for axis in zip(*each, strict=True)))
        for label, each in means.items()
    }
    beaten = {
        label
        for label, (_, seen, missing) in points.items()
        for other, (_, more, rest) in points.items()
        if label.partition(" | ")[0] == other.partition(" | ")[0]
        and more >= seen
        and rest >= missing
        and (more, rest) != (seen, missing)
    }
    assert {row[0]: row[1:] for row in shown.frontier()} == {
        label: one for label, one in points.items() if label not in beaten
    }
    groups = [row[0].partition(" | ")[0] for row in shown.frontier()]
    assert groups == sorted(groups)


def test_of_a_search_without_end_it_says_at_most(study_file: Callable[..., Path]) -> None:
    said = io.StringIO()
    agenda, shown = (
        Agenda(plan(read(study_file(BILLION))), {}),
        Progress("large", Console(file=said)),
    )
    shown.last(agenda)
    assert (
        said.getvalue()
        == "large: 0 of at most 1000000000 trials done, 0 running, 0 failed, ETA unknown\n"
    )


def test_the_last_line_of_a_launch_that_is_done_promises_no_time() -> None:
    said = io.StringIO()
    agenda, shown = Agenda(grid(), {}), Progress("s", Console(file=said))
    while (job := agenda.next()) is not None:
        outcome = Outcome(job.trial, "done")
        agenda.end(job, outcome)
        shown.ended(agenda, job, outcome)
    shown.last(agenda)
    last = said.getvalue().splitlines()[-1]
    assert last == f"s: {agenda.total} of {agenda.total} trials done, 0 running, 0 failed"


STAGED = """\
def source(config, workspace):
    yield {"step": 0}

def stages(config):
    return {"source": (__name__ + ":source", {"x": config["x"]})}

def adapt(config, workspace):
    yield {"step": 0}

adapt.stages = stages
"""


def test_while_stages_are_made_it_says_how_many(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "staged_progress_module.py").write_text(STAGED)
    path = study_file("task: staged_progress_module:adapt\ngrid: {x: [1, 2, 3]}\n")
    said = io.StringIO()
    agenda = Agenda(plan(read(path)), {})
    lines = []
    while (job := agenda.next()) is not None:
        agenda.end(job, Outcome(job.trial, "done"))
        said.truncate(0)
        Progress("s", Console(file=said, width=200)).last(agenda)
        lines.append(said.getvalue().rpartition("failed")[2].strip())
    assert ", stages: source 1 of 3" in lines[0]
    assert ", stages: source 2 of 3" in lines[1]
    assert not any("stages" in line for line in lines[2:])


def test_results_are_written_to_standard_output_after_the_last_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = io.StringIO()
    agenda, shown = Agenda(grid(), {}), Progress("s", Console(file=said))
    shown.reported(agenda, "| table |")
    shown.last(agenda)
    assert capsys.readouterr().out == "\n| table |\n\n"
    assert len(said.getvalue().splitlines()) == 1
