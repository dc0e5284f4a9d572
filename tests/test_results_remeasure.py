"""A metric that is added later has the numbers that it would have had; nothing is trained, lost or counted twice."""

import shutil
from pathlib import Path

import changing
import pytest
from answering import answering, run
from ledgers import asked, looked

import htsweep
from htsweep.errors import HtsweepError, LedgerError
from htsweep.ledger import Ledger, Store, remeasured
from htsweep.mirror.updating import settle
from htsweep.results import Results, remeasure
from htsweep.results.clean import clean
from htsweep.results.estimate import estimate
from htsweep.results.remeasure import remeasure as again

ALL = "metrics: [ece, per_class_accuracy, 'own_metrics:by_group', auroc, worst_class, top5]\n"


def measured(folder: Path) -> dict[tuple[str, int], dict]:
    table = Ledger(Store(folder)).measurements().to_pylist()
    return {
        (row["trial"], row["step"]): {key: row[key] for key in row if row[key] is not None}
        for row in table
    }


@pytest.mark.parametrize("compact", [False, True])
def test_measuring_later_equals_measuring_in_the_trial_bit_for_bit(tmp_path, compact):
    run(answering(tmp_path, ALL), tmp_path / "during")
    run(answering(tmp_path), tmp_path / "after")
    if compact:
        Ledger(Store(tmp_path / "after")).compact()
    assert measured(tmp_path / "after") != measured(tmp_path / "during")
    done = again(answering(tmp_path, ALL), str(tmp_path / "after"))
    assert (done.measured, done.nothing_kept, dict(done.changed), done.failed) == (4, 0, {}, {})
    drawn = "train/drawn"
    one, other = (
        {key: {name: row[name] for name in row if name != drawn} for key, row in rows.items()}
        for rows in (measured(tmp_path / "after"), measured(tmp_path / "during"))
    )
    assert one == other
    added = {name for row in one.values() for name in row} - {
        *("trial", "step", "test/overall_accuracy", "validation/seen_accuracy")
    }
    assert set(done.added) == added
    assert sum(done.added.values()) == sum(len(added & row.keys()) for row in one.values())


def test_a_second_time_adds_nothing(tmp_path):
    study = answering(tmp_path, ALL)
    run(answering(tmp_path), tmp_path / "r")
    again(study, str(tmp_path / "r"))
    before = measured(tmp_path / "r")
    objects = [entry.name for entry in Store(tmp_path / "r").list("remeasured")]
    done = again(study, str(tmp_path / "r"))
    assert dict(done.added) == {}
    assert [entry.name for entry in Store(tmp_path / "r").list("remeasured")] == objects
    assert measured(tmp_path / "r") == before


def test_readers_see_ordinary_columns(tmp_path):
    run(answering(tmp_path), tmp_path / "r")
    study = answering(tmp_path, ALL)
    again(study, str(tmp_path / "r"))
    shutil.copytree(tmp_path / "r", tmp_path / "copied")
    for place in (str(tmp_path / "r"), str(tmp_path / "copied")):
        table = htsweep.measurements(study, place)
        assert table["test/ece"].notna().all()
        means = htsweep.query(
            study,
            'SELECT spread, avg("test/by_group_missing") AS m FROM points GROUP BY ALL',
            place,
        )
        assert len(means) == 2
        assert means["m"].between(0, 1).all()
        chosen = htsweep.query(study, 'SELECT "validation/source_ece" FROM chosen', place)
        assert chosen.notna().all(axis=None)


def test_one_that_dies_half_way_goes_on(tmp_path, monkeypatch):
    run(answering(tmp_path), tmp_path / "r")
    run(answering(tmp_path), tmp_path / "whole")
    study = answering(tmp_path, ALL)
    again(study, str(tmp_path / "whole"))
    monkeypatch.setattr(remeasure, "AT_ONCE", 5)
    add, calls = remeasured.add, []

    def dies(store, rows):
        calls.append(len(rows))
        if len(calls) == 2:
            raise LedgerError("the disk is full")
        return add(store, rows)

    monkeypatch.setattr(remeasured, "add", dies)
    with pytest.raises(LedgerError, match="full"):
        again(study, str(tmp_path / "r"))
    assert sum("test/ece" in row for row in measured(tmp_path / "r").values()) == 5
    again(study, str(tmp_path / "r"))
    strip = {
        place: {key: {n: row[n] for n in row if n != "train/drawn"} for key, row in found.items()}
        for place in ("r", "whole")
        if (found := measured(tmp_path / place))
    }
    assert strip["r"] == strip["whole"]


def test_a_function_that_was_changed_is_noticed_and_replaced_only_when_asked(tmp_path, monkeypatch):
    monkeypatch.setattr(changing, "VALUE", 1.0)
    study = answering(tmp_path, "metrics: ['changing:value']\n")
    run(study, tmp_path / "r")
    monkeypatch.setattr(changing, "VALUE", 1.0 + 1e-13)
    assert not again(study, str(tmp_path / "r")).changed, "another processor may round otherwise"
    monkeypatch.setattr(changing, "VALUE", 2.0)
    done = again(study, str(tmp_path / "r"))
    assert done.changed == {"test/value": 12, "validation/source_value": 12}
    assert "was a function changed? --replace takes the new ones" in "\n".join(done.lines())
    assert {row["test/value"] for row in measured(tmp_path / "r").values()} == {1.0}
    done = again(study, str(tmp_path / "r"), replace=True)
    assert done.added == {"test/value": 12, "validation/source_value": 12}
    assert {row["test/value"] for row in measured(tmp_path / "r").values()} == {2.0}
    assert not again(study, str(tmp_path / "r")).changed


def test_it_says_what_it_could_not_measure(tmp_path):
    study = answering(tmp_path, "metrics: [ece, 'own_metrics:broken']\n")
    run(answering(tmp_path), tmp_path / "r")
    objects = sorted((tmp_path / "r" / "logits").rglob("*.npz"))
    objects[0].unlink()
    objects[1].write_bytes(b"damaged")
    done = again(study, str(tmp_path / "r"))
    assert (done.measured, done.nothing_kept, len(done.unreadable)) == (2, 1, 1)
    said = "\n".join(done.lines())
    assert "1 finished trials have no logits" in said
    assert (
        "failed  own_metrics:broken, 6 times: metric own_metrics:broken raised IndexError" in said
    )
    assert f"{objects[1].name} does not hold what its name says" in said
    assert sum("test/ece" in row for row in measured(tmp_path / "r").values()) == 6


def test_where_nothing_was_kept_nothing_is_measured(tmp_path):
    run(answering(tmp_path), tmp_path / "r", "nothing")
    done = again(answering(tmp_path, ALL), str(tmp_path / "r"))
    assert (done.measured, done.nothing_kept, dict(done.added)) == (0, 4, {})


def test_failed_trials_are_not_measured(tmp_path):
    study = answering(tmp_path, "metrics: ['own_metrics:broken']\n")
    assert {end.status for end in run(study, tmp_path / "r")} == {"failed"}
    done = again(answering(tmp_path, ALL), str(tmp_path / "r"))
    assert (done.measured, done.nothing_kept) == (0, 0)


def test_a_study_without_metrics_is_told_how_to_name_one(tmp_path):
    with pytest.raises(HtsweepError, match=r"add a line such as `metrics: \[ece\]`"):
        again(answering(tmp_path), str(tmp_path / "r"))


def test_mlflow_is_brought_up_to_date(tmp_path):
    run(answering(tmp_path), tmp_path / "r")
    study = answering(tmp_path, ALL)
    results = Results(study, str(tmp_path / "r"))
    database = tmp_path / "r" / "mlflow.db"
    count = "SELECT count(*) FROM metrics JOIN runs USING (run_uuid) WHERE key = 'test/ece'"
    assert settle(results, "", 0.0)[0] == 4
    assert asked(database, count) == [(0,)]
    again(study, str(tmp_path / "r"))
    assert not looked(study, tmp_path / "r").whole
    assert settle(results.reread(), "", 0.0)[0] == 4
    assert asked(database, count) == [(12,)]
    assert asked(database, "SELECT count(DISTINCT run_uuid) FROM metrics") == [(4,)]
    assert looked(study, tmp_path / "r").whole
    assert settle(results.reread(), "", 0.0)[0] == 0


def test_a_plan_names_the_command_once_there_are_trials(tmp_path):
    study = answering(tmp_path, "metrics: [ece]\n")
    lines = estimate(Results(study, str(tmp_path / "r"))).lines()
    assert "metrics ece" in lines
    run(study, tmp_path / "r")
    [line] = [
        line
        for line in estimate(Results(study, str(tmp_path / "r"))).lines()
        if line.startswith("metrics ")
    ]
    command = f"htsweep remeasure {tmp_path}/study.yaml --results {tmp_path}/r"
    assert line == f"metrics ece; to add them to trials that ended before: {command}"


def test_what_is_added_or_removed_makes_a_report_outdated(tmp_path):
    study = answering(tmp_path, "metrics: [ece]\n")
    run(answering(tmp_path), tmp_path / "r")

    def state():
        return Results(study, str(tmp_path / "r")).state

    states = [state()]
    again(study, str(tmp_path / "r"))
    states.append(state())
    again(study, str(tmp_path / "r"))
    assert state() == states[-1], "nothing was added"
    clean(str(tmp_path / "r"), logits=True, yes=True)
    states.append(state())
    assert len(set(states)) == 3
