"""LP-FT: first the classifier, then everything (Kumar et al., ICLR 2022, arXiv:2202.10054)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from tasks.methods.method import BACKBONE, Method, Range

if TYPE_CHECKING:
    from torch import Tensor

    from tasks.training import Run


def lp_ft(share: Annotated[float, Range(0, 1)] = 0.5) -> Method:
    """Trains the head alone, then all parameters, each phase with its own cosine schedule.

    The head has learnt the target before the backbone moves, so that the features are distorted
    less. Both phases together take as many steps as plain fine-tuning.

    Args:
        share: share of the steps that train the head alone; 0 is plain fine-tuning.
    """

    def optimise(run: Run, first: int, last: int) -> Tensor:
        turn = round(share * run.steps)
        losses = []
        for step in range(first, last):
            probing = step < turn
            if step in (first, turn):
                run.freeze(run.method.frozen | BACKBONE if probing else run.method.frozen)
            run.set_rate(step / turn if probing else (step - turn) / (run.steps - turn))
            run.progress = step / run.steps
            losses.append(run.gradient(run.batch(step)))
            run.step()
        return sum(losses[1:], start=losses[0]) / len(losses)

    return Method(optimise=optimise, scaled=True)
