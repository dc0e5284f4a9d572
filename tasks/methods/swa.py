"""SWA: the average of the weights along the run (Izmailov et al., UAI 2018, arXiv:1803.05407)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.model import Model
    from tasks.training import Run
    from tasks.transfer import Transfer


def swa(start: Annotated[float, Range(0, 1)] = 0.5) -> Method:
    """Measures the mean of the weights and batch-norm statistics over the steps from `start` on.

    The paper averages once an epoch at a constant or cyclic rate; here it is after each step at the
    schedule of every method, so that methods stay comparable. Training itself is unchanged.

    Args:
        start: share of the run after which averaging starts; 1 is plain fine-tuning.
    """

    def prepare(student: Model, _: Transfer, __: Any) -> nn.Module:
        import torch

        average = torch.nn.Module()
        average.model = copy.deepcopy(student).requires_grad_(False)
        average.model.merge()
        average.register_buffer("count", torch.zeros((), dtype=torch.long))
        return average

    def stepped(run: Run, average: Any) -> None:
        from torch import _foreach_lerp_

        if run.progress < start:
            return
        average.count += 1
        means, latest = floats(average.model, run.student)
        _foreach_lerp_(means, latest, 1 / int(average.count))

    def finish(student: Model, _: Model, average: Any) -> None:
        if average.count:
            for value, mean in zip(*floats(student, average.model), strict=True):
                value.copy_(mean)

    return Method(prepare=prepare, stepped=stepped, finish=finish, observes=True)


def floats(model: Model, other: Model) -> tuple[list[Tensor], list[Tensor]]:
    """The floating-point tensors of a merged model, and of the same names those of another."""
    others = other.state()
    own = {name: value for name, value in model.state().items() if value.is_floating_point()}
    return list(own.values()), [others[name] for name in own]
