"""Loads what trials start from: images, the source model, and a repetition's classes and split."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks import (
    backbones,
    clip,
    data,
    given,
    methods,
    problem,
    tested,
    text_heads,
    timm_models,
)
from tasks.data import Images, listing, parts, splits
from tasks.data.splits import Split
from tasks.data.undecoded import Undecoded
from tasks.model import Model
from tasks.on_demand import OnDemand
from tasks.task import Workspace
from tasks.transfer import Transfer


def images_of(config: Mapping[str, Any], domain: str, workspace: Workspace) -> Images:
    """The images of a domain, in the config's size."""
    return data.load(domain, workspace.cache, config.get("image_size", 0))


def tensors(domain: Images, device: str) -> tuple[Tensor, Tensor]:
    """The domain as tensors, on the GPU if they take less than half of its free memory.

    Images that the cache has no room for are `OnDemand`, and stay in their files.
    """
    labels = torch.from_numpy(domain.labels)
    if isinstance(domain.pixels, Undecoded):
        return cast(Tensor, OnDemand(domain.pixels)), labels
    images = torch.from_numpy(domain.pixels)
    if device.startswith("cuda") and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        return images.to(device), labels.to(device)
    return images, labels


def fresh_model(config: Mapping[str, Any], domain: Images, classes: int) -> Model:
    """The config's backbone for the domain's images, with a new head; drawn from torch's seed."""
    if text_heads.is_text(config):
        return clip.untrained(config["backbone"], config["weights"], classes)
    channels, size = domain.pixels.shape[1:3]
    return backbones.build(
        config["backbone"], channels, size, classes, pretrained=bool(config.get("weights"))
    )


def laid_out(model: Model, config: Mapping[str, Any]) -> Model:
    """The model with its channels last in memory, as it is built, unless the config says not."""
    if config.get("channels_last", True):
        return model
    return model.to(memory_format=torch.contiguous_format)


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
    if given.is_given(config):
        return given.model(config, problem.space(config)).to(workspace.device)
    if source == data.PRETRAINED:
        pretrained = backbones.pretrained(
            config["backbone"], config.get("image_size", 0), config["weights"]
        )
        return laid_out(pretrained, config).to(workspace.device)
    model = fresh_model(config, domain, len(data.classes(source)))
    weights = workspace.artifact("source") / "model.pt"
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return laid_out(model, config).to(workspace.device)


def target_of(
    config: Mapping[str, Any],
    domain: str,
    labels: NDArray[np.int64],
    workspace: Workspace,
    space: Sequence[str] | None = None,
) -> tuple[list[int], Split]:
    """The target's missing classes and split, the same in a repetition for all methods and scores.

    A class without training images is missing whatever the config names.

    Args:
        config: a resolved config.
        domain: the name of the target domain.
        labels: the labels of all its images, places in the label space, [N]; -1: in no part.
        workspace: the trial's workspace.
        space: the names of the classes of the label space; None: the domain's own.

    Raises:
        ValueError: a class has no training image where none may be missing.
    """
    classes = data.classes(domain) if space is None else tuple(space)

    def divided(missing: Sequence[int]) -> Split:
        return tested.divided(
            config,
            domain,
            labels,
            repetition=workspace.repetition,
            seed=workspace.seed,
            missing=missing,
        )

    split = divided(())
    present = set(np.unique(labels[split.reference]).tolist())
    absent = [index for index in range(len(classes)) if index not in present]
    if "missing_classes" in config:
        missing = sorted({*data.class_indices(config["missing_classes"], classes), *absent})
    elif "missing_ratio" in config:
        missing = splits.draw_missing(
            len(classes), config["missing_ratio"], workspace.seed("classes"), present
        )
    elif absent:
        raise ValueError(
            f"no image of {listing.some(listing.shown(classes[index]) for index in absent)} is "
            f"left to train with in {listing.shown(domain.rpartition(':')[2])}: give another split"
        )
    else:
        return [], split
    if len(missing) == len(classes):
        raise ValueError(
            "no class is left to be seen: each is missing, or has no image to train with"
        )
    return missing, divided(missing)


def in_space(domain: Images, space: tuple[str, ...]) -> Images:
    """The images with their labels as places in a label space; -1 for classes that it lacks."""
    return Images(domain.pixels, parts.labels_in(space, domain.classes, domain.labels), space)


def holistic(config: Mapping[str, Any], workspace: Workspace) -> tuple[Transfer, Images, Split]:
    """A target with the source's label space, some of whose classes are missing."""
    return _loaded(config, workspace, data.fine_tuning_domains(config["dataset"]), new_head=False)


def new_task(config: Mapping[str, Any], workspace: Workspace) -> tuple[Transfer, Images, Split]:
    """A target with classes of its own and a fraction of its training images."""
    return _loaded(config, workspace, data.fine_tuning_domains(config["dataset"]), new_head=True)


def _loaded(
    config: Mapping[str, Any], workspace: Workspace, domains: tuple[str, str], *, new_head: bool
) -> tuple[Transfer, Images, Split]:
    source_name, target_name = domains
    domain = images_of(config, target_name, workspace)
    if not new_head:
        domain = in_space(domain, problem.space(config))
    missing, split = target_of(config, target_name, domain.labels, workspace, domain.classes)
    source = source_model(config, source_name, domain, workspace)
    transfer = _transfer(source, domain, split, missing, new_head=new_head, workspace=workspace)
    if source_name != data.PRETRAINED:
        held = functools.partial(_held_source, config, source_name, workspace)
        transfer = dataclasses.replace(transfer, held_source=held)
    return transfer, domain, split


def _held_source(
    config: Mapping[str, Any], source: str, workspace: Workspace
) -> tuple[Tensor, Tensor]:
    rows = np.load(workspace.artifact("source") / "validation.npy")
    domain = images_of(config, source, workspace)
    images = torch.from_numpy(np.ascontiguousarray(domain.pixels[rows]))
    return images, torch.from_numpy(domain.labels[rows])


def with_hidden(
    transfer: Transfer, domain: Images, split: Split, workspace: Workspace, *, number: int
) -> tuple[Transfer, list[int], list[int]]:
    """The transfer of a pseudo cross-validation run, the seen classes, and those that it hides."""
    missing = set(transfer.missing_classes)
    seen = [index for index in range(transfer.classes) if index not in missing]
    places = splits.draw_missing(len(seen), 0.5, workspace.seed("pseudo classes", number))
    hidden = [seen[place] for place in places]
    kept = split.train[~np.isin(domain.labels[split.train], hidden)]
    reduced = dataclasses.replace(
        transfer,
        train=torch.from_numpy(kept),
        missing_classes=sorted({*missing, *hidden}),
        seed=seeds(workspace, f"pseudo {number}"),
    )
    return reduced, seen, hidden


def student_of(
    config: Mapping[str, Any], transfer: Transfer, split: Split, workspace: Workspace
) -> tuple[Model, Transfer]:
    """The model before training, and its transfer: an upper bound trains on all classes."""
    student = copy.deepcopy(transfer.source_model)
    if config.get("drop_path"):
        timm_models.set_drop_path(student.backbone, config["backbone"], config["drop_path"])
    if transfer.new_head:
        student = student.with_head(_new_head(transfer, workspace))
    elif "pseudo" not in config and methods.build(config["method"], config).all_classes:
        transfer = dataclasses.replace(transfer, train=torch.from_numpy(split.reference))
    return student, transfer


def source_images(
    config: Mapping[str, Any], workspace: Workspace, rows: NDArray[np.int64]
) -> tuple[str, Tensor, NDArray[np.int64]]:
    """The source domain's name, its images at `rows`, and the labels of all its images."""
    source = data.domains(config["dataset"])[0]
    domain = images_of(config, source, workspace)
    return source, torch.from_numpy(np.ascontiguousarray(domain.pixels[rows])), domain.labels


def seeds(workspace: Workspace, stage: str) -> Callable[..., int]:
    """A function from names to a seed that belongs to a stage of the trial alone."""
    return lambda *names: workspace.seed(stage, *names)


def _transfer(
    source: Model,
    domain: Images,
    split: Split,
    missing: Any,
    *,
    new_head: bool,
    workspace: Workspace,
) -> Transfer:
    images, labels = tensors(domain, workspace.device)
    return Transfer(
        source.requires_grad_(False).eval(),
        images,
        labels,
        torch.from_numpy(split.train),
        torch.from_numpy(split.validation),
        len(domain.classes),
        missing,
        new_head,
        workspace.device,
        seeds(workspace, "adaptation"),
    )


def _new_head(transfer: Transfer, workspace: Workspace) -> nn.Linear:
    """A head drawn from N(0, 0.01^2), bias 0, as in the released code of Co-Tuning and BSS."""
    head = nn.Linear(transfer.source_model.width, transfer.classes)
    generator = torch.Generator().manual_seed(workspace.seed("head"))
    nn.init.normal_(head.weight, std=0.01, generator=generator)
    nn.init.zeros_(head.bias)
    return head.to(workspace.device)
