"""StochNorm: batch norm by batch or running statistics at random (Kou et al., NeurIPS 2020)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.model import Model


def stochnorm(p: Annotated[float, Range(0, 1)] = 0.5) -> Method:
    """Normalises each channel by batch or running statistics at random while training.

    The output is s_c BN_batch(x)_c + (1 - s_c) BN_running(x)_c with s_c ~ Bernoulli(p), drawn anew
    for each channel and forward pass. BN_batch normalises by the batch's mean and variance, which
    update the running ones as usual; BN_running by the running ones from before the batch, without
    gradient through them. Both share weight and bias. Evaluation uses running statistics, as for
    all batch norm. TLL's code ignores the given p and uses 0.5; here the given p is used.

    Args:
        p: probability that a channel is normalised by the batch; 1 is plain batch norm.
    """

    def rebuild(student: Model) -> None:
        norm: Any  # its class and its attribute p are set here
        for norm in student.norms():
            if _has_running(norm):
                # Changing only the class keeps names in the state, parameters and hooks.
                norm.__class__ = _stochastic(norm.__class__)
                norm.p = p

    return Method(rebuild=rebuild, needs=frozenset({"batch_norm"}))


def _has_running(norm: Any) -> bool:
    from torch.nn.modules.batchnorm import _BatchNorm

    return isinstance(norm, _BatchNorm) and norm.running_mean is not None


@functools.cache
def _stochastic(kind: Any) -> Any:
    """The two-branch version of a batch-norm class, with the dropout and activation of timm's."""
    from torch import rand, where
    from torch.nn.functional import batch_norm
    from torch.nn.modules.batchnorm import _BatchNorm

    def forward(self: Any, images: Tensor) -> Tensor:
        if not self.training or self.p == 1:
            plain: Tensor = kind.forward(self, images)
            return plain
        # Copies: the backward pass reads them, and the other branch updates them.
        running = batch_norm(
            images,
            self.running_mean.clone(),
            self.running_var.clone(),
            self.weight,
            self.bias,
            eps=self.eps,
        )
        batch = _BatchNorm.forward(self, images)
        by_batch = rand(self.num_features, device=images.device) < self.p
        mixed = where(by_batch.view(-1, *[1] * (images.ndim - 2)), batch, running)
        for after in ("drop", "act"):
            mixed = getattr(self, after)(mixed) if hasattr(self, after) else mixed
        return mixed

    return type(f"Stochastic{kind.__name__}", (kind,), {"forward": forward})
