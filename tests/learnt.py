"""A source model, a target, and runs on them, for the tests of methods with parts that are trained too."""

import copy
import dataclasses
import zlib

import numpy as np
import torch
from torch import nn

from tasks import backbones, process
from tasks.methods import Method, View
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

CLASSES, SOURCE_CLASSES = 5, 4
RECIPE = Recipe(
    epochs=2, steps_per_epoch=3, batch_size=12, learning_rate=0.05, momentum=0.9, weight_decay=5e-4
)


def seed(*names):
    return zlib.crc32(repr(names).encode()) % 2**31


def one_thread():
    threads = torch.get_num_threads()
    process.reset(1)
    yield
    torch.set_num_threads(threads)


def transfer(one_thread):
    """100 images of five classes, and a source model that has seen four classes of them for a moment."""
    rng = np.random.default_rng(0)
    labels = np.arange(100) % CLASSES
    images = torch.from_numpy(
        rng.random((100, 1, 8, 8), dtype=np.float32)
        + labels[:, None, None, None].astype(np.float32) / 5
    )
    labels, every = torch.from_numpy(labels), torch.arange(100)
    model = backbones.build("lenet_bn", 1, 8, SOURCE_CLASSES)
    seen = Transfer(
        None,
        images,
        labels % SOURCE_CLASSES,
        every,
        every[:0],
        SOURCE_CLASSES,
        (),
        True,
        "cpu",
        seed,
    )
    Run(model, seen, Method(), RECIPE).advance(0, 6)
    return dataclasses.replace(
        seen,
        source=model.requires_grad_(False).eval(),
        labels=labels,
        classes=CLASSES,
        train=every[:80],
        validation=every[80:],
    )


def student_of(transfer):
    """The source a little away from itself, under a head of the target's classes."""
    generator = torch.Generator().manual_seed(1)
    student = copy.deepcopy(transfer.source)
    if transfer.new_head:
        student = student.with_head(nn.utils.skip_init(nn.Linear, student.width, transfer.classes))
        nn.init.normal_(student.head.weight, std=0.1, generator=generator)
        nn.init.normal_(student.head.bias, std=0.1, generator=generator)
    with torch.no_grad():
        for weight in student.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator), alpha=0.05)
    return student.requires_grad_(True)


def run_of(method, transfer, recipe=RECIPE):
    return Run(
        student_of(transfer),
        dataclasses.replace(transfer, source=copy.deepcopy(transfer.source)),
        method,
        recipe,
    )


def view_of(transfer, student, count=8, maps=False):
    return View(student, transfer, transfer.images[:count], transfer.labels[:count], maps=maps)


def numbers(tensor):
    return tensor.detach().double().numpy()


def outputs_of(model, images):
    return [numbers(one) for one in model(images)]


def log_softmax_rows(rows):
    """By the definition, one row at a time."""
    found = []
    for row in rows:
        top = max(row)
        total = sum(np.exp(value - top) for value in row)
        found.append([value - top - np.log(total) for value in row])
    return np.array(found)
