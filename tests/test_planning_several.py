"""Values of a grid that stand for several, and the lines of mistakes in them."""

import pytest
from benchmarked import listed
from pictures import domains

from htsweep.errors import StudyError
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from tasks import data

STUDY = """\
task: holistic_transfer
grid:
  method: [plain]
  dataset:
    - mnist-uci
    - "lists:{root}:{pair}"
fixed: {{missing: natural, backbone: lenet_bn}}
"""


def study(tmp_path, pair):
    root = listed(tmp_path / "data", ("art", "photo", "photo-old", "sketch"))
    file = tmp_path / "s.yaml"
    file.write_text(STUDY.format(root=root, pair=pair))
    return file, root


def test_a_pattern_is_a_dataset_for_each_target(tmp_path):
    file, root = study(tmp_path, "art-*")
    read_study = read(file)
    assert read_study.grid["dataset"] == [
        "mnist-uci",
        *(f"lists:{root}:art-{name}" for name in ("photo-old", "photo", "sketch")),
    ]
    assert len(plan(read_study).sweeps) == 4
    # It means what the datasets mean when they are written out.
    file.write_text(
        file.read_text().replace(
            f'- "lists:{root}:art-*"',
            "\n    ".join(f'- "{name}"' for name in read_study.grid["dataset"][1:]),
        )
    )
    written = plan(read(file))
    assert [sweep.id for sweep in written.sweeps] == [sweep.id for sweep in plan(read_study).sweeps]


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("art-*[:2]", ["art-photo-old", "art-photo"]),
        ("art-photo*", ["art-photo-old", "art-photo"]),
        ("*-sketch", ["art-sketch", "photo-old-sketch", "photo-sketch"]),
        ("art-photo-?ld", ["art-photo-old"]),
        ("art-p*@blur", ["art-photo-old@blur", "art-photo@blur"]),
        ("art-x*", ["art-x*"]),
        ("art-photo", ["art-photo"]),
    ],
)
def test_what_a_pattern_stands_for(tmp_path, pattern, meant):
    root = listed(tmp_path, ("art", "photo", "photo-old", "sketch"))
    assert data.each(f"lists:{root}:{pattern}") == [f"lists:{root}:{pair}" for pair in meant]


def test_folders_and_pretrained_sources_have_patterns_too(tmp_path):
    domains(tmp_path, {"a": 1, "b": 1}, ("x", "y", "z"))
    assert data.each(f"folder:{tmp_path}:x-*") == [f"folder:{tmp_path}:x-{name}" for name in "yz"]
    assert data.each(f"pretrained-folder:{tmp_path}:[xy]*[:1]") == [
        f"pretrained-folder:{tmp_path}:x"
    ]
    assert len(data.each(f"folder:{tmp_path}:*-*")) == 6
    assert data.each(f"folder:{tmp_path}/none:x-*") == [f"folder:{tmp_path}/none:x-*"]
    assert data.each("mnist-*") == ["mnist-*"]


def test_a_mistake_is_told_at_the_line_of_the_pattern(tmp_path):
    file, root = study(tmp_path, "art-*")
    (root / "sketch" / "mug" / "00003.jpg").write_bytes(b"")
    with pytest.raises(StudyError) as raised:
        read(file)
    (problem,) = raised.value.problems
    assert (problem.key, problem.line) == ("grid.dataset", 4)
    assert "sketch/mug/00003.jpg" in problem.message


def test_a_pattern_that_nothing_matches_is_told(tmp_path):
    file, _ = study(tmp_path, "art-x*")
    with pytest.raises(StudyError, match=r"no domain 'x\*'; its domains are art, photo-old, photo"):
        read(file)
