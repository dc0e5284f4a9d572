"""The fraction of a GPU that a trial takes under `gpu: auto`, from what was measured of its shape.

The evidence on a shape is a few immutable objects below `gpu/` in the results: what probes measured
(htsweep/execution/gpu_probe.py), and each time that memory ran out. The fraction follows from them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

from htsweep.errors import LedgerError
from htsweep.execution.gpu_probe import Probe
from htsweep.execution.work import Work
from htsweep.execution.workspace import cache_folder
from htsweep.ledger import Store
from htsweep.planning import shapes

FOLDER = "gpu"
COUNTS = (1, 2, 4, 8)
"""How many trials may share a GPU: fractions that fill it without a rest."""


@final
class Fractions:
    """The fractions of one results folder, and of the user's cache."""

    def __init__(self, store: Store, *, cached: bool = True) -> None:
        """Reads nothing yet.

        Args:
            store: of the results.
            cached: whether the user's cache counts, and is added to.
        """
        self._stores = [store, *(_cached() if cached else [])]
        self._known: dict[str, list[Mapping[str, Any]]] = {}

    def of(self, task: str, config: Mapping[str, Any], accelerator: str | None = None) -> float:
        """The fraction for a config; a whole GPU while nothing is known of its shape."""
        found = fraction(self._evidence(shapes.shape_of(task, config)), accelerator)
        return 1.0 if found is None else found

    def knows(self, task: str, config: Mapping[str, Any], accelerator: str | None = None) -> bool:
        """Whether a probe has measured the config's shape."""
        evidence = self._evidence(shapes.shape_of(task, config))
        return any(True for _ in _probes(evidence, accelerator))

    def has(self, work: Work) -> bool:
        """Whether a probe has measured the shape of a trial, as it is to run."""
        job = work.job
        return self.knows(job.task, job.config, work.conditions.accelerator)

    def reread(self) -> None:
        """Takes in what another machine has measured, and keeps it in the user's cache."""
        results, *cached = self._stores
        for shape in self._known:
            with contextlib.suppress(LedgerError, OSError):
                for entry in results.list(f"{FOLDER}/{shape}"):
                    for cache in cached:
                        cache.write(entry.name, results.read(entry.name))
        self._known.clear()

    def probe_of(
        self, task: str, config: Mapping[str, Any], accelerator: str | None = None
    ) -> Probe | None:
        """The latest probe of the config's shape."""
        evidence = self._evidence(shapes.shape_of(task, config))
        return max(_probes(evidence, accelerator), key=lambda probe: probe.measured, default=None)

    def add(self, probe: Probe) -> None:
        """Records what a probe measured."""
        self._add(probe.shape, {"kind": "probe", **probe.values()})

    def ran_out(self, task: str, config: Mapping[str, Any], taken: float, trial: str) -> float:
        """Records that a trial ran out of memory on a fraction; returns the next larger fraction.

        Args:
            task: the trial's.
            config: the trial's.
            taken: the fraction that it had.
            trial: its id.
        """
        shape = shapes.shape_of(task, config)
        fact = {"kind": "out_of_memory", "fraction": taken, "trial": trial, "measured": time.time()}
        self._add(shape, fact)
        return fraction(self._evidence(shape)) or 1.0

    def _evidence(self, shape: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        name = _name(shape)
        if name not in self._known:
            listed: dict[str, Mapping[str, Any]] = {}
            for store in self._stores:
                with contextlib.suppress(LedgerError):  # the cache is a help alone
                    for entry in store.list(f"{FOLDER}/{name}"):
                        with contextlib.suppress(ValueError, OSError):
                            listed[entry.name] = json.loads(store.read(entry.name))
            self._known[name] = [listed[key] for key in sorted(listed)]
        return self._known[name]

    def _add(self, shape: Mapping[str, Any], fact: Mapping[str, Any]) -> None:
        data = json.dumps({"shape": dict(shape), **fact}, sort_keys=True).encode()
        digest = hashlib.sha256(data).hexdigest()[:16]
        path = f"{FOLDER}/{_name(shape)}/{time.time_ns():020d}-{digest}.json"
        for number, store in enumerate(self._stores):
            try:
                store.write(path, data)
            except LedgerError:
                if number == 0:
                    raise
        self._evidence(shape).append(json.loads(data))


def fraction(evidence: Iterable[Mapping[str, Any]], accelerator: str | None = None) -> float | None:
    """The fraction of a GPU for a shape; None if nothing is known of it.

    Of several types of GPU, on any of which the trial may land, the one that holds the fewest
    counts. After memory ran out on a fraction, it is a larger one, whatever a probe said.
    """
    known = list(evidence)
    latest: dict[str, Probe] = {}
    for probe in sorted(_probes(known, accelerator), key=lambda probe: probe.measured):
        latest[probe.device] = probe
    counts = [probe.count for probe in latest.values()]
    failed = [fact["fraction"] for fact in known if fact["kind"] == "out_of_memory"]
    if failed:
        counts.append(max((count for count in COUNTS if 1 / count > max(failed)), default=1))
    return 1 / min(counts) if counts else None


def _probes(evidence: Iterable[Mapping[str, Any]], accelerator: str | None) -> Iterator[Probe]:
    for fact in evidence:
        if fact["kind"] == "probe" and (accelerator or "") in fact["device"]:
            yield Probe.of(fact)


def _name(shape: Mapping[str, Any]) -> str:
    text = json.dumps(dict(shape), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _cached() -> list[Store]:
    """The user's cache as a store, for studies with other results; none if it cannot be used."""
    with contextlib.suppress(Exception):
        folder: Path = cache_folder()
        return [Store(folder / "probes")]
    return []
