"""Nodes of a cluster that lack what trials need: said before a trial fails there; what lies beside a study goes along."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow.fs as fs
import pytest
from autoscaled import autoscaling
from buckets import KEYS, bucket
from pictures import domains

from htsweep.execution import ray_checks, ray_internals
from htsweep.ledger import Ledger, Store
from tasks import data

RAY = str(Path(sys.executable).parent / "ray")
HTSWEEP = str(Path(sys.executable).parent / "htsweep")


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The words that the processes of a job tell each other."""
    told: dict[str, str] = {}
    monkeypatch.setattr(ray_internals, "tell", told.__setitem__)
    monkeypatch.setattr(ray_internals, "told", lambda name: told.get(name, ""))
    monkeypatch.setattr(
        ray_internals, "words", lambda prefix: [name for name in told if name.startswith(prefix)]
    )
    monkeypatch.setattr(ray_checks, "SEEN_SECONDS", 0.5)
    return told


def answered(words: dict[str, str], results: Path, **changes: Any) -> tuple[str, list[str]]:
    """The answer to a node that finds what this machine has, but for the changes; and the notes."""
    facts = {
        "host": "far (10.0.0.7)",
        "version": ray_checks._version(),
        "program": ray_checks._program(),
        "results": str(results),
        "probe": "probes/n1",
        "wrong": "",
        "full": "",
        "no_gpu": "",
    }
    words["facts/n1"] = json.dumps({**facts, **changes})
    refused: list[str] = []
    notes: list[str] = []
    over = threading.Event()
    thread = threading.Thread(target=ray_checks.answer, args=(refused.append, notes.append, over))
    thread.start()
    while "answer/n1" not in words:
        assert thread.is_alive()
    over.set()
    thread.join()
    assert refused == ([] if words["answer/n1"] == ray_checks.FINE else [words["answer/n1"]])
    return words["answer/n1"], notes


def test_a_node_that_reaches_the_results_is_fine(words: dict[str, str], tmp_path: Path) -> None:
    Store(tmp_path).write("probes/n1", b"n1")
    assert answered(words, tmp_path) == (ray_checks.FINE, [])
    assert Store(tmp_path).list("probes") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "what far (10.0.0.7) writes to the results"),
        ({"version": "0.0.1"}, "far (10.0.0.7) has htsweep 0.0.1, but this launch has"),
        ({"wrong": "no space"}, "far (10.0.0.7) cannot write to the results: no space"),
        ({"full": "/c: free some"}, "far (10.0.0.7) has no room for what a trial writes: /c: free"),
        ({"no_gpu": "it has none"}, "far (10.0.0.7) offers Ray a GPU, but it has none; no trial"),
    ],
)
def test_what_a_node_lacks_ends_the_launch(
    words: dict[str, str], tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    reason, _ = answered(words, tmp_path, **changes)
    assert reason.startswith(said)


def test_other_files_of_one_version_are_said(words: dict[str, str], tmp_path: Path) -> None:
    Store(tmp_path).write("probes/n1", b"n1")
    answer, [note] = answered(words, tmp_path, program="another")
    assert answer == ray_checks.FINE
    assert "its files differ from those here" in note


def test_paths_that_a_node_lacks(tmp_path: Path) -> None:
    assert ray_checks.missing([str(tmp_path)]) == ""
    assert f"has no {tmp_path}/data, which the study names" in ray_checks.missing(
        [str(tmp_path), f"{tmp_path}/data"]
    )


DEVICES = """
mkdir dev modules && for each in null zero full random urandom; do touch dev/$each; mount --bind /dev/$each dev/$each; done
mkdir dev/shm && mount --rbind /dev/shm dev/shm && ln -s /proc/self/fd dev/fd && mount --rbind dev /dev;
"""
"""Shell that gives a node the folder `dev` as its devices, so that one may come."""
TORCH = """
from types import SimpleNamespace as Has
backends = Has(cuda=Has(is_built=lambda: True))
known = Has(name="NVIDIA A100-SXM4-40GB", total_memory=40 * 2**30)
cuda = Has(is_available=lambda: True, get_device_properties=lambda _: known)
zeros = lambda *_, **__: None
"""
"""What asking torch for its GPU uses of it, on a machine with one."""

# -- a second node that does not see what the launch sees: its folders are hidden by a mount of its own


@pytest.fixture
def far(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[str, Path]]:
    """The address of a Ray whose one worker node has an empty folder where the test's own is, and that node's cache."""
    if subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("mount namespaces cannot be made here")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with (
        # Short: the path of a socket has at most 107 bytes.
        tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as place,
        autoscaling(Path(place)) as address,
    ):
        start = f"{RAY} start --block --address={address} --num-cpus=2 --num-gpus=1"
        inside = (
            f"mount -t tmpfs none {tmp_path} && cd {elsewhere} && {DEVICES} "
            f"for _ in 1 2 3; do {start}; done"
        )
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        clean |= {**KEYS, "HTSWEEP_CACHE": str(elsewhere / "cache")}
        clean["PYTHONPATH"] = str(elsewhere / "modules")
        node = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", inside],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean,
        )
        yield address, elsewhere / "cache"
        family = psutil.Process(node.pid).children(recursive=True)
        node.terminate()
        node.wait(20)
        for one in psutil.wait_procs(family, timeout=5)[1]:
            one.kill()


def give_gpu(node: Path) -> None:
    """Gives the node, whose folder this is, what looks like a GPU as long as no trial uses it."""
    (node / "dev" / "nvidia0").touch()
    (node / "modules" / "torch.py").write_text(TORCH)


TASK = """\
import time
import own_numbers
from tasks import data
from tasks.task import declare

def meaning(config):
    return {**config, "domain": data.fingerprint(config["domain"]), "table": len(open(config["table"]).read())}

@declare(meaning=meaning, shape=lambda config: {"domain": config["domain"]})
def read(config, workspace):
    text = open(config["table"]).read() + open("beside.txt").read()
    images = data.load(config["domain"], workspace.cache, 8)
    pixels = float(images.pixels.sum())
    time.sleep(1)
    peak = 14 * 2.0**30
    yield {"step": 0, "sum": own_numbers.total(text), "pixels": pixels, "peak_memory_bytes": peak}
"""


@pytest.fixture
def photos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder of images, and its URI in a bucket, which any node reads."""
    root = tmp_path_factory.mktemp("photos")
    domains(root, {"ant": 3, "bee": 3})
    with bucket() as made:
        files, place = fs.FileSystem.from_uri(made.uri("photos"))
        fs.copy_files(str(root), place, destination_filesystem=files)
        yield root, made.uri("photos")


def launched(study: Path, results: Path, address: str, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [
            *(HTSWEEP, "launch", str(study), "--results", str(results), "--no-mirror"),
            *("--address", address, "--wait-for-nodes", "5", *words),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
        cwd=study.parent,
    )
    return done.returncode, done.stdout


@pytest.mark.ray
@pytest.mark.timeout(900)
def test_what_lies_beside_a_study_goes_along_and_what_is_not_shared_is_said(
    study_file: Callable[..., Path],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    photos: tuple[Path, str],
    far: tuple[str, Path],
) -> None:
    address, cache = far
    root, uri = photos
    (tmp_path / "own_task.py").write_text(TASK)
    (tmp_path / "own_numbers.py").write_text(
        "def total(text): return sum(map(float, text.split()))"
    )
    (tmp_path / "table.txt").write_text("1 2 ")
    (tmp_path / "beside.txt").write_text("4")
    table = tmp_path / "table.txt"
    path = study_file(
        f"task: own_task:read\nfixed: {{table: {table}, domain: 'folder:{uri}:art'}}\n"
        "grid: {part: [1, 2]}\n"
    )
    # The results are beside the study, where the node has an empty folder of its own.
    code, said = launched(path, tmp_path / "results", address)
    assert code == 2, said
    assert "does not show here: the folder is on a disk of its own there" in said
    assert not Ledger(Store(tmp_path / "results")).records()
    shared = tmp_path_factory.mktemp("shared")
    # Only some trials take a GPU, which the node offers Ray without having one.
    some = path.with_name("some.yaml")
    some.write_text(path.read_text() + "resources: {when: [{part: 2, gpu: auto}]}\n")
    code, said = launched(some, shared, address)
    assert code == 2, said
    assert said.count("offers Ray a GPU, but it has no device of one in /dev") == 1
    assert not Ledger(Store(shared)).records()
    # Now the node has one, and measures how many trials share it before it runs one.
    give_gpu(cache.parent)
    path.write_text(path.read_text() + "resources: {gpu: auto}\n")
    code, said = launched(path, shared, address)
    assert code == 0, said
    a100 = "NVIDIA A100-SXM4-40GB"
    assert said.count(f"gpu: auto: measuring how many share a {a100}: own_task:read: domain") == 1
    assert f"gpu: auto: 1/2 of a {a100} (14.0 of 40 GiB each, " in said
    rows = Ledger(Store(shared)).trials(every=True).to_pylist()
    ended = [(row["status"], len(row["code"]), row["gpu"]) for row in rows]
    assert ended == [("done", 16, 0.5)] * 2
    assert all(json.loads(row["config"])["table"] == str(table) for row in rows)
    ledger = Ledger(Store(shared))
    measured = ledger.measurements(["sum", "pixels"], ledger.trials())
    assert measured.column("sum").to_pylist() == [7.0, 7.0]
    # The node has copied the bucket's images itself, once.
    [copy] = cache.glob("buckets/*/*/")
    assert sorted(path.name for path in copy.iterdir()) == ["art", "photo"]
    here = float(data.load(f"folder:{root}:art", tmp_path / "own", 8).pixels.sum())
    assert measured.column("pixels").to_pylist() == [here, here]
