"""What a task declares, and what it is given."""

import pickle

import pytest

from htsweep.execution.workspace import Workspace as OfTheOrchestrator
from htsweep.planning.task import Task
from tasks.task import Setting, Workspace, declare
from tests.workspace import Workspace as OfTheTests


@declare(settings={"rate": Setting(float, 0.1)}, metrics=("loss",), predicts="loss")
def declared(config, workspace):
    yield {"step": 0, "loss": config["rate"]}


def test_a_declared_task_stays_the_function_that_it_was():
    assert pickle.loads(pickle.dumps(declared)) is declared
    assert list(declared({"rate": 0.5}, None)) == [{"step": 0, "loss": 0.5}]


def test_the_orchestrator_reads_what_a_task_declares():
    task = Task("declared", declared)
    assert (task.settings["rate"].default, task.metrics, task.predicts) == (0.1, ("loss",), "loss")
    assert task.resolve({"rate": 1}) == {"rate": 1}, "what it does not declare has a plain answer"


def test_nothing_can_be_declared_that_nobody_asks_for():
    with pytest.raises(TypeError, match="metric_names"):
        declare(metric_names=("loss",))
    with pytest.raises(TypeError):
        declare({"rate": Setting(float, 0.1)})


@pytest.mark.parametrize("kind", [OfTheOrchestrator, OfTheTests])
def test_workspaces_have_what_tasks_are_promised(kind, tmp_path):
    workspace = OfTheTests(tmp_path) if kind is OfTheTests else kind.__new__(kind)
    given = {*dir(workspace), *kind.__init__.__code__.co_names}
    assert {name for name in vars(Workspace) if not name.startswith("_")} <= given
