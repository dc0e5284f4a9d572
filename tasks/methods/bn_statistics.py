"""Batch-norm statistics of the target, a baseline of Holistic Transfer (Tu et al., 2023)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.training import Run


def bn_statistics(momentum: Annotated[float, Range(0, 1)] = 0.1) -> Method:
    """Adapts only batch-norm means and variances to the target; no weight changes.

    It makes as many forward passes over training batches in train mode as other methods take
    gradient steps: running <- (1 - momentum) running + momentum batch. Since no weight changes, no
    class is pushed away; but the statistics are those of seen classes only.

    Args:
        momentum: share of each new batch; 0 resets first and takes the mean over all batches.
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
        scaled=True,
        reads_labels=True,
    )
