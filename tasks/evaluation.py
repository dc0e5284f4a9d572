"""What a model does on the target domain, as measurements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from tasks import metrics
from tasks.data.splits import Split
from tasks.model import Model

CHUNK = 256
"""Images per forward pass: small enough that activations stay in a CPU's cache."""


def measure(
    model: Model, images: Tensor, labels: np.ndarray, split: Split, missing: Sequence[int], device: str
) -> dict[str, Any]:
    """Everything that is measured of a model in evaluation mode; `images` [N, C, H, W] is the whole target domain.

    `test/...` reads test labels of all classes; `validation/...` seen classes only. The nearest-class-mean accuracies
    compare with training images of all classes, so they stand under `test/` too.
    """
    features, logits = outputs(model, images, device)
    test, validation = split.test, split.validation
    curve_seen, curve_missing = metrics.curve(logits[test], labels[test], missing)
    similarity = metrics.nearest_class_mean(
        features[split.reference], labels[split.reference], features[test], logits.shape[1]
    )
    near = metrics.accuracies(similarity, labels[test], missing)
    measured = {f"test/{name}": value for name, value in metrics.accuracies(logits[test], labels[test], missing).items()}
    measured |= {f"test/ncm_{name}": near[name] for name in metrics.MAIN if name in near}
    measured["test/loss"] = _loss(logits[test], labels[test])
    if len(curve_seen):
        measured["test/ausuc"] = metrics.area(curve_seen, curve_missing)
        measured |= {"test/curve_seen": curve_seen.tolist(), "test/curve_missing": curve_missing.tolist()}
    if len(validation):
        measured["validation/seen_accuracy"] = float((logits[validation].argmax(1) == labels[validation]).mean())
        measured["validation/loss"] = _loss(logits[validation], labels[validation])
    return measured


def outputs(model: Model, images: Tensor, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, width] and logits [N, classes] in float32."""
    with torch.inference_mode():
        parts = [model(images[start:start + CHUNK].to(device, non_blocking=True)) for start in range(0, len(images), CHUNK)]
        features, logits = (torch.cat(side).float().cpu().numpy() for side in zip(*parts, strict=True))
    return features, logits


def _loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels)))
