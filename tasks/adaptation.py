"""Source training and adaptation, from resolved configs to measurements."""

from __future__ import annotations

import copy
import dataclasses
import io
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from tasks import backbones, data, methods, process
from tasks.data import Images, splits
from tasks.evaluation import measure, outputs
from tasks.methods.method import Method
from tasks.model import Model
from tasks.training import Recipe, Run, TrainingSet

Measurement = dict[str, Any]


def train_source(config: Mapping[str, Any], workspace: Any) -> Iterator[Measurement]:
    """Trains on all classes of a domain; leaves the weights in `workspace.output / "model.pt"`."""
    began = time.perf_counter()
    process.reset(workspace.seed("source"), workspace.threads, workspace.device)
    domain = _load(config, config["domain"], workspace)
    images, labels = _tensors(domain, workspace.device)
    model = _model(config, domain).to(workspace.device)
    run = Run(model, None, Method(), TrainingSet(images, labels, torch.arange(len(labels))), (),
              _recipe(config, "source_"), _seeds(workspace, "source"), workspace.device)

    def accuracy(model: Model) -> Measurement:
        _, logits = outputs(model, images, workspace.device)
        return {"train/accuracy": float((logits.argmax(1) == domain.labels).mean())}

    yield from _train(run, accuracy, workspace, began)
    torch.save(model.state_dict(), workspace.output / "model.pt")


def adapt(config: Mapping[str, Any], workspace: Any) -> Iterator[Measurement]:
    """Adapts the source model to the target domain with the config's method, and measures it at step 0 and each epoch."""
    began = time.perf_counter()
    process.reset(workspace.seed("adaptation"), workspace.threads, workspace.device)
    domain = _load(config, data.domains(config["dataset"])[1], workspace)
    missing = _missing(config, domain, workspace)
    split = splits.split(domain.labels, missing, workspace.seed("split"))
    method = methods.build(config["method"], config)
    images, labels = _tensors(domain, workspace.device)
    source = _model(config, domain, to_be_loaded=True).to(workspace.device)
    weights = workspace.artifact("source") / "model.pt"
    source.load_state_dict(torch.load(weights, map_location=workspace.device, weights_only=True))

    def on_target(model: Model) -> Measurement:
        return measure(model, images, domain.labels, split, missing, workspace.device)

    if not method.adapts:
        yield {"step": 0, "epoch": 0, **on_target(source.eval()), **_cost(workspace.device, began)}
        return
    rows = torch.from_numpy(split.reference if method.all_classes else split.train)
    run = Run(copy.deepcopy(source), source, method, TrainingSet(images, labels, rows), missing,
              _recipe(config), _seeds(workspace, "adaptation"), workspace.device)
    yield from _train(run, on_target, workspace, began)


def _train(
    run: Run, measured: Callable[[Model], Measurement], workspace: Any, began: float
) -> Iterator[Measurement]:
    """Trains epoch by epoch, from the state kept where there is one; yields a measurement at step 0 and after each."""
    first, before = 0, 0.0
    kept = workspace.load()
    if kept is not None:
        state = torch.load(io.BytesIO(kept), map_location=workspace.device, weights_only=True)
        run.restore(state["run"])
        first, before = state["epoch"] + 1, state["seconds"]
    for epoch in range(first, run.recipe.epochs + 1):
        step = epoch * run.recipe.steps_per_epoch
        row: Measurement = {"step": step, "epoch": epoch}
        if epoch:
            # Whatever an epoch draws (dropout, say) follows from its name, so no generator's state need be kept.
            torch.manual_seed(run.seed("epoch", epoch))
            loss = run.advance(step - run.recipe.steps_per_epoch, step)
            row |= {} if loss is None else {"train/loss": float(loss)}
            if loss is not None and not math.isfinite(row["train/loss"]):
                yield row | {"train/loss": math.nan}
                return
        row |= measured(run.finished())
        row |= _cost(workspace.device, began - before)
        yield row
        # After the yield: a state stands for an epoch whose measurement is out.
        if epoch < run.recipe.epochs:
            workspace.save(lambda row=row: _bytes({"run": run.state(), "epoch": row["epoch"], "seconds": row["seconds"]}))


def _cost(device: str, began: float) -> Measurement:
    return {"seconds": time.perf_counter() - began, "peak_memory_bytes": process.peak_memory_bytes(device)}


def _bytes(state: Mapping[str, Any]) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def _load(config: Mapping[str, Any], domain: str, workspace: Any) -> Images:
    return data.load(domain, workspace.cache, config.get("image_size", 0))


def _tensors(domain: Images, device: str) -> tuple[Tensor, Tensor]:
    """The domain as tensors: on the device where they take less than half of what is free there, else on the host."""
    images, labels = torch.from_numpy(domain.pixels), torch.from_numpy(domain.labels)
    if device.startswith("cuda") and images.nbytes < torch.cuda.mem_get_info(device)[0] / 2:
        return images.to(device), labels.to(device)
    return images, labels


def _model(config: Mapping[str, Any], domain: Images, to_be_loaded: bool = False) -> Model:
    channels, size = domain.pixels.shape[1:3]
    return backbones.build(
        config["backbone"], channels, size, len(domain.classes), config.get("pretrained", False), to_be_loaded
    )


def _missing(config: Mapping[str, Any], domain: Images, workspace: Any) -> list[int]:
    if "missing_classes" in config:
        return data.class_indices(config["missing_classes"], domain.classes)
    return splits.draw_missing(len(domain.classes), config["missing_ratio"], workspace.seed("classes"))


def _recipe(config: Mapping[str, Any], prefix: str = "") -> Recipe:
    """The recipe that the config's keys with `prefix` spell; keys that it lacks keep their defaults."""
    names = {field.name for field in dataclasses.fields(Recipe)} - {"amp"}
    return Recipe(amp=config["amp"], **{name: config[prefix + name] for name in names if prefix + name in config})


def _seeds(workspace: Any, stage: str) -> Callable[..., int]:
    return lambda *names: workspace.seed(stage, *names)
