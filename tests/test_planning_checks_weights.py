"""A checkpoint in whatever form is judged when the study is read, with the line that names it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from htsweep.errors import StudyError
from htsweep.planning.reading import read

STUDY = """\
task: {task}
grid: {{dataset: [{dataset}], method: [plain, l2sp]}}
fixed:
  backbone: test_resnet
  image_size: 32
  weights: {file}
repetitions: 1
"""
TASKS = {"fine_tuning": "pretrained-uci", "holistic_transfer": "mnist-uci"}
State = dict[str, torch.Tensor]


def under(start: str, state: State) -> State:
    return {f"{start}{name}": tensor for name, tensor in state.items()}


FORMS: dict[str, tuple[str, Callable[[State], object]]] = {
    "pt": ("w.pt", lambda state: state),
    "safetensors": ("w.safetensors", lambda state: state),
    "state_dict": ("w.pth", lambda state: {"state_dict": state, "epoch": 3}),
    "model": ("w.pth", lambda state: {"model": state}),
    "module": ("w.pt", lambda state: {"state_dict": under("module.", state)}),
    "module in safetensors": ("w.safetensors", lambda state: under("module.", state)),
}


@pytest.fixture(scope="module")
def state() -> State:
    return dict(timm.create_model("test_resnet").state_dict())


def saved(made: object, file: Path) -> Path:
    if file.suffix == ".safetensors":
        save_file(made, file)
    else:
        torch.save(made, file)
    return file


@pytest.mark.parametrize("form", FORMS)
def test_weights_in_any_form_are_accepted(
    form: str, state: State, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    name, wrap = FORMS[form]
    file = saved(wrap(state), tmp_path / name)
    for task, dataset in TASKS.items():
        read(study_file(STUDY.format(task=task, dataset=dataset, file=file)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("backbone", "classes", "said"),
    [
        ("test_resnet", 31, "fc.weight is [31, "),
        (
            "test_efficientnet",
            1000,
            "does not fit test_resnet: it has 88 tensors, 92 were expected",
        ),
    ],
)
def test_what_does_not_fit_is_said_with_its_line(
    form: str,
    backbone: str,
    classes: int,
    said: str,
    study_file: Callable[..., Path],
    tmp_path: Path,
) -> None:
    name, wrap = FORMS[form]
    other = dict(timm.create_model(backbone, num_classes=classes).state_dict())
    file = saved(wrap(other), tmp_path / name)
    for task, dataset in TASKS.items():
        with pytest.raises(StudyError) as raised:
            read(study_file(STUDY.format(task=task, dataset=dataset, file=file)))
        (problem,) = raised.value.problems
        assert (problem.key, problem.line) == ("fixed.weights", 6)
        assert said in problem.message
        assert name in problem.message


@pytest.mark.parametrize(
    ("name", "said"),
    [("x" * 300, "File name too long"), ("~nobody-here/x", "no user here is called so")],
)
@pytest.mark.parametrize("key", ["weights", "source"])
def test_a_name_that_no_file_may_have(
    key: str, name: str, said: str, study_file: Callable[..., Path]
) -> None:
    text = STUDY.format(task="holistic_transfer", dataset="mnist-uci", file=f'"{name}"')
    with pytest.raises(StudyError) as raised:
        read(study_file(f"{text}baseline: plain\n".replace("weights:", f"{key}:")))
    (problem,) = raised.value.problems
    assert problem.key == f"fixed.{key}"
    assert said in problem.message
