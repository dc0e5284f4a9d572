"""Copying while trials end bears outages; serving the UI."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mirrored import FEW, STUDY, empty, held, mirror_of, run

from htsweep.mirror.copying import Mirror
from htsweep.mirror.run import Run
from htsweep.mirror.serving import free_port, serve, serving_lines, wait_for
from htsweep.mirror.streaming import stream


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return empty(tmp_path / "mlflow.db")


class Trials:
    """Trials that end one after the other: a source for `stream`."""

    def __init__(self, *batches: list[Run]) -> None:
        self.left = list(batches)

    def __call__(self) -> list[Run]:
        return self.left.pop(0) if self.left else []

    def ended(self) -> bool:
        return not self.left


def test_streaming_bears_an_outage(database: Path) -> None:
    tries: list[int] = []

    def opens() -> Mirror:
        tries.append(1)
        if len(tries) < 4:
            raise ConnectionError("down")
        return mirror_of(database)

    trials = Trials(FEW[:2], [], FEW[2:], [])
    assert stream(trials, trials.ended, opens, pause=0.01) == ""
    assert len(held(database)) == 5
    assert len(tries) == 4


def test_streaming_says_what_is_behind() -> None:
    def opens() -> Mirror:
        raise ConnectionError("down")

    trials = Trials(FEW)
    began = time.monotonic()
    behind = stream(trials, trials.ended, opens, pause=0.01, patience=0.3)
    assert behind == "5 runs or more behind: ConnectionError: down"
    assert time.monotonic() - began < 3


def test_streaming_reads_what_ended_before_the_end(database: Path) -> None:
    arriving, read = [FEW], [[]]  # type: tuple[list[list[Run]], list[list[Run]]]

    def stopped() -> bool:
        read.extend(arriving)  # a trial's last record arrives just before its launch ends
        arriving.clear()
        return True

    def fresh() -> list[Run]:
        return read.pop() if read else []

    assert stream(fresh, stopped, lambda: mirror_of(database)) == ""
    assert len(held(database)) == 5


def test_streaming_outlives_an_error_of_the_ledger(database: Path) -> None:
    reads: list[int] = []

    def fresh() -> Iterator[Run]:
        reads.append(1)
        if len(reads) == 1:
            yield from FEW[:2]
            raise OSError("stale file handle")
        yield from FEW[2:] if len(reads) == 2 else []

    assert stream(fresh, lambda: len(reads) > 2, lambda: mirror_of(database), pause=0.01) == ""
    assert len(held(database)) == 5


def test_a_server_that_comes_up_late_gets_everything(database: Path) -> None:
    port = free_port(0)
    uri = f"http://127.0.0.1:{port}"
    opened: list[Mirror | None] = []
    done = threading.Event()
    trials = Trials(FEW[:3], FEW[3:], [])
    behind: list[str] = []

    def opens() -> Mirror:
        opened.append(None)  # a try that nobody has answered, as far as is known
        opened[-1] = Mirror(uri, STUDY)
        return opened[-1]

    def copies() -> None:
        behind.append(stream(trials, done.is_set, opens, pause=0.2))

    thread = threading.Thread(target=copies)
    thread.start()
    while len(opened) < 2:  # the first has failed
        time.sleep(0.05)
    with serve(f"sqlite:///{database}", port) as server:
        try:
            wait_for(server, port)
            done.set()
            thread.join(60)
            assert behind == [""]
            assert opened[0] is None
            assert opened[-1] is not None
            mirror = Mirror(uri, STUDY)
            assert mirror.write(FEW) == 0
            mirror.write_study("name: digits\n")
            assert any(
                link.startswith("digits, seen against missing: http")
                for link in serving_lines(uri, port, port)
            )
        finally:
            server.terminate()
    assert len(held(database, active=False)) == 6
    again = Trials([run(8)])
    assert "1 runs or more behind" in stream(
        again, again.ended, lambda: Mirror(uri, STUDY), pause=0.1, patience=0.5
    )
