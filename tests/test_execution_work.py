"""A job as JSON: what is written is what is read, and every mistake in a file is said at once."""

import json
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from htsweep.errors import HtsweepError
from htsweep.execution.work import Conditions, Work, from_json, to_json
from htsweep.planning.jobs import Job

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBER = st.floats(0, 1e300) | st.integers(0, 10**9)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.dictionaries(TEXT, TEXT, max_size=3)
JOB = st.builds(
    Job,
    trial=st.text("0123456789abcdef", min_size=1),
    kind=st.sampled_from(["trial", "stage"]),
    task=TEXT,
    config=st.dictionaries(TEXT, VALUE, max_size=4),
    repetition=st.integers(0, 10**9),
    stages=TEXTS,
    sweep=TEXT,
    point=TEXT,
    index=st.integers(0, 10**18),
)
CONDITIONS = st.builds(
    Conditions,
    results=TEXT.filter(bool),
    cpu=NUMBER,
    gpu=NUMBER,
    time_limit=st.none() | st.floats(0, 1e9, exclude_min=True),
    save_seconds=NUMBER,
    paths=st.lists(TEXT, max_size=3).map(tuple),
    folder=TEXT,
    version=TEXT,
    commit=st.none() | TEXT,
    dirty=st.none() | st.booleans(),
    first_rung=st.none() | st.integers(1, 10**6),
    eta=st.integers(2, 9),
    objectives=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    grace=NUMBER,
    own_process=st.booleans(),
)
WORK = st.builds(
    Work,
    job=JOB,
    conditions=CONDITIONS,
    artifacts=st.dictionaries(TEXT, TEXTS, max_size=3),
    attempt=st.integers(1, 99),
    deadline=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)


@given(WORK)
def test_what_is_written_is_what_is_read(work: Work) -> None:
    text = to_json(work)
    assert "\n" not in text
    again = from_json(text)
    assert again == work
    assert to_json(again) == text


def test_mappings_of_any_kind_are_objects() -> None:
    frozen = MappingProxyType({"a": "b"})
    work = Work(Job("t", "stage", "toy", frozen, 0, frozen), Conditions("r"), {"source": frozen})
    assert from_json(to_json(work)) == work


def test_what_need_not_be_said_has_defaults() -> None:
    least = {
        "job": {"trial": "t", "kind": "trial", "task": "toy", "config": {}, "repetition": 0},
        "conditions": {"results": "r"},
    }
    assert from_json(json.dumps(least)) == Work(Job("t", "trial", "toy", {}, 0), Conditions("r"))


def changed(**changes: Any) -> str:
    """A job of which each `part__key` is changed; None: taken out."""
    content = json.loads(to_json(Work(Job("t", "trial", "toy", {}, 0), Conditions("r"))))
    for path, value in changes.items():
        *parents, key = path.split("__")
        inner = content
        for parent in parents:
            inner = inner[parent]
        if value is None:
            del inner[key]
        else:
            inner[key] = value
    return json.dumps(content)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "job.json is not JSON: Expecting property name"),
        (b"\xff\xfe\xff", "job.json is not a text in UTF-8"),
        ("[]", "expected an object with the keys job, conditions"),
        ("{}", "2 problems, nothing was run\n  job: is missing; expected an object\n  conditions"),
        (changed(job__trial=None), "job.trial: is missing; expected a text that is not empty"),
        (changed(job__trial="../x"), "job.trial: expected a text that is not empty and has no"),
        (changed(job__kind="tiral"), "job.kind: expected 'trial' or 'stage', but got \"tiral\""),
        (changed(job__repetition=True), "job.repetition: expected a whole number of at least 0"),
        (changed(job__repetition=1.5), "job.repetition: expected a whole number of at least 0"),
        (changed(job__stages={"a": 1}), "job.stages: expected an object whose values are texts"),
        (changed(job__confg={}), "job.confg: no such key; did you mean 'config'?"),
        (changed(conditions__results=""), "conditions.results: expected a text that is not empty"),
        (changed(conditions__time_limit=0), "conditions.time_limit: expected a number above 0"),
        (changed(conditions__paths="a"), "conditions.paths: expected a list of texts"),
        (changed(conditions__objectives=[["a"]]), "expected a list of pairs of texts"),
        (changed(attempt=0), "attempt: expected a whole number of at least 1, but got 0"),
        (changed(artifacts={"a": "b"}), "artifacts: expected an object of objects"),
    ],
)
def test_what_is_no_job_is_said(text: str | bytes, said: str) -> None:
    with pytest.raises(HtsweepError) as error:
        from_json(text, "job.json")
    assert said in str(error.value)
    assert str(error.value).startswith("job.json")


def test_every_mistake_is_said_at_once() -> None:
    with pytest.raises(HtsweepError) as error:
        from_json(changed(job__kind="x", job__task=3, conditions__cpu="many"), "job.json")
    lines = str(error.value).splitlines()
    assert lines[0] == "job.json: 3 problems, nothing was run"
    assert [line.split(":")[0].strip() for line in lines[1:]] == [
        "job.kind",
        "job.task",
        "conditions.cpu",
    ]
