"""Benchmarks of domains in folders, as DomainBed's users have them: ROOT/DOMAIN/CLASS/IMAGE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tasks.data import listing
from tasks.data.benchmarks import Benchmark, Expected, lists
from tasks.data.benchmarks.generic import of
from tasks.data.listing import shown
from tasks.data.table import Row, Table, checked


def read(root: Path, names: Sequence[str] | None = None) -> Table:
    """The images in the class folders of the domains.

    Args:
        root: the folder of the domains.
        names: the domains; None: all folders.

    Raises:
        ValueError: none of the domains is there.
    """
    present = sorted(listing.folders(root))
    domains = present if names is None else [name for name in names if name in present]
    if not domains:
        raise ValueError(
            f"{shown(root)} has none of the folders {', '.join(names or ('DOMAIN',))}; give the "
            "folder that they lie in, as ROOT/DOMAIN/CLASS/IMAGE"
        )
    rows: list[Row] = []
    wrong: list[str] = []
    left_out: dict[str, list[str]] = {}
    for domain in domains:
        held = listing.of(root / domain)
        rows += [
            Row(path.relative_to(root).as_posix(), label, domain) for label, path in held.files
        ]
        wrong += held.wrong
        for reason, paths in held.left_out.items():
            left_out.setdefault(reason, []).extend(
                path.relative_to(root).as_posix() for path in paths
            )
    return Table(root, tuple(rows), (), tuple(wrong + checked(rows)), left_out)


def whole(root: Path) -> Table:
    """The images of class folders in one place, ROOT/CLASS/IMAGE, as one domain.

    Raises:
        ValueError: there is no such folder, or it holds no class folders with images.
    """
    held = listing.of(root)
    if not held.files:
        raise ValueError(f"{shown(root)} holds no images in class folders, as ROOT/CLASS/IMAGE")
    rows = [Row(path.relative_to(root).as_posix(), label, WHOLE) for label, path in held.files]
    left_out = {
        reason: [path.relative_to(root).as_posix() for path in paths]
        for reason, paths in held.left_out.items()
    }
    return Table(root, tuple(rows), (), (*held.wrong, *checked(rows)), left_out)


def _read(names: Sequence[str]) -> Callable[[Path], Table]:
    return lambda root: read(root, names)


def _domainnet(root: Path) -> Table:
    """By the authors' lists where they are there, else by folders."""
    if any((root / f"{name}_train.txt").is_file() for name in DOMAINNET_IMAGES):
        return lists.read(root)
    return read(root, tuple(DOMAINNET_IMAGES))


WHOLE = "all"
# As its users state them (blog.csdn.net, article 126640437); the sum, 9,991, is that of its data
# cards on Hugging Face.
PACS_IMAGES = {"art_painting": 2048, "cartoon": 2344, "photo": 1670, "sketch": 3929}
# Counted by users of DomainBed's copy; the sum, 10,729, is that of the list of data sets in
# junkunyuan/Awesome-Domain-Generalization and of papers that evaluate on it.
VLCS_IMAGES = {"Caltech101": 1415, "LabelMe": 2656, "SUN09": 3282, "VOC2007": 3376}
# The catalog of TensorFlow Datasets (docs/catalog/domainnet.md), which reads the authors' cleaned
# version; the sums, 409,832 and 176,743, are those of the data card wltjr1007/DomainNet.
DOMAINNET_IMAGES = {
    "clipart": (33525, 14604),
    "infograph": (36023, 15582),
    "painting": (50416, 21850),
    "quickdraw": (120750, 51750),
    "real": (120906, 52041),
    "sketch": (48212, 20916),
}
"""Domain -> training and test images of the authors' lists."""

PACS = Benchmark(
    name="pacs",
    line="PACS: 7 classes in photo, art_painting, cartoon, sketch (Li et al., ICCV 2017)",
    layout="ROOT/art_painting/dog/pic_001.jpg",
    get="by DomainBed's script download.py, or from its authors' page",
    open=of(_read(tuple(PACS_IMAGES))),
    expected={name: Expected(classes=7, images=count) for name, count in PACS_IMAGES.items()},
)
VLCS = Benchmark(
    name="vlcs",
    line="VLCS: 5 classes in Caltech101, LabelMe, SUN09, VOC2007 (Fang et al., ICCV 2013)",
    layout="ROOT/Caltech101/bird/001.jpg",
    get="by DomainBed's script download.py",
    open=of(_read(tuple(VLCS_IMAGES))),
    expected={name: Expected(classes=5, images=count) for name, count in VLCS_IMAGES.items()},
)
DOMAINNET = Benchmark(
    name="domainnet",
    line="DomainNet: 345 classes in six domains (Peng et al., ICCV 2019)",
    layout="ROOT/clipart/aircraft_carrier/clipart_001_000001.jpg, and the authors' lists "
    "ROOT/clipart_train.txt and clipart_test.txt if there are any",
    get="from its authors' page, or by DomainBed's script download.py",
    open=of(_domainnet),
    expected={
        "": Expected(classes=345),
        **{
            # Dassl notes that the training list of painting lacks the class t-shirt, so that its
            # count depends on what the test list has.
            name: Expected(
                classes=None if name == "painting" else 345,
                train=train,
                test=test,
                images=train + test,
            )
            for name, (train, test) in DOMAINNET_IMAGES.items()
        },
    },
)
