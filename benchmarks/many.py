"""Many trials whose ledger is a bucket and whose copy in MLflow is a PostgreSQL behind a server.

    uv run python benchmarks/many.py [--trials 10000]

Starts moto's server of S3, a PostgreSQL (with no rights of root, in a folder and on a port of its
own) and an MLflow server on it, launches toy trials that take no time, and ends all three. Prints
milliseconds and processor time a trial, how far the memory of the launch and of Tune's loop grew,
and how many runs MLflow had when the launch had ended.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]
import machine  # noqa: E402
import psutil  # noqa: E402
import pyarrow.fs as fs  # noqa: E402
import spent  # noqa: E402
from buckets import KEYS, Bucket  # noqa: E402
from postgres import DATABASE, PASSWORD, USER, Postgres, postgres  # noqa: E402

from htsweep.ledger import Ledger, Store  # noqa: E402
from htsweep.mirror.serving import free_port  # noqa: E402

QUIET = {"RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", "RAY_USAGE_STATS_ENABLED": "0"}
START_SECONDS = 300.0


@contextlib.contextmanager
def server(words: Sequence[str], port: int, path: str, folder: Path) -> Iterator[None]:
    """A server's process, once a path of it answers; ended after the block."""
    with (folder / f"{port}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *words],
            cwd=folder,
            stdout=log,
            stderr=log,
            # MLflow's job runner would start a dozen processes, for judging language models.
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{words[0]} did not start:\n{(folder / f'{port}.log').read_text()}")
                time.sleep(0.2)
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            whole = psutil.Process(process.pid)
            family = [whole, *whole.children(recursive=True)]
            whole.terminate()
            for one in psutil.wait_procs(family, timeout=30)[1]:
                one.kill()
        process.wait()


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str, Postgres]]:
    """The URI of empty results in a bucket, that of an MLflow server, and its database."""
    ports = [free_port(0), free_port(0)]
    with (
        postgres() as database,
        server(["moto.server", "-H", "127.0.0.1", "-p", str(ports[0])], ports[0], "/", folder),
        server(
            [
                *("mlflow", "server", "--backend-store-uri", database.uri, "--workers", "1"),
                *("--artifacts-destination", str(folder / "artifacts")),
                *("--host", "127.0.0.1", "--port", str(ports[1])),
            ],
            ports[1],
            "/health",
            folder,
        ),
    ):
        bucket = Bucket(f"127.0.0.1:{ports[0]}", "bucket")
        files, _ = fs.FileSystem.from_uri(bucket.uri("") + "&allow_bucket_creation=true")
        files.create_dir(bucket.name)
        yield bucket.uri("results"), f"http://127.0.0.1:{ports[1]}", database


def copied(database: Postgres) -> int:
    """How many whole runs MLflow's database has."""
    import psycopg

    where = f"host=127.0.0.1 port={database.port} dbname={DATABASE} user={USER}"
    with psycopg.connect(where, password=PASSWORD) as connection:
        row = connection.execute("SELECT count(*) FROM runs WHERE status = 'FINISHED'").fetchone()
    return int(row[0]) if row else 0


def run(trials: int) -> None:
    """Launches as many trials, and prints what they cost."""
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        folder = Path(temporary)
        study = folder / "many.yaml"
        study.write_text(
            f"task: toy\ngrid: {{y: {[index / 100 for index in range(50)]}}}\n"
            f"repetitions: {trials // 50}\n"
        )
        with servers(folder) as (results, mlflow, database):
            watch = spent.Spent(1.0)
            begun = time.time()
            htsweep = str(Path(sys.executable).parent / "htsweep")
            words = [htsweep, "launch", str(study), "--results", results, "--tracking-uri", mlflow]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            whole = time.time() - begun
            watch.end()
            if done.returncode:
                print(done.stdout[-3000:], done.stderr[-3000:])
            rows = Ledger(Store(results)).trials().to_pylist()
            runs = copied(database)
    ended = [row for row in rows if row["status"] == "done"]
    begins, ends = min(row["started"] for row in ended), max(row["ended"] for row in ended)
    count = len(ended)
    print(
        f"{count} of {trials} trials, ledger in a bucket, MLflow on PostgreSQL: "
        f"{1e3 * (ends - begins) / count:.1f} ms a trial ({ends - begins:.0f} s from the first "
        f"start to the last end; {whole:.0f} s in all); load {os.getloadavg()[0]:.0f}"
    )
    print(f"  {spent.said(watch.between(begins, ends), count)}")
    for kind in (spent.LAUNCH, spent.LOOP):
        print(f"  {kind}: grew by {watch.growth(kind, begins, ends):.0f} MiB")
    print(f"  MLflow had {runs} runs of {count} when the launch had ended")
    for line in done.stdout.splitlines():
        if "MLflow" in line:
            print(f"  the launch said: {line}")


def main() -> None:
    """Runs it on the number of trials of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=10_000)
    os.environ.update(KEYS)
    os.environ.update(QUIET)
    # What has been started is ended, also if this is told to end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(machine.said(), flush=True)
    run(parser.parse_args().trials)


if __name__ == "__main__":
    main()
