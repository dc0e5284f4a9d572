"""What a report says of classes is what the chosen trials' logits say, at the chosen step."""

import json
import re

import numpy as np
import pytest
from answering import answering, run

from htsweep.ledger import kept
from htsweep.report import build
from htsweep.results import Results
from htsweep.results import answered as home
from htsweep.results.answered import answered, each_trial


@pytest.fixture
def results(tmp_path):
    study = answering(tmp_path)
    run(study, tmp_path / "r")
    return Results(study, str(tmp_path / "r"))


def test_it_counts_the_test_images_of_the_chosen_step(results):
    table = answered(results, results.measurements())
    choice = results.choice.set_index("sweep")["step"]
    rows = results.trials
    assert set(table["trial"]) == set(rows["trial"])
    for row in rows.to_dict("records"):
        outputs = kept.read(results.store, kept.of(row["artifact"]))[choice[row["sweep"]]]["test"]
        own = table[table["trial"] == row["trial"]]
        assert own["images"].sum() == len(outputs.labels)
        for label, predicted, images, missing in own[
            ["label", "predicted", "images", "missing"]
        ].itertuples(index=False):
            hits = (outputs.labels == label) & (outputs.logits.argmax(1) == predicted)
            assert images == hits.sum()
            assert missing == (label in outputs.missing)
    found = build.findings(results)
    right = table[table["label"] == table["predicted"]].groupby(["trial", "label"])["images"].sum()
    of = table.groupby(["trial", "label"])["images"].sum()
    shares = (right.reindex(of.index).fillna(0) / of).groupby("label").mean()
    means = found.classes.groupby("label")["mean"].mean()
    assert means.to_numpy() == pytest.approx(shares.to_numpy())
    assert found.confusion.groupby(["sweep", "label"])["share"].sum().to_numpy() == pytest.approx(1)


def test_of_a_large_study_the_first_repetitions_are_read(results, monkeypatch):
    monkeypatch.setattr(home, "MOST_TRIALS", 3)
    table = answered(results, results.measurements())
    rows = results.trials.set_index("trial")["repetition"]
    assert set(rows[table["trial"].unique()]) == {0}
    monkeypatch.setattr(home, "MOST_TRIALS", 1)
    assert answered(results, results.measurements()) is None
    assert build.findings(results).classes.empty


def test_without_logits_there_is_nothing_to_say(tmp_path):
    study = answering(tmp_path)
    run(study, tmp_path / "r", "nothing")
    read = Results(study, str(tmp_path / "r"))
    assert answered(read, read.measurements()) is None
    html = build.page(build.findings(read))
    assert re.search(r"No data for: [^.]*\bclasses\b", html)
    assert 'data-chart="classes"' not in html


def test_the_page_draws_them_and_has_their_table(results):
    html = build.page(build.findings(results))
    data = json.loads(
        re.search(r'<script type="application/json" id="findings">(.*?)</script>', html, re.S)[1]
    )
    found = build.findings(results)
    assert data["classes"]["mean"] == pytest.approx(
        (100 * found.classes["mean"]).tolist(), rel=1e-4
    )
    assert np.sum(data["confusion"]["share"]) == pytest.approx(100 * found.confusion["share"].sum())
    assert {len(data["confusion"][name]) for name in ("g", "m", "label", "predicted", "share")} == {
        len(found.confusion)
    }
    assert 'data-chart="classes"' in html
    assert 'data-chart="confusion"' in html
    assert "Accuracy of each class" in html


def test_each_trial_is_counted_at_its_last_step(results):
    table, why = each_trial(results)
    assert why == ""
    rows = results.trials.set_index("trial")
    assert set(table["trial"]) == set(rows.index)
    for row in table.to_dict("records"):
        steps = kept.read(results.store, kept.of(rows.loc[row["trial"], "artifact"]))
        outputs = steps[max(steps)]["test"]
        count = outputs.logits.shape[1]
        assert (row["step"], row["classes"]) == (max(steps), count)
        assert row["missing"] == [int(one) for one in outputs.missing]
        matrix = np.zeros((count, count), int)
        np.add.at(matrix, (outputs.labels, outputs.logits.argmax(1)), 1)
        told = np.zeros(count * count, int)
        told[row["cells"]] = row["images"]
        assert (told.reshape(count, count) == matrix).all()


@pytest.mark.parametrize(("name", "most"), [("MOST_TRIALS", 3), ("MOST_PAIRS", 5)])
def test_of_many_trials_only_what_was_chosen_is_on_the_page(results, monkeypatch, name, most):
    monkeypatch.setattr(home, name, most)
    assert each_trial(results)[0] is None
    html = build.page(build.findings(results))
    assert "The matrices of single trials are not part of this page, since" in html
    assert 'data-chart="matrices"' not in html
    assert 'data-chart="classes"' in html
