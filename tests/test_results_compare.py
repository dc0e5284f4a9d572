"""Two sets of trials are matched as a person would, and what differs comes out by how much it does."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from htsweep.cli.app import main
from htsweep.errors import HtsweepError, LedgerError
from htsweep.ledger import Ledger, Record, Store
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.results.compare import Comparison, compare
from htsweep.study.schema import Study

MISSING, SEEN = "test/missing_accuracy", "test/seen_accuracy"


# Studies


STUDY = "task: toy\ngrid: {x: [0.1, 0.5]}\nfixed: {y: 0.5}\nrepetitions: 3\nselect: last\n"


Write = Callable[..., Path]


def fill(
    study: Study, folder: Path, *, shift: float = 0.0, status: str = "done", **more: Any
) -> None:
    """Records of every trial of the study, as a launch leaves them."""
    ledger = Ledger(Store(folder))
    for point, repetition, trial in plan(study).trials():
        score = 0.5 + 0.1 * repetition + shift * (repetition + 1) / 3
        rows = [{"step": step, SEEN: score, MISSING: 1 - score, "seconds": 0.1} for step in (0, 1)]
        record = Record(
            trial,
            "trial",
            status,
            study.task,
            json.dumps(point.config),
            repetition,
            sweep=point.sweep,
            point=point.id,
            point_index=point.index,
            steps=len(rows),
            started=50.0,
            ended=100.0,
            commit="a" * 40,
            dirty=False,
        )
        ledger.append(replace(record, **more), rows)


@pytest.fixture
def study(study_file: Write) -> Study:
    return read(study_file(STUDY))


def test_the_same_study_in_two_folders(study: Study, tmp_path: Path) -> None:
    fill(study, tmp_path / "one")
    fill(study, tmp_path / "two", commit="b" * 40, dirty=True)
    found = compare(study, results=str(tmp_path / "one"), results_b=str(tmp_path / "two"))
    assert (found.matched, found.equal, len(found.only_a)) == (6, 6, 0)
    assert set(found.table["verdict"]) == {"equal"}
    assert found.lines()[0] == "6 trials matched, 6 bit for bit equal (time and memory aside)"
    assert "code bbbbbbb (6, 6 with uncommitted changes)" in found.lines()[2]


def test_a_change_comes_out(study: Study, tmp_path: Path) -> None:
    fill(study, tmp_path / "one")
    fill(study, tmp_path / "two", shift=0.03)
    found = compare(
        study, results=str(tmp_path / "one"), results_b=str(tmp_path / "two"), columns=[SEEN]
    )
    assert (found.matched, found.equal) == (6, 0)
    assert found.table["difference"].tolist() == pytest.approx([0.02, 0.02])
    assert found.table["x"].tolist() == [0.1, 0.5]
    told = json.loads(found.json())
    assert (told["matched"], len(told["differing"]), len(told["table"])) == (6, 6, 2)
    assert "6 differ" in found.lines()[0]


def test_two_studies_are_matched_by_what_they_share(
    study: Study, study_file: Write, tmp_path: Path
) -> None:
    """What one study varies and the other fixes is read from its config."""
    other = read(
        study_file(
            "task: toy\ngrid: {x: [0.5, 0.9], y: [0.2, 0.5]}\nfixed: {steps: 5}\nrepetitions: 2\n",
            "b.yaml",
        )
    )
    fill(study, tmp_path / "results")
    fill(other, tmp_path / "results")
    found = compare(study, other, str(tmp_path / "results"))
    assert found.trials[["x", "y", "repetition"]].to_numpy().tolist() == [
        [0.5, 0.5, 0],
        [0.5, 0.5, 1],
    ]
    assert (len(found.only_a), len(found.only_b)) == (4, 6)
    assert any("only in A: 4 trials (x=0.1 y=0.5 repetition=0" in line for line in found.lines())


def states(study: Study, folder: Path, **words: str) -> Comparison:
    return compare(study, results=str(folder), **words)  # type: ignore[arg-type]


def test_two_states_of_one_study(study: Study, tmp_path: Path) -> None:
    """A folder that was copied together from two holds both ends of a trial; compacting keeps them."""
    fill(study, tmp_path, started=1e9, ended=1e9)
    fill(study, tmp_path, shift=0.3, started=2e9, ended=2e9, commit="b" * 40)
    Ledger(Store(tmp_path)).compact()
    for words in (
        {"before": "2020-01-01"},
        {"before": "2020-01-01T00:00:00+02:00"},
        {"commit": "aaaa"},
    ):
        found = states(study, tmp_path, **words)
        assert (found.matched, found.equal) == (6, 0)
        assert found.table.loc[
            found.table["metric"] == SEEN, "difference"
        ].tolist() == pytest.approx([0.2, 0.2])
    assert states(study, tmp_path, commit="bbb").table["difference"].tolist()[0] == pytest.approx(
        -0.2
    )


def test_a_trial_that_failed_before_and_is_done_since(study: Study, tmp_path: Path) -> None:
    fill(study, tmp_path, status="failed", started=1e9, ended=1e9)
    fill(study, tmp_path, started=2e9, ended=2e9)
    found = states(study, tmp_path, before="2020-01-01")
    assert (found.matched, found.equal, len(found.table)) == (6, 0, 0)
    assert any("6 failed in A and done in B" in line for line in found.lines())


def test_states_without_a_common_trial_say_what_to_do(
    study: Study, study_file: Write, tmp_path: Path
) -> None:
    fill(
        read(study_file(STUDY.replace("repetitions: 3", "repetitions: 2"), "first.yaml")),
        tmp_path,
        ended=1e9,
    )
    for point, repetition, trial in plan(study).trials():
        if repetition == 2:
            record = Record(
                trial,
                "trial",
                "done",
                "toy",
                json.dumps(point.config),
                2,
                sweep=point.sweep,
                point=point.id,
                ended=2e9,
                steps=1,
            )
            Ledger(Store(tmp_path)).append(record, [{"step": 0, SEEN: 0.5}])
    found = states(study, tmp_path, before="2020-01-01")
    assert (found.matched, len(found.only_a), len(found.only_b)) == (0, 4, 2)
    assert "--results-b" in "\n".join(found.lines())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({}, "nothing to compare"),
        ({"before": "soon"}, "2026-11-01"),
        ({"before": "1990-01-01"}, "no trial of study"),
        ({"commit": "c0ffee"}, "no trial ran at it"),
        ({"before": "2020-01-01", "commit": "a"}, "one of them"),
        ({"commit": "a", "results_b": "there"}, "leave out"),
        ({"results_b": "nowhere"}, "no trial of study"),
    ],
)
def test_mistakes_are_told(
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: dict[str, str],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(study, tmp_path / "results")
    with pytest.raises(HtsweepError, match=told):
        compare(study, **words)  # type: ignore[arg-type]


def test_a_column_that_is_not_there_is_told_with_what_is(study: Study, tmp_path: Path) -> None:
    fill(study, tmp_path / "one")
    fill(study, tmp_path / "two")
    with pytest.raises(HtsweepError, match=f"did you mean '{SEEN}'"):
        compare(
            study,
            results=str(tmp_path / "one"),
            results_b=str(tmp_path / "two"),
            columns=["test/sen_accuracy"],
        )
    assert issubclass(LedgerError, HtsweepError)


def test_the_command(
    study: Study,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(study, tmp_path / "results")
    fill(study, tmp_path / "after", shift=0.01)
    for words in (["--columns", SEEN], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["compare", str(study.file), "--results-b", "after", *words])
        assert not ended.value.code
        said = capsys.readouterr().out
        assert json.loads(said)["matched"] == 6 if words == ["--json"] else "B - A" in said
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(study.file)])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
