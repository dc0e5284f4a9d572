"""A source model and training on a target without some of its classes, for tests of methods."""

import copy
import dataclasses
import zlib

import numpy as np
import torch

from tasks import backbones, process
from tasks.methods import Method, View
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

CLASSES, MISSING = 6, [1, 4]
RECIPE = Recipe(
    epochs=2, steps_per_epoch=4, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=0.0
)


def seed(*names):
    return zlib.crc32(repr(names).encode()) % 2**31


def transfer_of(images, labels, rows, missing=MISSING, source=None, new_head=False):
    return Transfer(
        source, images, labels, rows, rows[:12], CLASSES, missing, new_head, "cpu", seed
    )


def training():
    """120 random images of six classes, those of the missing ones included but not among the rows."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % CLASSES
    images = (
        rng.random((120, 1, 16, 16), dtype=np.float32)
        + labels[:, None, None, None].astype(np.float32) / 6
    )
    rows = np.flatnonzero(~np.isin(labels, MISSING))
    return transfer_of(torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(rows))


def source(training):
    """A model that has learnt a little about all classes, so that its batch-norm statistics are not the initial ones."""
    process.reset(1)
    model = backbones.build("lenet_bn", 1, 16, CLASSES)
    every = transfer_of(training.images, training.labels, torch.arange(120), ())
    Run(model, every, Method(), RECIPE).advance(0, 8)
    return model.eval()


def run_of(method, source, training, recipe=RECIPE, student=None):
    transfer = dataclasses.replace(training, source=copy.deepcopy(source))
    return Run(student or copy.deepcopy(source), transfer, method, recipe)


def trained(method, source, training, recipe=RECIPE):
    """The weights after the whole run, and the loss of each epoch."""
    run = run_of(method, source, training, recipe)
    losses = [
        run.advance(first, first + recipe.steps_per_epoch)
        for first in range(0, recipe.steps, recipe.steps_per_epoch)
    ]
    return run.finished().state_dict(), losses


def close(left, right, **tolerance):
    return all(
        torch.allclose(left[name].double(), right[name].double(), **tolerance) for name in right
    )


def penalty_of(method, source, training, student):
    transfer = dataclasses.replace(training, source=source)
    view = View(student, transfer, training.images[:8], training.labels[:8])
    ready = method.prepare(copy.deepcopy(source), transfer, None) if method.prepare else None
    return method.penalty(view, ready).item(), view


def student(source, training):
    run = run_of(Method(), source, training)
    run.advance(0, 4)
    return run.student.eval()
