"""Feature extraction and transferability scores: from resolved configs to measurements."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from tasks import data, process, scores
from tasks.data import parts, splits
from tasks.data.splits import Order
from tasks.evaluation import outputs
from tasks.loading import images_of, source_model, target_of, tensors
from tasks.scores.evidence import Evidence
from tasks.task import Workspace


def extract(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Runs the source model on all images of the target domain and, if available, of its own.

    The model is in evaluation mode. Writes arrays, features in float32 and rows in the order of the
    domain's images, to `workspace.output`: `target_features.npy` [N, d], `target_logits.npy`
    [N, K_s] and `target_labels.npy` [N]; `head_weight.npy` [K_s, d] and `head_bias.npy` [K_s];
    `source_features.npy`, `source_labels.npy`, and `held.npy`, the positions held out of source
    training. Pretrained weights without a classifier give neither logits nor head, and a pretrained
    source gives no source arrays.
    """
    began = time.perf_counter()
    process.reset(workspace.seed("features"), workspace.threads, workspace.device)
    source, target = data.fine_tuning_domains(config["dataset"])
    domain = images_of(config, target, workspace)
    model = source_model(config, source, domain, workspace).requires_grad_(False).eval()
    headed = model.head.out_features > 0

    def keep(**arrays: Any) -> None:
        for name, array in arrays.items():
            np.save(workspace.output / f"{name}.npy", array)

    features, logits = outputs(model, tensors(domain, workspace.device)[0], workspace.device)
    keep(target_features=features, target_labels=domain.labels)
    if headed:
        weight, bias = model.head.weight, model.head.bias
        none = np.zeros(len(weight), np.float32)
        keep(
            target_logits=logits,
            head_weight=weight.cpu().numpy(),
            head_bias=none if bias is None else bias.cpu().numpy(),
        )
    if source != data.PRETRAINED:
        own = images_of(config, source, workspace)
        features, _ = outputs(model, tensors(own, workspace.device)[0], workspace.device)
        keep(
            source_features=features,
            source_labels=own.labels,
            held=np.load(workspace.artifact("source") / "validation.npy"),
        )
    yield {"step": 0, "epoch": 0, **process.cost(workspace.device, began)}


def score(config: Mapping[str, Any], workspace: Workspace) -> Iterator[dict[str, Any]]:
    """Yields the config's score as `transferability`, with its parts."""
    began = time.perf_counter()
    process.reset(workspace.seed("transferability"), workspace.threads, workspace.device)
    numbers = scores.compute(config["score"], evidence_of(config, workspace), config)
    yield {"step": 0, "epoch": 0, **numbers, **process.cost(workspace.device, began)}


def evidence_of(config: Mapping[str, Any], workspace: Workspace) -> Evidence:
    """The evidence for a trial's score: images that adaptation would train on, and source images.

    Reads only the required rows from disk. Labels are renumbered among the classes with images.
    """
    made = workspace.artifact("features")
    source, target = data.fine_tuning_domains(config["dataset"])
    space = data.label_space(config["dataset"], dropping="drop" in config)
    labels = parts.labels_in(space, data.classes(target), np.load(made / "target_labels.npy"))
    missing, split = target_of(config, target, labels, workspace, space)
    seen = np.unique(labels[split.train])
    test = split.test[np.isin(labels[split.test], seen)]
    headed = (made / "head_weight.npy").exists()
    own: dict[str, Any] = dict.fromkeys(
        ("source_features", "source_labels", "held_features", "held_labels")
    )
    if source != data.PRETRAINED:
        own = _source_rows(
            made, data.listed_test(source), data.order(source, workspace.seed("split"))
        )
    return Evidence(
        features=_rows(made, "target_features", split.train),
        labels=np.searchsorted(seen, labels[split.train]),
        target_classes=tuple(seen.tolist()),
        missing_classes=tuple(missing),
        shared_classes=source != data.PRETRAINED and data.classes(source) == space,
        probabilities=softmax(_rows(made, "target_logits", split.train).astype(np.float64), axis=1)
        if headed
        else None,
        head=(np.load(made / "head_weight.npy"), np.load(made / "head_bias.npy"))
        if headed
        else None,
        test_features=_rows(made, "target_features", test),
        test_labels=np.searchsorted(seen, labels[test]),
        seed=lambda *names: workspace.seed("transferability", *names),
        device=workspace.device,
        **own,
    )


def _source_rows(
    made: Path, test: NDArray[np.bool_] | None, order: Order | None
) -> dict[str, NDArray[Any]]:
    """Features and labels of the images that source training saw, and of those it held out."""
    held = np.load(made / "held.npy")
    labels = np.load(made / "source_labels.npy")
    trained = splits.trained_rows(len(labels), held, test, order)
    return {
        "source_features": _rows(made, "source_features", trained),
        "source_labels": labels[trained],
        "held_features": _rows(made, "source_features", held),
        "held_labels": labels[held],
    }


def _rows(made: Path, name: str, rows: NDArray[np.intp]) -> NDArray[Any]:
    """Some rows of an array that the stage wrote, read without the others."""
    return np.array(np.load(made / f"{name}.npy", mmap_mode="r")[rows])
