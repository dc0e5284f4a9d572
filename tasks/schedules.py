"""How the learning rate goes on during a run; imports no torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.training import Recipe

COSINE, CONSTANT, LINEAR, STEP = "cosine", "constant", "linear", "step"
SCHEDULES = {
    COSINE: "from the learning rate to zero along half a cosine",
    CONSTANT: "the same learning rate at each step",
    LINEAR: "from the learning rate to zero along a line",
    STEP: "times `milestone_factor` after each epoch in `milestones`",
}
STEADY = (CONSTANT, STEP)
"""The schedules of which a short run is the beginning of a long one."""


def rate_at(recipe: Recipe, progress: float) -> float:
    """The factor of the learning rate at `progress` in [0, 1] of a run.

    During the warm-up it rises by equal steps to 1, which it reaches with the last; cosine and line
    fall from the end of the warm-up.
    """
    # Counted in whole steps, so that runs of different lengths agree to the last bit.
    done, warmup = round(progress * recipe.steps), recipe.warmup_steps
    if done < warmup:
        return (done + 1) / warmup
    if warmup:
        progress = (done - warmup) / max(1, recipe.steps - warmup)
    if recipe.schedule == COSINE:
        return (1 + math.cos(math.pi * progress)) / 2
    if recipe.schedule == LINEAR:
        return 1 - progress
    if recipe.schedule == STEP:
        epochs = done // recipe.steps_per_epoch
        return recipe.milestone_factor ** sum(epochs >= epoch for epoch in recipe.milestones)
    return 1.0
