"""A launch does what is missing, records every end, and goes on where it was stopped."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import htsweep
from htsweep import results
from htsweep.cli.status import status
from htsweep.errors import HtsweepError, ResourceError, StudyHeld
from htsweep.execution.agenda import Agenda
from htsweep.execution.watch import Silent
from htsweep.execution.work import Outcome
from htsweep.launching import Launched, launch
from htsweep.ledger import Lease, Ledger, Store
from htsweep.planning.jobs import Job
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.clean import clean
from htsweep.study.schema import Study

TOY = "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 2\n"
CHAIN = """\
import json
RUNS = []

def source(config, workspace):
    RUNS.append("source")
    if config.get("broken"):
        raise ValueError("no source today")
    (workspace.output / "model.json").write_text(json.dumps(workspace.seed("source")))
    yield {"step": 0, "train/loss": 1.0}

def stages(config):
    kept = {key: value for key, value in config.items() if key == "broken"}
    return {"source": (__name__ + ":source", kept)}

def adapt(config, workspace):
    RUNS.append("adapt")
    model = json.loads((workspace.artifact("source") / "model.json").read_text())
    yield {"step": 0, "validation/score": model % 100 / 100 + config["x"], "test/curve": [0.5, 1.0]}

adapt.stages = stages
"""


@pytest.fixture
def run(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., tuple[Study, Launched]]:
    def go(
        text: str = TOY,
        *overrides: str,
        folder: str = "results",
        report: bool = False,
        **options: Any,
    ) -> tuple[Study, Launched]:
        """A launch; a report, which takes longer than all else, ends those that leave what is not in every ledger."""
        study = read(study_file(text), overrides)
        with contextlib.nullcontext() if report else mock.patch("htsweep.launching.Report.make"):
            done = launch(study, str(tmp_path / folder), on="inline", mirror=None, **options)
        assert not done.unreported
        return study, done

    return go


def numbers(study: Study, folder: Path) -> list[dict[str, Any]]:
    """What was measured, without what may differ between runs."""
    frame = results.measurements(study, str(folder)).sort_values(["trial", "step"])
    return frame.drop(
        columns=[name for name in frame if "seconds" in name or "memory" in name]
    ).to_dict("records")


def test_it_runs_all_then_only_what_is_new(run: Callable[..., tuple[Study, Launched]]) -> None:
    _, first = run()
    assert (first.agenda.done["trial done"], first.agenda.reused, first.failed) == (6, 0, 0)
    _, again = run()
    assert (again.agenda.done["trial done"], again.agenda.reused) == (0, 6)
    _, more = run(TOY.replace("0.9]", "0.9, 1.0]"))
    assert (more.agenda.done["trial done"], more.agenda.reused) == (2, 6)


def test_the_report_of_many_trials_reads_what_is_merged(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a bucket each object is a wait, and a report reads what was measured several times."""
    monkeypatch.setattr("htsweep.ledger.tables.PARTS", 5)
    ledger, there = Ledger(Store(tmp_path / "results")), []
    with mock.patch("htsweep.launching.Report") as report:
        report.return_value.make.side_effect = lambda _: there.append(ledger.records())
        report.return_value.trouble = ""
        run(report=True)
    [at_report] = there
    assert [name for name in at_report if name.startswith("all-")]
    assert len(ledger.records()) == 1
    assert len(ledger.trials()) == 6


def test_two_parts_equal_the_whole(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    study, _ = run(folder="whole")
    _, part = run(TOY, "budget.trials=4", folder="parts")
    assert part.agenda.closed == "budget of 4 trials"
    assert (part.agenda.done["trial done"], part.agenda.left) == (4, 2)
    run(folder="parts")
    assert numbers(study, tmp_path / "parts") == numbers(study, tmp_path / "whole")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("raise", "raised: RuntimeError: the toy was asked to fail"),
        ("memory", "out_of_memory: MemoryError"),
        ("nan", "diverged: validation/score is NaN at step 1"),
        ("hang", "time_limit: ran longer than 0.3 s"),
    ],
)
def test_a_trial_that_fails_is_recorded_with_its_reason_and_log(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path, how: str, reason: str
) -> None:
    study, done = run(
        f"task: toy\ngrid: {{fail: ['', {how}]}}\nresources: {{time_limit_seconds: 0.3}}\n"
        "retry: {attempts: 2, reasons: [raised, diverged, time_limit, out_of_memory]}\n",
        report=how == "nan",
    )
    assert (done.failed, done.agenda.done["trial done"]) == (1, 1)
    [failure] = status(Results(study, str(tmp_path / "results"))).failures
    assert failure.reason.startswith(reason)
    assert failure.attempts == 2
    assert failure.log is not None
    assert reason.split(":")[0] in Path(failure.log).read_text()
    rows = Ledger(Store(tmp_path / "results")).trials(every=True).to_pylist()
    assert sorted(row["attempt"] for row in rows if row["status"] == "failed") == [1, 2]


def test_what_failed_is_run_again_by_the_next_launch(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    flag = tmp_path / "mended"
    module = tmp_path / "flaky_module.py"
    module.write_text(
        "import pathlib\ndef flaky(config, workspace):\n    if not "
        f"pathlib.Path({str(flag)!r}).exists():\n"
        "        raise OSError('not yet')\n    yield {'step': 0, 'score': 1.0}\n"
    )
    _, first = run("task: flaky_module:flaky\n", report=True)
    assert first.failed == 1
    flag.touch()
    study, second = run("task: flaky_module:flaky\n")
    assert second.failed == 0
    assert status(Results(study, str(tmp_path / "results"))).failures == ()


def test_stages_are_made_once_and_shared(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "chain_module.py").write_text(CHAIN)
    text = "task: chain_module:adapt\ngrid: {x: [0, 1, 2]}\nrepetitions: 2\n"
    study, done = run(text, report=True)
    assert (done.agenda.done["stage done"], done.agenda.done["trial done"]) == (2, 6)
    _, other = run(text.replace("[0, 1, 2]", "[5]").replace("task:", "study: other\ntask:"))
    assert (other.agenda.done["stage done"], other.agenda.done["trial done"]) == (0, 2)
    frame = results.measurements(study, str(tmp_path / "results"))
    assert (
        frame.groupby("repetition")["validation/score"]
        .apply(lambda one: (one - one.min()).round(6).tolist())
        .tolist()
        == [[0, 1, 2]] * 2
    )
    assert frame["test/curve"].map(list).tolist() == [[0.5, 1.0]] * 6


def test_a_stage_that_fails_blocks_its_trials_and_no_others(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "chain_module.py").write_text(CHAIN)
    sys.modules.pop("chain_module", None)
    _, done = run(
        "task: chain_module:adapt\ngrid: {x: [0, 1], broken: [true, false]}\n", report=True
    )
    assert done.agenda.done["trial done"] == 2
    assert len(done.agenda.blocked) == 2
    assert (done.failed, done.left) == (2, 0)  # those that could not run, and not the stage as well


def test_a_user_s_bare_generator_may_yield_nonsense(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "odd_module.py").write_text(
        "def nothing(config, workspace):\n    return iter(())\n"
        "def text(config, workspace):\n    yield {'step': 0, 'score': 'high'}\n"
        "def bare(config, workspace):\n    yield 3\n"
    )
    _, nothing = run("task: odd_module:nothing\nstudy: a\n", report=True)
    assert nothing.agenda.done["trial done"] == 1
    for name in ("text", "bare"):
        study, done = run(f"task: odd_module:{name}\nstudy: {name}\n")
        assert done.failed == 1
        assert "TypeError" in status(Results(study, str(tmp_path / "results"))).failures[0].reason


class KilledAfter:
    """Ends the process, as SIGKILL would, after so many ends."""

    def __init__(self, ends: int) -> None:
        self.ends = ends

    def started(self, agenda: Agenda, job: Job) -> None: ...
    def tick(self, agenda: Agenda) -> None: ...
    def note(self, text: str) -> None: ...

    def ended(self, agenda: Agenda, job: Job, outcome: Outcome) -> None:
        self.ends -= 1
        if self.ends == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_launch_goes_on_where_it_was(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    study, _ = run(folder="whole")
    code = (
        "import sys; sys.path.insert(0, sys.argv[3])\n"
        "from test_launching import KilledAfter; from htsweep.launching import launch\n"
        "from htsweep.planning.reading import read\n"
        "launch(read(sys.argv[1]), sys.argv[2], on='inline', mirror=None, watch=KilledAfter(4))\n"
    )
    killed = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, "-c", code, str(study.file), str(killed), str(Path(__file__).parent)],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert Ledger(Store(killed)).trials().num_rows == 4
    _, rest = run(folder="killed")
    assert (rest.agenda.reused, rest.agenda.done["trial done"]) == (4, 2)
    assert numbers(study, killed) == numbers(study, tmp_path / "whole")


SHARED = """\
import json
from tasks.task import Trajectory, declare

RUNS = []

def meaning(config):
    return dict(config)

def training(config):
    own = {"watch": config["watch"]} if config.get("watch") else {}
    return Trajectory(__name__ + ":train", {"rate": config["rate"]}, own, tail="alpha" in config)

def train(config, workspace):
    start = int(workspace.load() or b"0")
    RUNS.append(("train", config["rate"], start))
    for step in range(start, 8):
        (workspace.output / f"{step}.json").write_text(json.dumps(workspace.seed(config["rate"], step)))
        yield {"step": step}
        workspace.save(lambda: str(step + 1).encode())
        if config["rate"] == 0.25 and KILL and step == 4:
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)

KILL = False

@declare(trajectory=training)
def measure(config, workspace):
    shared = workspace.trajectory
    RUNS.append(("measure", config["rate"], shared is not None))
    for step in range(8):
        if shared is None:
            weight = workspace.seed(config["rate"], step)
        else:
            weight = json.loads((shared / f"{step}.json").read_text())
        yield {"step": step, "test/score": weight * config.get("alpha", 1.0)}
"""
SHARING = "task: shared_module:measure\nrepetitions: 2\ngrid: {rate: [0.5, 0.25], alpha: [0.1, 0.2, 1.0]}\n"


def test_trials_that_share_a_training_equal_those_that_do_not(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "shared_module.py").write_text(SHARED)
    study, together = run(SHARING, folder="together", report=True)
    runs = sys.modules["shared_module"].RUNS
    assert [run[0] for run in runs].count("train") == 4
    assert all(run[2] for run in runs if run[0] == "measure")
    # A training takes its turn among the trials: the first results do not wait for all trainings.
    kinds = [run[0] for run in runs]
    assert kinds.index("measure") < 3  # an executor may hold one job more than it runs
    runs.clear()
    _, apart = run(SHARING, "share_trainings=false", folder="apart")
    assert {run[0] for run in runs} == {"measure"}
    assert numbers(study, tmp_path / "together") == numbers(study, tmp_path / "apart")
    assert together.agenda.done["stage done"] == 4
    assert apart.agenda.done["stage done"] == 0


def test_a_launch_killed_in_a_shared_training_goes_on_and_its_tails_follow(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "shared_module.py").write_text(SHARED)
    study, _ = run(SHARING, folder="whole")
    code = (
        "import sys; from htsweep.launching import launch\n"
        "from htsweep.planning.reading import read\n"
        "study = read(sys.argv[1])\n"
        "import shared_module; shared_module.KILL = True\n"
        "launch(study, sys.argv[2], on='inline', mirror=None, save_seconds=0)"
    )
    killed = tmp_path / "killed"
    done = subprocess.run([sys.executable, "-c", code, str(study.file), str(killed)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert Ledger(Store(killed)).trials().num_rows in (1, 4)  # a training, and maybe its trials
    runs = sys.modules["shared_module"].RUNS
    runs.clear()
    run(SHARING, folder="killed")
    # The files of the first steps are there again, though the process that wrote them is not.
    assert ("train", 0.25, 5) in runs
    assert numbers(study, killed) == numbers(study, tmp_path / "whole")


STEPWISE = """\
import time

def stepwise(config, workspace):
    start = int(workspace.load() or b"0")
    print("from", start)
    for step in range(start, 40):
        time.sleep(0.05)
        yield {"step": step, "score": workspace.seed(step) / step if step else 0.0}
        workspace.save(lambda: str(step + 1).encode())
"""


def test_a_killed_trial_goes_on_from_its_state(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "stepwise_module.py").write_text(STEPWISE)
    text = "task: stepwise_module:stepwise\n"
    study, _ = run(text, folder="whole")
    folder = tmp_path / "killed"
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            (
                "import sys; from htsweep.launching import launch\n"
                "from htsweep.planning.reading import read\n"
                "launch(read(sys.argv[1]), sys.argv[2], on='inline', mirror=None, save_seconds=0)"
            ),
            str(study.file),
            str(folder),
        ]
    )
    deadline = time.monotonic() + 30
    while not list(folder.glob("states/*/*")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.4)
    process.kill()
    process.wait()
    run(text, folder="killed")
    assert numbers(study, folder) == numbers(study, tmp_path / "whole")
    [log] = [
        Path(folder, name).read_text().split() for name in results.trials(study, str(folder))["log"]
    ]
    assert 0 < int(log[-1]) < 40
    assert not list(folder.glob("states/*/*"))


def test_the_second_launch_is_told_who_holds_the_study(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    lease = Lease(Store(tmp_path / "results"), "study-study", about="htsweep launch study.yaml")
    assert lease.take() is None
    with pytest.raises(StudyHeld, match=f"process {os.getpid()}"):
        run()
    lease.release()
    run()


def test_a_resource_that_is_not_there_is_named_before_anything_starts(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    with pytest.raises(ResourceError, match=r"resources\.cpu: a trial takes 4096"):
        run(TOY, "resources.cpu=4096")
    with pytest.raises(ResourceError, match=r"resources\.gpu: a trial takes 1"):
        run(TOY, "resources.gpu=1")
    assert not (tmp_path / "results").exists()
    study = read(tmp_path / "study.yaml")
    with pytest.raises(HtsweepError, match="unknown executor 'slurm'; choose inline or ray, or"):
        launch(study, str(tmp_path / "results"), on="slurm")


def test_budgets(run: Callable[..., tuple[Study, Launched]]) -> None:
    assert run(TOY, "budget.trials=0", report=True)[1].agenda.done["trial done"] == 0
    _, some = run(TOY, "budget.wall_hours=0.0001", "fixed.seconds=0.1")
    assert 0 < some.agenda.done["trial done"] < 6
    assert some.agenda.closed == "budget of 0.0001 wall hours"
    _, two = run("task: toy\nstudy: two\ngrid: {x: [0.2, 0.3, 0.4]}\nbudget: {trials: 2}\n")
    assert two.agenda.done["trial done"] == 2
    _, still = run("task: toy\nstudy: two\ngrid: {x: [0.2, 0.3, 0.4]}\nbudget: {trials: 2}\n")
    assert still.agenda.done["trial done"] == 0
    _, raised = run("task: toy\nstudy: two\ngrid: {x: [0.2, 0.3, 0.4]}\nbudget: {trials: 3}\n")
    assert raised.agenda.done["trial done"] == 1


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_adaptive_samplers_learn_and_go_on(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path, sampler: str
) -> None:
    text = (
        f"task: toy\nrepetitions: 2\nobjectives: [{{metric: validation/score}}]\n"
        f"search: {{sampler: {sampler}, trials: 8, spaces: {{all: {{x: {{low: 0, high: 1}}, y: "
        f"{{low: 0, high: 1}}}}}}}}\n"
    )
    study, whole = run(text, folder="whole", report=True)
    assert whole.agenda.done["trial done"] == 16
    _, part = run(text, "search.trials=4", folder="parts")
    assert part.agenda.done["trial done"] == 8
    _, rest = run(text, folder="parts")
    assert (rest.agenda.done["trial done"], rest.agenda.reused) == (8, 8)
    assert numbers(study, tmp_path / "parts") == numbers(study, tmp_path / "whole")
    points = results.trials(study, str(tmp_path / "whole")).groupby("point")["x"].first()
    assert points.nunique() == 8


def test_stopping_early_is_inside_a_sweep_and_recorded(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    study, done = run(
        "task: toy\nfixed: {steps: 9, noise: 0}\nobjectives: [{metric: validation/score}]\n"
        "stop: {first: 3, eta: 3}\nsearch: {spaces: {all: {x: [0.7, 0.69, 0.1, 0.2, 0.0, 1.0]}}}\n",
        report=True,
    )
    assert done.agenda.done["trial stopped"] >= 2
    ended = results.trials(study, str(tmp_path / "results")).set_index("x")
    assert ended.loc[0.7, "status"] == "done"
    assert set(ended.loc[[0.1, 0.0, 1.0], "status"]) == {"stopped"}
    stopped = results.measurements(study, str(tmp_path / "results")).query("status == 'stopped'")
    assert stopped["step"].max() == 3
    _, again = run(study.text)
    assert again.agenda.done["trial done"] + again.agenda.done["trial stopped"] == 0


def test_logs_hold_what_a_trial_prints(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "loud_module.py").write_text(
        "def loud(config, workspace):\n    print('so it goes')\n    yield {'step': 0}\n"
    )
    study, _ = run("task: loud_module:loud\n")
    [row] = results.trials(study, str(tmp_path / "results")).to_dict("records")
    assert (tmp_path / "results" / row["log"]).read_text() == "so it goes\n"


LEAKY = """\
import logging, os, random, sys, warnings
import numpy as np

def leaky(config, workspace):
    print(os.getcwd(), os.environ.get("LEAK"), random.random(), np.random.rand())
    print(len(logging.getLogger().handlers), sys.argv[1:])
    os.chdir("/")
    os.environ["LEAK"] = "yes"
    random.seed(config["x"])
    np.random.seed(config["x"])
    logging.getLogger().addHandler(logging.StreamHandler(sys.stdout))
    sys.argv[1:] = ["changed"]
    yield {"step": 0}
"""


def test_a_process_is_as_new_for_each_trial(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "leaky_module.py").write_text(LEAKY)
    study, _ = run("task: leaky_module:leaky\ngrid: {x: [1, 2, 3]}\n")
    logs = [
        (tmp_path / "results" / log).read_text()
        for log in results.trials(study, str(tmp_path / "results"))["log"]
    ]
    assert len(logs) == 3
    assert len(set(logs)) == 1


def test_torch_is_as_new_for_each_trial(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "torchy_module.py").write_text(
        "import torch\n"
        "def torchy(config, workspace):\n"
        "    print(torch.is_grad_enabled(), torch.get_num_threads(), torch.get_default_dtype(), "
        "torch.rand(1).item())\n"
        "    torch.set_grad_enabled(False)\n    torch.set_num_threads(2)\n    "
        "torch.set_default_dtype(torch.float64)\n"
        "    torch.manual_seed(config['x'])\n    yield {'step': 0}\n"
    )
    study, _ = run("task: torchy_module:torchy\ngrid: {x: [1, 2, 3]}\n")
    logs = [
        (tmp_path / "results" / log).read_text()
        for log in results.trials(study, str(tmp_path / "results"))["log"]
    ]
    # The first trial imports torch itself, after the reset: from the second on the process is told
    # what torch is to be.
    assert logs[1] == logs[2]
    assert logs[1].startswith("True 1 torch.float32")


def test_the_frontier_as_a_table(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    study, _ = run()
    table = htsweep.frontier(study, str(tmp_path / "results"))
    assert table["n"].tolist() == [2, 2, 2]
    assert table["front"].all()  # the toy's x trades one accuracy for the other


def test_a_record_says_what_ran_where(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    study, _ = run("task: toy\ngrid: {x: [0.5]}\n")
    [row] = Ledger(Store(tmp_path / "results")).trials().to_pylist()
    assert json.loads(row["config"])["x"] == 0.5
    assert (row["device"], row["cpu"], row["kind"], row["steps"]) == ("cpu", 1.0, "trial", 4)
    assert row["ended"] - row["started"] == pytest.approx(row["seconds"])
    assert row["version"]
    assert study.name == "study"


def test_a_time_limit_holds_in_a_thread_too(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Inline, in a notebook server say, where no signal reaches the thread."""
    (tmp_path / "spins_module.py").write_text(
        "import time\ndef spins(config, workspace):\n    over = time.monotonic() + 30\n"
        "    while time.monotonic() < over:\n        pass\n    yield {'step': 0}\n"
    )
    study = read(
        study_file(
            "task: spins_module:spins\nresources: {time_limit_seconds: 0.5}\nretry: {attempts: 1}\n"
        )
    )
    thread = threading.Thread(
        target=launch,
        args=[study, str(tmp_path / "results")],
        kwargs={"on": "inline", "mirror": None},
    )
    thread.start()
    thread.join(25)
    [row] = Ledger(Store(tmp_path / "results")).trials().to_pylist()
    assert row["reason"] == "time_limit: ran longer than 0.5 s"


def test_after_installing_it_says_why_the_first_launch_takes_longer(
    run: Callable[..., tuple[Study, Launched]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Notes(Silent):
        def __init__(self) -> None:
            self.texts: list[str] = []

        def note(self, text: str) -> None:
            self.texts.append(text)

    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    later, first = Notes(), Notes()
    compiled = tmp_path / "torch.pyc"
    monkeypatch.setattr("importlib.util.cache_from_source", lambda origin: str(compiled))
    run(watch=first)
    assert [text for text in first.texts if "first launch after installing" in text]
    compiled.touch()
    run(folder="other", watch=later)
    assert not [text for text in later.texts if "first launch after installing" in text]
    assert later.texts[0].startswith("to run: 6 trials; running them here")


def test_weights_that_were_removed_are_made_again_where_a_trial_needs_them(
    run: Callable[..., tuple[Study, Launched]], tmp_path: Path
) -> None:
    (tmp_path / "shared_module.py").write_text(SHARED)
    study, _ = run(SHARING)
    results_folder = str(tmp_path / "results")
    before = numbers(study, tmp_path / "results")
    assert clean(results_folder)[-1].endswith("nothing to remove")
    lines = clean(results_folder, Results(study, results_folder), trainings=True, yes=True)
    assert lines[0].startswith("weights of shared trainings: 32 objects")
    runs = sys.modules["shared_module"].RUNS
    runs.clear()
    _, nothing = run(SHARING)  # all trials are over: nothing needs them
    assert not runs
    assert nothing.agenda.finished
    extended, _ = run(SHARING.replace("1.0]", "1.0, 0.7]"))
    assert [run[0] for run in runs].count("train") == 4
    assert [run[0] for run in runs].count("measure") == 4
    after = numbers(extended, tmp_path / "results")
    assert [row for row in after if row in before] == before
    assert len(after) == len(before) + 4 * 8


def test_results_may_be_given_as_a_path_everywhere(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    study, place = htsweep.read(study_file("task: toy\ngrid: {x: [0.5]}\n")), tmp_path / "r"
    assert not htsweep.launch(study, place, on="inline", mirror=None).failed
    assert len(htsweep.trials(study, place)) == 1
    assert not htsweep.measurements(study, place).empty
    assert htsweep.query(study, "SELECT count(*) AS n FROM trials", place)["n"].tolist() == [1]
    assert len(htsweep.open(str(study.file), results=place).trials) == 1
    shutil.copytree(place, tmp_path / "other")
    assert htsweep.compare(study, results=place, results_b=tmp_path / "other").equal == 1
