"""What a training sees of a batch: MixUp, CutMix, and the draws of all that changes images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.training import Recipe
    from tasks.transfer import Transfer


@final
class Mixing:
    """Makes mixed images [B, C, H, W] and targets [B, classes] of a batch, by torch's generator.

    MixUp (Zhang et al., ICLR 2018, arXiv:1710.09412): x <- l x_i + (1 - l) x_j, and so the targets.
    CutMix (Yun et al., ICCV 2019, arXiv:1905.04899): a rectangle of x_i, of 1 - l of the area, is
    x_j's; targets are mixed by the area that is left after cutting it at the border. l is drawn
    from Beta(a, a), once for a batch, and j is i's neighbour in the batch, as in torchvision. With
    both, each batch has one of the two, by a fair coin, as in timm.
    """

    def __init__(self, mixup: float, cutmix: float, classes: int) -> None:
        """`mixup` and `cutmix` are the parameters a of the two; 0: without it."""
        from torchvision.transforms import v2

        self._ways: list[Any] = [
            kind(alpha=alpha, num_classes=classes)
            for kind, alpha in ((v2.MixUp, mixup), (v2.CutMix, cutmix))
            if alpha
        ]

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mixed images and targets."""
        import torch

        from tasks.model import as_float

        way = self._ways[int(torch.rand(()) < 0.5) if len(self._ways) > 1 else 0]
        mixed: tuple[Tensor, Tensor] = way(as_float(images), labels)
        return mixed


@final
class Shown:
    """What a training sees of a batch: images augmented and mixed.

    Draws have seeds of their own: they are apart from dropout's, the same for all methods, and the
    same after a restart.

    Args:
        recipe: the recipe that names the changes.
        transfer: the data and the seeds.
    """

    def __init__(self, recipe: Recipe, transfer: Transfer) -> None:
        from tasks.augmentation import NONE, Augmentation

        self._seed, size = transfer.seed, transfer.images.shape[-1]
        self._augment = (
            None if recipe.augmentation == NONE else Augmentation(recipe.augmentation, size)
        )
        mixes = recipe.mixup or recipe.cutmix
        self._mix = Mixing(recipe.mixup, recipe.cutmix, transfer.outputs) if mixes else None
        self._first = self._augmented = self._mixed = 0

    @property
    def augments(self) -> bool:
        """Whether images are augmented."""
        return self._augment is not None

    def restart(self, first: int) -> None:
        """Numbers the next draws from the first, after gradient evaluation `first`."""
        self._first, self._augmented, self._mixed = first, 0, 0

    def augmented(self, images: Tensor) -> Tensor:
        """The images changed at random."""
        if self._augment is None:
            return images
        self._augmented += 1
        with self._drawing(images, "augmentation", self._augmented - 1):
            return self._augment(images)

    def mixed(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The images, and what the cross-entropy is taken to: each mixed with another's, or not."""
        if self._mix is None:
            return images, labels
        self._mixed += 1
        with self._drawing(images, "mixing", self._mixed - 1):
            return self._mix(images, labels)

    @contextmanager
    def _drawing(self, images: Tensor, name: str, number: int) -> Iterator[None]:
        import torch
        from torch.random import fork_rng

        with torch.no_grad(), fork_rng([images.device] if images.is_cuda else []):
            torch.manual_seed(self._seed(name, self._first, number))
            yield
