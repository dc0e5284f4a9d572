"""VTAB's tasks: torchvision's own files, class folders, and pickles that are not trusted."""

import contextlib
import inspect
import io
import os
import pickle
import shutil
import unittest

import numpy as np
import pytest
import torchvision
from test_tasks_clip import OF_TIMM, saved
from visual_tasks import FINE, cifar100, python2, resisc45, vtab
from workspace import Workspace

from tasks import data
from tasks.conformance import DatasetConformance
from tasks.data import contents, packed
from tasks.data.checking import check
from tasks.holistic_transfer import holistic_transfer


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return vtab(tmp_path_factory.mktemp("vtab") / "all")


def told(name):
    """Of a domain: its classes, and how many images train, validate and test; None: no split."""
    assert data.fine_tuning_problems(f"pretrained-{name}") == []
    split = data.rows(name).split
    parts = ("train", "validation", "test")
    return data.classes(name), split if split is None else tuple(
        int((split == part).sum()) for part in parts
    )


EXPECTED = {
    "caltech101": (("Faces", "accordion"), None),
    "cifar100": (FINE, (24, 0, 12)),
    "dtd": (("banded", "blotchy", "dotted"), (9, 9, 9)),
    "eurosat": (("AnnualCrop", "Forest", "River"), None),
    "flowers102": (("pink primrose", "hard-leaved pocket orchid", "passion flower"), (9, 3, 12)),
    "pets": (("Abyssinian", "american_bulldog"), (10, 0, 6)),
    "resisc45": (("airplane", "baseball_diamond", "beach"), None),
    "sun397": (("abbey", "apartment_building_outdoor", "badlands"), None),
    "svhn": (
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
        (60, 0, 30),
    ),
}


def test_every_task_is_read_as_torchvision_writes_it(root):
    names = data.each(f"pretrained-vtab:{root}:*")
    assert [name.rpartition(":")[2] for name in names] == list(EXPECTED)
    assert {name: told(f"vtab:{root}:{name}") for name in EXPECTED} == EXPECTED


def test_arrays_are_those_that_torchvision_reads(root, tmp_path, monkeypatch):
    kinds = torchvision.datasets
    monkeypatch.setattr(kinds.CIFAR100, "_check_integrity", lambda _: True)
    monkeypatch.setattr(kinds.cifar, "check_integrity", lambda *_: True)
    monkeypatch.setattr(kinds.SVHN, "_check_integrity", lambda _: True)
    theirs = {
        "cifar100": [kinds.CIFAR100(str(root), train=train) for train in (True, False)],
        "svhn": [kinds.SVHN(str(root), split=part) for part in ("train", "test")],
    }
    for name, of in theirs.items():
        ours = data.load(f"vtab:{root}:{name}", tmp_path, 32)
        images = np.concatenate([np.stack([np.asarray(one) for one, _ in part]) for part in of])
        labels = np.concatenate([[label for _, label in part] for part in of])
        np.testing.assert_array_equal(ours.pixels.transpose(0, 2, 3, 1), images)
        np.testing.assert_array_equal(ours.labels, labels)


@pytest.mark.parametrize("name", ["cifar100", "flowers102"])
def test_they_are_domains(root, tmp_path, name):
    """The suite that every domain has to pass."""
    suite = type("Suite", (DatasetConformance,), {"domain": f"vtab:{root}:{name}"})()
    tests = [test for test in dir(suite) if test.startswith("test_")]
    assert len(tests) > 5
    for test in tests:
        place = tmp_path / test
        place.mkdir()
        run = getattr(suite, test)
        with contextlib.suppress(unittest.SkipTest):
            run(place) if "tmp_path" in inspect.signature(run).parameters else run()


def test_a_folder_may_have_the_official_split(tmp_path):
    resisc45(tmp_path / "made")
    for word in ("train", "val", "test"):
        shutil.copytree(tmp_path / "made" / "resisc45", tmp_path / "vtab" / "dmlab" / word)
    contents.forget()
    classes = ("airplane", "baseball_diamond", "beach")
    assert told(f"vtab:{tmp_path / 'vtab'}:dmlab") == (classes, (18, 18, 18))
    (tmp_path / "vtab" / "dmlab" / "spare" / "beach").mkdir(parents=True)
    contents.forget()
    (wrong,) = data.fine_tuning_problems(f"pretrained-vtab:{tmp_path / 'vtab'}:dmlab")
    assert "holds folders of parts (test, train, val) beside others" in wrong


class Evil:
    def __reduce__(self):
        return os.system, ("exit 7",)


@pytest.mark.parametrize("held", [Evil(), {"data": [Evil()]}, np.random.default_rng()], ids=type)
def test_a_pickle_runs_no_code_of_others(held):
    with pytest.raises(ValueError, match="is no pickle of arrays and plain values: it names"):
        packed.unpickled(io.BytesIO(pickle.dumps(held)))


def test_an_array_of_objects_is_not_read():
    data = pickle.dumps(np.array([1, None], object))
    with pytest.raises(ValueError, match="it holds an array of objects"):
        packed.unpickled(io.BytesIO(data))


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_plain_values_are_unpickled(protocol):
    held = {"data": np.arange(12, dtype=np.uint8).reshape(3, 4), "of": [1, "zwö", b"\xff", (2.5,)]}
    back = packed.unpickled(io.BytesIO(pickle.dumps(held, protocol)))
    np.testing.assert_array_equal(back["data"], held["data"])
    assert back["of"] == held["of"]


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda place: cut(place / "train"), "train is no pickle of arrays and plain values"),
        (lambda place: (place / "test").write_bytes(b""), "test is no pickle"),
        (
            lambda place: (place / "train").write_bytes(pickle.dumps({"data": [Evil()]})),
            "it names posix.system, which is not read",
        ),
        (lambda place: python2(place / "train", {"data": 1}), "holds no `data` and `fine_labels`"),
        (lambda place: (place / "test").unlink(), "test"),
        (lambda place: (place / "meta").unlink(), "meta names no classes"),
        (
            lambda place: python2(place / "meta", {"fine_label_names": ["apple"]}),
            "has labels up to 3, but 1 classes",
        ),
    ],
    ids=["cut", "empty", "code", "other", "gone", "unnamed", "few names"],
)
def test_a_spoilt_file_is_told(tmp_path, spoil, said):
    cifar100(tmp_path)
    spoil(tmp_path / "cifar-100-python")
    contents.forget()
    (wrong,) = data.fine_tuning_problems(f"pretrained-vtab:{tmp_path}:cifar100")
    assert said in wrong
    assert "fetch it again" in wrong or "labels" in wrong


def test_what_is_there_is_compared_with_what_is_stated(root):
    found = check("vtab", root)
    differences = [text for count in found.counts for text in count.differences]
    assert "cifar100: 4 classes, the paper has 100" in differences
    assert "pets: 10 train images, the paper has 3,680" in differences
    assert found.problems == []


def test_clip_is_a_source_of_a_task_whose_classes_half_are_missing(root, tmp_path):
    folder = saved(tmp_path / "clip", OF_TIMM)
    config = {
        "dataset": f"pretrained-vtab:{root}:pets",
        "source": str(folder),
        "backbone": "test_vit",
        "image_size": 160,
        "missing_ratio": 0.5,
        "epochs": 1,
        "steps_per_epoch": 1,
        "batch_size": 4,
    }
    full = holistic_transfer.resolve(config)
    assert holistic_transfer.problems(full) == []
    assert (full["head"], full["class_names"]) == ("text", ["Abyssinian", "american bulldog"])
    assert holistic_transfer.resolve(full) == full
    assert holistic_transfer.stages(full) == {}
    assert str(tmp_path) not in repr(holistic_transfer.meaning(full))
    assert "no image was held out" in str(holistic_transfer.unmeasured(full))
    rows = list(holistic_transfer(config, Workspace(tmp_path / "run")))
    assert {"test/seen_accuracy", "test/missing_accuracy"} <= set(rows[-1])
    wrong = dict(holistic_transfer.problems(full | {"other_classes": "keep"}))
    assert "no other" in wrong["other_classes"]
    named = full | {"class_names": ["a cat"]}
    assert "got 1 names for 2 classes" in dict(holistic_transfer.problems(named))["class_names"]
