"""VTAB (Zhai et al., 2019, arXiv:1910.04867): its tasks as torchvision or you have them on disk.

Each task is a domain, such as `cifar100`. What `torchvision.datasets` writes into a folder is read
as it is: Caltech101, CIFAR100, DTD, EuroSAT, Flowers102, OxfordIIITPet, SUN397 and SVHN. Any other
task of VTAB, and any of these, may lie in class folders instead: ROOT/TASK/CLASS/IMAGE, or with its
official split ROOT/TASK/train/CLASS/IMAGE, and so for val and test. Labels of tasks whose data name
no class are named as torchvision names them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tasks.data import contents, listing
from tasks.data.benchmarks import Benchmark, Benchmarked, Expected
from tasks.data.benchmarks.folders import whole
from tasks.data.benchmarks.torchvision_files import PARTS, TASKS
from tasks.data.domain import Domain
from tasks.data.listed import Listed
from tasks.data.listing import shown
from tasks.data.packed import Packed
from tasks.data.table import Table, checked

OTHERS = (
    "resisc45",
    "patch_camelyon",
    "diabetic_retinopathy",
    "clevr_count",
    "clevr_distance",
    "dmlab",
    "dsprites_location",
    "dsprites_orientation",
    "kitti_distance",
    "smallnorb_azimuth",
    "smallnorb_elevation",
)
"""The tasks that are read from class folders alone."""
PCAM, PCAM_FILES = "patch_camelyon", "pcam/camelyonpatch_*.h5"
"""The task that torchvision keeps in HDF5, which is not read here, and its files."""


class Tasks(Benchmarked):
    """The tasks that a folder holds; each is read when it is asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        present = set(listing.folders(root))
        self.names = tuple(
            name
            for name in sorted({*TASKS, *OTHERS})
            if (name in TASKS and (root / TASKS[name].mark).exists()) or name in present
        )
        if PCAM not in self.names and any(root.glob(PCAM_FILES)):
            self.wrong = (
                f"{shown(root / PCAM_FILES)} are HDF5 files, which are not read: write their "
                f"images to {PCAM}/train/CLASS/IMAGE, and so for val and test, with the classes 0 "
                "and 1",
            )
        if not self.names:
            raise ValueError(
                *self.wrong
                or (
                    f"{shown(root)} holds no task of VTAB: neither torchvision's files, such as "
                    f"{', '.join(task.mark for task in TASKS.values())}, nor class folders, "
                    f"TASK/CLASS/IMAGE, of one of {', '.join(sorted({*TASKS, *OTHERS}))}",
                )
            )

    def domain(self, name: str, whole: str) -> Domain:
        """The task of this name."""
        task = TASKS.get(name)
        if task is None or not (self._root / task.mark).exists():
            return Listed(whole, _of_folders(self._root, name))
        if task.read is not None:
            return Listed(whole, _of_torchvision(self._root, name))
        assert task.named is not None
        assert task.reader is not None
        files = tuple((self._root / file, part) for file, part in task.files)
        return Packed(whole, files, task.reader, task.named(self._root))


@contents.for_a_moment
def _of_torchvision(root: Path, name: str) -> Table:
    read = TASKS[name].read
    assert read is not None
    try:
        rows = tuple(replace(row, domain=name) for row in read(root))
    except (OSError, KeyError, IndexError, ValueError) as error:
        raise ValueError(
            f"the task {name} in {shown(root)} cannot be read as torchvision writes it: "
            f"{type(error).__name__}: {error}; fetch it again"
        ) from error
    order = tuple(dict.fromkeys(row.label for row in rows))
    return Table(root, rows, order, tuple(checked(rows)))


@contents.for_a_moment
def _of_folders(root: Path, name: str) -> Table:
    """ROOT/TASK/CLASS/IMAGE, or ROOT/TASK/train/CLASS/IMAGE and so on."""
    place = root / name
    split = [word for word in listing.folders(place) if word in PARTS]
    if not split:
        found = whole(place)
        return _under(found, root, name, "", found.wrong)
    if set(split) != set(listing.folders(place)):
        raise ValueError(
            f"{shown(place)} holds folders of parts ({', '.join(split)}) beside others; give class "
            "folders, or train, val and test with class folders in each"
        )
    tables = [
        _under(whole(place / word), root, f"{name}/{word}", PARTS[word], ()) for word in split
    ]
    rows = tuple(replace(row, domain=name) for table in tables for row in table.rows)
    wrong = tuple(text for table in tables for text in table.wrong)
    return Table(root, rows, (), (*wrong, *checked(rows)))


def _under(found: Table, root: Path, place: str, part: str, wrong: tuple[str, ...]) -> Table:
    """A table of a folder in ROOT as one of ROOT."""
    rows = tuple(
        replace(row, file=f"{place}/{row.file}", domain=place, split=part) for row in found.rows
    )
    left_out = {why: [f"{place}/{file}" for file in of] for why, of in found.left_out.items()}
    return Table(root, rows, (), tuple(dict.fromkeys((*found.wrong, *wrong))), left_out)


# The catalog of TensorFlow Datasets (docs/catalog: cifar100, dtd, oxford_flowers102,
# oxford_iiit_pet, svhn_cropped, resisc45, eurosat) and, of SUN397, torchvision's docstring. Of
# Caltech101 torchvision leaves out the clutter, which is no class.
VTAB = Benchmark(
    name="vtab",
    line="VTAB: 19 tasks, of which half of the classes are missing (Zhai et al., 2019)",
    layout="what torchvision.datasets writes into ROOT, or ROOT/TASK/CLASS/IMAGE, or "
    "ROOT/TASK/train/CLASS/IMAGE and so for val and test",
    get="by torchvision.datasets, one after the other with the same root, or from their authors",
    open=Tasks,
    expected={
        "caltech101": Expected(classes=101),
        "cifar100": Expected(classes=100, train=50000, test=10000),
        "dtd": Expected(classes=47, train=3760, test=1880),
        "eurosat": Expected(classes=10, images=27000),
        "flowers102": Expected(classes=102, train=2040, test=6149),
        "pets": Expected(classes=37, train=3680, test=3669),
        "resisc45": Expected(classes=45, images=31500),
        "sun397": Expected(classes=397, images=108754),
        "svhn": Expected(classes=10, train=73257, test=26032),
    },
    either=True,
)
