"""The mirror says what the ledger says, once, whatever dies in between."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from mirrored import FEW, STUDY, empty, held, mirror_of, run, tags

from htsweep.mirror.copying import Mirror
from htsweep.mirror.run import SELECTED, copy_of
from htsweep.report.look import built_in


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return empty(tmp_path / "mlflow.db")


@pytest.fixture(params=["rows", "requests"])
def opened(request: pytest.FixtureRequest, database: Path) -> Callable[[], Mirror]:
    """Opens the mirror on `database`, writing in bulk or through MLflow's client."""

    def opened() -> Mirror:
        return mirror_of(database, through=request.param)

    return opened


def test_a_run_says_what_its_trial_says(opened: Callable[[], Mirror], database: Path) -> None:
    assert opened().write([run(7, status="stopped")]) == 1
    (there,) = held(database).values()
    name, *_, status, started, ended, _ = there["run"]
    assert (name, status, started, ended) == (
        "lolsgd mnist-uci 0.5 lenet #1 000007",
        "KILLED",
        1600000070000,
        1600000074500,
    )
    assert (
        tags(there).items()
        >= {
            "htsweep.trial": run(7).trial,
            "htsweep.record": "first",
            "status": "stopped",
            "method": "lolsgd",
            "repetition": "1",
            "mlflow.source.git.commit": "c" * 40,
            "mlflow.runColor": built_in("method")["lolsgd"].colour.lower(),
        }.items()
    )
    assert there["params"] == [
        ("dataset", "mnist-uci"),
        ("epochs", "3"),
        ("learning_rate", "0.001"),
    ]
    assert len(there["metrics"]) == 9  # curves stay in the ledger
    last = {key: (value, step) for key, value, _, step, _ in there["latest_metrics"]}
    assert last["test/seen_accuracy"] == (pytest.approx(0.84), 2)


def test_rebuilding_changes_nothing(opened: Callable[[], Mirror], database: Path) -> None:
    mirror = opened()
    assert mirror.write(FEW) == 5
    before = held(database, active=False)
    assert mirror.write(FEW) == 0
    assert opened().write(FEW) == 0
    assert held(database, active=False) == before


def test_a_database_rebuilt_from_nothing_is_the_same(tmp_path: Path) -> None:
    databases = [empty(tmp_path / name) for name in ("one.db", "two.db")]
    for database in databases:
        mirror_of(database).write(FEW)
    assert held(databases[0]) == held(databases[1])


def test_mlflow_reads_what_was_written(database: Path) -> None:
    mirror = mirror_of(database)
    mirror.write(FEW)
    found = mirror._client.search_runs(
        [mirror.experiment], "tags.method = 'l2sp' and metrics.`test/seen_accuracy` > 0.5"
    )
    assert [one.data.tags["htsweep.trial"] for one in found] == [run(1).trial]
    assert found[0].data.metrics["test/missing_accuracy"] == pytest.approx(0.68)
    assert [
        one.step for one in mirror._client.get_metric_history(found[0].info.run_id, "loss")
    ] == [0, 1, 2]


def test_a_torn_run_is_done_again(opened: Callable[[], Mirror], database: Path) -> None:
    mirror = opened()
    copy = copy_of(FEW[2])
    torn = mirror._client.create_run(
        mirror.experiment, copy.started, copy.tags, copy.name
    ).info.run_id
    assert opened().write(FEW) == 5
    there = held(database)
    assert torn not in there
    assert len(there) == 5
    assert {one["run"][5] for one in there.values()} == {"FINISHED"}


def test_a_retried_trial_replaces_its_run(opened: Callable[[], Mirror], database: Path) -> None:
    mirror = opened()
    mirror.write([run(0, status="failed"), run(1)])
    assert mirror.write([run(0, record="second"), run(1)]) == 1
    assert sorted(tags(one)["htsweep.record"] for one in held(database).values()) == [
        "first",
        "second",
    ]
    assert opened().write([run(0, record="second"), run(1)]) == 0


def test_a_run_in_the_bin_comes_back(database: Path) -> None:
    mirror = mirror_of(database)
    mirror.write(FEW)
    before = held(database)
    mirror._client.delete_run(next(iter(before)))
    assert mirror_of(database).write(FEW) == 1
    assert held(database, active=False) == before


def test_a_writer_that_dies_between_requests_is_made_up_for(database: Path) -> None:
    mirror = mirror_of(database, through="requests")
    whole, calls = mirror._client.log_batch, []

    def dies(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise ConnectionError("gone")
        whole(*arguments)  # type: ignore[arg-type]

    mirror._client.log_batch = dies  # type: ignore[method-assign,assignment]
    with pytest.raises(ConnectionError):
        mirror.write(FEW)
    whole_ones = [one["run"][5] for one in held(database).values()].count("FINISHED")
    assert whole_ones < 5
    assert mirror.write(FEW) == 5 - whole_ones
    assert [one["run"][5] for one in held(database).values()] == ["FINISHED"] * 5


def test_many_mirrors_at_once_write_each_run_once(database: Path) -> None:
    """Nobody should, and it does no harm."""
    failed: list[BaseException] = []

    def write() -> None:
        try:
            mirror_of(database).write(FEW)
        except BaseException as error:  # a thread's error would be lost
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(held(database, active=False)) == 5


def test_the_study_has_a_run_of_its_own(database: Path, tmp_path: Path) -> None:
    plot = tmp_path / "frontier.png"
    plot.write_bytes(b"png")
    for text in ("name: digits\n", "name: digits\nrepetitions: 5\n"):
        mirror = mirror_of(database)
        mirror.write_study(text, {"figures/frontier.png": plot, "frontier.png": plot})
        mirror.write(FEW)
    (study,) = [
        one for one, rows in held(database).items() if tags(rows).get("htsweep.study") == STUDY
    ]
    found = mirror._client.list_artifacts(study)
    assert {one.path for one in found} == {"study.yaml", "figures", "frontier.png"}
    assert [one.path for one in mirror._client.list_artifacts(study, "figures")] == [
        "figures/frontier.png"
    ]
    assert len(held(database)) == 6
    local = next(tmp_path.glob(f"mlartifacts/{STUDY}/{study}/artifacts/study.yaml"))
    assert local.read_text() == "name: digits\nrepetitions: 5\n"


def test_selected_trials_say_by_which_protocols(
    opened: Callable[[], Mirror], database: Path
) -> None:
    """Twice changes nothing, another choice moves the tag, and nothing else of the runs is touched."""
    mirror = opened()
    mirror.write(FEW)
    plain = held(database)
    first = {
        run(0).trial: ["last", "test_accuracy"],
        run(2).trial: ["test_accuracy"],
        "of no trial": ["last"],
    }
    assert opened().select(first) == 2
    assert selected(database) == {run(0).trial: "last,test_accuracy", run(2).trial: "test_accuracy"}
    # As docs/mlflow.md says
    found = mirror._client.search_runs([mirror.experiment], f"tags.`{SELECTED}` LIKE '%last%'")
    assert [one.data.tags["htsweep.trial"] for one in found] == [run(0).trial]
    before = held(database, active=False)
    assert mirror.select(first) == 0
    assert opened().write(FEW) == 0
    assert opened().select(first) == 0
    assert held(database, active=False) == before
    assert (
        opened().select({run(0).trial: ["test_accuracy"], run(1).trial: ["last"], run(2).trial: []})
        == 3
    )
    assert selected(database) == {run(0).trial: "test_accuracy", run(1).trial: "last"}
    assert opened().select({}) == 2
    assert held(database) == plain


def test_a_trial_that_is_run_again_is_selected_again(
    opened: Callable[[], Mirror], database: Path
) -> None:
    mirror = opened()
    mirror.write([run(0, status="failed"), run(1)])
    mirror.select({run(0).trial: ["last"]})
    mirror.write([run(0, record="second"), run(1)])
    assert mirror.select({run(0).trial: ["last"]}) == 1
    assert selected(database) == {run(0).trial: "last"}


def selected(database: Path) -> dict[str, str]:
    told = [tags(rows) for rows in held(database).values()]
    return {one["htsweep.trial"]: one[SELECTED] for one in told if SELECTED in one}


def test_a_method_keeps_its_colour(database: Path) -> None:
    mirror_of(database).write(FEW[1:2])
    mirror_of(database).write(FEW)
    colours = {tags(one)["method"]: tags(one)["mlflow.runColor"] for one in held(database).values()}
    assert colours["l2sp"] == built_in("method")["l2sp"].colour.lower()
    assert len(set(colours.values())) == 4
