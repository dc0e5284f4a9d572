"""Stores the outputs of a trial's model in one object: logits, labels, missing classes, features.

An object is a compressed npz file: `about` is JSON in UTF-8; `labels` holds the labels of all
splits, one after the other; `logits0`, `logits1`, ... are those of each split, float16 [steps,
images, classes]; `features0`, ..., where kept, are float16 [steps, images, width]. `about` has for
each split, in that order, `split`, `images` (how many), `steps`, `missing`, and `name`: a name for
the images and their order.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from htsweep.errors import LedgerError
from htsweep.ledger.store import Store

if TYPE_CHECKING:
    from tasks.outputs import Outputs

    Steps = Mapping[int, Mapping[str, "Outputs | Half"]]
    """Step -> split -> the model's outputs."""

FOLDER = "logits"
NAME = "logits"
"""The object's name in the artifact of a trial's record."""


@final
@dataclass(frozen=True, eq=False)
class Half:
    """Outputs waiting to be written: as `Outputs`, but of float16, in half the memory."""

    logits: Any
    labels: Any
    missing: tuple[int, ...]
    split: str
    images: str
    features: Any = None
    others: tuple[int, ...] = ()

    @classmethod
    def of(cls, outputs: Outputs) -> Half:
        """The same outputs, rounded to 16 bits."""
        import numpy as np

        logits = outputs.logits.astype(np.float16)
        features = None if outputs.features is None else outputs.features.astype(np.float16)
        return cls(
            logits,
            outputs.labels,
            outputs.missing,
            outputs.split,
            outputs.images,
            features,
            outputs.others,
        )


def problem(before: Mapping[str, Outputs | Half], now: Mapping[str, Outputs]) -> str:
    """Why the outputs of two steps of a trial cannot be kept together; "" if they can."""
    import numpy as np

    for split in before.keys() & now.keys():
        first, other = before[split], now[split]
        same = (
            first.logits.shape == other.logits.shape
            and (first.missing, first.others) == (other.missing, other.others)
            and first.images == other.images
            and np.array_equal(first.labels, other.labels)
        )
        shapes = [list(one.features.shape) for one in (first, other) if one.features is not None]
        if same and len(shapes) == 2 and shapes[0] != shapes[1]:
            return (
                f"the features on split '{split}' are {shapes[1]}, but {shapes[0]} at an "
                "earlier step; their width stays the same in a trial"
            )
        if not same:
            return (
                f"the outputs on split '{split}' are of other images, labels or missing classes "
                "than at an earlier step; the images of a split stay the same in a trial"
            )
    return ""


def packed(steps: Steps) -> bytes:
    """The bytes of the object that holds `steps`; equal steps give equal bytes."""
    import numpy as np

    splits = list(dict.fromkeys(split for outputs in steps.values() for split in outputs))
    about: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    labels = []
    for number, split in enumerate(splits):
        own = {step: outputs[split] for step, outputs in sorted(steps.items()) if split in outputs}
        first = next(iter(own.values()))
        about.append(
            {
                "split": split,
                "images": len(first.labels),
                "steps": list(own),
                "missing": list(first.missing),
                "name": first.images,
                **({"others": list(first.others)} if first.others else {}),
            }
        )
        labels.append(first.labels)
        stacked = np.stack([outputs.logits for outputs in own.values()])
        arrays[f"logits{number}"] = stacked.astype(np.float16)
        features = [one.features for one in own.values() if one.features is not None]
        # A trial may have begun before its study asked for features.
        if len(features) == len(own):
            arrays[f"features{number}"] = np.stack(features).astype(np.float16)
    largest = max((int(part.max()) for part in labels if len(part)), default=0)
    arrays["labels"] = np.concatenate(labels).astype(np.min_scalar_type(largest))
    text = json.dumps({"splits": about}, separators=(",", ":")).encode()
    file = io.BytesIO()
    np.savez_compressed(file, about=np.frombuffer(text, np.uint8), **arrays)
    return file.getvalue()


def unpacked(data: bytes) -> dict[int, dict[str, Outputs]]:
    """The steps from which `packed` made the bytes.

    Raises:
        ValueError: `packed` did not make them.
    """
    import numpy as np

    from tasks.outputs import Outputs

    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            labels, start = arrays["labels"], 0
            steps: dict[int, dict[str, Outputs]] = {}
            for number, part in enumerate(about["splits"]):
                own = labels[start : start + part["images"]]
                start += part["images"]
                logits = arrays[f"logits{number}"]
                features = arrays.get(f"features{number}")
                for place, step in enumerate(part["steps"]):
                    steps.setdefault(int(step), {})[part["split"]] = Outputs(
                        logits[place],
                        own,
                        tuple(part["missing"]),
                        part["split"],
                        part["name"],
                        None if features is None else features[place],
                        tuple(part.get("others", ())),
                    )
    except (OSError, EOFError, LookupError, TypeError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"it holds no logits ({type(error).__name__}: {error})") from None
    return dict(sorted(steps.items()))


def write(store: Store, trial: str, steps: Steps) -> str:
    """Writes a trial's outputs, and returns the object's name, which has a hash of its content.

    Raises:
        LedgerError: the store cannot be written.
    """
    data = packed(steps)
    name = f"{FOLDER}/{trial}/{hashlib.sha256(data).hexdigest()[:16]}.npz"
    store.write(name, data)
    return name


def of(artifact: object) -> str | None:
    """The object named in the `artifact` of a trial's record; None if there is none.

    A pandas table in which no trial has one may hold NaN.
    """
    name = json.loads(artifact).get(NAME) if artifact and isinstance(artifact, str) else None
    return name if isinstance(name, str) else None


def read(store: Store, name: str) -> dict[int, dict[str, Outputs]] | None:
    """Step -> split -> the outputs in an object; None if it no longer exists.

    Raises:
        LedgerError: it cannot be read, or its content does not match its name.
    """
    try:
        data = store.read(name)
    except FileNotFoundError:
        return None
    if hashlib.sha256(data).hexdigest()[:16] != name.rpartition("/")[2].partition(".")[0]:
        raise LedgerError(
            f"{store.uri}/{name} does not hold what its name says; put it back from a copy, or "
            "delete it: the trial's measurements stay"
        )
    try:
        return unpacked(data)
    except ValueError as error:
        raise LedgerError(f"{store.uri}/{name} cannot be read: {error}") from None
