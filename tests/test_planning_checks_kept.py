"""Mistakes in `keep` and `metrics`, and objectives that are metrics of the study."""

import pytest
from answering import answering

from htsweep.errors import StudyError
from htsweep.planning.reading import read


@pytest.mark.parametrize(
    ("more", "line", "words"),
    [
        ("metrics: [ecee]\n", 5, "no metric 'ecee'; did you mean 'ece'?"),
        ("metrics: ['own_metrics:absent']\n", 5, "own_metrics has no function 'absent'"),
        ("metrics: ['no_such_module:f']\n", 5, "importing no_such_module raised"),
        ("metrics: [ece, ece]\n", 5, "listed twice"),
        ("metrics: [ece, 'quick_task:ece']\n", 5, "has no function 'ece'"),
        ("metrics: 3\n", 5, "must be a list"),
        ("keep: all\n", 5, "logits"),
        (
            "metrics: [ece]\nobjectives: [{metric: test/top5, oracle: true}]\n",
            6,
            "does not measure 'test/top5'",
        ),
        (
            "metrics: [ece]\nobjectives: [{metric: test/ece, direction: minimize}]\n",
            6,
            "is a test column",
        ),
    ],
)
def test_each_is_said_with_its_line(tmp_path, more, line, words):
    with pytest.raises(StudyError) as caught:
        answering(tmp_path, more)
    assert [problem.line for problem in caught.value.problems] == [line]
    assert words in caught.value.problems[0].message


def test_a_metric_is_not_called_like_another_or_like_what_the_task_measures(tmp_path):
    answering(tmp_path)
    (tmp_path / "more_metrics.py").write_text("def ece(o): ...\ndef overall_accuracy(o): ...\n")
    text = (tmp_path / "study.yaml").read_text()
    for name, words in (
        ("ece", "would be called like those of ece"),
        ("overall_accuracy", "itself measures test/overall_accuracy"),
    ):
        (tmp_path / "study.yaml").write_text(f"{text}metrics: [ece, 'more_metrics:{name}']\n")
        with pytest.raises(StudyError, match=words):
            read(tmp_path / "study.yaml")


def test_a_metric_of_the_study_may_be_an_objective(tmp_path):
    study = answering(
        tmp_path,
        "metrics: [worst_class, per_class_accuracy]\n"
        "objectives: [{metric: test/worst_class, oracle: true}, "
        "{metric: validation/source_per_class_accuracy_3}]\n",
    )
    assert [objective.metric for objective in study.objectives] == [
        "test/worst_class",
        "validation/source_per_class_accuracy_3",
    ]


@pytest.mark.parametrize("key", ["keep: logits", "metrics: [ece]"])
def test_a_task_that_hands_over_no_logits_is_refused(study_file, key):
    with pytest.raises(StudyError, match="hands over no logits"):
        read(study_file(f"task: toy\n{key}\n"))
    read(study_file("task: toy\nkeep: nothing\n"))


def test_a_protocol_may_need_a_metric_of_the_study(tmp_path):
    answering(tmp_path)
    (tmp_path / "sure_protocol.py").write_text(
        "from htsweep.selection import Protocol, last_steps\n"
        "SURE = Protocol(name='sure', line='the last', pick=last_steps, reads=('validation/ece',),"
        " needs=(('validation/ece',),))\n"
    )
    text = (tmp_path / "study.yaml").read_text().replace("seen_validation", "sure_protocol:SURE")
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StudyError, match="reads validation/ece, but task"):
        read(tmp_path / "study.yaml")
    (tmp_path / "study.yaml").write_text(f"{text}metrics: [ece]\n")
    read(tmp_path / "study.yaml")
