"""A source model, a target with missing classes, and runs, for the tests of Holistic Transfer's methods."""

import copy
import dataclasses
import zlib

import numpy as np
import torch

from tasks import backbones, methods, process
from tasks.methods import Method, View
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

CLASSES, MISSING = 5, [1, 3]
RECIPE = Recipe(
    epochs=2, steps_per_epoch=3, batch_size=12, learning_rate=0.05, momentum=0.0, weight_decay=0.0
)


def seed(*names):
    return zlib.crc32(repr(names).encode()) % 2**31


def transfer():
    """100 images of five classes, two of them missing, and a model that has seen them all for a moment."""
    process.reset(1)
    rng = np.random.default_rng(0)
    labels = np.arange(100) % CLASSES
    images = torch.from_numpy(
        rng.random((100, 1, 8, 8), dtype=np.float32)
        + labels[:, None, None, None].astype(np.float32) / 5
    )
    labels, every = torch.from_numpy(labels), torch.arange(100)
    whole = Transfer(None, images, labels, every, every[:0], CLASSES, (), True, "cpu", seed)
    model = backbones.build("lenet_bn", 1, 8, CLASSES)
    Run(model, whole, Method(), RECIPE).advance(0, 6)
    rows = every[~torch.isin(labels, torch.tensor(MISSING))]
    return dataclasses.replace(
        whole,
        source=model.requires_grad_(False).eval(),
        train=rows,
        missing_classes=MISSING,
        new_head=False,
    )


def run_of(name, transfer, recipe=RECIPE, **parameters):
    method = methods.find(name)(**parameters)
    return Run(copy.deepcopy(transfer.source), transfer, method, recipe)


def student(transfer):
    """A model a few steps away from the source."""
    run = run_of("plain", transfer)
    run.advance(0, 3)
    return run.student.eval()


def penalty_of(method, transfer, student, count=8):
    view = View(student, transfer, transfer.images[:count], transfer.labels[:count])
    ready = (
        method.prepare(copy.deepcopy(transfer.source), transfer, None) if method.prepare else None
    )
    return method.penalty(view, ready), view


def arrays(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]
