"""What is too large to plan is refused with the limit; whatever is not has an answer."""

from collections.abc import Callable
from pathlib import Path

import pytest
from large import Built

from htsweep.errors import StudyError
from htsweep.planning.ablation import cell_count, cells_of
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.estimate import estimate
from htsweep.study.schema import Ablation, Study

TOY = "task: toy\n"
OPEN = "task: open_task:anything\n"
"""A task that takes any key."""
LISTED = ", ".join(f"{number / 1000:.3f}" for number in range(1000))
UNIT = "{low: 0, high: 1}"
WHOLE = "{low: 0, high: 1000000, integer: true}"
COMPONENTS = ", ".join(f"c{number}: {{k{number}: 1}}" for number in range(1001))


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Callable[..., Study]:
    study_file(
        "def anything(config, workspace):\n    yield {'step': 0, 'test/score': 1.0}\n",
        "open_task.py",
    )
    return lambda text: read(study_file(text))


def parameters(count: int, values: str) -> str:
    return ", ".join(f"p{number}: {values}" for number in range(count))


@pytest.mark.parametrize(
    ("text", "key", "line", "hint"),
    [
        (
            f"{TOY}grid: {{x: [{LISTED}], y: [{LISTED}]}}\n",
            "grid.x",
            2,
            "at most 20,000 cells, since each is a sweep with a line in "
            "every table, but got 1,000,000. Search over long lists instead, as in `search: "
            "{spaces: {all: {x: [...]}}}`",
        ),
        (f"{OPEN}grid: {{{parameters(300, '[1, 2]')}}}\n", "grid", 2, "but got about 2.0e+90"),
        (
            f"{OPEN}search: {{spaces: {{all: {{{parameters(64, '[1, 2]')}}}}}}}\n",
            "search",
            2,
            "at most 10^18 trials, but about 1.8e+19 points in 1 repetitions are about 1.8e+19; "
            "set `search.trials`",
        ),
        (
            f"{OPEN}search: {{spaces: {{all: {{{parameters(3000, '[1, 2]')}}}}}}}\n",
            "search",
            2,
            "but about 1.2e+903 points",
        ),
        (
            f"{TOY}repetitions: 2\nsearch: {{sampler: random, trials: 1000000000000000000, spaces: "
            f"{{all: {{x: {UNIT}}}}}}}\n",
            "search",
            3,
            "are about 2.0e+18; reduce one of them",
        ),
        (
            f"{TOY}grid: {{x: [0.1, 0.2]}}\nrepetitions: {10**18}\n",
            "repetitions",
            3,
            "2 points in about 1.0e+18 repetitions",
        ),
        (
            f"{TOY}repetitions: {2**63 - 1}\n",
            "repetitions",
            2,
            "1 points in about 9.2e+18 repetitions are about 9.2e+18; reduce one of them",
        ),
        (
            f"{TOY}search: {{sampler: qmc, trials: {2**30 + 2}, spaces: {{all: {{x: {{low: 0, "
            f"high: 1, default: 0.5}}}}}}}}\n",
            "search.trials",
            2,
            "the sampler qmc has at most 1,073,741,824 points, but got 1,073,741,826",
        ),
        (
            f"{TOY}search: {{sampler: random, trials: 1.5e9, spaces: {{all: {{x: {{low: 0, high: "
            f"1}}}}}}}}\n",
            "search.trials",
            2,
            "must be a whole number",
        ),
        (
            f"{TOY}fixed: {{steps: 1000001}}\n",
            "fixed.steps",
            2,
            "must be at most 1000000, but got 1000001",
        ),
        (
            f"{TOY}ablate: {{full: {{x: 0.1}}, factorial: true, components: "
            f"{{{parameters(40, '{y: 0.1}')}}}}}\n",
            "ablate.factorial",
            2,
            "40 components make 1,099,511,627,776 variants",
        ),
        (
            f"{OPEN}ablate: {{full: {{x: 0.1}}, components: {{{COMPONENTS}}}}}\n",
            "ablate",
            2,
            "at most 1,000 components, but got 1,001",
        ),
        (
            "task: holistic_transfer\ngrid: {dataset: [mnist-uci, uci-mnist], method: [plain], "
            "source_epochs: "
            f"{list(range(1, 6001))}}}\nscreen: {{scores: [logme, leep, nce], keep: 1}}\n",
            "screen.scores",
            3,
            "12,000 pairs with 3 scores are 36,000 sweeps, but a screen has at most 20,000",
        ),
    ],
)
def test_what_is_too_large_is_refused_with_the_limit(
    study: Callable[..., Study], text: str, key: str, line: int, hint: str
) -> None:
    with pytest.raises(StudyError) as caught:
        study(text)
    found = {problem.key: problem for problem in caught.value.problems}
    assert key in found, list(found.values())[:3]
    assert found[key].line == line
    assert hint in found[key].message


def test_more_parameters_than_a_quasi_random_sequence_has(
    study_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file of 21,202 takes long to read
    monkeypatch.setattr("htsweep.planning.checks.size.MOST_DIMENSIONS", 20)
    study_file(
        "def anything(config, workspace):\n    yield {'step': 0, 'test/score': 1.0}\n",
        "open_task.py",
    )
    text = f"{OPEN}search: {{sampler: qmc, trials: 9, spaces: {{all: {{fixed: 3, {parameters(20, '[1, 2]')}, {{}}}}}}}}\n"
    assert read(study_file(text.replace("{}", "q: [1]")))
    with pytest.raises(
        StudyError, match="searches at most 20 parameters at once, but got 21; fix some"
    ):
        read(study_file(text.replace("{}", "q: [1, 2]")))


@pytest.mark.parametrize(
    ("text", "trials"),
    [
        (f"{TOY}grid: {{x: [0.1, 0.2]}}\nrepetitions: 1023\n", 2_046),
        (f"{TOY}grid: {{x: [0.1, 0.2]}}\nrepetitions: 1024\n", 2_048),
        (f"{TOY}repetitions: 1000000000000000000\n", 10**18),
        (f"{TOY}grid: {{x: [{LISTED}]}}\nrepetitions: 1000000\n", 10**9),
        (f"{OPEN}grid: {{{parameters(400, '[1]')}}}\n", 1),
        (f"{OPEN}fixed: {{{parameters(400, '1')}}}\n", 1),
        (
            f"{OPEN}search: {{trials: 1000000, spaces: {{all: {{{parameters(300, '[1, 2]')}}}}}}}\n",
            10**6,
        ),
        (
            f"{OPEN}search: {{sampler: random, trials: 1000000000, spaces: {{all: "
            f"{{{parameters(1100, '[1, 2]')}}}}}}}\n",
            10**9,
        ),
        (
            f"{OPEN}objectives: [{{metric: score}}]\nsearch: {{sampler: tpe, trials: 1000000000, "
            f"spaces: {{all: "
            f"{{{parameters(1100, '[1, 2]')}}}}}}}\n",
            10**9,
        ),
        (f"{TOY}search: {{sampler: qmc, trials: 1000000000, spaces: {{all: {{x: 0.5}}}}}}\n", 1),
        (f"{TOY}search: {{sampler: random, trials: 1000000000}}\n", 1),
        (
            f"{TOY}search: {{sampler: tpe, trials: 9}}\n"
            "objectives: [{metric: validation/score}]\n",
            1,
        ),
        (
            f"{TOY}search: {{sampler: random, trials: 1000000000, spaces: {{all: {{steps: "
            f"{WHOLE}}}}}}}\n",
            1_000_001,
        ),
        (
            f"{TOY}objectives: [{{metric: validation/score}}]\nstop: {{first: {2**63 - 1}, eta: "
            f"{2**62}}}\n",
            1,
        ),
        (
            f"{TOY}budget: {{trials: {2**63 - 1}, wall_hours: 1.0e+300, gpu_hours: "
            f"1.0e+300}}\nfixed: {{steps: 1000000}}\n",
            1,
        ),
        (
            "task: holistic_transfer\ngrid: {dataset: [mnist-uci, uci-mnist], method: [plain], "
            "source_epochs: [1, 5]}\n"
            "repetitions: 100000000\nscreen: {scores: [logme], keep: 1}\n",
            4 * 10**8,
        ),
    ],
)
def test_whatever_is_not_has_an_answer(
    study: Callable[..., Study], built: Built, text: str, trials: int
) -> None:
    found = estimate(Results(study(text), "/nonexistent/results"))
    assert (found.trials, found.trials_to_run) == (trials, trials)
    assert found.lines()
    assert found.json()
    assert built.points <= 25_000


@pytest.mark.parametrize(
    "ablate",
    [
        None,
        {"full": {"method": "a+b"}},
        {"full": {"method": "a+b"}, "controls": {"a": "c"}, "alone": True},
        {"full": {"method": "a+b+c"}, "factorial": True},
        {"full": {"k": 1}, "components": {"k": {"k": 0}}},
    ],
)
def test_cells_are_counted_by_arithmetic(ablate: dict[str, object] | None) -> None:
    for grid in (
        {},
        {"x": [1, 2, 3]},
        {"x": [1, 2], "method": ["plain", "a"]},
        {"k": [1, 2], "method": ["plain"], "y": [0, 1]},
    ):
        study = Study(
            study="s",
            task="toy",
            grid=grid,
            ablate=Ablation.model_validate(ablate) if ablate else None,
        )
        assert cell_count(study) == len(list(cells_of(study)))


def test_a_long_list_of_names_is_not_compared_one_by_one(study: Callable[..., Study]) -> None:
    names = ", ".join(f"m{number:05d}" for number in range(3_000))
    with pytest.raises(StudyError, match="known: m00000, m00001") as caught:
        study(f"{OPEN}grid: {{method: [{names}]}}\nbaseline: m9\n")
    assert len(str(caught.value)) < 1_000
    assert study(f"{OPEN}grid: {{method: [{names}]}}\nbaseline: m00009\n").baseline == "m00009"
