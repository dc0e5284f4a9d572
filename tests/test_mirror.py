"""The mirror says what the ledger says, once, whatever dies in between."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mirrored import FEW, STUDY, empty, held, mirror_of, run, tags
from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

from htsweep.errors import HtsweepError
from htsweep.mirror.colours import COLOURS, with_colour
from htsweep.mirror.copying import Mirror
from htsweep.mirror.run import SELECTED, Run, copy_of, latest, legal, points_of


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
            "mlflow.runColor": COLOURS[0],
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


ODD = run(
    3,
    status="failed",
    tags={"method": "l2sp", "reason": "x" * 9000, "a b/c?": "odd", "": "empty"},
    parameters={
        **{f"p{number}": number for number in range(250)},
        "long": "y" * 7000,
        "..": None,
        "list": [1, "a"],
        "on": True,
    },
    measurements=[
        {"step": 1, "loss": math.nan},
        {"step": 1, "loss": math.nan},
        {"step": 1, "loss": 2.0},
        {"step": 0, "loss": 9},
        {"step": 2, "loss": math.inf, "text": "t", "none": None, "on": True, "what?": 1.5},
        *({"step": step, "many": step % 7} for step in range(2500)),
    ],
)


@pytest.mark.parametrize("one", [*FEW[:2], ODD, run(9, measurements=[], parameters={}, tags={})])
def test_both_ways_of_writing_leave_the_same_rows(one: Run, tmp_path: Path) -> None:
    """What holds the bulk writer to MLflow's own idea of its tables."""
    left = []
    for through in ("rows", "requests"):
        database = empty(tmp_path / f"{through}.db")
        assert mirror_of(database, through).write([one]) == 1
        left += held(database).values()
    assert left[0] == left[1]


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
    assert mirror.write(FEW) == 3
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
    first = {run(0).trial: ["last", "oracle"], run(2).trial: ["oracle"], "of no trial": ["last"]}
    assert opened().select(first) == 2
    assert selected(database) == {run(0).trial: "last,oracle", run(2).trial: "oracle"}
    # As docs/mlflow.md says
    found = mirror._client.search_runs([mirror.experiment], f"tags.`{SELECTED}` LIKE '%last%'")
    assert [one.data.tags["htsweep.trial"] for one in found] == [run(0).trial]
    before = held(database, active=False)
    assert mirror.select(first) == 0
    assert opened().write(FEW) == 0
    assert opened().select(first) == 0
    assert held(database, active=False) == before
    assert (
        opened().select({run(0).trial: ["oracle"], run(1).trial: ["last"], run(2).trial: []}) == 3
    )
    assert selected(database) == {run(0).trial: "oracle", run(1).trial: "last"}
    assert opened().select({}) == 2
    assert held(database) == plain


def test_both_ways_of_tagging_leave_the_same_rows(tmp_path: Path) -> None:
    left = []
    for through in ("rows", "requests"):
        database = empty(tmp_path / f"{through}.db")
        mirror = mirror_of(database, through)
        mirror.write(FEW)
        mirror.select({one.trial: ["last", "x" * 9000] for one in FEW[:3]})
        mirror.select({one.trial: ["seen_validation"] for one in FEW[1:3]})
        left.append(sorted(map(str, held(database).values())))
    assert left[0] == left[1]


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


def test_a_new_database_is_made_quietly_and_leaves_the_working_folder_alone(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    mirror = Mirror("sqlite:///../results/mlflow.db", STUDY)
    mirror.write(FEW)
    mirror.write_study("name: digits\n")
    assert not list(work.iterdir())
    assert {path.name for path in (tmp_path / "results").iterdir()} == {"mlflow.db", "mlartifacts"}
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_no_database_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("no database")
    with pytest.raises(
        HtsweepError, match=r"mlflow\.db cannot be used.* mv .*/mlflow\.db .*/mlflow-old\.db$"
    ):
        Mirror(f"sqlite:///{tmp_path / 'mlflow.db'}", STUDY)


# What MLflow can say


@given(st.text(max_size=300))
def test_every_name_becomes_one_that_mlflow_takes(name: str) -> None:
    for check in (_validate_metric_name, _validate_param_name, _validate_tag_name):
        check(legal(name))


@given(
    st.lists(
        st.sampled_from(["test/seen_accuracy", "loss", "l2sp.weight", "k-nn a:b"]), min_size=1
    ).map("/".join)
)
def test_a_name_that_mlflow_takes_stays(name: str) -> None:
    assert legal(name)[:200] == name[:200]


def test_infinities_are_named_and_left_out_and_nan_is_kept() -> None:
    copy = copy_of(ODD)
    assert copy.tags["htsweep.infinite"] == "loss@2=inf"
    assert [point for point in copy.points if point[0] == "loss"][1:] == [
        ("loss", 2.0, 1),
        ("loss", 9.0, 0),
    ]
    assert math.isnan(copy.points[0][1])


def test_the_latest_point_is_of_the_greatest_step() -> None:
    points, _ = points_of(
        [{"step": 2, "a": 1.0}, {"step": 3, "a": 0.5, "b": math.nan}, {"step": 1, "a": 9.0}]
    )
    assert latest(points)["a"] == ("a", 0.5, 3)


def test_methods_have_colours_of_their_own_while_there_are_enough() -> None:
    held: dict[str, str] = {}
    for number in range(len(COLOURS) + 3):
        held = with_colour(held, f"method-{number}")
    assert set(held.values()) == set(COLOURS)
    assert with_colour(held, "method-0") == held


def test_a_method_keeps_its_colour(database: Path) -> None:
    mirror_of(database).write(FEW[1:2])
    mirror_of(database).write(FEW)
    colours = {tags(one)["method"]: tags(one)["mlflow.runColor"] for one in held(database).values()}
    assert colours["l2sp"] == COLOURS[0]
    assert len(set(colours.values())) == 4


def test_the_version_is_one_that_was_looked_at() -> None:
    """The bulk writer and the view lean on what MLflow does not promise; a new major version is to be looked at."""
    assert mlflow.__version__.startswith("3.")
