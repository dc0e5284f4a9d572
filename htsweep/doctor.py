"""Whether this machine can run a study: each check says what it found, and what to do where it fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from htsweep.errors import HtsweepError
from htsweep.execute.machine import cores, gpus
from htsweep.execute.workspace import cache_folder
from htsweep.ledger import Lease, Ledger, Record, Store

Finding = tuple[str, str]
"""What was found, and the remedy; an empty remedy means that all is well."""

PACKAGES = ("ray", "torch", "timm", "optuna", "mlflow", "pyarrow", "typer", "pandas", "moocore")
FREE_GIB = 5


def examine(results: str, say: Callable[[str], object]) -> int:
    """Runs every check, says each in a line, and returns 0 where all are well, else 1."""
    checks: dict[str, Callable[[], Finding]] = {
        "versions": _versions, "devices": _devices, "disk": lambda: _disk(results), "storage": lambda: _storage(results),
        "cache": _cache, "ray": _ray, "mlflow": _mlflow,
    }
    worst = 0
    for name, check in checks.items():
        try:
            found, remedy = check()
        except Exception as error:  # a check that cannot even run has found something
            found, remedy = f"{type(error).__name__}: {error}", "mend what the message says, then run this again"
        say(f"{'ok  ' if not remedy else 'FAIL'}  {name:9} {found}")
        if remedy:
            say(f"      {'':9} remedy: {remedy}")
            worst = 1
    return worst


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
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return f"torch does not import: {last}", "reinstall torch and torchvision of versions that go together: uv sync"
    seen = int(done.stdout.split()[0])
    found = f"{cores()} cores, {gpus()} GPUs, of which torch sees {seen}"
    return found, "install a torch that is built for this driver's CUDA version" if seen < gpus() else ""


def _disk(results: str) -> Finding:
    folder = Store(results).folder
    if folder is None:
        return f"{results} is no local folder", ""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    return f"{free:.0f} GiB free at {folder}", "" if free >= FREE_GIB else f"free {FREE_GIB} GiB, or give --results elsewhere"


def _storage(results: str) -> Finding:
    """Writes, lists, reads and deletes a ledger of its own beside the results, and takes a lease twice."""
    place = results.rstrip("/") + "/.doctor"
    store = Store(place)
    fresh = store.folder is not None and not store.folder.parent.exists()
    try:
        ledger = Ledger(store)
        record = Record("probe", "trial", "done", "doctor", "{}", 0, attempt=int(time.time()), steps=1)
        begin = time.perf_counter()
        name = ledger.append(record, [{"step": 0, "value": 0.1}])
        seconds = time.perf_counter() - begin
        if name not in ledger.records() or ledger.measurements().to_pylist()[-1]["value"] != 0.1:
            return f"{store.uri} does not give back what it was given", "use a file system that shows a file once it is written"
        first, second = Lease(store, "probe"), Lease(store, "probe")
        if first.take() is not None or second.take() is None:
            return f"{store.uri}: two could hold one lease", "use a file system whose listings are consistent"
        first.release()
        return f"{results} is writable; a trial's record takes {seconds * 1e3:.0f} ms", ""
    except (OSError, HtsweepError) as error:
        return f"{results} cannot be written: {error}", "give --results a folder or bucket that you may write to"
    finally:
        for entry in store.list("trials") + store.list("measurements") + store.list("leases"):
            store.delete(entry.name)
        if store.folder is not None:
            shutil.rmtree(store.folder.parent if fresh else store.folder, ignore_errors=True)


def _cache() -> Finding:
    try:
        folder = cache_folder()
    except HtsweepError as error:
        return str(error).partition(";")[0], "set HTSWEEP_CACHE to a folder that can be written"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with tempfile.TemporaryFile(dir=folder) as probe:
        probe.write(b"x")
    return f"{folder} is writable, holds {size / 2**20:.0f} MiB", ""


def _ray() -> Finding:
    from htsweep.execute.ray import Ray

    begin = time.perf_counter()
    with Ray(cpu=1, gpu=0) as executor:
        slots = executor.started()
        return f"a local Ray started in {time.perf_counter() - begin:.0f} s, {slots} trials at a time", ""


def _mlflow() -> Finding:
    from htsweep.following import probe

    with tempfile.TemporaryDirectory(prefix="htsweep-doctor-") as folder:
        begin = time.perf_counter()
        probe(Path(folder))
        return f"a run was written and read back in {time.perf_counter() - begin:.0f} s", ""
