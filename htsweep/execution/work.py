"""What a process needs to run one trial, as Python values and as JSON.

`Work` has all of it. Executors pass it to the process that runs the trial, which may also read it
from a file: `python -m htsweep.execution.trial JOB.json`. `from_json(to_json(work))` equals `work`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, final

from htsweep.errors import HtsweepError, did_you_mean
from htsweep.execution.workspace import SAVE_SECONDS
from htsweep.planning.jobs import Job
from htsweep.planning.keeping import EVERY, FINAL, NOTHING

ACCELERATOR = "accelerator_type:"
"""Ray's resource for a type of GPU: this, then its name."""
KEPT = (NOTHING, FINAL, EVERY)
GRACE_SECONDS = 10.0
"""How long a trial may exceed its time limit before its process is ended."""


@final
@dataclass(frozen=True)
class Conditions:
    """Under which conditions a trial runs: the place of results, resources, the code version.

    All trials of a launch share them, but for what each takes (htsweep/planning/resources.py).
    """

    results: str
    """The folder or URI of the results."""
    study: str = ""
    """The study's name, for those who watch."""
    cpu: float = 1.0
    """Cores that a trial may use; torch gets as many threads, rounded down."""
    gpu: float = 0.0
    """GPUs that a trial may use; above 0, it runs on `cuda:0`, else on the CPU."""
    accelerator: str = ""
    """The type of GPU that a trial needs, as Ray names it; "": any."""
    time_limit: float | None = None
    """Seconds that a trial may take; None: no limit."""
    save_seconds: float = SAVE_SECONDS
    """The least time in seconds between two saved states of a trial."""
    paths: tuple[str, ...] = ()
    """Folders of a user's own modules, in addition to Python's search path."""
    folder: str = ""
    """The launch's working folder, so that relative paths mean the same in every trial.

    It is ignored on a machine that does not have it.
    """
    version: str = ""
    """The version of htsweep."""
    commit: str | None = None
    """The git commit of the study's folder; None outside a repository."""
    dirty: bool | None = None
    """Whether files of that repository differ from the commit."""
    first_rung: int | None = None
    """The first step at which trials are compared and may be stopped; None: never."""
    eta: int = 3
    """At each rung, one in `eta` trials goes on."""
    keep: str = "nothing"
    """The steps whose logits are kept: `nothing`, `final` (the last step) or `every`."""
    features: bool = False
    """Whether features are kept beside the logits."""
    metrics: tuple[str, ...] = ()
    """The names of the study's metrics."""
    objectives: tuple[tuple[str, str], ...] = ()
    """(metric, `maximize` or `minimize`): what is compared at a rung."""
    grace: float = GRACE_SECONDS
    """Seconds past the time limit after which an unresponsive trial's process is ended."""
    code: str | None = None
    """A hash of the files that were sent along with the study; None: none were."""
    moved: tuple[str, str] | None = None
    """(the study's folder on the launch's machine, the folder of its files here), if they differ.

    Paths in the config are changed accordingly for the task, and not in the record.
    """
    copies: tuple[tuple[str, str], ...] = ()
    """(URI, version) of each bucket with data: trials read no other version of it."""
    own_process: bool = False
    """Whether the process may be ended in order to end a trial that hangs."""


@final
@dataclass(frozen=True)
class Work:
    """One trial as an executor receives it, with everything that its process needs."""

    job: Job
    conditions: Conditions
    artifacts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Stage -> the files of its artifact: file -> object in the results."""
    attempt: int = 1
    """Which attempt at the trial this is, over all launches."""
    deadline: float | None = None
    """When, in unix seconds, it must no longer start; None: no deadline."""


@final
@dataclass(frozen=True)
class Outcome:
    """How a trial ended, as the launch needs to know it; the ledger holds the whole record."""

    trial: str
    status: str
    """`done`, `stopped` (at a rung) or `failed`; `left`, without a record, to go on elsewhere."""
    reason: str | None = None
    """Why it failed, in one line."""
    seconds: float = 0.0
    started: float = 0.0
    ended: float = 0.0
    """In unix seconds, as `started` is."""
    attempt: int = 1
    record: str = ""
    """The record's name in the ledger."""
    rows: int = 0
    """The rows that it added to the ledger: its own, and one for each measured step."""
    values: Mapping[str, float] = field(default_factory=dict)
    """The last value of each number that it measured."""
    artifact: Mapping[str, str] = field(default_factory=dict)
    """What a stage made: file -> object in the results."""


def shape(cpu: float, gpu: float, accelerator: str = "") -> dict[str, float]:
    """What a trial takes, by Ray's names; of the resource for a type of GPU it takes a little."""
    kind = {f"{ACCELERATOR}{accelerator}": 0.001} if accelerator else {}
    return {"CPU": cpu, "GPU": gpu, **kind}


def to_json(work: Work) -> str:
    """The work as one line of JSON."""
    content = {**_values(work), "job": _values(work.job), "conditions": _values(work.conditions)}
    return json.dumps(content, default=dict)


def from_json(text: str | bytes, name: str = "the job") -> Work:
    """The work in a text that `to_json`, or someone else in the same format, wrote.

    Args:
        text: the JSON.
        name: of the file, for messages.

    Raises:
        HtsweepError: the text is not JSON, or not a job; the message lists every mistake.
    """
    try:
        content = json.loads(text)
    except UnicodeDecodeError as error:
        raise HtsweepError(f"{name} is not a text in UTF-8: {error.reason}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise HtsweepError(f"{name} is not JSON: {error.msg} at {where}") from None
    problems = list(_problems("", content, Work, _WORK))
    if not problems:
        problems += _problems("job.", content["job"], Job, _JOB)
        problems += _problems("conditions.", content["conditions"], Conditions, _CONDITIONS)
    if problems:
        count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
        raise HtsweepError("\n  ".join([f"{name}: {count}, nothing was run", *problems]))
    conditions = dict(content["conditions"])
    for key in ("paths", "objectives", "metrics", "moved", "copies"):  # JSON has no tuples
        if key in conditions:
            conditions[key] = _tuples(conditions[key])
    return Work(**{**content, "job": Job(**content["job"]), "conditions": Conditions(**conditions)})


# -- what each key may hold


@final
@dataclass(frozen=True)
class _Rule:
    words: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(least: int) -> _Rule:
    words = f"a whole number of at least {least}"
    return _Rule(words, lambda value: type(value) is int and value >= least)


def _number(least: float = float("-inf"), words: str = "a number") -> _Rule:
    return _Rule(words, lambda value: _is_number(value) and value >= least)


def _or_null(rule: _Rule) -> _Rule:
    return _Rule(f"{rule.words}, or null", lambda value: value is None or rule.holds(value))


def _each(words: str, holds: Callable[[Any], bool]) -> _Rule:
    return _Rule(words, lambda value: isinstance(value, dict) and all(map(holds, value.values())))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_text, value))


_OBJECT = _Rule("an object", lambda value: isinstance(value, dict))
_TEXT = _Rule("a text", _is_text)
_PAIRS = _Rule(
    "a list of pairs of texts",
    lambda value: isinstance(value, list) and all(map(_is_pair, value)),
)
_NAME = _Rule(
    "a text that is not empty and has no '/'",
    lambda value: _is_text(value) and value not in ("", ".", "..") and "/" not in value,
)
_YES_OR_NO = _Rule("true or false", lambda value: isinstance(value, bool))
_POSITIVE = _Rule("a number above 0", lambda value: _is_number(value) and value > 0)
_FROM_0 = _number(0.0, "a number of at least 0")
_TEXTS = _each("an object whose values are texts", _is_text)

_WORK = {
    "job": _OBJECT,
    "conditions": _OBJECT,
    "artifacts": _each("an object of objects whose values are texts", _TEXTS.holds),
    "attempt": _whole(1),
    "deadline": _or_null(_number()),
}
_JOB = {
    "trial": _NAME,
    "kind": _Rule("'trial' or 'stage'", lambda value: value in ("trial", "stage")),
    "task": _TEXT,
    "config": _OBJECT,
    "repetition": _whole(0),
    "stages": _TEXTS,
    "sweep": _TEXT,
    "point": _TEXT,
    "index": _whole(0),
}
_CONDITIONS = {
    "results": _Rule("a text that is not empty", lambda value: _is_text(value) and value != ""),
    "study": _TEXT,
    "cpu": _FROM_0,
    "gpu": _FROM_0,
    "accelerator": _TEXT,
    "time_limit": _or_null(_POSITIVE),
    "save_seconds": _FROM_0,
    "paths": _Rule(
        "a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value))
    ),
    "folder": _TEXT,
    "version": _TEXT,
    "commit": _or_null(_TEXT),
    "dirty": _or_null(_YES_OR_NO),
    "first_rung": _or_null(_whole(1)),
    "eta": _whole(2),
    "keep": _Rule("'nothing', 'final' or 'every'", lambda value: value in KEPT),
    "features": _YES_OR_NO,
    "metrics": _Rule(
        "a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value))
    ),
    "objectives": _PAIRS,
    "grace": _FROM_0,
    "code": _or_null(_TEXT),
    "moved": _or_null(_Rule("a pair of texts", _is_pair)),
    "copies": _PAIRS,
    "own_process": _YES_OR_NO,
}


def _problems(prefix: str, content: Any, kind: Any, rules: Mapping[str, _Rule]) -> Iterator[str]:
    """The mistakes in the keys and values of a JSON object, one line each."""
    if not isinstance(content, dict):
        yield f"expected an object with the keys {', '.join(rules)}, but got {_shown(content)}"
        return
    for key in content.keys() - rules.keys():
        yield f"{prefix}{key}: no such key; {did_you_mean(key, rules)}"
    for entry in fields(kind):
        rule, key = rules[entry.name], f"{prefix}{entry.name}"
        if entry.name not in content:
            if _is_required(entry):
                yield f"{key}: is missing; expected {rule.words}"
        elif not rule.holds(content[entry.name]):
            yield f"{key}: expected {rule.words}, but got {_shown(content[entry.name])}"


def _is_required(entry: Field[Any]) -> bool:
    return entry.default is MISSING and entry.default_factory is MISSING


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _values(record: Any) -> dict[str, Any]:
    return {entry.name: getattr(record, entry.name) for entry in fields(record)}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
