"""EMA: a moving average of the weights along the run (Polyak and Juditsky, 1992)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Annotated, Any

from tasks.methods.method import Method, Range
from tasks.methods.swa import floats

if TYPE_CHECKING:
    from torch import nn

    from tasks.model import Model
    from tasks.training import Run
    from tasks.transfer import Transfer


def ema(decay: Annotated[float, Range(0, 1)] = 0.99) -> Method:
    """Measures an exponential moving average of the weights and batch-norm statistics.

    After each step: average <- decay average + (1 - decay) student, starting from the student
    before training, as in timm's ModelEmaV3 (0.9999 there, for runs of many thousand steps: about
    1 / (1 - decay) steps are averaged). Training itself is unchanged.

    Args:
        decay: the weight of the past; 0 is plain fine-tuning, 1 the model before training.
    """

    def prepare(student: Model, _: Transfer, __: Any) -> nn.Module:
        import torch

        average = torch.nn.Module()
        average.model = copy.deepcopy(student).requires_grad_(False)
        average.model.merge()
        return average

    def stepped(run: Run, average: Any) -> None:
        from torch import _foreach_lerp_

        means, latest = floats(average.model, run.student)
        _foreach_lerp_(means, latest, 1 - decay)

    def finish(student: Model, _: Model, average: Any) -> None:
        for value, mean in zip(*floats(student, average.model), strict=True):
            value.copy_(mean)

    return Method(prepare=prepare, stepped=stepped, finish=finish, observes=True)
