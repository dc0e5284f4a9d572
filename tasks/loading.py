"""Loads what trials start from: images, the source model, and a repetition's classes and split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks import backbones, data
from tasks.data import Images, splits
from tasks.data.splits import Split
from tasks.model import Model
from tasks.task import Workspace


def images_of(config: Mapping[str, Any], domain: str, workspace: Workspace) -> Images:
    """The images of a domain, in the config's size."""
    return data.load(domain, workspace.cache, config.get("image_size", 0))


def tensors(domain: Images, device: str) -> tuple[Tensor, Tensor]:
    """The domain as tensors, on the GPU if they take less than half of its free memory."""
    images, labels = torch.from_numpy(domain.pixels), torch.from_numpy(domain.labels)
    if device.startswith("cuda") and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        return images.to(device), labels.to(device)
    return images, labels


def fresh_model(config: Mapping[str, Any], domain: Images, classes: int) -> Model:
    """The config's backbone for the domain's images, with a new head; drawn from torch's seed."""
    channels, size = domain.pixels.shape[1:3]
    return backbones.build(
        config["backbone"], channels, size, classes, pretrained=bool(config.get("weights"))
    )


def source_model(
    config: Mapping[str, Any], source: str, domain: Images, workspace: Workspace
) -> Model:
    """The source model on the device: from the stage `source`, or with pretrained weights.

    Args:
        config: a resolved config.
        source: the name of the source domain, or `data.PRETRAINED`.
        domain: the target's images, which have the shape of the source's.
        workspace: the trial's workspace.
    """
    if source == data.PRETRAINED:
        pretrained = backbones.pretrained(
            config["backbone"], config.get("image_size", 0), config["weights"]
        )
        return pretrained.to(workspace.device)
    model = fresh_model(config, domain, len(data.classes(source)))
    weights = workspace.artifact("source") / "model.pt"
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.to(workspace.device)


def target_of(
    config: Mapping[str, Any], domain: str, labels: NDArray[np.int64], workspace: Workspace
) -> tuple[list[int], Split]:
    """The target's missing classes and split, the same in a repetition for all methods and scores.

    Args:
        config: a resolved config.
        domain: the name of the target domain.
        labels: the labels of all its images, [N].
        workspace: the trial's workspace.
    """
    classes = data.classes(domain)
    missing: list[int] = []
    if "missing_classes" in config:
        missing = data.class_indices(config["missing_classes"], classes)
    elif "missing_ratio" in config:
        missing = splits.draw_missing(
            len(classes), config["missing_ratio"], workspace.seed("classes")
        )
    return missing, splits.split(
        labels,
        missing,
        workspace.seed("split"),
        config.get("fraction", 1.0),
        official_test=data.official_test(domain),
    )
