"""What images add is read for the chosen points alone, and only where the images are sure."""

import answering
import numpy as np
import pytest

from htsweep.ledger import kept
from htsweep.report import build
from htsweep.results import Results
from htsweep.results import images as home
from htsweep.results.images import images_of
from tasks.task import Evidence, ImagesTested
from tasks.tested import influence


@pytest.fixture
def results(tmp_path):
    """Of trials that name their test images by their repetition's seed."""
    named = answering.MODULE.replace('split, "",', 'split, f"{seed}{split}",')
    assert named != answering.MODULE
    # Under a name of its own: a process imports a module once.
    (tmp_path / "naming_task.py").write_text(named, encoding="utf-8")
    study = answering.answering(
        tmp_path, text=answering.STUDY.replace("quick_task:", "naming_task:")
    )
    answering.run(study, tmp_path / "r")
    return Results(study, str(tmp_path / "r"))


@pytest.fixture
def known(results, monkeypatch):
    """The task says which images these are: thirty of forty are shared with the next repetition."""
    task = results.plan.task.run
    answers = {
        "tested": lambda config, repetition, seed: ImagesTested(
            f"{seed('data')}test", np.arange(40) + 10 * repetition
        ),
        "influence": influence,
        "evidence": lambda config: Evidence("pool"),
    }
    for name, value in answers.items():
        monkeypatch.setattr(task, name, value, raising=False)
    return results


def test_a_task_that_does_not_say_leaves_images_unknown(results):
    assert images_of(results, results.measurements()) is None


def test_it_reads_the_chosen_points_at_the_chosen_step(known, monkeypatch):
    read = []
    original = kept.read
    monkeypatch.setattr(
        kept, "read", lambda store, name: (read.append(name), original(store, name))[1]
    )
    found = images_of(known, known.measurements())
    chosen = known.choice
    ended = known.trials
    own = ended[ended["point"].isin(chosen["point"])]
    assert set(found.trials) == {
        (row["sweep"], row["repetition"]) for row in own.to_dict("records")
    }
    assert sorted(read) == sorted(kept.of(name) for name in own["artifact"])
    steps = chosen.set_index("sweep")["step"]
    for row in own.to_dict("records"):
        outputs = original(known.store, kept.of(row["artifact"]))[steps[row["sweep"]]]["test"]
        added = found.trials[row["sweep"], row["repetition"]].added["test/overall_accuracy"]
        assert added == pytest.approx(influence(outputs)["test/overall_accuracy"] / 40)
    places = {
        repetition: {
            tuple(one.images.tolist())
            for (_, number), one in found.trials.items()
            if number == repetition
        }
        for repetition in ended["repetition"].unique()
    }
    # All that a repetition trains tests the same images, and the next tests ten others.
    assert all(len(own) == 1 for own in places.values())
    first, second = (set(next(iter(places[number]))) for number in (0, 1))
    assert len(first & second) == 30


def test_images_that_are_others_than_the_task_says_are_not_used(known, monkeypatch):
    monkeypatch.setattr(
        known.plan.task.run,
        "tested",
        lambda config, repetition, seed: ImagesTested("other", np.arange(40)),
    )
    assert images_of(known, known.measurements()) is None


def test_of_a_study_with_too_many_logits_none_are_read(known, monkeypatch):
    monkeypatch.setattr(home, "MOST_BYTES", 10)
    monkeypatch.setattr(kept, "read", lambda store, name: pytest.fail("it was read"))
    assert images_of(known, known.measurements()) is None


def test_a_report_tests_its_differences_by_them(known):
    found = build.findings(known)
    rows = found.effects[found.effects["metric"] == "test/overall_accuracy"]
    assert set(rows["new_images"]) == {"crossed"}
