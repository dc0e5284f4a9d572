"""What a task gets besides its config: seeds, artifacts, a place for its state."""

from __future__ import annotations

import hashlib
import json
import os
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
from tasks import cache, locking
from tasks.outputs import Outputs

LEAVE = "HTSWEEP_LEAVE"
"""The variable that names a file; once it exists, a trial leaves its machine when it next saves."""
SAVE_SECONDS = 30.0
"""States are saved at most this often, so that a shorter trial never pays for one."""


class Left(BaseException):
    """The trial has saved its state, and goes on from there on another machine."""


@final
class Workspace:
    """The `workspace` argument of a task (docs/contracts.md, "What a task is")."""

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
        features: bool = False,
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
        self._known: list[str] | None = None
        """The objects of the trial's saved states, oldest first; None: not listed yet."""
        self._resumed: _State | None = None
        """The state whose rows were taken, until the task loads the rest of it."""
        leave = os.environ.get(LEAVE)
        self._leave = Path(leave) if leave else None
        self._output: tempfile.TemporaryDirectory[str] | None = None
        self._published: dict[str, tuple[Any, str]] = {}
        """File of `output` -> its version when it was stored, and the object."""
        own = job.kind == "trial"  # what a stage measures is not a result
        self._keep = keep if own else NOTHING
        self.keeps_features = features and own
        self._metrics = tuple(metrics) if own else ()
        self._kept: dict[int, Mapping[str, kept.Half]] = {}
        """Step -> the outputs kept so far; only the last step unless all are kept (`EVERY`)."""
        self._now: tuple[int, Mapping[str, Outputs]] = (-1, {})
        """The last step for which `keep` was called, and its outputs."""

    def seed(self, *names: object) -> int:
        """A seed in [0, 2**31) that depends only on the names and the repetition."""
        return seed_for(self.repetition, *names)

    @property
    def cache(self) -> Path:
        """A folder shared by all trials on this node."""
        return cache_folder()

    @property
    def output(self) -> Path:
        """A folder whose files become the artifact of a stage."""
        if self._output is None:
            self._output = tempfile.TemporaryDirectory(prefix="htsweep-")
        return Path(self._output.name)

    def artifact(self, stage: str) -> Path:
        """A folder with the files that the stage made, fetched to this node once."""
        files = self._artifacts[stage]
        content = hashlib.sha256(json.dumps(dict(files), sort_keys=True).encode()).hexdigest()[:16]
        folder = self.cache / "artifacts" / content
        if all(_within(folder, name).exists() for name in files):
            return folder
        with cache.usable(folder, 0):
            folder.mkdir(parents=True, exist_ok=True)
        # The first trials of a node start at once, and one of them fetches for all.
        with locking.alone(folder.with_suffix(".lock")):
            for name, source in files.items():
                path = _within(folder, name)
                if not path.exists():
                    _place(path, _verified(self._store.read(source), source))
        return folder

    @property
    def trajectory(self) -> Path | None:
        """What the training shared with other trials left; None: the trial trains for itself."""
        return self.artifact(TRAJECTORY) if TRAJECTORY in self._artifacts else None

    def save(self, make: Callable[[], bytes]) -> None:
        """Saves a state if a save is due, and only then calls `make`.

        What was measured so far is saved with it, and what a stage has left in `output`.

        Raises:
            Left: it is saved, and the trial is to go on elsewhere, because its machine will end.
        """
        leave = self._leave is not None and self._leave.exists()
        if time.monotonic() - self._saved < self._save_seconds and not leave:
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
        older, name = self._states(), f"{self._states_folder}/{time.time_ns():020d}-{digest}"
        self._known = [*older, name]
        self._store.write(name, data)
        for old in older:
            self._store.delete(old)
        self._known = [name]
        self._saved = time.monotonic()
        if leave:
            raise Left

    def load(self) -> bytes | None:
        """The last saved state, or None; also restores the files that `output` then had."""
        state, self._resumed = self._resumed or self._last(), None
        if state is None:
            return None
        for name, source in state.files.items():
            path = _within(self.output, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(_verified(self._store.read(source), source))
        return state.own

    def keep(self, step: int, outputs: Mapping[str, Outputs]) -> None:
        """Keeps the model's outputs at a step, by split; call it before yielding the measurement.

        Raises:
            ValueError: a split's images differ from those of an earlier step.
        """
        if not self._metrics and self._keep == NOTHING:
            return
        taken = {
            split: Outputs(
                given.logits,
                given.labels,
                given.missing,
                split,
                getattr(given, "images", ""),
                getattr(given, "features", None) if self.keeps_features else None,
                getattr(given, "others", ()),
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
        """The study's metrics of the outputs at a step, by column; empty if none were kept of it.

        Raises:
            HtsweepError: a metric cannot be found, or raised an exception.
        """
        now, outputs = self._now
        if not self._metrics or step != now:
            return {}
        return metrics.measured(map(metrics.find, self._metrics), outputs)

    def measured_before(self) -> list[dict[str, Any]]:
        """What the trial had measured when its last state was saved; also restores kept outputs."""
        # Kept for `load`, which must not take another: a cut-off attempt may still save its own.
        state = self._resumed = self._last()
        if state is None:
            return []
        for step, outputs in (kept.unpacked(state.answers) if state.answers else {}).items():
            self._kept[step] = {split: kept.Half.of(given) for split, given in outputs.items()}
        return state.rows

    def _left(self) -> dict[str, str]:
        """Stores what a stage has left in `output` so far; for a trial, nothing."""
        return self.publish() if self._job.kind == "stage" else {}

    def publish_kept(self) -> dict[str, str]:
        """Stores the kept outputs of the measured steps: `kept.NAME` -> object, or nothing."""
        measured = {row["step"] for row in self._measured()}
        steps = {step: outputs for step, outputs in self._kept.items() if step in measured}
        if self._keep == NOTHING or not steps:
            return {}
        return {kept.NAME: kept.write(self._store, self._job.trial, steps)}

    def publish(self) -> dict[str, str]:
        """Stores the files of `output`: file -> object, named by a hash of its content."""
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
        """Cleans up; if the trial has `ended`, also removes its states."""
        if self._output is not None:
            self._output.cleanup()
        if not ended:
            return
        if self._store.folder is not None:
            self._store.delete_all(self._states_folder)
            return
        # A bucket has no unfinished files, and each listing of one is a wait.
        for name in self._states():
            self._store.delete(name)

    @property
    def _states_folder(self) -> str:
        return f"states/{self._job.trial}"

    def _states(self) -> list[str]:
        """The trial's saved states when this attempt first asked, and its own; oldest first."""
        if self._known is None:
            self._known = [entry.name for entry in self._store.list(self._states_folder)]
        return self._known

    def _last(self) -> _State | None:
        for name in reversed(self._states()):
            try:
                data = self._store.read(name)
            except FileNotFoundError:  # an attempt that was cut off has just saved another
                continue
            # A killed writer may leave a state whose content does not match the hash in its name.
            if hashlib.sha256(data).hexdigest()[:16] == name.rpartition("-")[2]:
                return _State.of(data)
        return None


@final
@dataclass(frozen=True)
class _State:
    """A saved state of a trial, from which it continues if it is killed."""

    rows: list[dict[str, Any]]
    """The rows that it had measured."""
    answers: bytes
    """Its kept model outputs (`ledger/kept.py`), packed; empty if there are none."""
    files: Mapping[str, str]
    """The files that it had left in `output`: file -> object."""
    own: bytes
    """The bytes that the task saved."""

    @classmethod
    def of(cls, data: bytes) -> _State:
        end = 8 + int.from_bytes(data[:8])
        header = json.loads(data[8:end])
        if isinstance(header, list):  # older versions saved the rows alone
            return cls(header, b"", {}, data[end:])
        own = end + header.get("answers", 0)
        return cls(header["rows"], data[end:own], header.get("files", {}), data[own:])


def cache_folder() -> Path:
    """The node-local cache folder (tasks/cache.py), which exists and is writable.

    Raises:
        HtsweepError: it cannot be used; the message names it and the variable that moves it.
    """
    try:
        return cache.folder()
    except cache.CacheUnusable as error:
        raise HtsweepError(str(error)) from error


def _within(folder: Path, name: str) -> Path:
    """The file `name` of a folder; names come from records, which others may have written."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        msg = f"the file {name!r} of a record would lie outside its folder, and is not written"
        raise HtsweepError(msg)
    return folder / name


def _place(path: Path, data: bytes) -> None:
    """Writes a file of the local cache atomically."""
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
