"""What `ablate:` is planned as: cells like any other, each once, and a table that says which sweep has what."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep import results
from htsweep.analysis.ablation import ablation
from htsweep.analysis.design import design
from htsweep.errors import StudyError
from htsweep.launching import launch
from htsweep.planning.ablation import variants_of
from htsweep.planning.plan import Plan, plan
from htsweep.planning.reading import read
from htsweep.results import Results, tables
from htsweep.results.estimate import estimate
from htsweep.results.variants import variants
from htsweep.selection.choose import choose
from htsweep.study.schema import Ablation, Study, members

STUDIES = Path(__file__).parent.parent / "studies"
HEAD = "task: holistic_transfer\nrepetitions: 2\n"
CHAIN = "[l2sp, feature_rank, wise_ft]"


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Callable[..., Study]:
    return lambda text, *overrides: read(study_file(text), overrides)


def ids(planned: Plan) -> set[str]:
    return {trial for _, _, trial in planned.trials()}


def test_a_chain_is_written_either_way() -> None:
    assert members(["a", "b"]) == members("a + b") == ["a", "b"]
    assert members(None) == members("") == []


def test_leaving_out_is_what_one_would_write(study: Callable[..., Study]) -> None:
    ablated = plan(
        study(
            HEAD + f"grid: {{missing_ratio: [0.3, 0.5]}}\nablate: {{full: {{method: {CHAIN}}}}}\n"
        )
    )
    written = plan(
        study(
            HEAD
            + f"grid:\n  missing_ratio: [0.3, 0.5]\n  method:\n    - {CHAIN}\n    - [feature_rank, wise_ft]\n"
            "    - [l2sp, wise_ft]\n    - [l2sp, feature_rank]\n"
        )
    )
    assert [trial for *_, trial in ablated.trials()] == [trial for *_, trial in written.trials()]


def test_the_ready_study_has_the_trials_that_it_had_when_every_chain_was_written_out(
    study: Callable[..., Study],
) -> None:
    full = ["lolsgd", "selective_distillation", "feature_rank", "frozen_classifier", "wise_ft"]
    chains = [
        full,
        *([name for name in full if name != out] for out in full),
        ["local_sgd", *full[1:]],
        ["plain"],
    ]
    written = "".join(f"    - [{', '.join(chain)}]\n" for chain in chains)
    ready = plan(read(STUDIES / "digits_ablation.yaml"))
    assert ids(ready) == ids(
        plan(
            study(
                "task: holistic_transfer\ngrid:\n  dataset: [mnist-uci, uci-mnist]\n  method:\n"
                + written
                + "search:\n  sampler: grid\n  spaces:\n"
                "    training: {learning_rate: [0.0002, 0.001, 0.005, 0.02]}\n"
                "    lolsgd: {left_out: [3]}\n    selective_distillation: {weight: [1.0]}\n"
                "    feature_rank: {weight: [1.0]}\n    wise_ft: {alpha: [0.5]}\n"
                "fixed: {missing_ratio: 0.5}\nrepetitions: 10\n"
            )
        )
    )
    assert ready.trial_count == 640


@pytest.mark.parametrize("like", ["a+b+c", ["a", "b", "c"]])
def test_all_kinds_of_variants_each_once(like: object) -> None:
    ablate = Ablation(
        full={"method": like},
        components=["a", "b"],
        controls={"a": "z"},
        alone=True,
        factorial=True,
    )
    found = {
        (variant.kind, "+".join(members(variant.changes["method"])))
        for variant in variants_of(ablate, "plain")
    }
    # Without a is b alone, and the factorial of two adds nothing; c is no component and stays in
    # all.
    assert found == {
        ("full", "a+b+c"),
        ("left out", "b+c"),
        ("replaced", "z+b+c"),
        ("left out", "a+c"),
        ("none", "c"),
    }


def test_a_factorial_has_every_combination() -> None:
    ablate = Ablation(full={"method": ["a", "b", "c"]}, factorial=True)
    subsets = {frozenset(some) for size in range(4) for some in itertools.combinations("abc", size)}
    assert [variant.components for variant in variants_of(ablate, "plain")].count(frozenset()) == 1
    assert {variant.components for variant in variants_of(ablate, "plain")} == subsets
    assert {
        str(variant.changes["method"])
        for variant in variants_of(ablate, "plain")
        if not variant.components
    } == {"plain"}


def test_a_config_is_ablated_as_a_chain_is(study: Callable[..., Study]) -> None:
    found = study(
        "task: toy\ngrid: {noise: [0.0, 0.1]}\nrepetitions: 2\n"
        "ablate:\n  full: {x: 0.9}\n  components: {reach: {x: 0.1}, middle: {y: 0.9}}\n  "
        "factorial: true\n"
    )
    planned = plan(found)
    assert planned.trial_count == 2 * 4 * 2
    assert Results(found).factors == ["noise", "x", "y"]
    cells = {tuple(sweep.base[name] for name in ("noise", "x", "y")) for sweep in planned.sweeps}
    assert cells == set(itertools.product((0.0, 0.1), (0.9, 0.1), (0.5, 0.9)))
    table = variants(Results(found))
    bases = {sweep.id: sweep.base for sweep in planned.sweeps}
    assert len(table) == 8
    for row in table.to_dict("records"):
        base = bases[row["sweep"]]
        assert row["components"] == {
            name
            for name, has in {"reach": base["x"] == 0.9, "middle": base["y"] == 0.5}.items()
            if has
        }
        # The factors are those of the cell's full config, in every row.
        assert (row["noise"], row["x"], row["y"]) == (base["noise"], 0.9, 0.5)


def test_the_variants_know_plain_where_it_stands_beside_them(study: Callable[..., Study]) -> None:
    text = (
        HEAD + "grid: {method: [source, plain]}\nablate: {full: {method: [l2sp, feature_rank]}}\n"
    )
    planned = plan(study(text))
    assert [sweep.base["method"] for sweep in planned.sweeps] == [
        "feature_rank+l2sp",
        "feature_rank",
        "l2sp",
        "source",
        "plain",
    ]
    table = variants(Results(study(text)))
    assert list(table["kind"]) == ["full", "left out", "left out", "none"]
    assert table["sweep"].iloc[3] == planned.sweeps[4].id
    without = variants(Results(study(text.replace("source, plain", "source"))))
    assert "none" not in set(without["kind"])
    assert variants(Results(study(HEAD + "grid: {method: [plain]}\n"))).empty


def test_a_factor_that_cannot_matter_to_a_variant_keeps_its_cells_apart(
    study: Callable[..., Study],
) -> None:
    """The source model does not train, so epochs say nothing to it: it is the variant of both."""
    table = variants(
        Results(
            study(
                HEAD + "grid: {epochs: [1, 2]}\n"
                "ablate: {full: {method: l2sp}, components: {training: {method: source}}}\n"
            )
        )
    )
    without = table[table["components"].map(lambda had: "training" not in had)]
    assert list(without["epochs"]) == [1, 2]
    assert without["sweep"].nunique() == 1


def test_a_searched_parameter_is_a_parameter_even_where_a_variant_fixes_it(
    study: Callable[..., Study],
) -> None:
    found = study(
        HEAD
        + "ablate: {full: {method: [l2sp, wise_ft]}, components: {weight: {l2sp.backbone: 0}}}\n"
        "search: {spaces: {l2sp: {backbone: [0.1, 0.01], head: 0.0}, wise_ft: {alpha: 0.5}}}\n"
    )
    assert Results(found).factors == ["method"]
    assert "l2sp.backbone" in Results(found).parameters
    assert sorted(plan(found).sizes.values()) == [1, 2]


def test_a_launched_ablation_has_the_effects_of_the_closed_form(
    study: Callable[..., Study], tmp_path: Path
) -> None:
    """Seen accuracy of the toy is 0.5 + 0.4 x - (y - 0.5)^2: reach is worth 0.32, the middle 0.16, and they do not interact."""
    found = study(
        "task: toy\ngrid: {steps: [1, 2]}\nfixed: {noise: 0.02}\nrepetitions: 3\n"
        "ablate:\n  full: {x: 0.9}\n  components: {reach: {x: 0.1}, middle: {y: 0.9}}\n  "
        "factorial: true\n"
    )
    launch(found, str(tmp_path / "results"), on="inline", mirror=None)
    measured = results.measurements(found, str(tmp_path / "results"))
    told = ablation(
        choose(measured),
        design(measured.columns, Results(found).factors),
        variants(Results(found)),
        ["test/seen_accuracy"],
    )
    for steps in (1, 2):
        rows = told[told["steps"] == steps]
        effects = {
            (row["kind"], row["component"]): row["effect"] for row in rows.to_dict("records")
        }
        assert effects == pytest.approx(
            {
                ("left out", "reach"): 0.32,
                ("left out", "middle"): 0.16,
                ("alone", "reach"): 0.32,
                ("alone", "middle"): 0.16,
                ("main effect", "reach"): 0.32,
                ("main effect", "middle"): 0.16,
                ("interaction", "reach x middle"): 0.0,
            },
            abs=1e-9,
        )
    assert len(told) == 14
    assert set(told["n"]) == {3}


def test_the_estimate_says_the_variants(study: Callable[..., Study], tmp_path: Path) -> None:
    text = (
        HEAD + f"ablate: {{full: {{method: {CHAIN}}}, controls: {{wise_ft: swa}}, alone: true}}\n"
    )
    lines = estimate(Results(study(text), str(tmp_path / "results"))).lines()
    assert "ablate  full, 3 left out, 1 replaced, 3 alone, none" in lines
    assert not any(
        line.startswith("ablate")
        for line in estimate(Results(study("task: toy\n"), str(tmp_path / "results"))).lines()
    )


@pytest.mark.parametrize(
    ("baseline", "right"),
    [
        ("plain", True),
        ("feature_rank+l2sp", True),
        ("[l2sp, feature_rank]", True),
        ("feature_rank", True),
        ("sorce", False),
        ("wise_ft", False),
    ],
)
def test_a_baseline_is_a_value_of_what_is_compared(
    study_file: Callable[..., Path], baseline: str, right: bool
) -> None:
    path = study_file(
        HEAD + "grid: {missing_ratio: [0.5], method: [plain, source]}\n"
        f"ablate: {{full: {{method: [l2sp, feature_rank]}}}}\nbaseline: {baseline}\n"
    )
    if right:
        found = tables.baseline(read(path))
        assert found in {sweep.factors["method"] for sweep in plan(read(path)).sweeps}
    else:
        with pytest.raises(StudyError, match="line 5: baseline: the study has no method") as caught:
            read(path)
        assert ("did you mean 'source'?" in str(caught.value)) == (baseline == "sorce")


def test_a_baseline_of_another_factor(study: Callable[..., Study]) -> None:
    assert tables.baseline(study("task: toy\ngrid: {y: [0.2], x: [0.1, 1]}\nbaseline: 1.0\n")) == 1
    with pytest.raises(StudyError, match=r"the study has no x 0\.3"):
        study("task: toy\ngrid: {y: [0.3], x: [0.1, 1]}\nbaseline: 0.3\n")
    with pytest.raises(StudyError, match="the grid has no factor"):
        study("task: toy\nbaseline: plain\n")
    assert tables.baseline(study("task: toy\n")) is None


@pytest.mark.parametrize(
    ("value", "hint"),
    [("1.5", "must be at most 1"), ("-0.1", "must be at least 0"), ("a", "must be a number")],
)
def test_non_disruption_is_a_share(study_file: Callable[..., Path], value: str, hint: str) -> None:
    assert read(study_file("task: toy\nnon_disruption: 0.01\n")).non_disruption == 0.01
    assert read(study_file("task: toy\nnon_disruption: 0\n")).non_disruption == 0
    with pytest.raises(StudyError, match=f"line 2: non_disruption: {hint}"):
        read(study_file(f"task: toy\nnon_disruption: {value}\n"))


def test_what_the_report_asks_is_no_part_of_a_trial(study: Callable[..., Study]) -> None:
    text = "task: toy\ngrid: {x: [0.1, 0.9]}\n"
    assert ids(plan(study(text))) == ids(plan(study(text + "baseline: 0.1\nnon_disruption: 0.2\n")))
