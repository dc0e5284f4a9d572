"""What trials start from, by config: images of a domain, the source model, and which classes and rows a repetition has."""

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
    """The images of a domain, in the size that the config asks for."""
    return data.load(domain, workspace.cache, config.get("image_size", 0))


def tensors(domain: Images, device: str) -> tuple[Tensor, Tensor]:
    """The domain as tensors: on the device where they take less than half of what is free there, else on the host."""
    images, labels = torch.from_numpy(domain.pixels), torch.from_numpy(domain.labels)
    if device.startswith("cuda") and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        return images.to(device), labels.to(device)
    return images, labels


def fresh_model(config: Mapping[str, Any], domain: Images, classes: int) -> Model:
    """The config's backbone for images like the domain's, under a head of `classes` outputs; drawn from torch's seed."""
    channels, size = domain.pixels.shape[1:3]
    return backbones.build(
        config["backbone"], channels, size, classes, pretrained=bool(config.get("weights"))
    )


def source_model(
    config: Mapping[str, Any], source: str, domain: Images, workspace: Workspace
) -> Model:
    """The source model on the device: that of stage `source`, or the backbone's pretrained weights.

    Args:
        config: a resolved config.
        source: the name of the source domain, or `data.PRETRAINED`.
        domain: the target's images, like which the source's are.
        workspace: the trial's.
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
    """The missing classes of the target and its split: the same in a repetition for whatever is tried, and what scores it.

    Args:
        config: a resolved config.
        domain: the name of the target domain.
        labels: of all its images, [N].
        workspace: the trial's.
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
