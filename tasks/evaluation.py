"""Measurements of a model on the target domain."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tasks import metrics, prefetch
from tasks.data.splits import Split
from tasks.outputs import TEST, VALIDATION, Collected

CALIBRATED = (*metrics.MAIN, "harmonic_mean", "other_share")
"""The numbers that are measured again after each calibration."""
CHUNK, FEWEST, PIXELS = 256, 16, 2**18
"""Images a forward pass: the most, and on the CPU the fewest, and pixels of them together.

The C library gives tensors of more than 32 MB back to the system after each layer, and the system
clears their pages anew for the next: EfficientNet-Lite0 at 64 pixels takes 2.3 ms an image by 256,
and 1.4 ms by 64. On a GPU halved where they do not fit into its memory.
"""


@final
class Halved:
    """A model that is measured in half precision, as it is trained with `amp`.

    Args:
        model: the model.
        half: the type, as the setting `amp_dtype` names it.
    """

    def __init__(self, model: Any, half: str) -> None:
        self._model, self._half = model, getattr(torch, half)

    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, width] and logits [B, classes] in float32, computed in half precision."""
        with torch.autocast(images.device.type, self._half):
            features, logits = self._model(images)
        return features.float(), logits.float()


def measure(
    model: Any,
    images: Tensor,
    labels: np.ndarray,
    split: Split,
    *,
    missing: Sequence[int],
    device: str,
    others: Sequence[int] = (),
    pseudo_gammas: Mapping[str, Sequence[float]] | None = None,
    kept: Collected | None = None,
) -> dict[str, Any]:
    """All measurements of a model in evaluation mode; `images` [N, C, H, W] is the whole target.

    `test/...` uses test labels of all classes, `validation/...` seen classes only. The
    nearest-class-mean accuracies use training images of all classes, so they are under `test/` too.
    `others` are the columns of classes that are neither seen nor missing; none has a mean.
    `pseudo_gammas` come from the runs of pseudo cross-validation, by the rule that chose them. The
    model's outputs are also
    added to `kept`.
    """
    features, logits = outputs(model, images, device)
    test, validation = split.test, split.validation
    if kept is not None:
        for name, rows in ((TEST, test), (VALIDATION, validation)):
            own = features[rows]
            kept.add(name, logits[rows], labels, rows, features=own, missing=missing, others=others)
    curve_seen, curve_missing = metrics.curve(logits[test], labels[test], missing)
    similarity = metrics.nearest_class_mean(
        features[split.reference], labels[split.reference], features[test], logits.shape[1]
    )
    near = metrics.accuracies(similarity, labels[test], missing, others)
    measured = {
        f"test/{name}": value
        for name, value in metrics.accuracies(logits[test], labels[test], missing, others).items()
    }
    measured |= {f"test/ncm_{name}": near[name] for name in metrics.MAIN if name in near}
    measured |= _loss("test", logits[test], labels[test])
    if len(curve_seen):
        measured["test/ausuc"] = metrics.area(curve_seen, curve_missing)
        measured |= {
            "test/curve_seen": curve_seen.tolist(),
            "test/curve_missing": curve_missing.tolist(),
        }
        gammas = {
            "validation/alg_gamma": metrics.average_logit_gap(
                logits[validation], labels[validation], missing, others
            ),
            "test/alg_code_gamma": metrics.average_logit_gap(
                logits[test], labels[test], missing, others
            ),
            **{
                f"validation/{rule}_gamma": float(np.mean(known)) if known else float("nan")
                for rule, known in (pseudo_gammas or {}).items()
            },
            "test/oracle_gamma": metrics.oracle_gamma(logits[test], labels[test], missing),
        }
        for name, gamma in gammas.items():
            if np.isfinite(gamma):
                rule = name.partition("/")[2].removesuffix("_gamma")
                after = metrics.accuracies(
                    metrics.calibrated(logits[test], gamma, missing), labels[test], missing, others
                )
                measured |= {
                    name: gamma,
                    **{f"test/{rule}_{key}": after[key] for key in CALIBRATED if key in after},
                }
    return measured | _validation(logits[validation], labels[validation])


def measure_all(
    model: Any,
    images: Tensor,
    labels: np.ndarray,
    split: Split,
    *,
    probe: Tensor,
    device: str,
    kept: Collected | None = None,
) -> dict[str, Any]:
    """All measurements of a model if every class has images; runs it only on the images it needs.

    `probe` are training positions: the smallest and the largest singular value of their features
    [probe, width] show how far features have collapsed (Chen et al., BSS, NeurIPS 2019). The
    model's outputs are also added to `kept`.
    """
    rows = np.concatenate([split.test, split.validation, probe.numpy()])
    features, logits = outputs(model, images, device, rows)
    tested, held = len(split.test), len(split.test) + len(split.validation)
    if kept is not None:
        kept.add(TEST, logits[:tested], labels, split.test, features=features[:tested])
        kept.add(
            VALIDATION,
            logits[tested:held],
            labels,
            split.validation,
            features=features[tested:held],
        )
    right = logits[:tested].argmax(1) == labels[split.test]
    of_class = [
        right[labels[split.test] == index].mean() for index in np.unique(labels[split.test])
    ]
    values = np.linalg.svd(features[held:].astype(np.float64), compute_uv=False)
    accuracy = (
        {
            "test/overall_accuracy": float(right.mean()),
            "test/class_accuracy": float(np.mean(of_class)),
        }
        if tested
        else {}
    )
    return {
        **accuracy,
        **_loss("test", logits[:tested], labels[split.test]),
        "train/smallest_singular_value": float(values[-1]),
        "train/largest_singular_value": float(values[0]),
        **_validation(logits[tested:held], labels[split.validation]),
    }


def _validation(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    if not len(labels):
        return {}
    return {
        "validation/seen_accuracy": float((logits.argmax(1) == labels).mean()),
        **_loss("validation", logits, labels),
    }


def outputs(
    model: Any, images: Tensor, device: str, rows: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, width] and logits [N, classes] in float32, of all images or those at `rows`."""
    known = model.known(images, rows) if hasattr(model, "known") else None
    if known is not None:
        return known[0].numpy(), known[1].numpy()
    with torch.inference_mode():
        parts = list(_in_chunks(model, images, device, rows))
        features, logits = (
            torch.cat(side).float().cpu().numpy() for side in zip(*parts, strict=True)
        )
    return features, logits


def _in_chunks(
    model: Any, images: Tensor, device: str, rows: np.ndarray | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The model's answers to images in order, in as large chunks as fit into the memory."""
    chunk = chunk_of(images.shape, device)
    for given in _chunks(images, device, rows, chunk):
        start = 0
        while start < len(given):
            try:
                answer = model(given[start : start + chunk])
            except torch.OutOfMemoryError:
                if chunk == 1:
                    raise
                chunk //= 2
                continue
            yield answer
            start += chunk


def _chunks(images: Tensor, device: str, rows: np.ndarray | None, size: int) -> Iterator[Tensor]:
    """The images, or those at `rows`, in order on the device, `size` at a time."""
    chosen = None if rows is None else torch.from_numpy(rows)
    count = len(images) if chosen is None else len(chosen)
    lane = prefetch.lane_of(images, device) if count > size else None
    if lane is not None:
        wanted = torch.arange(count) if chosen is None else chosen
        yield from prefetch.in_order(images, wanted, size, lane)
        return
    for start in range(0, count, size):
        part = slice(start, start + size)
        given = images[part if chosen is None else chosen[part].to(images.device)]
        yield given.to(device, non_blocking=True)


def chunk_of(shape: Sequence[int], device: str) -> int:
    """How many of the images [N, C, H, W] a forward pass takes on the device, if they fit."""
    if device.startswith("cuda"):
        return CHUNK
    return min(CHUNK, max(FEWEST, PIXELS // (shape[-2] * shape[-1])))


def _loss(group: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """`GROUP/loss`; empty without images, since NaN would mean that a training has diverged."""
    if not len(labels):
        return {}
    return {
        f"{group}/loss": float(
            cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels))
        )
    }
