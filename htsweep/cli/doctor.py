"""Checks whether this machine can run a study, and how to fix what fails."""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, final

from htsweep.errors import HtsweepError, LedgerError, remedy_of
from htsweep.execution.machine import cores, gpus
from htsweep.execution.workspace import cache_folder
from htsweep.ledger import Lease, Ledger, Record, Store

Finding = tuple[str, str]
"""What a check found, and the remedy; an empty remedy means that the check passed."""

PACKAGES = ("ray", "torch", "timm", "optuna", "mlflow", "pyarrow", "typer", "pandas", "moocore")
FREE_GIB = 5
TORCH_SECONDS = 120


@final
@dataclass(frozen=True)
class Check:
    """The outcome of one check."""

    name: str
    ok: bool
    found: str
    remedy: str
    """How to fix it; "" if `ok`."""

    def lines(self) -> list[str]:
        """The outcome as lines for people."""
        lines = [f"{'ok  ' if self.ok else 'FAIL'}  {self.name:9} {self.found}"]
        if not self.ok:
            lines.append(f"      {'':9} remedy: {self.remedy}")
        return lines


def examine(results: str, say: Callable[[str], object], as_json: bool = False) -> int:
    """Runs every check and reports it; returns 0 if all passed, else 1.

    Args:
        results: the folder or URI of the results that a study would use.
        say: called with each line as soon as it is known, or with the JSON document at the end.
        as_json: whether to report one JSON document (`document`) instead of lines.
    """
    checks = []
    for check in run_checks(results):
        checks.append(check)
        if not as_json:
            say("\n".join(check.lines()))
    if as_json:
        say(json.dumps(document(checks), indent=2))
    return 0 if all(check.ok for check in checks) else 1


def document(checks: list[Check]) -> dict[str, Any]:
    """The data for a bug report: the versions of all packages, and each check's outcome."""
    return {
        "htsweep": _version_of("htsweep"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {package: _version_of(package) for package in PACKAGES},
        "ok": all(check.ok for check in checks),
        "checks": [asdict(check) for check in checks],
    }


def run_checks(results: str) -> Iterator[Check]:
    """Runs the checks one after the other; a check that raises has failed."""
    # Name -> (check, the setting by which the user can choose other files for it, if any).
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
    for name, (check, setting) in checks.items():
        try:
            finding, remedy = check()
        except Exception as error:
            finding, remedy = _failed(error, setting)
        yield Check(name, not remedy, finding, remedy)


def _version_of(package: str) -> str | None:
    """The installed version; None if the package is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _failed(error: Exception, setting: str) -> Finding:
    if isinstance(error, LedgerError):
        problem, _, remedy = str(error).partition("; ")
        return problem, remedy
    if isinstance(error, HtsweepError):  # its message says what to do
        head, _, rest = str(error).partition("\n" if "\n" in str(error) else "; ")
        return head, rest.strip() or "do what the message says, then run this again"
    if isinstance(error, subprocess.TimeoutExpired):
        return (
            f"no answer within {error.timeout:.0f} s",
            "the disk that holds the packages may be slow; run this again",
        )
    if isinstance(error, OSError):
        what_failed = (
            f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
        )
        return what_failed, remedy_of(error, setting)
    remedy = (
        "reinstall the packages (uv sync), then run this again; if that does not help, report it"
    )
    return f"{type(error).__name__}: {error}", remedy


def _versions() -> Finding:
    versions = {package: _version_of(package) for package in PACKAGES}
    installed = [f"{package} {number}" for package, number in versions.items() if number]
    lacking = [package for package, number in versions.items() if not number]
    version_line = ", ".join([f"python {platform.python_version()}", *installed])
    return version_line, f"install {', '.join(lacking)}: uv sync" if lacking else ""


def _devices() -> Finding:
    # Only tasks import torch, so a separate process is asked, like that of a trial.
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
    devices = f"{cores()} cores, {gpus()} GPUs, of which torch sees {seen}"
    return (
        devices,
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
    """Writes, reads, merges and removes a small ledger near the results; takes a lease twice."""
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
        # A merge writes an object and removes others beside it, where some stores lose both.
        ledger.append(replace(record, trial="other"), [{"step": 0, "value": 0.2}])
        ledger.compact()
        values = ledger.measurements().to_pylist()
        if sorted(row["value"] for row in values[-2:]) != [0.1, 0.2]:
            return (
                f"{store.uri} loses an object when one beside it is removed",
                "give --results another folder or bucket",
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
        # If nothing could be written, there is nothing to remove.
        with contextlib.suppress(OSError, HtsweepError):
            for entry in store.list("trials") + store.list("measurements") + store.list("leases"):
                store.delete(entry.name)
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)


def _first_missing(folder: Path) -> Path:
    """The outermost folder of the path `folder` that does not exist; `folder` if all exist."""
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
        with contextlib.suppress(OSError):  # a running trial may remove it
            size += path.stat().st_size if path.is_file() else 0
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x" * 4096)
        probe.flush()
    return f"{folder} is writable, holds {size / 2**20:.0f} MiB", ""


def _ray() -> Finding:
    from htsweep.execution.probe import probe
    from htsweep.execution.registry import Options, make

    begin = time.perf_counter()
    slots = probe(make("ray", Options()))
    seconds = time.perf_counter() - begin
    return f"a local Ray ran a trial within {seconds:.0f} s, {slots} trials at a time", ""


def _mlflow() -> Finding:
    from htsweep.mirror.updating import probe

    with tempfile.TemporaryDirectory(prefix="htsweep-doctor-") as folder:
        begin = time.perf_counter()
        probe(Path(folder))
        return f"a run was written and read back in {time.perf_counter() - begin:.0f} s", ""
