"""Whatever a study file holds, reading it gives a study, or says what is wrong with it: never anything else."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from study_texts import ALL, TOY

from htsweep.errors import StudyError
from htsweep.planning.reading import read
from htsweep.study.schema import Study

ROOT = Path(__file__).parent.parent
SEEDS = [
    TOY,
    ALL,
    *(path.read_text(encoding="utf-8") for path in sorted((ROOT / "studies").glob("digits*.yaml"))),
]
WORDS = (
    "~",
    "{}",
    "[]",
    "-1",
    "0",
    "2",
    "0.5",
    "1e400",
    "1e308",
    "true",
    "''",
    "'x'",
    "[[]]",
    "[~]",
    "[true]",
    "[{}]",
    "[[~]]",
    "[[1]]",
    "{a: b}",
    "null",
    ".nan",
    ".inf",
    "99999999999999999999",
    "a:b",
    "*c",
    "*shared",
    "<<",
    "<<: *shared",
    "!x y",
    "!!set {a}",
    "&z 3",
    "? a",
    "all",
    "last",
    "l2sp",
    "a+b",
    "../..",
    '"\\ud800"',
    '"\\0"',
    "---",
    "%YAML 1.1",
    "2020-01-01",
    "0x1F",
    "folder:x:y-z",
    "mnist-uci@blur9",
    "toy",
    "toy:toy",
    "json:dumps",
    "x",
    "method",
    "dataset",
    "fixed",
    "grid",
)
LETTERS = "[]{},:-?&*!|>'\"%@`#~ \t\n\r\0\x07\x85é\u2028\ufeff\U0001f600"

EDITS = st.lists(
    st.tuples(
        st.sampled_from(["word", "cut", "letter", "lines", "splice"]),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(WORDS),
        st.sampled_from(LETTERS),
    ),
    min_size=1,
    max_size=5,
)


def edited(text: str, edits: Sequence[tuple[str, float, float, str, str]]) -> str:
    for kind, first, second, word, letter in edits:
        at = int(first * (len(text) + 1))
        if kind == "word":
            tokens = list(re.finditer(r"[^\s\[\]{},:]+", text)) or [re.match("", text)]
            token = tokens[int(first * len(tokens))]
            assert token is not None
            text = text[: token.start()] + word + text[token.end() :]
        elif kind == "cut":
            text = text[:at] + text[at + int(second * 20) :]
        elif kind == "letter":
            text = text[:at] + letter + text[at:]
        elif kind == "lines":
            lines = text.split("\n")
            here, there = int(first * len(lines)), int(second * len(lines))
            lines[here], lines[there] = lines[there], lines[here]
            text = "\n".join(lines)
        else:
            other = SEEDS[int(second * len(SEEDS))]
            start = int(first * len(other))
            text = text[:at] + other[start : start + 60] + text[at:]
    return text


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "study.yaml"


def answers(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    found: Study | StudyError
    try:
        found = read(path)
    except StudyError as error:
        found = error
    if isinstance(found, StudyError):
        assert found.problems
        assert str(path) in str(found)
        for problem in found.problems:
            # A mistake of ours, caught in the last place
            assert "checking the study raised" not in problem.message
            assert len(problem.message) < 10_000


@settings(
    max_examples=700,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(st.sampled_from(SEEDS), EDITS)
def test_a_study_with_anything_changed_in_it(
    path: Path, seed: str, edits: list[tuple[str, float, float, str, str]]
) -> None:
    answers(path, edited(seed, edits).encode("utf-8", "surrogatepass"))


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.tuples(st.sampled_from(["utf-16", "utf-32", "utf-8-sig"]), st.text(max_size=60)).map(
        lambda pair: pair[1].encode(pair[0], "ignore")
    )
)
def test_any_bytes(path: Path, data: bytes) -> None:
    answers(path, data)
