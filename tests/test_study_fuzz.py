"""Whatever a study file holds, reading it gives a study, or says what is wrong with it: never anything else."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from htsweep.errors import StudyError
from htsweep.planning.reading import read
from htsweep.study.schema import Study

ROOT = Path(__file__).parent.parent
TOY = """\
x-shared: &shared {steps: 3, noise: 0.0}
task: toy
grid: {x: [0.1, 0.5, 0.9]}
repetitions: 2
fixed: {<<: *shared, y: 0.5}
search: {sampler: random, trials: 3, spaces: {all: {y: {low: 0.0, high: 1.0, grid: [0.1]}}}}
objectives: [{metric: validation/score, direction: maximize}]
stop: {first: 1, eta: 3}
resources: {cpu: 1, gpu: 0, time_limit_seconds: 10}
budget: {trials: 200, wall_hours: 2}
retry: {attempts: 2, reasons: [died]}
select: last
"""
ALL = """\
study: example
task: holistic_transfer
grid: {dataset: [mnist-uci, uci-mnist], missing_ratio: [0.3, 0.5], method: [plain, l2sp, [lolsgd, wise_ft]]}
repetitions: 6
fixed: {epochs: 5, learning_rate: 0.01}
search: {sampler: grid, trials: 4, spaces: {l2sp: {backbone: [0.1, 0.01, 1.0]}}}
select: seen_validation
baseline: plain
non_disruption: 0.02
ablate:
  full: {method: [lolsgd, selective_distillation, wise_ft]}
  components: [lolsgd, wise_ft]
  controls: {lolsgd: local_sgd}
screen: {scores: [logme, leep], keep: 1}
"""
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
