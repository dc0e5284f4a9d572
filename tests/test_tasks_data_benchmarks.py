"""Benchmarks by name: the authors' layouts, official splits and missing classes."""

import contextlib
import inspect
import json
import unittest
from pathlib import Path

import numpy as np
import pytest
import timm
from benchmarked import (
    aircraft,
    by_wordnet,
    cars,
    cub,
    dogs,
    femnist,
    in_folders,
    inaturalist,
    iwildcam,
    leaf,
    listed,
    of_library,
    office_home,
    office_home_in_lists,
)
from workspace import Workspace

from tasks import data, given
from tasks.conformance import DatasetConformance
from tasks.data import benchmarks, contents, splits
from tasks.data.benchmarks.office_home import facts
from tasks.holistic_transfer import holistic_transfer
from tasks.loading import target_of

OFFICIAL = Path(__file__).parents[2] / "shared" / "data" / "office_home" / "image_list"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return office_home(tmp_path_factory.mktemp("office_home"))


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the authors' lists are not beside the checkout")
def test_the_shipped_lists_are_the_authors():
    known = facts()
    for file in OFFICIAL.glob("*.txt"):
        domain, _, part = file.stem.rpartition("_")
        lines = set()
        for index, name in enumerate(known["classes"]):
            tests = set(known["test"][domain][name])
            for number in range(1, known["images"][domain][name] + 1):
                if (number in tests) == (part == "testing"):
                    lines.add(f"{domain}/{name}/{number:05}.jpg {index}")
        assert lines == set(file.read_text().splitlines()), file.name


def test_the_counts_are_those_of_the_paper():
    """Table in section 1.3 of the methods' specification: train and test, seen and missing."""
    known = facts()
    counts = {
        domain: (
            sum(by_class.values()) - sum(map(len, known["test"][domain].values())),
            sum(map(len, known["test"][domain].values())),
        )
        for domain, by_class in known["images"].items()
    }
    assert counts == {
        "Art": (1677, 750),
        "Clipart": (3035, 1330),
        "Product": (3078, 1361),
        "Real_World": (3022, 1335),
    }
    for source, target, seen, missing in (
        ("Art", "Clipart", 646, 684),
        ("Art", "Real_World", 624, 711),
        ("Real_World", "Art", 379, 371),
        ("Real_World", "Product", 645, 716),
    ):
        tests = {name: len(of) for name, of in known["test"][target].items()}
        assert sum(tests[name] for name in known["seen"][source]) == seen
        assert sum(tests.values()) - seen == missing


def test_no_official_test_image_is_trained_on(home, tmp_path):
    config = holistic_transfer.resolve(
        {"dataset": f"office_home:{home}:Art-Clipart", "missing": "official", "image_size": 8}
    )
    assert holistic_transfer.problems(config) == []
    assert len(config["missing_classes"]) == 35
    source, target = data.domains(config["dataset"])
    labels = data.rows(target).labels
    files = sorted(file.relative_to(home).as_posix() for file in (home / "Clipart").rglob("*.jpg"))
    tests = facts()["test"]["Clipart"]
    official = {
        f"Clipart/{name}/{number:05}.jpg" for name, numbers in tests.items() for number in numbers
    }
    assert len(official) == 1330
    for repetition in range(2):
        missing, split = target_of(config, target, labels, Workspace(tmp_path / "w", repetition))
        used = {files[row] for row in (*split.train, *split.validation, *split.reference)}
        assert not used & official
        assert {files[row] for row in split.test} == official
        assert len(missing) == 35
        assert (~np.isin(labels[split.test], missing)).sum() == 646
    # Source training leaves the test images of its own domain alone, too.
    test = data.listed_test(source)
    trained, held = splits.source_split(data.rows(source).labels, 0.1, 0, test)
    assert not test[trained].any()
    assert not test[held].any()
    assert len(trained) + len(held) == 1677


def test_missing_classes_depend_on_the_source_alone(home):
    names = {}
    for source in ("Art", "Real_World"):
        config = holistic_transfer.resolve(
            {"dataset": f"office_home:{home}:{source}-Clipart", "missing": "official"}
        )
        names[source] = config.get("missing_classes", config)
    assert "Bottle" not in names["Art"]
    assert "Drill" in names["Art"]
    assert names["Art"] == sorted(names["Art"], key=facts()["classes"].index)


def test_a_source_that_the_paper_does_not_use_has_no_official_missing_classes(home):
    config = holistic_transfer.resolve(
        {"dataset": f"office_home:{home}:Clipart-Art", "missing": "official", "image_size": 8}
    )
    ((key, said),) = holistic_transfer.problems(config)
    assert key == "missing"
    assert "no paper says it" in said


def test_writers_lack_what_they_did_not_write(tmp_path):
    root = femnist(tmp_path)
    source, target = data.domains(f"femnist:{root}:first4-f0005_05")
    assert data.classes(source) == tuple("ABCDEF")
    assert data.classes(target) == tuple("ABCDE")
    assert data.counts(target) == dict.fromkeys("ABCDE", 10)
    images = data.load(target, tmp_path / "cache", 0)
    assert images.pixels.shape == (50, 1, 28, 28)
    assert (images.pixels.min() >= 0, images.pixels.max() <= 1) == (True, True)
    written = json.loads((root / "all_data" / "all_data_1.json").read_text())["user_data"]
    np.testing.assert_allclose(
        images.pixels.reshape(50, -1), written["f0005_05"]["x"], rtol=0, atol=1e-6
    )
    assert [10 + label for label in images.labels] == written["f0005_05"]["y"]


def test_a_writer_is_known_by_their_own_characters_alone(tmp_path):
    root = femnist(tmp_path)
    names = [f"femnist:{root}:{user}" for user in ("f0001_01", "f0003_03")]
    before = [data.fingerprint(name) for name in names]
    assert before[0] != before[1]
    file = root / "all_data" / "all_data_1.json"
    held = json.loads(file.read_text())["user_data"]
    held["f0003_03"]["x"][0][0] = 0.5
    leaf(file, held)
    contents.forget()
    after = [data.fingerprint(name) for name in names]
    assert (after[0] == before[0], after[1] == before[1]) == (True, False)


def test_leaf_s_own_split_is_official(tmp_path):
    root = femnist(tmp_path, parts=True)
    target = f"femnist:{root}:f0005_05"
    assert data.official_test(target).sum() == 15
    config = holistic_transfer.resolve(
        {"dataset": f"femnist:{root}:first4-f0005_05", "missing": "natural"}
    )
    assert holistic_transfer.problems(config) == []
    assert holistic_transfer.keeps(config).images["test"] == 15


def test_new_writers_are_those_behind_the_pool(tmp_path):
    root = femnist(tmp_path)
    assert data.each(f"femnist:{root}:first4-*[:2]") == [
        f"femnist:{root}:first4-{user}" for user in ("f0004_04", "f0005_05")
    ]
    (wrong,) = data.problems(f"femnist:{root}:first4-f0002_02")
    assert "would hold the images that its source" in wrong
    (wrong,) = data.problems(f"femnist:{root}:first9-f0002_02")
    assert "has no domain 'first9'" in wrong


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"y": [10] * 49},
            "has 49 labels of the writer f0001_01, and images of the shape [50, 784]",
        ),
        ({"y": [62] * 50}, "has labels of the writer f0001_01 that are not 0 to 61"),
        ({"x": [[2.0] * 784] * 50}, "with numbers not from 0 to 1"),
    ],
)
def test_a_file_that_is_not_leaf_s_is_told(tmp_path, change, said):
    root = femnist(tmp_path)
    file = root / "all_data" / "all_data_1.json"
    held = json.loads(file.read_text())["user_data"]
    held["f0001_01"] |= change
    leaf(file, held)
    contents.forget()
    (wrong,) = data.problems(f"femnist:{root}:first4-f0005_05")
    assert str(file) in wrong
    assert said in wrong


def test_locations_are_targets_and_the_newest_images_test(tmp_path):
    root = iwildcam(tmp_path)
    datasets = data.each(f"iwildcam:{root}:train-*")
    assert [name.rpartition(":")[2] for name in datasets] == [
        f"train-location_{place}" for place in (2, 3, 4)
    ]
    config = holistic_transfer.resolve(
        {"dataset": datasets[0], "missing": "natural", "split": "time", "image_size": 8}
    )
    assert holistic_transfer.problems(config) == []
    target = data.domains(datasets[0])[1]
    # The puma comes last, so that it is tested alone.
    missing, split = target_of(config, target, data.rows(target).labels, Workspace(tmp_path / "w"))
    assert [data.classes(target)[index] for index in missing] == ["puma"]
    time = data.rows(target).time
    assert time[split.test].min() > max(time[split.train].max(), time[split.validation].max())
    # In the pool WILDS' own splits hold.
    pool = data.rows(f"iwildcam:{root}:train")
    assert {name: (pool.split == name).sum() for name in ("train", "validation", "test")} == {
        "train": 60,
        "validation": 12,
        "test": 8,
    }
    assert data.listed_test(f"iwildcam:{root}:train").sum() == 8


def read(name):
    """Of a domain: its classes, and how many images train, validate and test; None: no split."""
    assert data.fine_tuning_problems(f"pretrained-{name}") == []
    split = data.rows(name).split
    parts = (
        None
        if split is None
        else tuple(int((split == part).sum()) for part in ("train", "validation", "test"))
    )
    return data.classes(name), parts


def test_birds_are_split_by_the_official_list(tmp_path):
    assert read(f"cub:{cub(tmp_path)}:all") == (
        ("001.Black_footed_Albatross", "002.Laysan_Albatross"),
        (10, 0, 6),
    )


def test_the_library_s_shares_are_domains_with_the_same_test_images(tmp_path):
    root = of_library(tmp_path)
    assert data.each(f"pretrained-cub:{root}:share_*") == [
        f"pretrained-cub:{root}:share_{share}" for share in (15, 30, 50, 100)
    ]
    found = {share: read(f"cub:{root}:share_{share}") for share in (15, 100)}
    names = ("001.Black_footed_Albatross", "002.Laysan_Albatross")
    assert found == {15: (names, (4, 0, 8)), 100: (names, (20, 0, 8))}


def test_aircraft_validate_by_the_official_list(tmp_path):
    assert read(f"aircraft:{aircraft(tmp_path)}:all") == (
        ("707-320", "A330-200", "F/A-18"),
        (12, 12, 12),
    )


def test_dogs_and_cars_are_read_from_matlab_s_files(tmp_path):
    assert read(f"dogs:{dogs(tmp_path / 'dogs')}:all") == (
        ("n02085620-Chihuahua", "n02085782-Japanese_spaniel"),
        (10, 0, 6),
    )
    assert read(f"cars:{cars(tmp_path / 'cars')}:all") == (
        ("AM General Hummer SUV 2000", "Acura RL Sedan 2012"),
        (10, 0, 6),
    )


def test_fungi_are_a_domain_in_the_order_of_the_categories(tmp_path):
    root = inaturalist(tmp_path)
    assert read(f"inat_fungi:{root}:fungi") == (("Boletus edulis", "Amanita muscaria"), (10, 0, 4))
    (wrong,) = data.fine_tuning_problems(f"pretrained-inat_fungi:{root}:animals")
    assert "has no domain 'animals'; its domains are fungi, plants" in wrong


@pytest.mark.parametrize(
    ("name", "domains"),
    [
        ("pacs", ("photo", "sketch")),
        ("vlcs", ("SUN09", "VOC2007")),
        ("domainnet", ("real", "clipart")),
    ],
)
def test_domains_in_folders_have_no_official_split(tmp_path, name, domains):
    root = in_folders(tmp_path, domains)
    (root / domains[0] / "kind0" / "Thumbs.db").write_bytes(b"x")
    assert read(f"{name}:{root}:{domains[0]}") == (("kind0", "kind1", "kind2"), None)
    assert data.problems(f"{name}:{root}:{'-'.join(domains)}") == []
    assert len(data.each(f"{name}:{root}:*-*")) == 2


def test_domainnet_is_split_by_its_lists(tmp_path):
    root = in_folders(tmp_path, ("real", "clipart"))
    for domain in ("real", "clipart"):
        files = sorted(file.relative_to(root) for file in (root / domain).rglob("*.jpg"))
        for part, of in (("train", files[::2]), ("test", files[1::2])):
            lines = [f"{file.as_posix()} {str(file.parent)[-1]}" for file in of]
            (root / f"{domain}_{part}.txt").write_text("\n".join(lines) + "\n")
    contents.forget()
    assert read(f"domainnet:{root}:real") == (("kind0", "kind1", "kind2"), (9, 0, 9))


@pytest.mark.parametrize("name", ["cub", "cars", "aircraft", "dogs", "pacs", "inat_fungi"])
def test_a_folder_of_something_else_is_told_with_the_layout(tmp_path, name):
    (wrong,) = data.fine_tuning_problems(f"pretrained-{name}:{tmp_path}:all")
    assert str(tmp_path) in wrong
    assert "ROOT" in wrong or "iNaturalist" in wrong


def test_every_benchmark_says_what_it_is(tmp_path):
    for name in benchmarks.NAMES:
        described = benchmarks.described(name)
        assert described.name == name
        assert described.line
        assert "ROOT" in described.layout
        assert described.get


def test_folders_by_wordnet_id_are_one_domain(tmp_path):
    classes, parts = read(f"imagenet_r:{by_wordnet(tmp_path, 3)}:all")
    assert parts is None
    assert classes == tuple(sorted(path.name for path in tmp_path.iterdir()))
    assert classes[0].startswith("n0")


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (listed, "lists:{}:photo"),
        (femnist, "femnist:{}:f0005_05"),
        (femnist, "femnist:{}:first3"),
        (iwildcam, "iwildcam:{}:train"),
        (iwildcam, "iwildcam:{}:location_2"),
        (aircraft, "aircraft:{}:all"),
        (office_home_in_lists, "office_home:{}:Art"),
    ],
)
def test_their_domains_are_domains(tmp_path, made, name):
    """The suite that every domain has to pass."""
    suite = type("Suite", (DatasetConformance,), {"domain": name.format(made(tmp_path / "data"))})()
    tests = [test for test in dir(suite) if test.startswith("test_")]
    assert len(tests) > 5
    for test in tests:
        place = tmp_path / test
        place.mkdir()
        run = getattr(suite, test)
        # What does not apply to a domain, such as an official split, is skipped by the suite.
        with contextlib.suppress(unittest.SkipTest):
            run(place) if "tmp_path" in inspect.signature(run).parameters else run()


def test_the_released_lists_split_imagenet_r_and_its_missing_classes_are_the_paper_s(tmp_path):
    root = by_wordnet(tmp_path, 6)
    name = f"imagenet_r:{root}:all"
    assert data.official_missing(f"pretrained-{name}") == ["n01484850", "n01494475", "n01498041"]
    (root / "image_list").mkdir()
    files = sorted(file.relative_to(root).as_posix() for file in root.rglob("*.jpg"))
    places = {label: place for place, label in enumerate(sorted({f[:9] for f in files}))}
    for word, of in (("training", files[::2]), ("testing", files[1::2])):
        lines = [f"imagenet-r/{file} {places[file[:9]]}" for file in of]
        (root / "image_list" / f"R_{word}.txt").write_text("\n".join(lines) + "\n")
    contents.forget()
    assert read(name) == (tuple(places), (24, 0, 24))
    assert len(data.official_missing(f"pretrained-{name}")) == 3


def test_half_of_either_imagenet_is_missing():
    from tasks.data.benchmarks import imagenet

    found = {name: imagenet.missing(name) for name in ("imagenet_r", "imagenet_s")}
    assert {name: len(set(of)) for name, of in found.items()} == {
        "imagenet_r": 100,
        "imagenet_s": 500,
    }
    assert set(found["imagenet_s"]) <= set(given.synsets())
    info = Path(timm.__file__).parent / "data" / "_info" / "imagenet_r_synsets.txt"
    assert set(found["imagenet_r"]) <= set(info.read_text().split())
