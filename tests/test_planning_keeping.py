"""What is kept follows from the study, its protocol and its size; none of it is part of an id."""

import pytest
from answering import answering

from htsweep.planning import keeping as home
from htsweep.planning.keeping import amount, keeping
from htsweep.planning.plan import plan
from htsweep.planning.reading import read


@pytest.mark.parametrize(
    ("more", "steps"),
    [
        ("select: seen_validation\n", "every"),
        ("", "final"),
        ("keep: nothing\n", "nothing"),
        ("keep: logits\nselect: test_accuracy\n", "every"),
    ],
)
def test_the_steps_are_those_that_the_protocol_may_pick(tmp_path, more, steps):
    text = "task: quick_task:answering\nrepetitions: 3\n"
    assert keeping(plan(answering(tmp_path, more, text))).steps == steps


def test_the_size_counts_steps_images_and_trials(tmp_path):
    study = answering(tmp_path)
    size = keeping(plan(study)).size
    logits = 50 * 6 * 2 * 3  # images, classes, bytes, steps
    assert size == pytest.approx(4 * logits, rel=1.5)
    longer = answering(tmp_path / "b", "fixed: {steps: 200}\n")
    assert keeping(plan(longer)).size == pytest.approx(4 * 50 * 6 * 2 * 201, rel=0.1)


def test_a_study_that_would_keep_too_much_keeps_nothing_unless_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(home, "LIMIT", 5000)
    kept = keeping(plan(answering(tmp_path)))
    assert kept.steps == "nothing"
    assert "more than 5 kB; `keep: logits` in the study keeps them" in kept.line
    assert keeping(plan(answering(tmp_path, "keep: logits\n"))).steps == "every"


def test_where_every_step_is_too_much_the_last_one_is_kept(tmp_path, monkeypatch):
    every = keeping(plan(answering(tmp_path)))
    monkeypatch.setattr(home, "LIMIT", every.size - 1)
    kept = keeping(plan(answering(tmp_path)))
    assert kept.steps == "final"
    assert kept.size < every.size
    assert f"alone, since those of every step would take about {amount(every.size)}" in kept.line
    assert keeping(plan(answering(tmp_path, "keep: logits\n"))).steps == "every"


def test_features_are_kept_where_the_study_says_so_alone(tmp_path):
    plain, more = (keeping(plan(answering(tmp_path, text))) for text in ("", "keep: features\n"))
    assert not plain.features
    assert more.features
    assert more.steps == plain.steps == "every"
    assert "logits and features of each trial at each measured step" in more.line
    assert "besides the features, 2 bytes for each number" in more.line


def test_a_task_that_hands_over_nothing_keeps_nothing(study_file):
    assert keeping(plan(read(study_file("task: toy\n")))) == home.Keeping("nothing", "")


def test_neither_keep_nor_metrics_are_part_of_an_id(tmp_path):
    ids = {
        tuple(trial for _, _, trial in plan(answering(tmp_path, more)).trials())
        for more in ("", "keep: nothing\n", "metrics: [ece, 'own_metrics:right']\n")
    }
    assert len(ids) == 1


def test_amounts_have_units():
    assert [amount(count) for count in (0, 999, 1000, 34_300_000)] == [
        "0 B",
        "999 B",
        "1 kB",
        "34.3 MB",
    ]
