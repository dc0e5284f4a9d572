"""What a task is given beside its config: seeds, artifacts, a place for its state."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from htsweep.errors import HtsweepError
from htsweep.ledger import Store, kept
from htsweep.planning import metrics
from htsweep.planning.jobs import Job, seed_for
from htsweep.planning.keeping import EVERY, NOTHING
from htsweep.planning.sharing import NAME as TRAJECTORY
from tasks import cache
from tasks.outputs import Outputs

SAVE_SECONDS = 30.0
"""A state is kept at most this often: a trial shorter than this never pays for one."""


@final
class Workspace:
    """A trial's own view of the world (docs/contracts.md, "What a task is")."""

    def __init__(
        self,
        job: Job,
        store: Store,
        artifacts: Mapping[str, Mapping[str, str]],
        measured: Callable[[], Sequence[Mapping[str, Any]]],
        *,
        device: str = "cpu",
        threads: int = 1,
        save_seconds: float = SAVE_SECONDS,
        keep: str = NOTHING,
        metrics: Sequence[str] = (),
    ) -> None:
        self.repetition = job.repetition
        self.device = device
        self.threads = threads
        self._job = job
        self._store = store
        self._artifacts = artifacts
        self._measured = measured
        self._save_seconds = save_seconds
        self._saved = time.monotonic()
        self._output: tempfile.TemporaryDirectory[str] | None = None
        self._published: dict[str, tuple[Any, str]] = {}
        """File of `output` -> its version when it was put into the store, and the object."""
        own = job.kind == "trial"  # what a stage measures is nobody's result
        self._keep = keep if own else NOTHING
        self._metrics = tuple(metrics) if own else ()
        self._kept: dict[int, Mapping[str, kept.Half]] = {}
        """What is kept by now, by step; but for `EVERY`, the last step alone."""
        self._now: tuple[int, Mapping[str, Outputs]] = (-1, {})
        """The last step that was handed over."""

    def seed(self, *names: object) -> int:
        """A seed in [0, 2**31) from the names and the repetition, and from nothing else."""
        return seed_for(self.repetition, *names)

    @property
    def cache(self) -> Path:
        """A folder that all trials of this node share."""
        return cache_folder()

    @property
    def output(self) -> Path:
        """A folder; what a stage leaves in it becomes its artifact."""
        if self._output is None:
            self._output = tempfile.TemporaryDirectory(prefix="htsweep-")
        return Path(self._output.name)

    def artifact(self, stage: str) -> Path:
        """The folder with the files that the stage made, fetched to this node once."""
        files = self._artifacts[stage]
        content = hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()[:16]
        folder = self.cache / "artifacts" / content
        for name, source in files.items():
            if not (folder / name).exists():
                _place(folder / name, _verified(self._store.read(source), source))
        return folder

    @property
    def trajectory(self) -> Path | None:
        """What the stage that trains for this trial and others has left; None: the trial trains."""
        return self.artifact(TRAJECTORY) if TRAJECTORY in self._artifacts else None

    def save(self, make: Callable[[], bytes]) -> None:
        """Keeps a state, with what was measured and left in `output` so far; calls `make` only when a save is due."""
        if time.monotonic() - self._saved < self._save_seconds:
            return
        answers = kept.packed(self._kept) if self._kept and self._keep != NOTHING else b""
        content = {
            "rows": [dict(row) for row in self._measured()],
            "answers": len(answers),
            "files": self._left(),
        }
        header = json.dumps(content).encode()
        data = len(header).to_bytes(8) + header + answers + make()
        digest = hashlib.sha256(data).hexdigest()[:16]
        older = self._states()
        self._store.write(f"{self._states_folder}/{time.time_ns():020d}-{digest}", data)
        for name in older:
            self._store.delete(name)
        self._saved = time.monotonic()

    def load(self) -> bytes | None:
        """The last state kept, or None; the files that `output` had then are there again."""
        state = self._last()
        if state is None:
            return None
        for name, source in state.files.items():
            path = self.output / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_verified(self._store.read(source), source))
        return state.own

    def keep(self, step: int, outputs: Mapping[str, Outputs]) -> None:
        """Takes what the model answers at a step, by split, before the step's measurement is yielded.

        Raises:
            ValueError: the images of a split are not those of an earlier step.
        """
        if not self._metrics and self._keep == NOTHING:
            return
        taken = {
            split: Outputs(
                given.logits, given.labels, given.missing, split, getattr(given, "images", "")
            )
            for split, given in outputs.items()
        }
        for other in self._kept.values():
            if wrong := kept.problem(other, taken):
                raise ValueError(wrong)
        if self._keep != EVERY:
            self._kept.clear()
        self._now = step, taken
        self._kept[step] = {split: kept.Half.of(outputs) for split, outputs in taken.items()}

    def asked(self, step: int) -> dict[str, float]:
        """The study's metrics of what the model answered at a step: column -> number; none where nothing was kept of it.

        Raises:
            HtsweepError: a metric is not there, or raised something.
        """
        now, outputs = self._now
        if not self._metrics or step != now:
            return {}
        return metrics.measured(map(metrics.find, self._metrics), outputs)

    def measured_before(self) -> list[dict[str, Any]]:
        """What the trial had measured when its last state was kept."""
        state = self._last()
        if state is None:
            return []
        for step, outputs in (kept.unpacked(state.answers) if state.answers else {}).items():
            self._kept[step] = {split: kept.Half.of(given) for split, given in outputs.items()}
        return state.rows

    def _left(self) -> dict[str, str]:
        """What a stage has left in `output` so far, in the store; what a trial leaves is not kept."""
        return self.publish() if self._job.kind == "stage" else {}

    def publish_kept(self) -> dict[str, str]:
        """Puts what is kept of the steps that were measured into the store: `kept.NAME` -> object, or nothing."""
        measured = {row["step"] for row in self._measured()}
        steps = {step: outputs for step, outputs in self._kept.items() if step in measured}
        if self._keep == NOTHING or not steps:
            return {}
        return {kept.NAME: kept.write(self._store, self._job.trial, steps)}

    def publish(self) -> dict[str, str]:
        """Puts the files of `output` into the store: file -> object, named by what it holds."""
        if self._output is None:
            return {}
        published = {}
        for path in sorted(self.output.rglob("*")):
            if path.is_file():
                name = path.relative_to(self.output).as_posix()
                version = (path.stat().st_mtime_ns, path.stat().st_size)
                if self._published.get(name, (None, ""))[0] != version:
                    data = path.read_bytes()
                    digest = hashlib.sha256(data).hexdigest()[:16]
                    published[name] = f"artifacts/{self._job.trial}/{digest}-{path.name}"
                    self._store.write(published[name], data)
                    self._published[name] = (version, published[name])
                published[name] = self._published[name][1]
        return published

    def close(self, ended: bool) -> None:
        """Cleans up; the state of a trial that ended is not needed any more."""
        if self._output is not None:
            self._output.cleanup()
        if ended:
            self._store.delete_all(self._states_folder)

    @property
    def _states_folder(self) -> str:
        return f"states/{self._job.trial}"

    def _states(self) -> list[str]:
        return [entry.name for entry in self._store.list(self._states_folder)]

    def _last(self) -> _State | None:
        for name in reversed(self._states()):
            data = self._store.read(name)
            # A writer that was killed leaves a state that does not hold what its name says.
            if hashlib.sha256(data).hexdigest()[:16] == name.rpartition("-")[2]:
                return _State.of(data)
        return None


@final
@dataclass(frozen=True)
class _State:
    """What is kept of a trial that runs, for when it is killed."""

    rows: list[dict[str, Any]]
    """What it had measured."""
    answers: bytes
    """What its model had answered (`ledger/kept.py`), packed; empty: nothing."""
    files: Mapping[str, str]
    """What it had left in `output`: file -> object."""
    own: bytes
    """What the task gave."""

    @classmethod
    def of(cls, data: bytes) -> _State:
        end = 8 + int.from_bytes(data[:8])
        header = json.loads(data[8:end])
        if isinstance(header, list):  # an earlier version kept the rows alone
            return cls(header, b"", {}, data[end:])
        own = end + header.get("answers", 0)
        return cls(header["rows"], data[end:own], header.get("files", {}), data[own:])


def cache_folder() -> Path:
    """The node-local cache (tasks/cache.py), there and writable.

    Raises:
        HtsweepError: it is not; the text names the folder and the variable that moves it.
    """
    try:
        return cache.folder()
    except cache.CacheUnusable as error:
        raise HtsweepError(str(error)) from error


def _place(path: Path, data: bytes) -> None:
    """Writes a file of the local cache so that it is there whole or not at all."""
    with cache.usable(path.parent, len(data)):
        path.parent.mkdir(parents=True, exist_ok=True)
        with cache.atomically(path) as partial:
            partial.write_bytes(data)


def _verified(data: bytes, name: str) -> bytes:
    digest = name.rpartition("/")[2].partition("-")[0]
    if hashlib.sha256(data).hexdigest()[:16] != digest:
        msg = f"{name} does not hold what its name says; delete it and launch again"
        raise OSError(msg)
    return data
