"""A mirror in a real PostgreSQL says what one in SQLite says, also after the server was away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mirrored import FEW, ODD, STUDY, empty, run
from mlflow.tracking import MlflowClient
from postgres import PASSWORD, Postgres, postgres, programs

from htsweep.mirror.copying import OUTAGES, Mirror, explained, may_pass
from htsweep.mirror.run import TRIAL

pytestmark = pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as made:
        yield made


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # where MLflow keeps the artifacts of such a store


def told(uri: str, study: str) -> dict[str, Any]:
    """What MLflow's client reads of each run of a study, by its trial."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    by_trial = {run.data.tags[TRIAL]: run for run in runs}
    assert len(by_trial) == len(runs)
    return {
        trial: (
            run.info.run_name,
            run.info.status,
            (run.info.start_time, run.info.end_time),
            run.data.tags,
            run.data.params,
            {
                name: sorted(
                    (point.step, str(point.value), point.timestamp)
                    for point in client.get_metric_history(run.info.run_id, name)
                )
                for name in run.data.metrics
            },
        )
        for trial, run in by_trial.items()
    }


def test_it_has_what_sqlite_has(server: Postgres, tmp_path: Path) -> None:
    database = f"sqlite:///{empty(tmp_path / 'mlflow.db')}"
    runs = [*FEW[:3], ODD, FEW[4]]  # `ODD` has all that MLflow may refuse
    for uri in (database, server.uri):
        mirror = Mirror(uri, STUDY)
        assert mirror.write(runs) == 5
        assert mirror.write(runs) == 0
        assert mirror.select({run(0).trial: ["balanced", "oracle"]}) == 1
    assert Mirror(server.uri, STUDY).lacking({run(1).trial: "first", run(2).trial: "later"}) == {
        run(2).trial
    }
    there, expected = told(server.uri, STUDY), told(database, STUDY)
    assert len(there) == 5
    for trial in expected:
        for ours, theirs in zip(there[trial], expected[trial], strict=True):
            assert ours == theirs


def test_while_it_is_away_nothing_is_lost_or_doubled(server: Postgres) -> None:
    study = "outage"
    mirror = Mirror(server.uri, study)
    assert mirror.write(FEW[:2]) == 2
    server.stop()
    try:
        with pytest.raises(OUTAGES) as caught:
            mirror.write(FEW)
        words = explained(caught.value, server.uri)
        assert may_pass(caught.value)
        assert "127.0.0.1" in words
        assert PASSWORD not in words
    finally:
        server.start()
    assert mirror.write(FEW) == 3
    assert told(server.uri, study).keys() == {each.trial for each in FEW}


def test_a_driver_that_is_not_installed_is_named_as_it_is_installed() -> None:
    missing = ModuleNotFoundError("No module named 'psycopg'", name="psycopg")
    words = explained(missing, "postgresql://someone:secret@127.0.0.1/runs")
    assert "uv pip install 'psycopg[binary]'" in words
    assert "secret" not in words
