"""Reads a study file into a `Study`, or reports every mistake at once, with its line."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Mapping, Sequence
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
    study, gone = _validated(value, where, problems)
    if study is not None:
        study._file, study._folder = path, path.resolve().parent
        study._overrides = tuple(overrides)
        study._source = text
        study._text = text + "".join(
            f"\n# --set {' '.join(override.splitlines())}" for override in overrides
        )
        study, where = expanded(study, where)
        # What the whole of a section lacks may be what was left out of it.
        around = {
            ".".join(map(str, place[:cut]))
            for place in gone
            for cut in range(1, len(place))
            if place[0] not in ("grid", "fixed")
        }
        problems += [one for one in _checked(study, where, gone) if one.key not in around]
    if problems or study is None:
        # Further problems of a value that could not be read only follow from that.
        said = {problem.key for problem in unread}
        after = [problem for problem in problems[len(unread) :] if problem.key not in said]
        raise StudyError(str(file), [*unread, *after])
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


def _checked(study: Study, where: Located, gone: Mapping[Place, Any]) -> list[Problem]:
    try:
        return check(study, where, gone)
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


ROUNDS = 4
"""How often a study is read again without what was wrong with it."""
TOGETHER = ("oracle",)
"""Keys without which what is beside them would mean something else."""


def _validated(
    value: dict[str, Any], where: Located, problems: list[Problem]
) -> tuple[Study | None, dict[Place, Any]]:
    """The study without what is broken, so that the rest can be checked too; and what that was."""
    gone: dict[Place, Any] = {}
    for attempt in range(ROUNDS):
        try:
            return Study.model_validate(value), gone
        except ValidationError as error:
            value, wrong = copy.deepcopy(value), []
            for entry in error.errors():
                place = messages.real(tuple(entry["loc"]), value)
                wrong.append(place)
                if not attempt:  # what is wrong later only follows from what was left out
                    problems.append(where.problem(place, messages.said(dict(entry), SECTIONS)))
        for place in wrong:
            if attempt or not _listed(value, place):
                left_out, was = _left_out(value, place, attempt == ROUNDS - 2)
                gone.setdefault(left_out, was)
        if ("task",) in gone:  # without it the rest cannot be checked
            break
        value.setdefault("study", "unnamed")
    return None, gone


def _listed(value: dict[str, Any], place: Place) -> bool:
    """Makes a list of a factor's only value, which is what was meant; whether it did."""
    head, *rest = place
    grid = value.get("grid")
    if head != "grid" or len(rest) != 1 or not isinstance(grid, dict):
        return False
    alone = rest[0] in grid and not isinstance(grid[rest[0]], (dict, list))
    if alone:
        grid[rest[0]] = [grid[rest[0]]]
    return alone


def _left_out(value: dict[str, Any], place: Place, whole: bool) -> tuple[Place, Any]:
    """Removes what is wrong from a study, and no more than that where it can; says what."""
    inner: Any = value
    for key in place[:-1]:
        inner = inner[key] if _has(inner, key) else None
    alone = isinstance(inner, dict) and place[-1] in inner and place[-1] not in TOGETHER
    if len(place) > 1 and alone and not whole:
        return place, inner.pop(place[-1])
    return place[:1], value.pop(str(place[0]), None)


def _has(inner: Any, key: Any) -> bool:
    return key in inner if isinstance(inner, dict) else isinstance(inner, list) and key < len(inner)
