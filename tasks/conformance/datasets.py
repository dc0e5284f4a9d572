"""A test suite for domains of datasets, built in or a user's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from unittest import SkipTest

import numpy as np

from tasks import data
from tasks.data import Images
from tasks.small_runs import SmallWorkspace

HEAVY = ("torch", "timm", "sklearn", "pandas")
"""Packages that planning a study must not import."""
ASK = """
import sys
from tasks import data
print(data.fingerprint(sys.argv[1]), *data.classes(sys.argv[1]), sep="\\n")
print(*sorted({heavy} & sys.modules.keys()))
"""


class DatasetConformance:
    """The rules for domains: subclass it with a domain's name, and pytest runs its tests."""

    domain: str = "mnist"
    """A name as in a study: `uci`, `folder:ROOT:DOMAIN`, `my_data:sketches`, `uci@blur`."""
    image_size: int = 16
    """Pixels a side of the decoded images, if the domain has no fixed size."""

    def test_a_study_can_name_it(self) -> None:
        """It is valid as the target of pretrained weights, and so is its content."""
        wrong = data.fine_tuning_problems(f"{data.PRETRAINED}-{self.domain}")
        assert not wrong, self._said("; ".join(wrong), "see what the sentence says")
        classes = data.classes(self.domain)
        assert len(classes) >= 2, self._said(f"its classes are {classes}", "give two or more")
        assert len(set(classes)) == len(classes), self._said(
            f"`classes` names a class twice: {classes}", "give each class a name of its own"
        )

    def test_it_is_known_by_its_content(self) -> None:
        """Another process gets the same fingerprint and classes, without heavy imports."""
        process = subprocess.run(
            [sys.executable, "-c", ASK.format(heavy=set(HEAVY)), self.domain],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == 0, self._said(
            f"another process cannot be asked for it: {process.stderr.strip()[-500:]}",
            "let `classes` and `fingerprint` need nothing but the module and its files",
        )
        *answers, heavy = process.stdout.splitlines()
        expected = [data.fingerprint(self.domain), *data.classes(self.domain)]
        assert answers == expected, self._said(
            f"another process gives {answers[:3]}..., this one {expected[:3]}...",
            "make the fingerprint of bytes, by hashlib, and sort what comes from a set or a folder",
        )
        assert not heavy, self._said(
            f"naming it imports {heavy}, which every plan would wait for",
            "import it inside `load`",
        )

    def test_its_images_are_as_promised(self, tmp_path: Path) -> None:
        """Shape, type, range and labels are valid for training."""
        images = self._loaded(tmp_path)
        side = data.size(self.domain) or self.image_size
        pixels, labels = np.asarray(images.pixels), np.asarray(images.labels)
        shape = (len(labels), data.channels(self.domain), side, side)
        assert pixels.shape == shape, self._said(
            f"its pixels have the shape {pixels.shape}, but with {len(labels)} labels, `channels` "
            f"and `size` it should be {shape}",
            "give [N, channels, height, width], or set `channels` and `size` to what it has",
        )
        assert pixels.dtype in (np.dtype(np.float32), np.dtype(np.uint8)), self._said(
            f"its pixels are of type {pixels.dtype}", "give float32 in [0, 1], or uint8"
        )
        if pixels.dtype == np.float32:
            low, high = float(pixels.min()), float(pixels.max())
            assert np.isfinite(pixels).all() and low >= 0 and high <= 1, self._said(  # noqa: PT018
                f"its pixels go from {low:g} to {high:g}",
                "bring them into [0, 1]; normalising is the backbone's part",
            )
        assert pixels.min() < pixels.max(), self._said(
            f"every pixel of every image is {pixels.max()}", "check how it is decoded"
        )
        assert images.classes == data.classes(self.domain), self._said(
            f"the images say that their classes are {images.classes}, the domain "
            f"{data.classes(self.domain)}",
            "give `Images` the domain's own `classes`",
        )
        assert labels.dtype == np.int64, self._said(
            f"its labels are of type {labels.dtype}", "give them as int64"
        )
        present = set(labels.tolist())
        expected = set(range(len(images.classes)))
        assert present == expected, self._said(
            f"its labels are {sorted(present)}, but {len(images.classes)} classes have the labels "
            f"{sorted(expected)}",
            "number the classes from 0 in the order of `classes`, and leave out classes without "
            "images",
        )

    def test_it_loads_the_same_each_time(self, tmp_path: Path) -> None:
        """It loads equal bits in the same order from an empty, the same, and another cache."""
        first = self._loaded(tmp_path / "one")
        before = np.array(first.pixels), np.array(first.labels)
        for again in (self._loaded(tmp_path / "one"), self._loaded(tmp_path / "two")):
            same = np.array_equal(before[0], again.pixels), np.array_equal(before[1], again.labels)
            assert all(same), self._said(
                "it loads other pixels or labels the second time",
                "draw from a generator with a fixed seed, and sort what a folder lists",
            )

    def test_its_counts_are_those_of_its_images(self, tmp_path: Path) -> None:
        """The counts used in planning are those of the loaded images."""
        counts = data.counts(self.domain)
        labels = self._loaded(tmp_path).labels
        counted = dict(zip(data.classes(self.domain), np.bincount(labels).tolist(), strict=True))
        if counts:
            assert dict(counts) == counted, self._said(
                f"`counts` gives {dict(counts)}, but there are {counted}", "count what `load` gives"
            )
        few = {name: count for name, count in counted.items() if count < 10}
        assert counts or not few, self._said(
            "`counts` is empty, which says that each class has dozens of images, but there are "
            f"{few}",
            "let `counts` give the number of images of each class",
        )

    def test_its_official_split_leaves_something_to_train_with(self, tmp_path: Path) -> None:
        """Each class has images in the official test set and images outside of it."""
        test = data.official_test(self.domain)
        if test is None:
            raise SkipTest("it has no official split")
        labels = np.asarray(self._loaded(tmp_path).labels)
        assert test.dtype == np.bool_ and test.shape == labels.shape, self._said(  # noqa: PT018
            f"`official_test` is {test.dtype} of shape {test.shape}, with {len(labels)} images",
            "give a bool for each image, in the order of `load`",
        )
        for index, name in enumerate(data.classes(self.domain)):
            own = test[labels == index]
            assert 0 < own.sum() < len(own), self._said(
                f"{own.sum()} of the {len(own)} images of class '{name}' are in the official test "
                "set",
                "each class needs images in it and images outside of it",
            )

    def test_its_order_of_groups_follows_from_the_seed(self, tmp_path: Path) -> None:
        """Each image has a place among the groups of its class, the same for the same seed."""
        orders = [data.order(self.domain, seed) for seed in (0, *range(8))]
        if orders[0] is None:
            raise SkipTest("its images are drawn one by one")
        labels = np.asarray(self._loaded(tmp_path).labels)
        for order in orders:
            assert order is not None
            assert order.place.shape == order.groups.shape == labels.shape, self._said(
                f"`order` has {order.place.shape} places for {len(labels)} images",
                "give a place for each image, in the order of `load`",
            )
            assert ((order.place >= 0) & (order.place < order.groups)).all(), self._said(
                "`order` has a place that is not below the number of groups",
                "count places from 0, and all groups of a class, also those without an image here",
            )
        places = [order.place.tolist() for order in orders if order is not None]
        assert places[0] == places[1] and any(own != places[0] for own in places), self._said(  # noqa: PT018
            "`order` does not follow from the seed",
            "draw the order from the seed alone, another one for each",
        )

    def test_a_model_trains_on_it(self, tmp_path: Path) -> None:
        """A source model trains for two steps with finite losses."""
        from tasks.holistic_transfer import source

        config = {
            "domain": self.domain,
            "image_size": self.image_size,
            "source_epochs": 1,
            "source_steps_per_epoch": 2,
        }
        rows = list(source(config, SmallWorkspace(tmp_path)))
        losses: Sequence[float] = [row["train/loss"] for row in rows if "train/loss" in row]
        assert losses and all(map(np.isfinite, losses)), self._said(  # noqa: PT018
            f"training for two steps gave the losses {losses}",
            "look for pixels that are not finite",
        )

    def _loaded(self, cache: Path) -> Images:
        return data.load(self.domain, cache, self.image_size)

    def _said(self, wrong: str, remedy: str) -> str:
        return f"{self.domain}: {wrong}.\nRemedy: {remedy}."
