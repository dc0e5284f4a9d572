"""Batch-norm statistics of the target (a baseline of Tu et al., Holistic Transfer, NeurIPS 2023, arXiv:2311.01420)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.training import Run


def bn_statistics(momentum: Annotated[float, Range(0, 1)] = 0.1) -> Method:
    """Batch norm takes the target's means and variances; no weight changes, so no class can be pushed away.

    Forward passes over training batches in train mode, as many as others take gradient steps:
    running <- (1 - momentum) running + momentum batch. The images are of seen classes only, and so
    are the statistics.

    Args:
        momentum: share of each new batch; 0 starts anew and takes the mean over all batches.
    """

    def optimise(run: Run, first: int, last: int) -> Tensor:
        from torch import no_grad, stack
        from torch.nn.functional import cross_entropy
        from torch.nn.modules.batchnorm import _NormBase

        for norm in run.student.norms():
            if not isinstance(norm, _NormBase):  # a layer norm keeps no statistics
                continue
            norm.momentum = momentum or None  # torch: None is the mean over all batches
            if not momentum and first == 0:
                norm.reset_running_stats()
        losses = []
        with no_grad():
            for step in range(first, last):
                view = run.view(run.batch(step))
                losses.append(cross_entropy(view.logits, view.labels))
        return stack(losses).mean()

    return Method(
        optimise=optimise,
        frozen=frozenset({"weights", "head"}),
        needs=frozenset({"batch_norm"}),
        gradient=False,
    )
