"""Writes a commented study file from command-line options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from htsweep import selection
from htsweep.commands import Given
from htsweep.errors import HtsweepError, Problem, StudyError
from htsweep.planning import task
from htsweep.study import document

TASK = "holistic_transfer"
"""The task of a new study."""

_TEMPLATE = """\
# {title}: {command}
#
# A study holds sweeps (one per cell of the grid), a sweep holds points (configurations), a \
point holds trials (its
# repetitions), a trial leaves measurements. A launch runs what is missing: edit, launch again, \
and only the new trials run.
study: {name}
task: {task}

# Each factor is a list; every combination is a sweep. Any key of the task's config may be a factor.
grid:
{grid}

# Each repetition has its own class split, data split and initialisation, the same for every method.
# A paired test needs at least 6 to reach p < 0.05.
repetitions: {repetitions}

# Keys of the task's config that are the same everywhere, such as epochs or learning_rate.
fixed: {{}}

# Search the parameters of the methods in each sweep (search_spaces/METHOD.yaml). Without it, \
each method runs once with
# its paper's constants. sampler: grid, random, qmc, tpe or nsga2; trials: points per sweep.
# search: {{sampler: grid, trials: 5, spaces: {{METHOD: {{PARAMETER: [0.01, 0.1, 1.0]}}}}}}

# What adaptive samplers and early stopping optimise. Test columns are allowed only with \
`oracle: true`.
# objectives:
#   - {{metric: validation/seen_accuracy, direction: maximize}}

# Stop the trials that fall behind within a sweep and repetition; the first comparison is at \
this step.
# stop: {{first: 60, eta: 3}}

# The rule that picks one point of each sweep: {protocols}.
# `htsweep list protocols` says what each does; {best} looks at the test set.
select: {default}

# What one trial uses; gpu may be a fraction.
resources: {{cpu: 1, gpu: 0}}

# A launch ends when this is spent: trials, wall_hours, gpu_hours.
# budget: {{wall_hours: 8}}
"""


def write(
    file: Path,
    grid: Mapping[str, str],
    weights: Sequence[str],
    repetitions: int,
    *,
    force: bool = False,
) -> str:
    """Writes the study file; returns what to do next.

    Raises:
        HtsweepError: the file exists already, or cannot be written.
        StudyError: the options do not make a valid study; nothing is written.
    """
    from htsweep.files import put
    from htsweep.planning.reading import read

    if file.exists() and not force:
        raise HtsweepError(f"{file} already exists; give another name, or --force to overwrite it")
    text = _text(file, grid, weights, repetitions)
    read(file, text=text)  # reports a mistake in an option now, not at the launch
    put(file, text)
    given = Given(str(file))
    return (
        f"wrote {file}\nTo see what it would run: {given.verb('plan')}\nTo run it: {given.launch()}"
    )


def _text(file: Path, grid: Mapping[str, str], weights: Sequence[str], repetitions: int) -> str:
    settings = task.find(TASK).settings or {}
    factors = {
        key: [document.scalar(part.strip()) for part in text.split(",") if part.strip()]
        for key, text in grid.items()
    }
    # Keys without values get the task's own examples.
    factors |= {key: list(settings[key].examples) for key, values in factors.items() if not values}
    for weight in weights:
        key, equals, text = weight.partition("=")
        if not equals or not text:
            raise StudyError(
                str(file),
                [
                    Problem(
                        f"--weight {weight}",
                        "must be METHOD.PARAMETER=VALUES, with the values separated by commas",
                    )
                ],
            )
        factors[key.strip()] = [document.scalar(part.strip()) for part in text.split(",")]
    # A valid study name from the file's name; a line break in it would end the comment.
    name = re.sub(r"[^A-Za-z0-9._ -]", "_", file.stem).lstrip("._ -") or "study"
    return _TEMPLATE.format(
        title=name,
        command=" ".join(Given(str(file)).launch().split("\n")),
        name=document.dump(name),
        task=TASK,
        protocols=", ".join(selection.NAMES),
        best=selection.BEST,
        default=selection.DEFAULT,
        repetitions=repetitions,
        grid="\n".join(
            f"  {document.dump(key)}: {document.dump(values)}" for key, values in factors.items()
        ),
    )
