"""Images that are decoded as they are asked for, as far as training needs them to be a tensor."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from tasks.data.undecoded import Undecoded


@final
class OnDemand:
    """Stands for a tensor [N, C, H, W] of uint8 on the host; indexing decodes and returns one."""

    is_cuda = False
    device = torch.device("cpu")
    dtype = torch.uint8

    def __init__(self, images: Undecoded) -> None:
        self._images = images
        self.shape = torch.Size(images.shape)
        self.nbytes = images.nbytes

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, rows: slice | Tensor) -> Tensor:
        """The images at `rows`.

        Raises:
            ValueError: an image cannot be read; names its path.
        """
        return torch.from_numpy(self._images[rows.numpy() if isinstance(rows, Tensor) else rows])
