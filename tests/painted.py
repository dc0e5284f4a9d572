"""A folder of small pictures in two domains, for the tests of datasets."""

import numpy as np
from PIL import Image

from tasks.data import emoji as emoji_of
from tasks.data import vendors


def pictures(tmp_path):
    """A root with the domains `art-old` and `photo`, classes cat and dog, three images each."""
    rng = np.random.default_rng(0)
    for domain in ("art-old", "photo"):
        for name in ("cat", "dog"):
            place = tmp_path / "root" / domain / name
            place.mkdir(parents=True)
            for number in range(3):
                pixels = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
            (place / "notes.txt").write_text("not an image")
    return tmp_path / "root"


def emoji(root):
    """The folder that `htsweep data get emoji` makes, with three tiny images a class."""
    for domain in vendors.VENDORS:
        for name in emoji_of.classes():
            place = root / "data" / "emoji" / domain / name
            place.mkdir(parents=True)
            for number in range(3):
                colour = (number, len(name), len(domain))
                Image.new("RGB", (2, 2), colour).save(place / f"{number}.png")
