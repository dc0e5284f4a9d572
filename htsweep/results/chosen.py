"""What a study that says `auto` for how to compute has been given: measured once, and kept.

The record lies beside the study's report, and is only ever added to: what has been chosen for a
shape stays, on whatever machine the study goes on, since it is part of the ids of its trials.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from htsweep.commands import given
from htsweep.errors import HtsweepError
from htsweep.ledger import Store
from htsweep.planning import task
from htsweep.planning.plan import Plan, Sweep
from htsweep.study.schema import Study

AUTO = "auto"
"""The value by which a study asks for the fastest."""


@final
@dataclass(frozen=True)
class Choice:
    """What was chosen for a shape, such as `resnet18@224`, and what it rests on."""

    way: str
    device: str
    """The device that was measured on, by its name."""
    milliseconds: Mapping[str, float]
    """Of a training step, for each way that was tried."""
    batch_size: int | None = None

    def line(self, shape: str) -> str:
        """`resnet18@224 bfloat16, of full 8.1 ms, bfloat16 4.0 ms a step (NVIDIA H100)`."""
        tried = ", ".join(f"{way} {took:.3g}" for way, took in self.milliseconds.items())
        return f"{shape}={self.way}, of {tried} ms a step ({self.device})"


def asked(study: Study) -> str | None:
    """The setting for which a study asks for the fastest value, or None."""
    try:
        timed = task.of(study).timed
    except Exception:  # a task that is not there; reading the study reports it
        return None
    if timed is None:
        return None
    value = study.fixed.get(timed.key)
    entries = value if isinstance(value, list) else [value]
    return str(timed.key) if AUTO in entries else None


def choices(study: Study, store: Store) -> dict[str, Choice]:
    """What has been chosen for each shape; empty if nothing has.

    Raises:
        HtsweepError: the record cannot be read.
    """
    key = asked(study)
    if key is None:
        return {}
    name = _name(study, key)
    if not any(entry.name == name for entry in store.list(f"studies/{study.name}")):
        return {}
    try:
        return {
            shape: Choice(
                str(one["way"]),
                str(one["device"]),
                {str(way): float(took) for way, took in one["milliseconds"].items()},
                one.get("batch_size"),
            )
            for shape, one in json.loads(store.read(name)).items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HtsweepError(
            f"{name} in {store.uri} is no record of `{key}`: {error!r}; put back what it was, "
            "since trials of the study are named by it"
        ) from error


def settled(study: Study, store: Store) -> Study:
    """The study with what has been chosen written out, as if the user had: ids follow from it."""
    key = asked(study)
    found = choices(study, store) if key else {}
    if key is None or not found:
        return study
    value = study.fixed[key]
    own = value if isinstance(value, list) else [value]
    # What the user names comes first, and `auto` stays for shapes that are not measured yet.
    entries = [
        *(entry for entry in own if entry != AUTO),
        *(f"{shape}={choice.way}" for shape, choice in found.items()),
        AUTO,
    ]
    return study.model_copy(update={"fixed": {**study.fixed, key: entries}})


def undecided(planned: Plan) -> dict[str, list[Sweep]]:
    """Shape -> the cells whose fastest way is not measured yet."""
    timed, found = planned.task.timed, dict[str, list[Sweep]]()
    for sweep in planned.sweeps if timed is not None else ():
        if sweep.base.get(timed.key) == AUTO:
            found.setdefault(timed.measured(sweep.base)[0], []).append(sweep)
    return found


def add(study: Study, store: Store, found: Mapping[str, Choice]) -> None:
    """Adds choices to the record; what is there stays."""
    key = asked(study)
    assert key is not None
    every = {**found, **choices(study, store)}
    record = {
        shape: {
            "way": choice.way,
            "device": choice.device,
            "milliseconds": {way: round(took, 3) for way, took in choice.milliseconds.items()},
            "batch_size": choice.batch_size,
        }
        for shape, choice in every.items()
    }
    store.write(_name(study, key), json.dumps(record, indent=2).encode())


def lines(study: Study, location: str, store: Store, planned: Plan) -> list[str]:
    """What `plan` says of it: what has been chosen, and what is still to be measured."""
    key = asked(study)
    if key is None:
        return []
    said = [f"{key} {choice.line(shape)}" for shape, choice in choices(study, store).items()]
    if said:
        said.append(
            f"{key} stays as it was measured, on whatever device trials run, since it is in their "
            "ids; to choose anew, write it into the study, or give other results"
        )
    left = undecided(planned)
    return said + ([f"{key} {unmeasured(study, location, left)}"] if left else [])


def unmeasured(study: Study, location: str, left: Mapping[str, Any]) -> str:
    """Why a study with shapes that are not measured cannot be launched, and the remedy."""
    return (
        f"{AUTO} is not measured yet for {', '.join(left)}, and nothing runs before: measure on a "
        f"machine like those that will run the trials. To measure it: "
        f"{given(study, location).verb('plan', '--measure')}"
    )


def _name(study: Study, key: str) -> str:
    return f"studies/{study.name}/{key}.json"
