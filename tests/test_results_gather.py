"""Results of several folders come together by copying: what is there is not run again, and nothing is lost."""

from pathlib import Path

import pytest
from answering import answering, run
from typer.testing import CliRunner

from htsweep.cli.app import app
from htsweep.errors import HtsweepError, LedgerError
from htsweep.ledger import Ledger, Store
from htsweep.results import Results
from htsweep.results.gather import gather

OTHER = "task: quick_task:answering\ngrid: {spread: [2.0, 3.0]}\nrepetitions: 2\n"


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parts[-2] != "logs"
    }


def done(folder: Path) -> set[str]:
    return set(Ledger(Store(folder)).trials(["trial"]).column("trial").to_pylist())


@pytest.fixture
def two(tmp_path):
    """Two folders, of two studies that share the two trials of spread 2."""
    mine, theirs = answering(tmp_path / "a"), answering(tmp_path / "b", text=OTHER)
    run(mine, tmp_path / "r1")
    run(theirs, tmp_path / "r2")
    return mine, theirs, tmp_path / "r1", tmp_path / "r2"


def test_what_each_has_is_in_one_folder_and_nothing_is_changed(two, tmp_path):
    mine, theirs, one, other = two
    before = files(one), files(other)
    found = gather([str(one), str(other)], str(tmp_path / "all"))
    assert (files(one), files(other)) == before
    assert done(tmp_path / "all") == done(one) | done(other)
    assert found.trials == len(done(one) | done(other)) == 6
    assert {place: counts[:2] for place, counts in found.copied.items()} == {
        str(one): (4, 4),
        str(other): (4, 2),
    }
    assert found.differing == ()
    for study, place in ((mine, one), (theirs, other)):
        own, all_of = (Results(study, str(folder)) for folder in (place, tmp_path / "all"))
        columns = [name for name in own.measurements() if "seconds" not in name]
        assert all_of.measurements()[columns].equals(own.measurements()[columns])
        for trial in own.trials["trial"]:
            kept, held = own.outputs(trial), all_of.outputs(trial)
            assert kept.keys() == held.keys()
            assert all(
                (kept[step][split].logits == held[step][split].logits).all()
                for step in kept
                for split in kept[step]
            )


def test_a_second_time_nothing_is_copied_and_into_a_folder_of_results_only_what_it_lacks(two):
    _, _, one, other = two
    first = gather([str(other)], str(one))
    assert first.copied[str(other)][:2] == (4, 2)
    again = gather([str(other)], str(one))
    assert again.copied[str(other)] == (4, 0, 0)
    assert again.trials == first.trials == 6


def test_merged_objects_are_gathered_too(two, tmp_path):
    _, _, one, other = two
    for place in (one, other):
        Ledger(Store(place)).compact()
    found = gather([str(one), str(other)], str(tmp_path / "all"))
    assert found.trials == 6
    assert found.differing == ()
    assert len(Ledger(Store(tmp_path / "all")).measurements()) == 18


def test_a_trial_that_was_measured_differently_is_named(two, tmp_path):
    _, _, one, _ = two
    odd = tmp_path / "odd"
    ledger = Ledger(Store(one))
    table = ledger.trials().to_pylist()
    from htsweep.ledger import Record

    row = table[0]
    steps = [
        {key: value for key, value in step.items() if key not in ("trial", "record")}
        for step in ledger.measurements().to_pylist()
        if step["trial"] == row["trial"]
    ]
    steps[-1] = {**steps[-1], "test/overall_accuracy": 0.123}
    fields = {name: row[name] for name in Record.__dataclass_fields__ if name in row}
    Ledger(Store(odd)).append(Record(**fields), steps)
    found = gather([str(one), str(odd)], str(tmp_path / "all"))
    assert found.differing == (row["trial"],)
    assert row["trial"] in "\n".join(found.lines())
    assert found.trials == 4
    # Which one counts does not depend on the order of the folders.
    turned = tmp_path / "turned"
    gather([str(odd), str(one)], str(turned))
    assert (
        Ledger(Store(turned)).measurements().to_pylist()
        == Ledger(Store(tmp_path / "all")).measurements().to_pylist()
    )


def test_a_copy_that_failed_half_way_goes_on(two, tmp_path, monkeypatch):
    _, _, one, _ = two
    written, whole = [], Store.write

    def full(self, name, data):
        if len(written) >= 5:
            raise LedgerError("the disk is full")
        written.append(name)
        whole(self, name, data)

    monkeypatch.setattr(Store, "write", full)
    with pytest.raises(LedgerError, match="disk is full"):
        gather([str(one)], str(tmp_path / "all"))
    monkeypatch.undo()
    assert done(tmp_path / "all") == set()  # what commits comes last
    assert gather([str(one)], str(tmp_path / "all")).trials == 4


def test_folders_that_make_no_sense_are_refused(two, tmp_path):
    _, _, one, _ = two
    (tmp_path / "empty").mkdir()
    with pytest.raises(HtsweepError, match="holds no results"):
        gather([str(tmp_path / "empty")], str(tmp_path / "all"))
    for twice in ([str(one)], [str(one) + "/"]):
        with pytest.raises(HtsweepError, match="named twice"):
            gather(twice, str(one))
    assert not (tmp_path / "all").exists()


def test_the_command_says_what_came(two, tmp_path):
    _, _, one, other = two
    said = CliRunner().invoke(
        app, ["gather", str(one), str(other), "--results", str(tmp_path / "all")]
    )
    assert said.exit_code == 0, said.output
    lines = said.output.splitlines()
    assert lines[0].startswith(f"{one}: trials done 4, new 4; ")
    assert lines[1].startswith(f"{other}: trials done 4, new 2; ")
    assert lines[-1] == f"{tmp_path / 'all'}: trials done 6"
