"""Runs of a few steps on a small model, and their outcomes, for the checks in `conformance`."""

from __future__ import annotations

import contextlib
import copy
import functools
import itertools
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor, nn

from tasks import backbones, process, timm_models
from tasks.methods.method import NEEDS, OF_BACKBONE, Method, View
from tasks.model import Model
from tasks.training import Recipe, Run
from tasks.transfer import Transfer

SETTINGS = {
    "same head": frozenset(NEEDS),
    "new head": frozenset({"source_head", *OF_BACKBONE}),
}
"""What each setting offers to methods.

The target has the source's classes with some missing, or classes of its own under a new head.
"""
CLASSES, MISSING, SOURCE_CLASSES, PIXELS = 6, (1, 4), 4, 8
RECIPE = Recipe(
    epochs=2, steps_per_epoch=2, batch_size=8, learning_rate=0.05, momentum=0.9, weight_decay=5e-4
)
STEP = 1e-6
"""Step of finite differences in float64: the error is about 1e-10, and kinks are rarely crossed."""

State = dict[str, Tensor]
_elsewhere = itertools.count(1)


def run_of(
    method: Method,
    setting: str,
    recipe: Recipe = RECIPE,
    *,
    seed: int = 0,
    without: Collection[int] = (),
    dtype: torch.dtype = torch.float32,
) -> Run:
    """A run before its first step; the global random generators differ each time.

    Args:
        method: what is added to plain fine-tuning.
        setting: one of `SETTINGS`.
        recipe: how long and how fast.
        seed: the number that the seeds of all names depend on.
        without: seen classes without images.
        dtype: the type of images and weights.
    """
    new_head = setting == "new head"
    attentive = is_attentive(method)
    source, (images, labels) = (
        copy.deepcopy(source_of(setting, attentive)).to(dtype),
        _images(CLASSES),
    )
    process.reset(next(_elsewhere))
    torch.set_default_dtype(dtype)
    left_out = {*without, *(() if new_head or method.all_classes else MISSING)}
    rows = torch.tensor([row for row, label in enumerate(labels.tolist()) if label not in left_out])
    transfer = Transfer(
        source,
        images.to(dtype),
        labels,
        rows,
        rows[:8],
        CLASSES,
        () if new_head else MISSING,
        new_head,
        "cpu",
        functools.partial(_seed, seed),
    )
    student = copy.deepcopy(source)
    if new_head:
        head = nn.Linear(source.width, CLASSES)
        nn.init.normal_(head.weight, std=0.01, generator=torch.Generator().manual_seed(3))
        nn.init.zeros_(head.bias)
        student = student.with_head(head)
    return Run(student, transfer, method, recipe)


def is_attentive(method: Method) -> bool:
    """Whether the method needs a transformer."""
    return bool({"attention", "blocks"} & method.needs)


@functools.cache
def source_of(setting: str, attentive: bool = False) -> Model:
    """A briefly trained model, so that its batch-norm statistics are not the initial ones.

    It is a vision transformer if `attentive`, else lenet_bn. It is cached: copy it before changing
    it.
    """
    process.reset(1)
    classes = SOURCE_CLASSES if setting == "new head" else CLASSES
    model = _transformer(classes) if attentive else backbones.build("lenet_bn", 1, PIXELS, classes)
    images, labels = _images(classes)
    rows = torch.arange(len(labels))
    transfer = Transfer(
        None, images, labels, rows, rows[:0], classes, (), True, "cpu", functools.partial(_seed, 2)
    )
    Run(model, transfer, Method(), RECIPE).advance(0, RECIPE.steps)
    model.zero_grad(set_to_none=True)
    return model.requires_grad_(False).eval()


def _transformer(classes: int) -> Model:
    """A vision transformer of two blocks for the grey images."""
    from timm.models.vision_transformer import VisionTransformer

    trunk = VisionTransformer(
        img_size=PIXELS,
        patch_size=PIXELS // 2,
        in_chans=1,
        num_classes=0,
        embed_dim=16,
        depth=2,
        num_heads=2,
    )
    return Model(trunk, nn.Linear(16, classes), timm_models.tap, timm_models.stages)


@functools.cache
def _images(classes: int) -> tuple[Tensor, Tensor]:
    """Sixty grey images, lighter for higher classes, and their labels."""
    labels = torch.arange(60) % classes
    noise = torch.rand(
        60, 1, PIXELS, PIXELS, generator=torch.Generator().manual_seed(classes), dtype=torch.float32
    )
    return noise + labels.view(-1, 1, 1, 1) / classes, labels


def _seed(seed: int, *names: object) -> int:
    return zlib.crc32(repr((seed, *names)).encode()) % 2**31


def trained(run: Run, first: int = 0, last: int = RECIPE.epochs) -> Run:
    """The run after training epochs `first` to `last` as the tasks do."""
    for epoch in range(first, min(last, run.recipe.epochs)):
        torch.manual_seed(run.seed("epoch", epoch + 1))
        run.advance(epoch * run.recipe.steps_per_epoch, (epoch + 1) * run.recipe.steps_per_epoch)
    return run


@torch.no_grad()
def outcome(run: Run) -> State:
    """The outcome of a run: the student's and the kept modules' state, and the final outputs."""
    features, logits = run.finished()(run.transfer.images)
    kept = {f"prepared.{name}": value for name, value in run.state()["prepared"].items()}
    return {
        **run.student.state_dict(),
        **kept,
        "measured features": features,
        "measured logits": logits,
    }


def differing(state: State, expected: State) -> list[str]:
    """The names in `expected` whose tensors are not bitwise equal."""
    return [name for name in expected if not torch.equal(state[name], expected[name])]


def near() -> Method:
    """A method to chain others with; its penalty uses the source."""

    def penalty(view: View, _: Any) -> Tensor:
        return 0.3 * (view.features - view.source_features).square().mean()

    return Method(penalty=penalty)


def tensors_of(model: Model, part: str) -> tuple[list[Tensor], list[Tensor]]:
    """The weights and the buffers of a part."""
    norms = {id(buffer) for norm in model.norms() for buffer in norm.buffers(recurse=False)}
    held = (
        model.head.buffers()
        if part == "head"
        else (
            buffer
            for buffer in model.backbone.buffers()
            if (id(buffer) in norms) == (part == "norms")
        )
    )
    return list(model.parameters_of(part)), list(held)


def weights_of(run: Run) -> list[Tensor]:
    """The weights that train, including those of the kept modules."""
    return [
        parameter
        for group in run.optimiser.param_groups
        for parameter in group["params"]
        if parameter.requires_grad
    ]


def first_layer(model: nn.Module) -> nn.Module:
    """A layer that each forward pass runs exactly once, whether or not it returns feature maps."""
    return next(
        module
        for module in model.modules()
        if next(module.parameters(recurse=False), None) is not None and not [*module.children()]
    )


def source_passes(run: Run) -> tuple[int, int]:
    """The source model's forward passes during training, and the most in a gradient evaluation."""
    passes: list[int] = []
    most, gradient = [0], run.gradient
    first_layer(run.transfer.source_model).register_forward_pre_hook(lambda *_: passes.append(1))

    def counted(positions: Tensor) -> Tensor:
        before = len(passes)
        loss = gradient(positions)
        most.append(len(passes) - before)
        return loss

    # Every optimisation calls `run.gradient`; replace it on this instance only.
    vars(run)["gradient"] = counted
    trained(run)
    return len(passes), max(most)


def slopes(run: Run, positions: Tensor, number: int) -> tuple[float, float]:
    """The slope of a batch's loss along a random direction: by gradient and central differences."""
    generator = torch.Generator().manual_seed(number)
    direction = [
        torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator)
        for tensor in weights_of(run)
    ]
    length = float(sum(tensor.square().sum() for tensor in direction)) ** 0.5

    def at(distance: float) -> tuple[float, list[Tensor]]:
        probe = copy.deepcopy(run)  # a penalty may have state, such as a queue
        with torch.no_grad():
            for weight, way in zip(weights_of(probe), direction, strict=True):
                weight.add_(way, alpha=distance / length)
        torch.manual_seed(7)
        return float(probe.gradient(positions)), weights_of(probe)

    _, weights = at(0.0)
    slope = sum(
        (tensor.grad * way).sum()
        for tensor, way in zip(weights, direction, strict=True)
        if tensor.grad is not None
    )
    return float(slope) / length, (at(STEP)[0] - at(-STEP)[0]) / (2 * STEP)


@contextlib.contextmanager
def in_double() -> Iterator[None]:
    """A context in which `run_of` may set float64 as default; afterwards it is float32."""
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@final
class SmallWorkspace:
    """A workspace in a folder, for a task that runs on its own in a check or a notebook.

    Args:
        root: the folder of its files.
        repetition: the number that the seeds depend on.
    """

    def __init__(self, root: Path, repetition: int = 0) -> None:
        self.repetition, self.device, self.threads = repetition, "cpu", torch.get_num_threads()
        self.output, self.cache = root / "output", root / "cache"
        self.artifacts: dict[str, Path] = {}
        """The output folder of each stage that has run."""
        self._state: bytes | None = None
        for folder in (self.output, self.cache):
            folder.mkdir(parents=True, exist_ok=True)

    keeps_features = False
    trajectory: Path | None = None
    """None: each trial trains by itself."""

    def seed(self, *names: object) -> int:
        """A seed in [0, 2**31) from the names and the repetition."""
        return zlib.crc32(repr((self.repetition, *map(str, names))).encode()) % 2**31

    def artifact(self, stage: str) -> Path:
        """The folder with the files that a stage wrote."""
        return self.artifacts[stage]

    def save(self, make: Callable[[], bytes]) -> None:
        """Saves a state."""
        self._state = make()

    def load(self) -> bytes | None:
        """The last saved state."""
        return self._state

    def keep(self, step: int, outputs: Mapping[str, Any], /) -> None:
        """Does nothing: outputs are not kept."""
