"""An ensemble is the mean of its members' probabilities on the same images, and of nothing else."""

import json

import numpy as np
import pytest
from answering import answering, run

from htsweep.errors import HtsweepError
from htsweep.ledger import Ledger, Store, kept
from htsweep.results.ensemble import TOGETHER, ensemble, lines

GRID = "task: quick_task:answering\ngrid: {spread: [0.5, 2.0, 3.0]}\nrepetitions: 2\n"


@pytest.fixture
def study(tmp_path):
    study = answering(tmp_path, text=GRID)
    run(study, tmp_path / "r")
    return study


def answers(folder):
    """(spread, repetition) -> the trial's id and its test outputs at the last step."""
    store = Store(folder)
    rows = Ledger(store).trials(["trial", "config", "repetition", "artifact"]).to_pylist()
    return {
        (json.loads(row["config"])["spread"], row["repetition"]): (
            row["trial"],
            kept.read(store, kept.of(row["artifact"]))[2]["test"],
        )
        for row in rows
    }


def softmax(logits):
    exponentials = np.exp(logits.astype(np.float64))
    return exponentials / exponentials.sum(1, keepdims=True)


def accuracy(scores, outputs, missing):
    of = np.isin(outputs.labels, outputs.missing) == missing
    return (scores.argmax(1) == outputs.labels)[of].mean()


@pytest.mark.parametrize("spreads", [(0.5, 2.0), (0.5, 2.0, 3.0)])
def test_of_two_trials_by_their_ids(study, tmp_path, spreads):
    held = answers(tmp_path / "r")
    mine = [held[spread, 1] for spread in spreads]
    table = ensemble(study, [trial for trial, _ in mine], str(tmp_path / "r"))
    scores = [softmax(outputs.logits) for _, outputs in mine]
    for (_, row), score in zip(table.iterrows(), [*scores, sum(scores) / len(scores)], strict=True):
        for name, missing in (("seen", False), ("missing", True)):
            assert row[name] == pytest.approx(accuracy(score, mine[0][1], missing))
    assert table["member"].tolist()[-1] == TOGETHER
    assert table["n"].eq(1).all()


def test_by_what_they_are_each_repetition_by_itself(study, tmp_path):
    held = answers(tmp_path / "r")
    table = ensemble(study, ["0.5", "spread=2"], str(tmp_path / "r")).set_index("member")
    assert table["n"].tolist() == [2, 2, 2]
    both = [
        (softmax(held[0.5, number][1].logits) + softmax(held[2.0, number][1].logits)) / 2
        for number in range(2)
    ]
    expected = [
        (score.argmax(1) == held[0.5, number][1].labels).mean() for number, score in enumerate(both)
    ]
    assert table.loc[TOGETHER, "overall"] == pytest.approx(np.mean(expected))
    text = "\n".join(lines(table.reset_index()))
    assert f"{100 * np.mean(expected):.2f} %" in text


def test_the_first_letters_of_an_id_are_enough(study, tmp_path):
    held = answers(tmp_path / "r")
    one, other = held[0.5, 0][0], held[2.0, 0][0]
    whole, short = (
        ensemble(study, names, str(tmp_path / "r")).drop(columns="member")
        for names in ([one, other], [one[:9], other[:9]])
    )
    assert whole.equals(short)


def test_trials_of_different_repetitions_are_refused(study, tmp_path):
    held = answers(tmp_path / "r")
    with pytest.raises(HtsweepError, match="were tested on other images"):
        ensemble(study, [held[0.5, 0][0], held[0.5, 1][0]], str(tmp_path / "r"))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (["0.5"], "takes two trials or more, but got 1"),
        (["0.5", "9"], "'9' is no trial's id, and no chosen point of the study is that"),
        (["0.5", "sprad=2"], "varies no 'sprad'; did you mean 'spread'"),
    ],
)
def test_names_that_mean_nothing_are_refused(study, tmp_path, members, words):
    with pytest.raises(HtsweepError, match=words):
        ensemble(study, members, str(tmp_path / "r"))


def test_without_logits_it_says_how_to_keep_them(tmp_path):
    study = answering(tmp_path, text=GRID)
    run(study, tmp_path / "r", "nothing")
    with pytest.raises(HtsweepError, match="no logits are kept; `keep: logits`"):
        ensemble(study, ["0.5", "2"], str(tmp_path / "r"))
