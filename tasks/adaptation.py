"""Source training, learning stages of methods, and adaptation: resolved configs to measurements."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tasks import (
    backbones,
    clip,
    data,
    given,
    heads,
    methods,
    metrics,
    precision,
    problem,
    process,
    text_heads,
)
from tasks.augmentation import Views
from tasks.data import splits
from tasks.evaluation import Halved, measure, measure_all, outputs
from tasks.loading import (
    fresh_model,
    holistic,
    images_of,
    laid_out,
    new_task,
    seeds,
    source_images,
    student_of,
    tensors,
    with_hidden,
)
from tasks.methods.method import Method
from tasks.model import Model
from tasks.outputs import SOURCE, Collected, hand_over, keeps_features
from tasks.recipe import is_measured
from tasks.replaying import Recorder, replay
from tasks.task import Workspace
from tasks.training import Recipe, Run
from tasks.trajectories import MEMBERS, epochs_of
from tasks.transfer import Transfer

Measurement = dict[str, Any]
PSEUDO_GAMMA = "validation/pseudo_gamma"
PSEUDO_CODE_GAMMA = "validation/pseudo_code_gamma"
STAND_INS = ("seen_accuracy", "missing_accuracy")
"""The accuracies of pseudo cross-validation: on the classes that it keeps and on those it hides."""


def train_source(config: Mapping[str, Any], workspace: Workspace) -> Iterator[Measurement]:
    """Trains on all classes of a domain, except for the images that are held out.

    Writes the weights to `workspace.output / "model.pt"` and the held-out positions to
    `validation.npy`.
    """
    began = time.perf_counter()
    _reset(workspace, "source")
    domain = images_of(config, config["domain"], workspace)
    images, labels = tensors(domain, workspace.device)
    model = fresh_model(config, domain, len(domain.classes))
    if text_heads.is_text(config):
        named = config["class_names"], config["templates"]
        model = clip.zero_shot(config["backbone"], config["weights"], *named)
    elif config.get("weights"):
        # `fresh_model` draws the head, so that it is the same with and without pretrained weights.
        model = backbones.pretrained(
            config["backbone"], config.get("image_size", 0), config["weights"]
        ).with_head(model.head)
    model = laid_out(model, config)
    trained, held = splits.source_split(
        domain.labels,
        config["source_validation"],
        workspace.seed("source validation"),
        data.listed_test(config["domain"]),
        data.order(config["domain"], workspace.seed("split")),
    )
    train, validation = torch.from_numpy(trained), torch.from_numpy(held)
    transfer = Transfer(
        None,
        images,
        labels,
        train,
        validation,
        len(domain.classes),
        (),
        new_head=True,
        device=workspace.device,
        seed=seeds(workspace, "source"),
    )
    recipe = _recipe({**text_heads.IDLE, **config}, "source_")
    run = Run(model.to(workspace.device), transfer, Method(), recipe)

    def accuracy(model: Any, _step: int) -> Measurement:
        right = outputs(model, images, workspace.device)[1].argmax(1) == domain.labels
        accuracies = {"train/accuracy": right[train.numpy()], "validation/accuracy": right[held]}
        return {name: float(of.mean()) for name, of in accuracies.items() if len(of)}

    yield from _train(run, _of_finished(accuracy), workspace, began)
    torch.save(model.state_dict(), workspace.output / "model.pt")
    np.save(workspace.output / "validation.npy", held)


def adapt(config: Mapping[str, Any], workspace: Workspace) -> Iterator[Measurement]:
    """Adapts the source model to the target; yields measurements at step 0 and after each epoch."""
    began = time.perf_counter()
    _reset(workspace, "adaptation")
    transfer, domain, split = holistic(config, workspace)
    missing = transfer.missing_classes
    pseudo = [
        json.loads(
            (workspace.artifact(f"pseudo-{number}") / "told.json").read_text(encoding="utf-8")
        )
        for number in range(config.get("pcv", 0))
    ]
    gammas = {
        rule: [run[-1][name] for run in pseudo if name in run[-1]]
        for rule, name in (("pcv", PSEUDO_GAMMA), ("pcv_code", PSEUDO_CODE_GAMMA))
    }
    on_source, held = _on_source(config, missing, workspace)
    identity = data.identity(problem.target(config))

    def on_target(model: Any, step: int) -> Measurement:
        model = _viewing(model, config)
        kept = Collected(identity, features=keeps_features(workspace))
        measured = measure(
            model,
            transfer.images,
            domain.labels,
            split,
            missing=missing,
            others=transfer.others,
            device=workspace.device,
            pseudo_gammas=gammas,
            kept=kept,
        )
        measured |= on_source(model, kept)
        hand_over(workspace, step, kept.outputs)
        return measured

    if not methods.build(config["method"], config).adapts:
        yield {
            "step": 0,
            "epoch": 0,
            "trainable_parameters": 0,
            **on_target(transfer.source_model, 0),
            **process.cost(workspace.device, began),
        }
        return
    rows = _trial_rows(
        config,
        workspace,
        *student_of(config, transfer, split, workspace),
        on_target,
        began=began,
        images={"target": transfer.images, "source": held},
    )
    for row in rows:
        yield row | _stand_ins([run[row["epoch"]] for run in pseudo])


def train_trajectory(config: Mapping[str, Any], workspace: Workspace) -> Iterator[Measurement]:
    """Trains once for all trials that share the config, and writes what they are measured from.

    `tasks/replaying.py` describes the files. Yields only the loss and cost of each epoch.
    """
    began = time.perf_counter()
    student, transfer = _before_training(config, workspace)
    learnt = _learnt(config, workspace) if "pseudo" not in config else None
    recorder = Recorder(config, methods.members(config["method"], config, learnt))
    recipe = _recipe({**config, "epochs": epochs_of(config)})
    run = Run(student, transfer, recorder.method, recipe)

    def keep(run: Run, step: int) -> Measurement:
        recorder.keep(run, step // recipe.steps_per_epoch, workspace.output)
        return {}

    yield from recorder.rows(_train(run, keep, workspace, began), workspace.output)


def train_heads(config: Mapping[str, Any], workspace: Workspace) -> Iterator[Measurement]:
    """Trains the heads of all trials that share the config, on features computed once."""
    began = time.perf_counter()
    student, transfer = _before_training(config, workspace)
    student.requires_grad_(False).eval()
    features = {"target": outputs(student, transfer.images, workspace.device)[0]}
    if "fraction" not in config and not given.is_given(config):
        held = np.load(workspace.artifact("source") / "validation.npy")
        if len(held):
            images = source_images(config, workspace, held)[1]
            features["source"] = outputs(student, images, workspace.device)[0]
    members = config[MEMBERS]
    recipes = [_recipe({**config, **member}) for member in members]
    yield from heads.train_heads(
        student,
        transfer,
        recipes,
        members,
        features=features,
        workspace=workspace,
        began=began,
    )


def _before_training(config: Mapping[str, Any], workspace: Workspace) -> tuple[Model, Transfer]:
    """The model and the data of a shared training, of trials or of pseudo cross-validation."""
    pseudo = config.get("pseudo")
    _reset(workspace, *(("adaptation",) if pseudo is None else ("pseudo", pseudo)))
    transfer, domain, split = (new_task if "fraction" in config else holistic)(config, workspace)
    if pseudo is not None:
        transfer, _, _ = with_hidden(transfer, domain, split, workspace, number=pseudo)
    return student_of(config, transfer, split, workspace)


def cross_validate(config: Mapping[str, Any], workspace: Workspace) -> Iterator[Measurement]:
    """One run of pseudo cross-validation: half of the seen classes play the missing ones.

    Writes `workspace.output / "told.json"`, a mapping per epoch, measured on held-out images of
    seen classes: the constant that balances the two halves, comparing their columns only (Mai et
    al., NeurIPS 2024); the one that their released code would choose; and the accuracies on hidden
    and on kept classes, over all columns, as missing and seen accuracy are measured.
    """
    began = time.perf_counter()
    number = config["pseudo"]
    _reset(workspace, "pseudo", number)
    transfer, domain, split = holistic(config, workspace)
    transfer, seen, hidden = with_hidden(transfer, domain, split, workspace, number=number)

    def validated(model: Any) -> np.ndarray:
        viewing = _viewing(model, config)
        return outputs(viewing, transfer.images, workspace.device, split.validation)[1]

    @functools.cache
    def before() -> float:
        """The source model's accuracy on the hidden classes, among the seen classes' columns."""
        of_hidden = np.isin(labels, hidden)
        right = validated(transfer.source_model)[:, seen].argmax(1) == places
        return float(right[of_hidden].mean()) if of_hidden.any() else math.nan

    labels = domain.labels[split.validation]
    places, gone = np.searchsorted(seen, labels), np.searchsorted(seen, hidden).tolist()

    def on_validation(model: Any, _step: int) -> Measurement:
        # Every seen class of this repetition may have too few images to hold one out.
        if not len(split.validation):
            return {}
        logits = validated(model)
        gamma = metrics.balancing_gamma(logits[:, seen], places, gone)
        reached = metrics.accuracies(logits, labels, hidden)
        accuracies = {
            PSEUDO_GAMMA: gamma,
            PSEUDO_CODE_GAMMA: metrics.released_gamma(logits[:, seen], places, gone, before()),
            **{f"validation/pseudo_{name}": reached.get(name, math.nan) for name in STAND_INS},
        }
        return {name: value for name, value in accuracies.items() if not math.isnan(value)}

    measurements: list[Measurement] = []
    yield from _trial_rows(
        config,
        workspace,
        *student_of(config, transfer, split, workspace),
        on_validation,
        began=began,
        measurements=measurements,
    )
    (workspace.output / "told.json").write_text(json.dumps(measurements), encoding="utf-8")


def fine_tune(config: Mapping[str, Any], workspace: Workspace) -> Iterator[Measurement]:
    """Fine-tunes the source model under a new head to a target with classes of its own.

    Yields measurements at step 0 and after each epoch.
    """
    began = time.perf_counter()
    _reset(workspace, "adaptation")
    transfer, domain, split = new_task(config, workspace)
    shared: Measurement = {}
    for name in methods.learning(config["method"], config):
        shared |= torch.load(workspace.artifact(name) / "told.pt", weights_only=True)
    probe = transfer.train[: config["batch_size"]]
    identity = data.identity(data.fine_tuning_domains(config["dataset"])[1])

    def on_target(model: Any, step: int) -> Measurement:
        model = _viewing(model, config)
        kept = Collected(identity, features=keeps_features(workspace))
        measured = measure_all(
            model,
            transfer.images,
            domain.labels,
            split,
            probe=probe,
            device=workspace.device,
            kept=kept,
        )
        hand_over(workspace, step, kept.outputs)
        return measured | shared

    yield from _trial_rows(
        config, workspace, *student_of(config, transfer, split, workspace), on_target, began=began
    )


def learn(config: Mapping[str, Any], workspace: Workspace) -> Iterator[Measurement]:
    """Runs a method's learning stage on the source model and the adaptation data.

    Writes the tensors to `learnt.pt` and the numbers that the method reports to `told.pt`; yields
    those numbers.
    """
    began = time.perf_counter()
    _reset(workspace, "learn", config["method"])
    transfer, _, _ = (new_task if "fraction" in config else holistic)(config, workspace)
    method = methods.build(config["method"], config)
    assert method.learn is not None
    learnt, measured = method.learn(
        dataclasses.replace(transfer, seed=seeds(workspace, f"learn {config['method']}"))
    )
    torch.save(
        {name: tensor.cpu() for name, tensor in learnt.items()}, workspace.output / "learnt.pt"
    )
    measured = {f"{config['method']}/{name}": value for name, value in measured.items()}
    torch.save(measured, workspace.output / "told.pt")
    yield {"step": 0, "epoch": 0, **measured, **process.cost(workspace.device, began)}


def _trial_rows(
    config: Mapping[str, Any],
    workspace: Workspace,
    student: Model,
    transfer: Transfer,
    measured: Callable[[Any, int], Measurement],
    *,
    began: float,
    measurements: list[Measurement] | None = None,
    images: Mapping[str, Tensor] | None = None,
) -> Iterator[Measurement]:
    """Measures a trial at step 0 and each epoch, by training or from a shared training."""
    recipe, folder = _recipe(config), getattr(workspace, "trajectory", None)
    if folder is not None:
        yield from replay(
            folder,
            student,
            transfer,
            config=config,
            recipe=recipe,
            measured=measured,
            workspace=workspace,
            began=began,
            measurements=measurements,
            images=images or {"target": transfer.images},
        )
        return
    learnt = None if "pseudo" in config else _learnt(config, workspace)
    method = methods.build(config["method"], config, learnt)
    yield from _train(
        Run(student, transfer, method, recipe),
        _of_finished(measured),
        workspace,
        began,
        measurements=measurements,
    )


def _viewing(model: Any, config: Mapping[str, Any]) -> Any:
    """The model as it is measured: in the precision, and on the views, that the config names."""
    if config.get(precision.EVALUATION) == precision.TRAINED:
        model = Halved(model, config.get("amp_dtype", precision.BFLOAT16))
    return Views(model, config["test_transform"]) if "test_transform" in config else model


def _of_finished(measured: Callable[[Any, int], Measurement]) -> Callable[[Run, int], Measurement]:
    return lambda run, step: measured(run.finished(), step)


def _train(
    run: Run,
    measured: Callable[[Run, int], Measurement],
    workspace: Workspace,
    began: float,
    *,
    measurements: list[Measurement] | None = None,
) -> Iterator[Measurement]:
    """Trains from the saved state, if any; yields a row at step 0 and after each epoch.

    The results of `measured` are also appended to `measurements`, including those of epochs before
    a restart; those of epochs that the recipe does not measure are empty.
    """
    measurements = [] if measurements is None else measurements
    first, before = 0, 0.0
    kept = workspace.load()
    if kept is not None:
        state = torch.load(io.BytesIO(kept), map_location=workspace.device, weights_only=True)
        run.restore(state["run"])
        first, before = state["epoch"] + 1, state["seconds"]
        measurements.extend(state["told"])
    for epoch in range(first, run.recipe.epochs + 1):
        step = epoch * run.recipe.steps_per_epoch
        row: Measurement = {"step": step, "epoch": epoch}
        if epoch:
            # What an epoch draws (for dropout, say) is seeded by its number, so that no generator
            # state has to be saved.
            torch.manual_seed(run.seed("epoch", epoch))
            loss = run.advance(step - run.recipe.steps_per_epoch, step)
            row |= {} if loss is None else {"train/loss": float(loss)}
            if loss is not None and not math.isfinite(row["train/loss"]):
                yield row | {"train/loss": math.nan}
                return
        due = is_measured(epoch, run.recipe.epochs, run.recipe.measure_every)
        measurements.append(measured(run, step) if due else {})
        row |= measurements[-1] | {"trainable_parameters": run.trainable_parameters}
        row |= process.cost(workspace.device, began - before)
        yield row
        # After the yield: a saved state implies that the epoch's row was delivered.
        if epoch < run.recipe.epochs:
            workspace.save(functools.partial(_state, run, row, measurements))


def _on_source(
    config: Mapping[str, Any], missing: Any, workspace: Workspace
) -> tuple[Callable[[Any, Collected], Measurement], Tensor]:
    """A function that measures a model on the images held out of source training, and those images.

    They show how much of the missing classes is retained. The function also adds the model's
    outputs to the given `Collected`.
    """
    if given.is_given(config):
        return lambda *_: {}, torch.empty(0)
    held = np.load(workspace.artifact("source") / "validation.npy")
    source, images, labels = source_images(config, workspace, held)
    identity = data.identity(source)

    def measured(model: Any, kept: Collected) -> Measurement:
        if not len(held):
            return {}
        features, logits = outputs(model, images, workspace.device)
        kept.add(SOURCE, logits, labels, held, features=features, missing=missing, domain=identity)
        reached = metrics.accuracies(logits, labels[held], missing)
        return {
            f"validation/source_{name}": reached[name] for name in metrics.MAIN if name in reached
        }

    return measured, images


def _stand_ins(rows: Sequence[Measurement]) -> Measurement:
    """The mean accuracies over the runs of pseudo cross-validation that measured them."""
    names = [f"validation/pseudo_{name}" for name in STAND_INS]
    known = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: float(np.mean(values)) for name, values in known.items() if values}


def _reset(workspace: Workspace, *names: object) -> None:
    process.reset(workspace.seed(*names), workspace.threads, workspace.device)


def _learnt(config: Mapping[str, Any], workspace: Workspace) -> dict[str, Any]:
    return {
        name: torch.load(
            workspace.artifact(name) / "learnt.pt", map_location=workspace.device, weights_only=True
        )
        for name in methods.learning(config["method"], config)
    }


def _state(run: Run, row: Measurement, measurements: Sequence[Measurement]) -> bytes:
    """The state that a killed trial resumes from: the run, and the measurements so far."""
    file = io.BytesIO()
    kept = {
        "run": run.state(),
        "epoch": row["epoch"],
        "seconds": row["seconds"],
        "told": measurements,
    }
    torch.save(kept, file)
    return file.getvalue()


def _recipe(config: Mapping[str, Any], prefix: str = "") -> Recipe:
    """The recipe in the config's keys with this prefix; missing keys keep their defaults."""
    if "precision" in config:
        raise ValueError(
            f"precision {config['precision']!r} stands for no way to compute yet; measure it by "
            f"`htsweep plan STUDY --measure`, or give one of {', '.join(precision.WAYS)}"
        )
    alike = {"amp", *precision.SETTINGS}
    names = {field.name for field in dataclasses.fields(Recipe)} - alike
    # The config has no weight decay if the method has its own, and no momentum if the optimiser
    # has none.
    config = {"weight_decay": 0.0, "momentum": 0.0, **config}
    given = {name: config[prefix + name] for name in names if prefix + name in config}
    given["milestones"] = tuple(given.get("milestones", ()))
    given |= {name: config[name] for name in ("amp_dtype", "compile") if name in config}
    return Recipe(amp=config["amp"], **given)
