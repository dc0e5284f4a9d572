"""Fetches results from the disk of a cluster's head through its job server.

The server has no way to hand out a file. But it runs jobs, and hands out what they print: a small
job prints what is new as text, at most `MOST_BYTES` of it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import io
import itertools
import json
import secrets
import tarfile
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from htsweep.errors import HtsweepError
from htsweep.planning.keeping import amount
from htsweep.results.gather import FOLDERS
from htsweep.submitting import ray_jobs, sending
from htsweep.submitting.submission import Submission

MOST_BYTES = 64 * 2**20
"""The server holds a log in memory several times while it answers."""
SPARE = ("artifacts", "logits")
"""What reports and tables need least, in this order."""
PATIENCE_SECONDS = 300.0
RUNS = 'exec "$(command -v python3 || command -v python)" htsweep_sending.py wanted.json'


@contextlib.contextmanager
def fetched(one: Submission, have: Collection[str]) -> Iterator[tuple[Path, list[str]]]:
    """A temporary folder with what the job's results have, and lines about what is not in it.

    Args:
        one: the job, whose results are on the disk of the machine that runs jobs.
        have: the names of objects that are not needed.

    Raises:
        HtsweepError: they are not there or too large, or what came is not what was sent.
    """
    text = _printed(one, have)
    data, left = unpacked(text)
    with tempfile.TemporaryDirectory() as folder:
        place(data, Path(folder))
        yield (
            Path(folder),
            [f"left behind: {name}, {amount(size)}" for name, size in left.items()],
        )


def _printed(one: Submission, have: Collection[str]) -> str:
    """What the job that sends them has printed."""
    client = ray_jobs.client_of(one.address)
    wanted = {
        "results": one.results,
        "folders": FOLDERS,
        "have": sorted(have),
        "most": MOST_BYTES,
        "spare": SPARE,
    }
    with tempfile.TemporaryDirectory() as folder, ray_jobs.told(one.address):
        source = Path(sending.__file__).read_text(encoding="utf-8")
        Path(folder, "htsweep_sending.py").write_text(source, encoding="utf-8")
        Path(folder, "wanted.json").write_text(json.dumps(wanted), encoding="utf-8")
        number = client.submit_job(
            entrypoint=RUNS,
            submission_id=f"htsweep-fetch-{secrets.token_hex(4)}",
            runtime_env={"working_dir": folder},
        )
        over = time.monotonic() + PATIENCE_SECONDS
        while not client.get_job_status(number).is_terminal():
            if time.monotonic() > over:
                client.stop_job(number)
                raise HtsweepError(
                    f"the job that sends the results has not ended after {PATIENCE_SECONDS:.0f} s"
                )
            time.sleep(0.5)
        text = str(client.get_job_logs(number))
        client.delete_job(number)
    return text


def unpacked(text: str) -> tuple[bytes, dict[str, int]]:
    """The archive in what a job has printed, and the sizes of folders that are not in it.

    Raises:
        HtsweepError: the job says why it sends none, or what came is not what was sent.
    """
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(sending.FAILS):
            raise HtsweepError(line.partition(": ")[2])
        if line.startswith(sending.BEGINS):
            break
    else:
        said = " ".join(text.split())[-500:] or "nothing"
        raise HtsweepError(f"the job that sends the results printed none: {said}")
    try:
        about = json.loads(line.removeprefix(sending.BEGINS))
        coded = itertools.takewhile(lambda one: one != sending.ENDS, lines)
        data = base64.b64decode("".join(coded), validate=True)
        whole = hashlib.sha256(data).hexdigest() == about["sha256"]
        left = {str(name): int(size) for name, size in about["left"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        whole, data, left = False, b"", {}
    if not whole:
        raise HtsweepError("what the job sent came damaged or cut off; try again")
    return data, left


def place(data: bytes, folder: Path) -> None:
    """Unpacks an archive of results into a folder.

    Raises:
        HtsweepError: it holds something else than files of results.
    """
    room = MOST_BYTES
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for member in tar:
            room -= member.size
            name = PurePosixPath(member.name)
            content = tar.extractfile(member) if member.isreg() else None
            foreign = name.parts[:1] not in [(one,) for one in FOLDERS] or ".." in name.parts
            if content is None or foreign or room < 0:
                raise HtsweepError(
                    f"what the job sent holds {member.name!r}, which is none of the results, or "
                    "too large; nothing of it is used"
                )
            target = folder.joinpath(*name.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.read())
