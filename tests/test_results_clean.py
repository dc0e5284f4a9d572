"""Nothing is removed that a record names, unless logits are to go; and nothing at all without a yes."""

import os
import time
from pathlib import Path

import pytest
from answering import answering, run

from htsweep.errors import HtsweepError
from htsweep.ledger import Lease, Ledger, Store
from htsweep.results import Results
from htsweep.results.clean import YOUNG_SECONDS, clean


def files(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.parts[-2] not in ("trials", "measurements")
    }


@pytest.fixture
def results(tmp_path):
    """Two studies' finished trials; logits that a killed trial left, young and old; a state of a trial that is over."""
    place = tmp_path / "r"
    run(answering(tmp_path), place)
    other = "task: quick_task:answering\ngrid: {spread: [0.7]}\n"
    run(answering(tmp_path / "other", text=other), place)
    trial = Ledger(Store(place)).trials(["trial"]).column("trial")[0].as_py()
    for name in ("logits/killed/0001.npz", "logits/killed/0002.npz", f"states/{trial}/1-2"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(b"left")
    (place / "states" / "running").mkdir()
    (place / "states" / "running" / "1-2").write_bytes(b"needed")
    old = time.time() - 2 * YOUNG_SECONDS
    os.utime(place / "logits/killed/0001.npz", (old, old))
    return place


def test_nothing_is_removed_without_a_yes(results):
    before = files(results)
    lines = clean(str(results), logits=True)
    assert files(results) == before
    assert lines[-1].startswith("nothing was removed; --yes removes these 8 objects, ")


def test_what_killed_trials_left_goes_and_what_is_young_or_needed_stays(results):
    before = files(results)
    assert clean(str(results), yes=True)[-1] == "removed 2 objects, 8 B"
    gone = before - files(results)
    assert {name.split("/")[0] for name in gone} == {"logits", "states"}
    assert "logits/killed/0001.npz" in gone
    assert "states/running/1-2" in files(results)
    assert clean(str(results), yes=True) == [f"{results}: nothing to remove"]


def test_logits_go_and_measurements_stay(results):
    before = Ledger(Store(results)).measurements().to_pylist()
    clean(str(results), logits=True, yes=True)
    assert not [name for name in files(results) if name.startswith("logits/")]
    assert Ledger(Store(results)).measurements().to_pylist() == before


def test_of_one_study_only_its_own_go(results, tmp_path):
    study = answering(tmp_path)
    clean(str(results), Results(study, str(results)), logits=True, yes=True)
    own = set(Results(study, str(results)).trials["trial"])
    left = {name.split("/")[1] for name in files(results) if name.startswith("logits/")}
    assert left.isdisjoint(own)
    assert len(left) == 2, "the other study's trial, and what names no study"


def test_nothing_is_removed_while_a_study_is_launched(results):
    lease = Lease(Store(results), "study-digits")
    assert lease.take() is None
    before = files(results)
    try:
        with pytest.raises(HtsweepError, match="'digits' is being launched by process"):
            clean(str(results), logits=True, yes=True)
        assert files(results) == before
        assert clean(str(results), logits=True)[-1].startswith("nothing was removed")
    finally:
        lease.release()
