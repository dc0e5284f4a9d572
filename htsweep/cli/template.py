"""Writes a commented study file from command-line options."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from htsweep import selection
from htsweep.commands import Given
from htsweep.errors import HtsweepError, Problem, StudyError
from htsweep.planning import paths, task
from htsweep.planning.plan import ADAPTIVE
from htsweep.planning.spaces import TRAINING, training_keys
from htsweep.study import document

TASK = "holistic_transfer"
"""The task of a new study, unless the user names another."""
KEYS = ("dataset", "missing_ratio", "backbone", "method")
"""The factors of a new study, as far as its task has them."""
_SEARCH = """\
# Search the parameters of the methods in each sweep (search_spaces/METHOD.yaml). Without it, \
each method runs once with
# its paper's constants. sampler: grid, random, qmc, tpe or nsga2; trials: points per sweep.
"""
_NO_SEARCH = "# search: {sampler: grid, trials: 5, spaces: {METHOD: {PARAMETER: [0.01, 0.1, 1.0]}}}"
_ONLY = "  only_listed: true     # other parameters keep their defaults; false: searched too\n"
_OBJECTIVES = """\
objectives:
  - {metric: validation/seen_accuracy, direction: maximize}"""

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

# Keys of the task's config that are the same everywhere, such as epochs or learning_rate \
(`htsweep list settings`).
fixed: {fixed}

{search}

# What adaptive samplers and early stopping optimise. Test columns are allowed only with \
`oracle: true`.
{objectives}

# Stop the trials that fall behind within a sweep and repetition; the first comparison is at \
this step.
# stop: {{first: 60, eta: 3}}

# The rule that picks one point of each sweep: {protocols}.
# `htsweep list protocols` says what each does; {best} looks at the test set.
select: {select}

# What one trial uses; gpu may be a fraction.
resources: {{cpu: 1, gpu: 0}}

# A launch ends when this is spent: trials, wall_hours, gpu_hours.
# budget: {{wall_hours: 8}}
"""


@final
@dataclass(frozen=True)
class Options:
    """What the user wants in the new study, each as it was typed; "" where nothing was."""

    grid: Mapping[str, str]
    """Factor -> its values, separated by commas."""
    weights: Sequence[str] = ()
    """`METHOD.PARAMETER=VALUES`."""
    repetitions: int = 6
    task: str = TASK
    search: str = ""
    """A sampler, or SAMPLER:TRIALS."""
    select: str = ""
    epochs: int | None = None


def write(file: Path, options: Options, *, force: bool = False) -> str:
    """Writes the study file; returns what it found of the data, and what to do next.

    Raises:
        HtsweepError: the file exists already, or cannot be written.
        StudyError: the options do not make a valid study; nothing is written.
    """
    from htsweep.files import put
    from htsweep.planning.notes import notes
    from htsweep.planning.reading import read

    if file.exists() and not force:
        raise HtsweepError(f"{file} already exists; give another name, or --force to overwrite it")
    text = _text(file, options)
    try:
        study = read(file, text=text)  # reports a mistake in an option now, not at the launch
    except StudyError as error:
        raise StudyError(str(file), list(map(_of_option, error.problems))) from None
    put(file, text)
    given = Given(str(file))
    return "\n".join(
        [
            f"wrote {file}",
            *notes(study),
            f"To see what it would run: {given.verb('plan')}",
            f"To run it: {given.launch()}",
        ]
    )


def _of_option(problem: Problem) -> Problem:
    """The problem at the option that made what is wrong: nobody has seen a line of the file."""
    section, _, key = problem.key.partition(".")
    key = key.removeprefix("spaces.")
    if section == "grid" or (section, key) == ("fixed", "epochs"):
        key = f"--{key.partition('.')[0].replace('_', '-')}"
    elif section == "search" and problem.key.startswith("search.spaces."):
        name = key.partition(".")[0]
        if "." not in key:
            return Problem(
                f"--weight {name}",
                f"the study has no method '{name}', so that its weight would do nothing; add it to "
                "--method, or leave the weight out",
            )
        key = f"--weight {key}"
    elif section in ("search", "select", "repetitions", "task"):
        key = f"--{section}"
    else:
        return problem
    return Problem(key, problem.message)


def _text(file: Path, options: Options) -> str:
    problems: list[Problem] = []
    factors = _factors(file, options, problems)
    weights = _weights(options.weights, problems)
    sampler, _, trials = options.search.partition(":")
    if trials and not (trials.isdecimal() and int(trials)):
        problems.append(Problem("--search", f"must be SAMPLER or SAMPLER:TRIALS, got {trials!r}"))
    if problems:
        raise StudyError(str(file), problems)
    searched = _search(options, weights, sampler, trials)
    # A valid study name from the file's name; a line break in it would end the comment.
    name = re.sub(r"[^A-Za-z0-9._ -]", "_", file.stem).lstrip("._ -") or "study"
    fixed: dict[str, Any] = {} if options.epochs is None else {"epochs": options.epochs}
    fixed |= _automatic(options.task, factors)
    commented = "\n".join(f"# {line}" for line in _OBJECTIVES.splitlines())
    return _TEMPLATE.format(
        title=name,
        command=" ".join(Given(str(file)).launch().split("\n")),
        name=document.dump(name),
        task=document.dump(options.task),
        protocols=", ".join(selection.NAMES),
        best=selection.BEST,
        select=document.dump(options.select or _protocol(options.task, bool(searched))),
        repetitions=options.repetitions,
        fixed=document.dump(fixed),
        search=_SEARCH + (searched or _NO_SEARCH),
        objectives=_OBJECTIVES if sampler in ADAPTIVE else commented,
        grid="\n".join(
            f"  {document.dump(key)}: {document.dump(values)}" for key, values in factors.items()
        ),
    )


def _factors(file: Path, options: Options, problems: list[Problem]) -> dict[str, list[Any]]:
    """The grid: what was given, and for other keys of the task its examples or its default."""
    task.beside(file.parent)
    try:
        settings = task.find(options.task).settings
    except task.UnknownTask as error:
        problems.append(Problem("--task", str(error)))
        return {}
    factors: dict[str, list[Any]] = {}
    for key in KEYS:
        text = options.grid.get(key, "")
        values = [document.scalar(part.strip()) for part in text.split(",") if part.strip()]
        setting = (settings or {}).get(key)
        if values and settings is not None and setting is None:
            option = f"--{key.replace('_', '-')}"
            problems.append(Problem(option, f"task '{options.task}' has no key '{key}'"))
        elif values:
            factors[key] = [paths.seen_from(settings, key, one, file.parent) for one in values]
        elif setting is not None:
            factors[key] = list(getattr(setting, "examples", ())) or [setting.default]
    return factors


def _automatic(name: str, factors: Mapping[str, Sequence[Any]]) -> dict[str, str]:
    """The settings of a task that choose for themselves where a study says so, with that word.

    Only those that have an effect with one of the study's values: digits have one image size.
    """
    new = task.find(name)
    return {
        key: setting.words[0]
        for key, setting in (new.settings or {}).items()
        if getattr(setting, "words", ())
        and key not in KEYS
        and any(
            _keeps(new, {**usual, factor: value}, key, setting.words[0])
            for usual in [{one: values[0] for one, values in factors.items()}]
            for factor, values in factors.items()
            for value in values
        )
    }


def _keeps(new: task.Task, config: Mapping[str, Any], key: str, word: str) -> bool:
    """Whether a setting has an effect; as far as that is known, since a value may be wrong."""
    try:
        return key in new.resolve({**config, key: word})
    except Exception:  # reading the study says what is wrong
        return True


def _weights(weights: Sequence[str], problems: list[Problem]) -> dict[str, dict[str, list[Any]]]:
    """Method -> parameter -> its values."""
    found: dict[str, dict[str, list[Any]]] = {}
    for weight in weights:
        key, equals, text = weight.partition("=")
        method, dot, parameter = key.strip().rpartition(".")
        values = [document.scalar(part.strip()) for part in text.split(",") if part.strip()]
        if not equals or not values or not dot or not method:
            problems.append(
                Problem(
                    f"--weight {weight}",
                    "must be METHOD.PARAMETER=VALUES, with the values separated by commas",
                )
            )
        else:
            found.setdefault(method, {})[parameter] = values
    return found


def _search(
    options: Options, weights: Mapping[str, Mapping[str, list[Any]]], sampler: str, trials: str
) -> str:
    """The section `search`; "" if nothing is searched.

    With a sampler all parameters of the methods are searched, and the learning rate, which they
    share; else only the weights.
    """
    if not sampler and not weights:
        return ""
    spaces: dict[str, Any] = {name: dict(values) for name, values in weights.items()}
    shared = training_keys(task.find(options.task).settings)[:1] if sampler else []
    lines = ["search:", f"  sampler: {document.dump(sampler or 'grid')}"]
    lines += [f"  trials: {trials}"] if trials else []
    text = "\n".join(lines) + "\n" + ("" if sampler else _ONLY) + "  spaces:\n"
    text += "".join(f"    {TRAINING}: {{{key}: }}     # tuned alike for all\n" for key in shared)
    text += "".join(
        f"    {document.dump(name)}: {document.dump(values)}\n" for name, values in spaces.items()
    )
    return text.rstrip("\n") if spaces or shared else text.removesuffix("  spaces:\n").rstrip("\n")


def _protocol(name: str, searches: bool) -> str:
    """The protocol of a new study; the default one cannot choose between configurations."""
    possible = selection.possible(task.find(name).metrics) if searches else []
    others = [each for each in possible if each not in (selection.DEFAULT, selection.BEST)]
    return others[0] if others else selection.DEFAULT
