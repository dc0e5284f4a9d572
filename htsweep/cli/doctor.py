"""Whether this machine can run a study: each check says what it found, and what to do where it fails."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from htsweep.errors import HtsweepError, LedgerError, remedy_of
from htsweep.execution.machine import cores, gpus
from htsweep.execution.workspace import cache_folder
from htsweep.ledger import Lease, Ledger, Record, Store

Finding = tuple[str, str]
"""What was found, and the remedy; an empty remedy means that all is well."""

PACKAGES = ("ray", "torch", "timm", "optuna", "mlflow", "pyarrow", "typer", "pandas", "moocore")
FREE_GIB = 5
TORCH_SECONDS = 120


def examine(results: str, say: Callable[[str], object]) -> int:
    """Runs every check, says each in a line, and returns 0 where all are well, else 1."""
    # Where a check works on files: what the user may set so that it works on others.
    checks: dict[str, tuple[Callable[[], Finding], str]] = {
        "versions": (_versions, ""),
        "devices": (_devices, ""),
        "temporary": (_temporary, "the environment variable TMPDIR"),
        "disk": (lambda: _disk(results), "--results"),
        "storage": (lambda: _storage(results), "--results"),
        "cache": (_cache, "the environment variable HTSWEEP_CACHE"),
        "ray": (_ray, "the environment variable TMPDIR"),
        "mlflow": (_mlflow, "the environment variable TMPDIR"),
    }
    worst = 0
    for name, (check, setting) in checks.items():
        try:
            found, remedy = check()
        except Exception as error:  # a check that cannot even run has found something
            found, remedy = _failed(error, setting)
        say(f"{'ok  ' if not remedy else 'FAIL'}  {name:9} {found}")
        if remedy:
            say(f"      {'':9} remedy: {remedy}")
            worst = 1
    return worst


def _failed(error: Exception, setting: str) -> Finding:
    if isinstance(error, LedgerError):
        problem, _, remedy = str(error).partition("; ")
        return problem, remedy
    if isinstance(error, HtsweepError):  # its text says what to do
        head, _, rest = str(error).partition("\n" if "\n" in str(error) else "; ")
        return head, rest.strip() or "do what the message says, then run this again"
    if isinstance(error, subprocess.TimeoutExpired):
        return (
            f"no answer within {error.timeout:.0f} s",
            "the disk that holds the packages may be slow; run this again",
        )
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(
            error
        ), remedy_of(error, setting)
    remedy = (
        "reinstall the packages (uv sync), then run this again; if that does not help, report it"
    )
    return f"{type(error).__name__}: {error}", remedy


def _versions() -> Finding:
    found, lacking = [f"python {sys.version.split()[0]}"], []
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            lacking.append(package)
    return ", ".join(found), f"install {', '.join(lacking)}: uv sync" if lacking else ""


def _devices() -> Finding:
    # torch is the tasks' own; it is asked in a process of its own, as a trial's would be.
    code = "import torch; print(torch.cuda.device_count(), torch.__version__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=TORCH_SECONDS,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        return (
            f"torch cannot be imported: {last}",
            "reinstall torch and torchvision in versions that go together: uv sync",
        )
    seen = int(done.stdout.split()[0])
    found = f"{cores()} cores, {gpus()} GPUs, of which torch sees {seen}"
    return (
        found,
        "install a torch that is built for this driver's CUDA version" if seen < gpus() else "",
    )


def _temporary() -> Finding:
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:
        return str(error), "set the environment variable TMPDIR to a folder that you may write to"
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        probe.write(b"x" * 4096)
        probe.flush()
    return f"{folder} is writable", ""


def _disk(results: str) -> Finding:
    folder = Store(results).folder
    if folder is None:
        return f"{results} is not on this machine", ""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    remedy = f"free at least {FREE_GIB} GiB there, or give --results a folder on another disk"
    return f"{free:.1f} GiB are free at {folder}", "" if free >= FREE_GIB else remedy


def _storage(results: str) -> Finding:
    """Writes, lists, reads and deletes a ledger of its own beside the results, and takes a lease twice."""
    store = Store(results.rstrip("/") + "/.doctor")
    fresh = None if store.folder is None else _first_missing(store.folder)
    try:
        ledger = Ledger(store)
        record = Record(
            "probe", "trial", "done", "doctor", "{}", 0, attempt=int(time.time()), steps=1
        )
        begin = time.perf_counter()
        name = ledger.append(record, [{"step": 0, "value": 0.1}])
        seconds = time.perf_counter() - begin
        if name not in ledger.records() or ledger.measurements().to_pylist()[-1]["value"] != 0.1:
            return (
                f"{store.uri} does not give back what was written to it",
                "give --results a folder on a file system that shows a file as soon as it is "
                "written",
            )
        first, second = Lease(store, "probe"), Lease(store, "probe")
        if first.take() is not None or second.take() is None:
            return (
                f"two processes could hold one lease in {store.uri}",
                "give --results a folder on a file system that lists a file as soon as it is "
                "written",
            )
        first.release()
        return f"{results} is writable; a trial's record takes {seconds * 1e3:.0f} ms", ""
    except OSError as error:
        return f"{results} cannot be written: {error.strerror or error}", remedy_of(
            error, "--results"
        )
    finally:
        # What cannot be written holds nothing to be removed
        with contextlib.suppress(OSError, HtsweepError):
            for entry in store.list("trials") + store.list("measurements") + store.list("leases"):
                store.delete(entry.name)
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)


def _first_missing(folder: Path) -> Path:
    """The outermost of the folders on the way to `folder` that do not exist yet; `folder` where all do."""
    missing = folder
    while not missing.parent.exists():
        missing = missing.parent
    return missing


def _cache() -> Finding:
    try:
        folder = cache_folder()
    except HtsweepError as error:
        return str(error).partition(";")[0], "set HTSWEEP_CACHE to a folder that can be written"
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # a trial that runs may remove it
            size += path.stat().st_size if path.is_file() else 0
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x" * 4096)
        probe.flush()
    return f"{folder} is writable, holds {size / 2**20:.0f} MiB", ""


def _ray() -> Finding:
    from htsweep.execution.ray import Ray

    begin = time.perf_counter()
    with Ray(cpu=1, gpu=0) as executor:
        slots = executor.started()
        return (
            f"a local Ray started in {time.perf_counter() - begin:.0f} s, {slots} trials at a time",
            "",
        )


def _mlflow() -> Finding:
    from htsweep.mirror.updating import probe

    with tempfile.TemporaryDirectory(prefix="htsweep-doctor-") as folder:
        begin = time.perf_counter()
        probe(Path(folder))
        return f"a run was written and read back in {time.perf_counter() - begin:.0f} s", ""
