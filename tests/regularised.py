"""A source model, a target, and runs on them, for the tests of the regularisers of fine-tuning."""

import copy
import zlib

import numpy as np
import torch
from torch import nn

from tasks import backbones, process
from tasks.methods import Method, View
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

CLASSES = 4
RECIPE = Recipe(
    epochs=1, steps_per_epoch=3, batch_size=16, learning_rate=0.05, momentum=0.9, weight_decay=0.0
)


def seed(*names):
    return zlib.crc32(repr(names).encode()) % 2**31


def arrays(*tensors):
    return [tensor.detach().double().numpy() for tensor in tensors]


def transfer_of(model, images, labels):
    rows = torch.arange(len(labels))
    return Transfer(
        model.requires_grad_(False).eval(),
        images,
        labels,
        rows[4:],
        rows[:4],
        CLASSES,
        (),
        True,
        "cpu",
        seed,
    )


def transfer():
    """100 images of four classes, and a model of two others whose statistics are not the initial ones."""
    process.reset(1)
    rng = np.random.default_rng(0)
    labels = np.arange(100) % CLASSES
    images = torch.from_numpy(
        rng.random((100, 1, 8, 8), dtype=np.float32)
        + labels[:, None, None, None].astype(np.float32) / 4
    )
    labels = torch.from_numpy(labels)
    model = backbones.build("lenet_bn", 1, 8, 2)
    Run(
        model,
        Transfer(None, images, labels % 2, torch.arange(100), labels[:0], 2, (), True, "cpu", seed),
        Method(),
        RECIPE,
    ).advance(0, 3)
    return transfer_of(model, images, labels)


def run_of(method, transfer, recipe=RECIPE):
    torch.manual_seed(5)
    student = copy.deepcopy(transfer.source).with_head(nn.Linear(transfer.source.width, CLASSES))
    return Run(student, transfer, method, recipe)


def student(transfer):
    """A model a few steps away from the source, under a new head."""
    run = run_of(Method(), transfer)
    run.advance(0, 3)
    return run.student.eval()


def view_of(student, transfer, count=8):
    return View(student, transfer, transfer.images[:count], transfer.labels[:count], maps=True)
