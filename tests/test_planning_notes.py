"""What is said of a study before it runs: its data, its weights, and values of the grid that are one."""

import json
from pathlib import Path

import pytest
from pictures import domains

from htsweep import read
from htsweep.cli.app import main
from htsweep.errors import StudyError
from htsweep.planning.notes import notes, varied_notes
from htsweep.planning.plan import plan
from htsweep.results import Results
from htsweep.results.estimate import estimate

SHORT = "fixed: {epochs: 0, source_epochs: 1, source_steps_per_epoch: 1, image_size: 8}\n"


def text_of(dataset: str, **more: object) -> str:
    grid = {"dataset": [dataset], "method": ["source", "plain"], **more}
    return f"task: holistic_transfer\ngrid: {json.dumps(grid)}\n{SHORT}"


def test_a_study_of_digits_has_nothing_to_say(study_file):
    assert (
        notes(read(study_file("task: holistic_transfer\ngrid: {missing_ratio: [0.3, 0.5]}\n")))
        == []
    )


def test_values_that_mean_the_same_are_said_and_planned_once(study_file):
    study = read(
        study_file(
            "task: holistic_transfer\ngrid: {missing_ratio: [0.28, 0.3, 0.5, 0.51], method: "
            "[source, plain]}\n"
        )
    )
    assert notes(study) == [
        "missing_ratio 0.28, 0.3 mean the same and are planned once, as 0.3",
        "missing_ratio 0.5, 0.51 mean the same and are planned once, as 0.5",
    ]
    assert plan(study).trial_count == 4
    assert {sweep.factors["missing_ratio"] for sweep in plan(study).sweeps} == {0.3, 0.5}


def test_an_image_size_that_is_not_the_backbone_s_own_is_said_where_none_is_given(
    study_file, tmp_path
):
    dataset = domains(tmp_path / "images", {"cat": 4, "dog": 4})
    text = (
        f"task: holistic_transfer\ngrid: {{dataset: ['{dataset}'], backbone: "
        "[lenet_bn, resnet10t, resnet18]}\n"
    )

    def said(more: str) -> list[str]:
        return [line for line in notes(read(study_file(text + more))) if "image_size" in line]

    start = (
        "image_size is 224, the default, since the study gives none; `image_size: auto` makes it"
    )
    assert said("") == [
        f'{start} 32 (where backbone "lenet_bn")',
        f'{start} 176 (where backbone "resnet10t")',
    ]
    assert said("fixed: {image_size: 224}\n") == []
    assert said("fixed: {image_size: auto}\n") == []
    assert said("search: {spaces: {all: {image_size: [64, 96]}}}\n") == []


@pytest.mark.parametrize(
    "section", ["fixed: {missing_ratio: 0.28}", "grid: {missing_ratio: [0.28, 0.5]}"]
)
def test_a_value_that_is_planned_as_another_is_said(study_file, section):
    study = read(study_file(f"task: holistic_transfer\n{section}\n"))
    assert notes(study) == ["missing_ratio 0.28 means the same as 0.3, and is planned as 0.3"]


def test_what_has_no_effect_is_said(study_file):
    text = "task: holistic_transfer\ngrid: {{missing_ratio: [0.5]{}}}\n"
    said = "missing_ratio has no effect in this study, given its other settings"
    assert notes(read(study_file(text.format(", missing_classes: [[0, 1]]")))) == [said]
    # In one cell it has.
    assert notes(read(study_file(text.format(", missing_classes: [null, [0, 1]]")))) == []


def test_they_are_said_where_they_do(study_file, tmp_path):
    """Of four classes a quarter is one, as a third is; of ten they differ."""
    dataset = domains(tmp_path / "data", dict.fromkeys("abcd", 3))
    study = read(
        study_file(
            "task: holistic_transfer\ngrid: "
            f"{json.dumps({'dataset': [dataset, 'mnist-uci'], 'missing_ratio': [0.2, 0.3]})}\n"
        )
    )
    assert (
        notes(study)[-1]
        == f'missing_ratio 0.2, 0.3 mean the same and are planned once, as 0.25 (where dataset "{dataset}")'
    )
    assert plan(study).trial_count == 3


def test_how_many_classes_a_ratio_is_is_said_where_it_does_not_say_so_itself(study_file, tmp_path):
    dataset = domains(tmp_path / "data", dict.fromkeys("abc", 3))
    study = read(study_file(text_of(dataset, missing_ratio=[0.5, 0.1])))
    assert notes(study)[-4:] == [
        "missing_ratio 0.7: 2 of 3 classes are missing",
        "missing_ratio 0.3: 1 of 3 classes are missing",
        "missing_ratio 0.5 means the same as 0.7, and is planned as 0.7",
        "missing_ratio 0.1 means the same as 0.3, and is planned as 0.3",
    ]


def test_an_old_name_and_its_new_one_are_one(study_file):
    study = read(
        study_file("task: holistic_transfer\ngrid: {backbone: [tv_resnet50, resnet50.tv_in1k]}\n")
    )
    (said,) = notes(study)
    assert (
        said
        == 'backbone "tv_resnet50", "resnet50.tv_in1k" mean the same and are planned once, as "resnet50.tv_in1k"'
    )


def test_plan_and_launch_say_what_data_is_used(study_file, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = domains(tmp_path / "data", dict.fromkeys("abcd", 3))
    (tmp_path / "data" / "photo" / "a" / "x.heic").write_bytes(b"x")
    file = str(study_file(text_of(dataset, missing_ratio=[0.1, 0.25])))
    said = [
        "dataset art: 12 images in 4 classes, 3 each",
        "dataset photo: 12 images in 4 classes, 3 each; left out: .heic files (1: a/x.heic)",
        "missing_ratio 0.1, 0.25 mean the same and are planned once, as 0.25",
    ]
    assert list(estimate(Results(read(file))).notes) == said
    main_exit(["plan", file])
    told = capsys.readouterr().out
    assert all(told.count(line) == 1 for line in said)
    main_exit(["launch", file, "--on", "inline", "--no-mirror"])
    told = capsys.readouterr().out
    assert all(told.count(line) == 1 for line in said)


def main_exit(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code


@pytest.mark.parametrize(
    ("more", "key", "said"),
    [
        (
            "select: seen_validation\n",
            "select",
            "validation/seen_accuracy, which is not measured: no seen class has an image to",
        ),
        (
            "objectives: [{metric: validation/loss, direction: minimize}]\n",
            "objectives.0.metric",
            "validation/loss is not measured",
        ),
        ("select: source_validation\n", "select", "is not measured"),
    ],
)
def test_what_a_study_decides_by_must_be_measured(study_file, tmp_path, more, key, said):
    dataset = domains(tmp_path / "data", dict.fromkeys("abcd", 2))
    with pytest.raises(StudyError, match=said) as error:
        read(study_file(text_of(dataset) + more))
    assert [problem.key for problem in error.value.problems] == [key]


def test_what_no_class_is_missing_for_is_not_decided_by(study_file):
    text = "task: holistic_transfer\nfixed: {missing_ratio: 0}\nobjectives: [{metric: test/missing_accuracy, oracle: true}]\n"
    with pytest.raises(
        StudyError, match=r"test/missing_accuracy is not measured: no class is missing"
    ):
        read(study_file(text))
    assert Path(study_file(text.replace("missing_ratio: 0", "missing_ratio: 0.1"))).exists()
    read(study_file(text.replace("missing_ratio: 0", "missing_ratio: 0.1")))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grid: {epochs: [2, 4]}\n", "the cosine schedule depends on how long a run is"),
        (
            "grid: {method: [plain]}\nsearch: {sampler: grid, spaces: {all: {epochs: [2, 4]}}}\n",
            "the cosine schedule depends on how long a run is",
        ),
        ("grid: {epochs: [2, 4]}\nfixed: {schedule: constant}\n", ""),
        (
            "grid: {epochs: [2, 4]}\nfixed: {schedule: constant, method: lp_ft}\n",
            "'lp_ft' depends on how long a run is",
        ),
        ("grid: {epochs: [2, 4]}\nfixed: {method: source}\n", ""),
        ("grid: {epochs: [2]}\n", ""),
    ],
)
def test_several_numbers_of_epochs_are_several_trainings_but_at_a_constant_rate(
    study_file, text, told
):
    found = varied_notes(plan(read(study_file(f"task: holistic_transfer\n{text}"))))
    assert len(found) == bool(told)
    assert all(line.startswith("epochs ") and told in line for line in found)
