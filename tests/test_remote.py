"""Results in a bucket whose service fails, hangs, loses answers and refuses keys."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from buckets import KEYS, Bucket, bucket
from faulty import Faults, faulty
from ledgered import record

from htsweep import remote
from htsweep.errors import LedgerError
from htsweep.launching import launch
from htsweep.ledger import Lease, Ledger, Store, store
from htsweep.planning.reading import read
from htsweep.remote import Patience
from htsweep.report.current import Report
from htsweep.results import trials

HASTY = Patience(call=1.5, total=20.0, first=0.05, longest=0.2, silence=1.0, attempts=1)
"""The times of `PATIENCE`, for a server on this machine."""


@pytest.fixture(scope="module")
def there() -> Iterator[Bucket]:
    with bucket() as made:
        yield made


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (remote, store):
        monkeypatch.setattr(module, "READING", HASTY)
        monkeypatch.setattr(module, "PATIENCE", HASTY)
    for call in (remote.opened, remote.patiently, Store._do, remote.RemoteFile.__init__):
        monkeypatch.setattr(
            call,
            "__defaults__",
            tuple(HASTY if isinstance(given, Patience) else given for given in call.__defaults__),
        )


def test_a_store_in_a_bucket(there: Bucket) -> None:
    place = Store(there.uri("plain"))
    assert place.folder is None
    assert place.list("trials") == []
    place.write("trials/a.parquet", b"bytes")
    place.write("trials/b/c.parquet", b"")
    assert place.read("trials/a.parquet") == b"bytes"
    with place.open("trials/a.parquet") as file:
        assert (file.size(), file.read_at(3, 1)) == (5, b"yte")
    assert [entry[:2] for entry in place.list("trials")] == [
        ("trials/a.parquet", 5),
        ("trials/b/c.parquet", 0),
    ]
    for _ in range(2):
        place.delete("trials/a.parquet")
    for missing in (lambda: place.read("trials/a.parquet"), lambda: place.open("trials/x")):
        with pytest.raises(FileNotFoundError):
            missing()
    place.delete_all("trials")
    assert place.list("trials") == []


def test_small_objects_are_written_by_one_call(there: Bucket) -> None:
    with faulty(there.address, Faults()) as proxy:
        Store(there.uri("one", proxy.address)).write("trials/a.parquet", b"bytes")
        assert [method for _, method, _ in proxy.calls] == ["PUT"]


def test_nothing_is_lost_or_doubled_while_a_third_of_the_calls_fails(there: Bucket) -> None:
    faults = Faults(error=0.14, lost=0.14, cut=0.05, seed=5)
    with faulty(there.address, faults) as proxy:
        place = Store(there.uri("failing", proxy.address))
        ledger = Ledger(place)
        for index in range(6):
            ledger.append(record(f"t{index}", steps=1), [{"step": 0, "x": float(index)}])
        assert ledger.compact() == 6
        ledger.append(record("t6", steps=1), [{"step": 0, "x": 6.0}])
        table = ledger.measurements()
        lease, second = Lease(place, "x"), Lease(place, "x")
        assert lease.take() is None
        assert second.take() is not None
        lease.release()
        assert sum(proxy.counts[name] for name in ("error", "lost", "cut")) > 10
    assert sorted(table["x"].to_pylist()) == [float(index) for index in range(7)]
    undisturbed = Ledger(Store(there.uri("failing")))
    assert undisturbed.measurements().equals(table)
    assert len(undisturbed.records()) == 2


def test_a_launch_on_a_failing_bucket_has_the_numbers_of_one_on_a_disk(
    there: Bucket,
    study_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Drawing a report twice would be most of the test's time.
    monkeypatch.setattr(Report, "make", lambda *_: None)
    study = read(study_file("task: toy\ngrid: {x: [0.1, 0.5]}\n"))
    launch(study, str(tmp_path / "r"), on="inline", mirror=None)
    with faulty(there.address, Faults(error=0.05, lost=0.05, seed=1)) as proxy:
        far = there.uri("launched", proxy.address)
        done = launch(study, far, on="inline", mirror=None)
        assert done.agenda.done["trial done"] == 2
    columns = ["trial", "step", "validation/score"]
    here, there_ = (
        Ledger(Store(place)).measurements(columns)
        for place in (tmp_path / "r", there.uri("launched"))
    )
    assert here.equals(there_)
    assert len(trials(study, there.uri("launched"))) == 2


def test_what_hangs_is_given_up_in_time_and_what_is_refused_at_once(
    there: Bucket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    short = Patience(call=0.3, total=1.0, first=0.05, longest=0.1, silence=1.0)
    monkeypatch.setattr(Store._do, "__defaults__", (short,))
    with faulty(there.address, Faults(hang=1.0)) as proxy:
        place, began = Store(there.uri("hangs", proxy.address)), time.monotonic()
        with (
            caplog.at_level(logging.WARNING),
            pytest.raises(LedgerError, match=r"trials cannot be listed: Connection timed out; "),
        ):
            place.list("trials")
        assert 0.5 < time.monotonic() - began < 3
    assert {line.getMessage() for line in caplog.records} == {
        "s3://bucket/hangs/trials: no answer within 0.3 s; trying again"
    }
    with faulty(there.address, Faults(error=1.0, status=403)) as proxy:
        place, began = Store(there.uri("refused", proxy.address)), time.monotonic()
        with pytest.raises(LedgerError, match="The service refuses the keys of this machine"):
            place.write("trials/a", b"")
        assert proxy.counts == {"error": 1}
    with pytest.raises(LedgerError, match="NO_SUCH_BUCKET"):
        Store(there.uri("x").replace("s3://bucket", "s3://another")).write("a", b"")


def test_pauses_double_are_bounded_and_differ() -> None:
    patience = Patience(first=1.0, longest=8.0)
    drawn = [[patience.pause(failures) for _ in range(200)] for failures in range(1, 8)]
    for bound, pauses in zip([1, 2, 4, 8, 8, 8, 8], drawn, strict=True):
        assert 0 <= min(pauses) < 0.2 * bound
        assert 0.8 * bound < max(pauses) <= bound
        assert len(set(pauses)) > 190


def test_a_call_that_answers_in_time_costs_nothing_and_raises_what_it_raises() -> None:
    assert remote.limited(lambda: 3, "x", 5.0) == 3
    with pytest.raises(ZeroDivisionError):
        remote.limited(lambda: 1 // 0, "x", 5.0)
    over = threading.Event()
    with pytest.raises(TimeoutError):
        remote.limited(over.wait, "x", 0.05)
    over.set()


@pytest.mark.parametrize(
    ("error", "may_pass"),
    [
        (OSError("AWS Error SLOW_DOWN during PutObject operation: "), True),
        (OSError("AWS Error UNKNOWN (HTTP status 503) during HeadObject operation"), True),
        (OSError("AWS Error UNKNOWN (HTTP status 429) during HeadObject operation"), True),
        (OSError("AWS Error NETWORK_CONNECTION during PutObject operation: curlCode: 7"), True),
        (OSError("AWS Error ACCESS_DENIED during PutObject operation: "), False),
        (OSError("AWS Error UNKNOWN (HTTP status 400) during HeadObject operation"), False),
        (OSError("google::cloud::Status(PERMISSION_DENIED: x)"), False),
        (OSError("google::cloud::Status(UNAVAILABLE: x)"), True),
        (pa.ArrowInvalid("INVALID_ARGUMENT gcloud-cpp.retry.function=UploadChunk"), True),
        (pa.ArrowInvalid("PERMISSION_DENIED gcloud-cpp.retry.function=UploadChunk"), False),
        (pa.ArrowInvalid("INVALID_ARGUMENT"), False),
        (OSError(errno.ECONNRESET, "reset"), True),
        (OSError(errno.ENOSPC, "full"), False),
    ],
)
def test_what_is_worth_asking_again(error: Exception, may_pass: bool) -> None:
    assert remote.transient(error) is may_pass


@pytest.mark.parametrize(
    "uri",
    [
        f"s3://{KEYS['AWS_ACCESS_KEY_ID']}:planted-secret@bucket/results",
        "s3://bucket/results?secret_key=planted-secret",
        "abfs://account:planted-secret@127.0.0.1:1/c/r",
        "abfs://account@127.0.0.1:1/c/r?client_secret=planted-secret",
        "abfs://account@127.0.0.1:1/c/r?sig=planted-secret",
        "gs://bucket/r?access_token=planted-secret",
    ],
)
def test_a_secret_in_the_uri_is_refused_and_not_repeated(uri: str) -> None:
    with pytest.raises(LedgerError, match="leave it out, and give it by the environment") as told:
        Store(uri)
    assert "planted-secret" not in str(told.value)


def test_a_container_that_pyarrow_would_leave_out_is_refused() -> None:
    with pytest.raises(LedgerError, match=r"write abfs://box@mine\.dfs\.core\.windows\.net/r"):
        Store("abfs://box@mine.blob.core.windows.net/r")
    assert Store("abfs://box@mine.dfs.core.windows.net/r")._root == "box/r"
