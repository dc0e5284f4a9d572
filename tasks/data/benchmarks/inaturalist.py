"""iNaturalist 2021 (Van Horn et al., CVPR 2021): species by supercategory, such as Fungi.

The JSON files `train_mini.json` (or `train.json`) and `val.json` list images, annotations and
categories. A supercategory is a domain, called by its name in small letters; the images of
`val.json` test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tasks.data import parts
from tasks.data.benchmarks import Benchmark, Expected
from tasks.data.benchmarks.generic import of
from tasks.data.listing import shown
from tasks.data.table import Row, Table, checked

TRAIN = ("train_mini.json", "train.json")
TEST = "val.json"

SPECIES = {
    "plants": (4271, 1148702),
    "insects": (2526, 663682),
    "birds": (1486, 414847),
    "fungi": (341, 90048),
    "reptiles": (313, 86830),
    "mammals": (246, 68917),
    "ray-finned fishes": (183, 45166),
    "amphibians": (170, 46252),
    "mollusks": (169, 44670),
    "arachnids": (153, 40687),
    "animalia": (142, 37042),
}
"""Supercategory -> its species, and its images in `train.json`.

From the competition's page (visipedia/inat_comp, 2021/README.md): 50 of each species are in
`train_mini.json`, and 10 in `val.json`.
"""


def read(root: Path) -> Table:
    """The images of both files.

    Raises:
        ValueError: a file is not there, or not of iNaturalist's form.
    """
    train = next((name for name in TRAIN if (root / name).is_file()), TRAIN[0])
    rows: list[Row] = []
    order: dict[str, None] = {}
    for name, part in ((train, parts.TRAIN), (TEST, parts.TEST)):
        try:
            held = json.loads((root / name).read_text(encoding="utf-8"))
            found = list(_rows(held, name, part))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{shown(root / name)} cannot be read: {type(error).__name__}: {error}; it is "
                "iNaturalist 2021's list with `images`, `annotations` and `categories`"
            ) from error
        rows += found
        order |= dict.fromkeys(
            one["name"] for one in sorted(held["categories"], key=lambda one: one["id"])
        )
    return Table(root, tuple(rows), tuple(order), tuple(checked(rows)))


def _rows(held: dict[str, list[dict[str, str]]], name: str, part: str) -> Iterator[Row]:
    files = {image["id"]: image["file_name"] for image in held["images"]}
    kinds = {one["id"]: (one["name"], one["supercategory"].lower()) for one in held["categories"]}
    for one in held["annotations"]:
        label, domain = kinds[one["category_id"]]
        yield Row(
            files[one["image_id"]],
            label,
            domain,
            part,
            where=f"{name}, annotation {one.get('id', one['image_id'])}",
        )


INAT_FUNGI = Benchmark(
    name="inat_fungi",
    line="iNaturalist 2021: species by supercategory, such as fungi (Van Horn et al., 2021)",
    layout="ROOT/train_mini.json, ROOT/val.json, and the folders train_mini and val that they name",
    get="by torchvision.datasets.INaturalist, or from the competition's page",
    open=of(read),
    expected={
        name: Expected(classes=species, train=50 * species, other_train=images, test=10 * species)
        for name, (species, images) in SPECIES.items()
    },
)
