"""`auto` is measured once, and is from then on what the study says, on whatever machine it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import htsweep
from htsweep.cli.deciding import decide
from htsweep.errors import HtsweepError
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from htsweep.results import Results
from htsweep.results.chosen import choices
from htsweep.results.estimate import estimate

TASK = """\
from tasks.task import Setting, Timed, filled

TOOK = {"small": {"plain": 2.0, "half": 3.0}, "large": {"plain": 5.0, "half": 1.0, "odd": 0.5}}
WAYS = {"plain": {"half": False}, "half": {"half": True}, "odd": {"half": None}}
ASKED = []


def adapt(config, workspace):
    yield {"step": 0, "test/half": float(config["half"])}


def speed(config, workspace):
    ASKED.append(dict(config))
    yield {"step": 0, **{f"seconds/{way}": TOOK[config["size"]][way] for way in config["ways"]}}


def resolve(config):
    full = filled(adapt.settings, config)
    given = full.pop("way")
    for entry in given if isinstance(given, list) else [given]:
        size, named, way = entry.rpartition("=")
        if not named or size == full["size"]:
            return {**full, **({"way": way} if way == "auto" else WAYS[way])}
    return {**full, "way": given}


adapt.settings = {
    "size": Setting(str, "small"),
    "method": Setting(str, "a"),
    "half": Setting(bool, False),
    "way": Setting(str, "plain", choices=("plain", "half", "odd", "auto"), open=True),
}
adapt.resolve = resolve
adapt.problems = lambda config: [("half", "takes no odd")] if config["half"] is None and config["method"] == "b" else []
adapt.timed = Timed("way", WAYS, "MODULE:speed", lambda config: (config["size"], {"size": config["size"]}), lambda took: min(took, key=took.get))
"""
STUDY = """\
task: {module}:adapt
grid: {{size: [small, large], method: [a, b]}}
fixed: {{way: {way}}}
repetitions: 1
"""


@pytest.fixture
def study_of(study_file: Callable[..., Path], tmp_path: Path) -> Callable[..., htsweep.Study]:
    module = "timed_" + "".join(one for one in tmp_path.name if one.isalnum())
    study_file(TASK.replace("MODULE", module), f"{module}.py")

    def of(way: str = "auto", name: str = "study", sizes: str = "small, large") -> htsweep.Study:
        text = STUDY.format(module=module, way=way).replace("small, large", sizes)
        return read(study_file(text, f"{name}.yaml"))

    return of


def ids(study: htsweep.Study) -> list[str]:
    return [trial for *_, trial in plan(study).trials()]


def test_nothing_runs_before_it_is_measured(
    study_of: Callable[..., htsweep.Study], tmp_path: Path
) -> None:
    place = str(tmp_path / "results")
    with pytest.raises(HtsweepError, match="auto is not measured yet for small, large") as raised:
        htsweep.launch(study_of(), on="inline", results=place, mirror=None)
    assert str(raised.value).endswith("--measure")
    said = "\n".join(estimate(Results(study_of(), place)).lines())
    assert "way auto is not measured yet for small, large, and nothing runs before" in said


def test_what_is_measured_is_what_the_user_would_have_written(
    study_of: Callable[..., htsweep.Study], tmp_path: Path
) -> None:
    place = str(tmp_path / "results")
    printed = decide(Results(study_of(), place))
    # `odd` is fastest for large, but method b does not take it: all cells of a shape get one way.
    assert {
        shape: one.way
        for shape, one in choices(study_of(), Results(study_of(), place).store).items()
    } == {
        "small": "plain",
        "large": "half",
    }
    assert printed[-1] == "fixed: {way: [small=plain, large=half]}"
    settled = Results(study_of(), place)
    written = study_of("[small=plain, large=half]", "written")
    assert ids(settled.study) == ids(written)
    assert [sweep.base["half"] for sweep in settled.plan.sweeps] == [False, False, True, True]
    assert decide(settled) == []
    record = json.loads((tmp_path / "results/studies/study/way.json").read_text())
    assert record["large"]["milliseconds"] == {"plain": 5000.0, "half": 1000.0}
    assert "way stays as it was measured" in "\n".join(estimate(settled).lines())


def test_another_machine_and_more_shapes_change_nothing_that_was_chosen(
    study_of: Callable[..., htsweep.Study], tmp_path: Path
) -> None:
    place = str(tmp_path / "results")
    decide(Results(study_of(sizes="small"), place))
    before = ids(Results(study_of(sizes="small"), place).study)
    module = __import__("sys").modules[study_of().task.partition(":")[0]]
    module.TOOK = {
        "small": {"plain": 9.0, "half": 1.0, "odd": 9.0},
        "large": {"plain": 1.0, "half": 2.0, "odd": 2.0},
    }
    assert len(decide(Results(study_of(), place))) == 3
    settled = Results(study_of(), place)
    found = choices(settled.study, settled.store)
    assert {shape: one.way for shape, one in found.items()} == {"small": "plain", "large": "plain"}
    assert set(before) < set(ids(settled.study))
    assert [asked["size"] for asked in module.ASKED] == ["small", "large"]


def test_a_broken_record_is_refused_and_not_replaced(
    study_of: Callable[..., htsweep.Study], tmp_path: Path
) -> None:
    file = tmp_path / "results/studies/study/way.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"small": {"way": "plain"}}')
    with pytest.raises(HtsweepError, match="is no record of `way`"):
        Results(study_of(), str(tmp_path / "results"))
    assert file.read_text() == '{"small": {"way": "plain"}}'
