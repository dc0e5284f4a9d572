"""The studies of benchmarks, on small fake data in the true formats: all are planned, some are run."""

import re
from pathlib import Path

import benchmarked
import pytest
from test_tasks_clip import OF_TIMM, saved
from visual_tasks import vtab

import htsweep
from htsweep import launching
from htsweep.errors import StudyError
from htsweep.planning.plan import plan
from htsweep.planning.reading import read
from tasks.data import contents

STUDIES = Path(__file__).parent.parent / "studies" / "benchmarks"
NAMES = sorted(path.stem for path in STUDIES.glob("*.yaml"))


def in_folders(root, domains, classes=7):
    return benchmarked.in_folders(root, domains, classes=classes)


FAKES = {
    "aircraft": benchmarked.of_library,
    "cars": benchmarked.of_library,
    "cub": benchmarked.of_library,
    "dogs": benchmarked.dogs,
    "domainnet": lambda root: in_folders(root, ("clipart", "real", "sketch")),
    "femnist": lambda root: benchmarked.femnist(root, writers=52),
    "imagenet_r": lambda root: benchmarked.by_wordnet(root, 4),
    "imagenet_s": lambda root: benchmarked.by_wordnet(root, 6),
    "inat_fungi": lambda root: benchmarked.inaturalist(root, 6),
    "iwildcam": benchmarked.iwildcam,
    "office_home": benchmarked.office_home_in_lists,
    "pacs": lambda root: in_folders(root, ("art_painting", "cartoon", "photo", "sketch")),
    "vlcs": lambda root: in_folders(root, ("Caltech101", "LabelMe", "SUN09", "VOC2007"), 5),
    "vtab": vtab,
    "writers": lambda root: benchmarked.writers(root.parent / "glyphs"),
}
SMALL = [
    "repetitions=1",
    'fixed.weights=""',
    "fixed.image_size=8",
    "fixed.epochs=1",
    "fixed.steps_per_epoch=2",
    "fixed.backbone=lenet_bn",
    "fixed.augmentation=none",
    "resources={cpu: 1}",
]
OF_SOURCE = ["fixed.source_epochs=1", "fixed.source_steps_per_epoch=3"]
TARGETS = {
    "aircraft": 4,
    "cars": 4,
    "cub": 4,
    "dogs": 1,
    "domainnet": 6,
    "femnist": 10,
    "imagenet_r": 1,
    "imagenet_s": 1,
    "inat_fungi": 1,
    "iwildcam": 3,
    "office_home": 6,
    "pacs": 12,
    "vlcs": 12,
    "vtab": 2,
    "writers": 2,
}
CLIP = ["fixed.source=weights/tiny", "fixed.backbone=test_vit", "fixed.image_size=160"]
"""A small CLIP model in the place of ViT-B/32, for the studies that begin with one."""
THOUSAND = [
    "fixed.source=weights/thousand.pth",
    "fixed.backbone=test_resnet",
    "fixed.image_size=32",
    "fixed.pcv=0",
]
"""A small classifier of ImageNet's 1,000 classes in the place of ResNet-50."""
OF_CLIP = {"inat_fungi": [], "vtab": ['grid.dataset=["pretrained-vtab:data/vtab:c*"]']}
"""The studies that begin with CLIP, and how they are made smaller."""


def thousand(root):
    """The weights of the small classifier, drawn at random."""
    import timm
    import torch

    (root / "weights").mkdir(exist_ok=True)
    torch.save(timm.create_model("test_resnet").state_dict(), root / "weights" / "thousand.pth")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with `data`, where each benchmark is made when it is first asked for."""
    root, made = tmp_path_factory.mktemp("benchmarks"), set()

    def make(name):
        if name not in made:
            FAKES[name](root / "data" / name)
            made.add(name)
        if name in OF_CLIP and not (root / "weights" / "tiny").exists():
            (root / "weights").mkdir(exist_ok=True)
            saved(root / "weights" / "tiny", OF_TIMM)
        contents.forget()
        return root

    return make


def test_each_study_has_a_fake():
    assert set(NAMES) == set(FAKES) == set(TARGETS)


@pytest.mark.parametrize("name", NAMES)
def test_a_study_is_valid_on_data_of_the_true_format(name, place, monkeypatch):
    monkeypatch.chdir(place(name))
    few = ["repetitions=1"] if TARGETS[name] > 6 else []
    study = read(
        STUDIES / f"{name}.yaml", [*few, *(CLIP + OF_CLIP[name] if name in OF_CLIP else [])]
    )
    assert f"htsweep launch studies/benchmarks/{name}.yaml" in study.source.splitlines()[0]
    assert len(study.grid["dataset"]) == TARGETS[name]
    assert len(plan(study).sweeps) == TARGETS[name] * len(study.grid["method"])


@pytest.mark.parametrize("name", NAMES)
def test_without_its_data_a_study_is_told_of_that_alone(name, tmp_path, monkeypatch):
    """What a dataset that is not there hides is not guessed from another one's classes and channels."""
    monkeypatch.chdir(tmp_path)
    study = STUDIES / f"{name}.yaml"
    [root] = set(re.findall(r":(data/\w+):", study.read_text("utf-8")))
    with pytest.raises(StudyError) as raised:
        read(study)
    [problem] = raised.value.problems
    assert "grid.dataset: " in str(problem)
    assert re.search(rf"{tmp_path}/{root}(/[\w.]+)?[ ;]", str(problem))


def test_office_home_has_its_six_pairs(place, monkeypatch):
    monkeypatch.chdir(place("office_home"))
    study = read(STUDIES / "office_home.yaml")
    assert [name.rpartition(":")[2] for name in study.grid["dataset"]] == [
        "Art-Clipart",
        "Art-Product",
        "Art-Real_World",
        "Real_World-Art",
        "Real_World-Clipart",
        "Real_World-Product",
    ]
    missing = {tuple(point.config["missing_classes"]) for point in plan(study).points}
    assert [len(names) for names in missing] == [35, 35]


RUNS = {
    "aircraft": [
        "grid.dataset=[aircraft:data/aircraft:share_15-share_100]",
        "fixed.schedule=cosine",
    ],
    "cars": ["grid.dataset=[cars:data/cars:share_15-share_100]", "fixed.schedule=cosine"],
    "cub": ["grid.dataset=[cub:data/cub:share_15-share_100]", "fixed.schedule=cosine"],
    "dogs": ["fixed.schedule=cosine", "fixed.weights=weights/thousand.pth", *THOUSAND[1:3]],
    "domainnet": ["grid.dataset=[domainnet:data/domainnet:real-sketch]", *OF_SOURCE],
    "femnist": ['grid.dataset=["femnist:data/femnist:first40-*[:2]"]', *OF_SOURCE],
    "imagenet_r": THOUSAND,
    "imagenet_s": THOUSAND,
    "inat_fungi": [*CLIP, "fixed.pcv=0"],
    "iwildcam": OF_SOURCE,
    "office_home": ["grid.dataset=[office_home:data/office_home:Art-Clipart]", *OF_SOURCE],
    "pacs": ["grid.dataset=[pacs:data/pacs:photo-sketch]", *OF_SOURCE],
    "vlcs": ["grid.dataset=[vlcs:data/vlcs:VOC2007-SUN09]", *OF_SOURCE],
    "vtab": ["grid.dataset=[pretrained-vtab:data/vtab:cifar100]", *CLIP, "fixed.pcv=0"],
    "writers": OF_SOURCE,
}
"""How each study is made small enough to run in a test: one pair of domains, a few steps."""
METHODS = {
    "aircraft": "[plain, bss]",
    "cars": "[plain, lwf]",
    "cub": "[plain, l2]",
    "dogs": "[plain, l2sp]",
    "imagenet_r": "[source, plain, wise_ft]",
}
"""The methods that run, two or three of the study's own."""


@pytest.mark.parametrize("name", NAMES)
def test_a_study_runs(name, place, monkeypatch):
    root = place(name)
    monkeypatch.chdir(root)
    # What a report says is tested elsewhere; drawing it takes longer than these trials.
    monkeypatch.setattr(launching.Report, "make", lambda *_: None)
    small = [one for one in SMALL if one.partition("=")[0] not in str(RUNS[name])]
    if "thousand" in str(RUNS[name]):
        thousand(root)
    searched = [] if "fixed.schedule=cosine" in RUNS[name] else ["search=null"]
    methods = METHODS.get(name, "[source, plain, lolsgd]" if name == "pacs" else "[source, plain]")
    study = htsweep.read(
        STUDIES / f"{name}.yaml",
        [
            *small,
            *RUNS[name],
            *searched,
            f"grid.method={methods}",
            "select=last",
        ],
    )
    results = str(root / "results")
    htsweep.launch(study, results=results, on="inline", mirror=None)
    trials = htsweep.trials(study, results=results)
    assert set(trials["status"]) == {"done"}
    assert len(trials) == len(plan(study).sweeps)
