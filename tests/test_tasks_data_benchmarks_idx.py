"""Images in idx files: gzipped or not, official parts, and what is damaged is named."""

import contextlib
import gzip
import inspect
import struct
import unittest

import numpy as np
import pytest

from tasks import data
from tasks.conformance import DatasetConformance
from tasks.data import benchmarks, contents
from tasks.data.checking import check


def written(path, values, kind=8):
    """An idx file of these values, gzipped if its name says so."""
    whole = struct.pack(f">HBB{values.ndim}I", 0, kind, values.ndim, *values.shape)
    whole += values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(whole, mtime=0) if path.suffix == ".gz" else whole)


def pictures(labels, side=8):
    """A bright column in dark noise, whose place is the label, and the image's number in a corner."""
    noise = np.random.default_rng(0).integers(0, 60, (len(labels), side, side))
    for number, label in enumerate(labels):
        noise[number, :, label] = 250
        noise[number, 0, -1] = number
    return noise


@pytest.fixture
def root(tmp_path):
    """Three classes: 30 training images, gzipped, and 12 test images, not."""
    place = tmp_path / "idx"
    place.mkdir()
    for part, count, end in (("train", 30, ".gz"), ("t10k", 12, "")):
        labels = np.arange(count) % 3
        written(place / f"{part}-images-idx3-ubyte{end}", pictures(labels))
        written(place / f"{part}-labels-idx1-ubyte{end}", labels)
    contents.forget()
    return place


def test_images_labels_and_parts_are_read_in_order(root, tmp_path):
    domain = benchmarks.find(f"idx:{root}:all")
    images = domain.load(tmp_path / "cache", 0)
    expected = np.concatenate([pictures(np.arange(count) % 3) for count in (30, 12)])
    assert (images.pixels[:, 0] == expected).all()
    assert images.labels.tolist() == [*(np.arange(30) % 3), *(np.arange(12) % 3)]
    assert images.classes == ("0", "1", "2")
    assert domain.official_test().tolist() == [False] * 30 + [True] * 12
    assert domain.counts() == {"0": 14, "1": 14, "2": 14}
    assert domain.size == 8


def test_a_folder_without_a_test_part_has_no_official_split(root):
    for kind in ("images-idx3", "labels-idx1"):
        (root / f"t10k-{kind}-ubyte").unlink()
    contents.forget()
    assert benchmarks.find(f"idx:{root}:all").official_test() is None


def test_the_fingerprint_depends_on_pixels_and_on_labels(root):
    found = {benchmarks.find(f"idx:{root}:all").fingerprint()}
    written(root / "t10k-labels-idx1-ubyte", (np.arange(12) + 1) % 3)
    contents.forget()
    found.add(benchmarks.find(f"idx:{root}:all").fingerprint())
    written(root / "t10k-images-idx3-ubyte", 255 - pictures(np.arange(12) % 3))
    contents.forget()
    found.add(benchmarks.find(f"idx:{root}:all").fingerprint())
    assert len(found) == 3


class Wrong:
    """What is done to the folder, and what is said of it."""

    def cut(self):
        path = self / "train-images-idx3-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-20])

    def short(self):
        path = self / "t10k-images-idx3-ubyte"
        path.write_bytes(path.read_bytes()[:-5])

    def half(self):
        (self / "t10k-labels-idx1-ubyte").unlink()

    def ints(self):
        written(self / "t10k-labels-idx1-ubyte", np.arange(12) % 3, kind=12)

    def fewer(self):
        written(self / "t10k-labels-idx1-ubyte", np.arange(11) % 3)

    def larger(self):
        written(self / "t10k-images-idx3-ubyte", pictures(np.arange(12) % 3, side=9))

    def none(self):
        for path in self.iterdir():
            path.unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Wrong.cut, r"train-images-idx3-ubyte\.gz is damaged: .*; fetch these files again"),
        (Wrong.short, r"t10k-images-idx3-ubyte holds 763 values, and says that they are 768"),
        (Wrong.half, r"lacks t10k-labels; there must be PART-images-idx3-ubyte"),
        (Wrong.ints, r"t10k-labels-idx1-ubyte is no idx file of bytes"),
        (Wrong.fewer, r"t10k-images\S* holds values of the shape \[12, 8, 8\] and \S* \[11\]"),
        (Wrong.larger, r"holds images of \[8, 9\] pixels; they must be alike"),
        (Wrong.none, r"holds no idx file; there must be"),
    ],
)
def test_what_is_damaged_is_named_with_the_remedy(root, change, said):
    change(root)
    contents.forget()
    with pytest.raises(ValueError, match=said):
        benchmarks.find(f"idx:{root}:all")


def test_fashion_mnist_has_its_classes_and_is_compared_with_its_paper(root):
    domain = benchmarks.find(f"fashion_mnist:{root}:all")
    assert domain.classes[0] == "t-shirt"
    assert len(domain.classes) == 10
    found = check("fashion_mnist", root)
    assert found.wrong
    assert "42 images, the paper has 70,000" in "\n".join(found.lines())
    written(root / "t10k-labels-idx1-ubyte", np.full(12, 10))
    contents.forget()
    assert data.fine_tuning_problems(f"pretrained-fashion_mnist:{root}:all") == [
        "a label is 10, but there are 10 classes"
    ]


def test_a_part_alone_is_a_domain_that_shares_no_image_with_the_other(root, tmp_path):
    assert data.problems(f"idx:{root}:train-test@blur3") == []
    assert data.each(f"idx:{root}:train-*") == [f"idx:{root}:train-test"]
    for part, count in (("train", 30), ("test", 12)):
        domain = benchmarks.find(f"idx:{root}:{part}")
        assert len(domain.load(tmp_path / "cache", 0).labels) == count
        assert domain.official_test() is None
    (wrong,) = data.problems(f"idx:{root}:train-other")
    assert "has no domain 'other'; its domains are all" in wrong


def test_it_is_a_domain(root, tmp_path):
    """The suite that every domain has to pass."""
    suite = type("Suite", (DatasetConformance,), {"domain": f"idx:{root}:all"})()
    tests = [test for test in dir(suite) if test.startswith("test_")]
    assert len(tests) > 5
    for test in tests:
        place = tmp_path / test
        place.mkdir()
        run = getattr(suite, test)
        # What does not apply, such as an order of groups, is skipped by the suite.
        with contextlib.suppress(unittest.SkipTest):
            run(*[place] * ("tmp_path" in inspect.signature(run).parameters))
