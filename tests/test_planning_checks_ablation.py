"""Each mistake in an ablation is told with its line."""

from collections.abc import Callable
from pathlib import Path

import pytest

from htsweep.errors import StudyError
from htsweep.planning.reading import read

HEAD = "task: holistic_transfer\nrepetitions: 2\n"
MISTAKES = [
    (
        "ablate: {full: {method: [l2sp, wise_ft]}, components: [l2sp, wise_tf]}",
        "components.1",
        "did you mean 'wise_ft'?",
    ),
    (
        "ablate: {full: {method: [l2sp, wise_ft]}, components: [l2sp, l2sp]}",
        "components.1",
        "is listed twice; remove one",
    ),
    ("ablate: {components: [l2sp]}", "full", "required"),
    ("ablate: {full: {}, components: [l2sp]}", "components.0", "is not in the chain `full.method`"),
    ("ablate: {full: {epochs: 3}}", "", "needs a component"),
    ("ablate: {full: {method: [l2sp, wise_ft]}, components: []}", "", "needs a component"),
    ("ablate: {full: {method: [l2sp, wise_ft]}, components: 3}", "components", "must be a list"),
    (
        "ablate: {full: {method: [l2sp, wise_ft]}, components: {l2sp: 3}}",
        "components.l2sp",
        "must be a mapping",
    ),
    ("ablate: {full: {method: [l2sp, wise_tf]}}", "full.method", "did you mean 'wise_ft'?"),
    ("ablate: {full: {method: [l2sp, wise_ft], epoch: 3}}", "full.epoch", "did you mean 'epochs'?"),
    (
        "ablate: {full: {method: [l2sp]}, components: {w: {l2sp.backbon: 0}}}",
        "components.w.l2sp.backbon",
        "did you mean",
    ),
    (
        "ablate: {full: {method: [l2sp]}, components: {w: {l2sp.backbone: -1}}}",
        "components.w.l2sp.backbone",
        "at least",
    ),
    (
        "ablate: {full: {method: [l2sp, wise_ft]}, controls: {swa: plain}}",
        "controls.swa",
        "is a member of the chain",
    ),
    (
        "ablate: {full: {method: [l2sp, wise_ft]}, controls: {l2sp: l2spp}}",
        "controls.l2sp",
        "did you mean 'l2sp'?",
    ),
    (
        "ablate: {full: {method: [l2sp], epochs: 3}}\nfixed: {epochs: 4}",
        None,
        "is also in `ablate.full`; remove one",
    ),
    ("ablate: {full: {method: [l2sp, wise_ft]}, alon: true}", "alon", "did you mean 'alone'?"),
    (
        "ablate: {full: {method: [l2sp]}, components: {w: {l2sp.backbone: 0}, v: {l2sp.backbone: "
        "1}}, alone: true}",
        "components.v.l2sp.backbone",
        "cannot be left out together",
    ),
    (
        "ablate: {full: {method: [l2sp], epochs: 4}, components: {time: {epochs: 4}}}",
        "components.time",
        "its trials would show nothing",
    ),
    (
        "ablate: {full: {method: [l2, l2sp, ewc, at, swa, wise_ft, bss]}, factorial: true}",
        "factorial",
        "128 variants, here 256",
    ),
]


@pytest.mark.parametrize(("text", "key", "hint"), MISTAKES)
def test_each_mistake_has_its_line(
    study_file: Callable[..., Path], text: str, key: str | None, hint: str
) -> None:
    with pytest.raises(StudyError) as caught:
        read(study_file(HEAD + "# a comment\n" + text + "\n"))
    problem, *more = caught.value.problems
    assert not more
    assert hint in problem.message
    wanted = (5, "fixed.epochs") if key is None else (4, "ablate" + (f".{key}" if key else ""))
    assert (problem.line, problem.key) == wanted
