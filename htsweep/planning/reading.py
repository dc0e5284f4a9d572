"""Reads a study file into a `Study`, or reports every mistake at once, with its line."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from htsweep.commands import quoted
from htsweep.errors import HtsweepError, Problem, StudyError
from htsweep.planning import task
from htsweep.planning.checks.study import check
from htsweep.planning.configurations import gathered
from htsweep.planning.several import expanded
from htsweep.study import document, messages
from htsweep.study.document import Located, Place
from htsweep.study.overrides import OWN, apply
from htsweep.study.schema import SECTIONS, Study
from tasks import buckets

_WRITE_ONE = f"To write one to start from: {quoted(['htsweep', 'new', 'study.yaml'])}"


def read(file: str | Path, overrides: Sequence[str] = (), *, text: str | None = None) -> Study:
    """The study in `file`, with `key=value` overrides applied.

    Top-level keys that begin with `x-` are ignored: they are for settings that aliases and merge
    keys share.

    Args:
        file: its path; the study may name modules beside it.
        overrides: `key=value`, as given to `--set`.
        text: read this instead of the file's current content.

    Raises:
        StudyError: lists every mistake, with lines; nothing has been started.
    """
    buckets.forget()  # what is planned is what buckets hold now
    path = Path(file)
    text = _text_of(path) if text is None else text
    parsed = document.parse(text)
    problems = list(parsed.problems)
    if not isinstance(parsed.value, dict):
        what = (
            "the file is empty"
            if parsed.value is None
            else f"a study is a mapping, but got {messages.shown(parsed.value)}"
        )
        raise StudyError(str(file), problems or [Problem("", f"{what}. {_WRITE_ONE}")])
    value = copy.deepcopy(parsed.value)
    value.setdefault("study", path.stem)
    where = Located(parsed, apply(value, overrides, problems))
    value = {key: item for key, item in value.items() if not key.startswith(OWN)}
    value, where = _named(value, where)
    unread = list(problems)
    study, broken = _validated(value, where, problems)
    if study is not None:
        study._file, study._folder = path, path.resolve().parent
        study._overrides = tuple(overrides)
        study._source = text
        study._text = text + "".join(
            f"\n# --set {' '.join(override.splitlines())}" for override in overrides
        )
        study, where = expanded(study, where)
        problems += _checked(study, where, broken)
    if problems or study is None:
        # Further problems of a value that could not be read only follow from that.
        said = {problem.key for problem in unread}
        raise StudyError(
            str(file),
            [*unread, *(problem for problem in problems[len(unread) :] if problem.key not in said)],
        )
    return gathered(study, task.of(study))


def _named(value: dict[str, Any], where: Located) -> tuple[dict[str, Any], Located]:
    """The study with its named values as a list and labels: `dataset: {photos: folder:a:b-c}`.

    What a study says in `labels` itself goes before.
    """
    grid, labels = value.get("grid"), value.get("labels", {})
    if not isinstance(grid, dict) or not isinstance(labels, dict):
        return value, where
    named = {
        key: values
        for key, values in grid.items()
        if isinstance(values, dict)
        and values
        and not any(isinstance(one, (dict, list)) for one in values.values())
    }
    if not named:
        return value, where
    lists = {key: list(values.values()) for key, values in named.items()}
    made = {str(one): str(name) for values in named.values() for name, one in values.items()}
    value = {**value, "grid": {**grid, **lists}, "labels": {**made, **labels}}
    return value, where.with_names({key: list(values) for key, values in named.items()})


def _checked(study: Study, where: Located, broken: set[str]) -> list[Problem]:
    try:
        return check(study, where, broken)
    except HtsweepError:
        raise
    except Exception as error:  # a user's own task may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        return [
            Problem(
                "",
                f"checking the study raised {type(error).__name__}: {error} ({last.filename}, line "
                f"{last.lineno}); "
                "correct the task that raises it, or report it if the file is one of htsweep's",
            )
        ]


def _text_of(path: Path) -> str:
    try:
        return document.text_in(path)
    except document.Unreadable as error:
        raise StudyError(str(path), [error.problem]) from None
    except (OSError, ValueError) as error:  # a path with a null character is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        message = (
            f"the study file cannot be read: {reason}. Give the path of a YAML file. {_WRITE_ONE}"
        )
        raise StudyError(str(path), [Problem("", message)]) from None


def _validated(
    value: dict[str, Any], where: Located, problems: list[Problem]
) -> tuple[Study | None, set[str]]:
    """The study without its broken keys, so that the rest can be checked too; and those keys."""
    broken: set[str] = set()
    for _ in range(2):
        try:
            return Study.model_validate(value), broken
        except ValidationError as error:
            for entry in error.errors():
                place: Place = tuple(part for part in entry["loc"])
                problems.append(
                    where.problem(messages.real(place, value), messages.said(dict(entry), SECTIONS))
                )
                broken.add(str(place[0]))
        if "task" in broken:  # without it the rest cannot be checked
            return None, broken
        value = {key: item for key, item in value.items() if key not in broken}
        value.setdefault("study", "unnamed")
    return None, broken
