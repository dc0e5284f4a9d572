"""The suite for datasets: built-in ones pass it, and each broken one fails the check that is about its fault."""

import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tasks import data
from tasks.conformance import DatasetConformance
from tasks.data import Domain, Images, contents, registry
from tasks.data.splits import Order


class TestMnist(DatasetConformance):
    domain = "mnist"


class TestUci(DatasetConformance):
    domain = "uci"


class TestCorrupted(DatasetConformance):
    domain = "uci@noise5"


class TestFolder(DatasetConformance):
    @pytest.fixture(autouse=True)
    def folder(self, tmp_path_factory):
        root = tmp_path_factory.mktemp("root")
        for label, name in enumerate(("ant", "bee", "cow")):
            (root / "photo" / name).mkdir(parents=True)
            for number in range(3 + label):
                pixels = np.random.default_rng(number + 10 * label).integers(0, 256, (20, 20, 3))
                picture = Image.fromarray(pixels.astype(np.uint8))
                picture.save(root / "photo" / name / f"{number}.png")
        self.domain = f"folder:{root}:photo"


class Pictures(Domain):
    """Forty grey pictures."""

    classes = ("ant", "bee")
    channels = 1
    size = 8

    def __init__(self, **other):
        self.other = other
        for name in ("classes", "channels", "size"):
            if name in other:
                setattr(self, name, other[name])

    def fingerprint(self):
        return self.other.get("content", lambda: "0123456789abcdef")()

    def load(self, cache, image_size):
        random = np.random.default_rng(self.other.get("seed", 0))
        pixels = random.random((40, 1, 8, 8), np.float32) * self.other.get("factor", 1)
        labels = np.arange(40) % self.other.get("labels", 2)
        return Images(pixels.astype(self.other.get("dtype", np.float32)), labels, self.classes)

    def official_test(self):
        return self.other.get("test")

    def order(self, seed):
        return self.other.get("order", lambda seed: None)(seed)

    def counts(self):
        return self.other.get("counts", {})


def named(monkeypatch, **functions):
    """A user's module `ours` with these functions, which nothing remembers afterwards."""
    module = ModuleType("ours")
    vars(module).update(functions)
    monkeypatch.setitem(sys.modules, "ours", module)
    registry._named.cache_clear()
    contents.forget()


@pytest.fixture(autouse=True)
def forgotten():
    yield
    registry._named.cache_clear()
    contents.forget()


def drawn(seed):
    """An order of forty groups, twenty of each class, by a seed."""
    places = np.empty(40, int)
    for label in (0, 1):
        places[label::2] = np.random.default_rng((seed, label)).permutation(20)
    return Order(places, np.full(40, 20))


BROKEN = [
    (
        {"order": lambda seed: drawn(0)},
        "test_its_order_of_groups_follows_from_the_seed",
        "another one for each",
    ),
    (
        {"order": lambda seed: Order(drawn(seed).place + 1, drawn(seed).groups)},
        "test_its_order_of_groups_follows_from_the_seed",
        "not below the number",
    ),
    (
        {"order": lambda seed: Order(drawn(seed).place[:3], drawn(seed).groups[:3])},
        "test_its_order_of_groups_follows_from_the_seed",
        "places for 40",
    ),
    ({"factor": 200}, "test_its_images_are_as_promised", "bring them into"),
    ({"factor": np.nan}, "test_its_images_are_as_promised", "bring them into"),
    ({"factor": 0}, "test_its_images_are_as_promised", "every pixel of every image is 0"),
    ({"dtype": np.float64}, "test_its_images_are_as_promised", "give float32"),
    ({"labels": 1}, "test_its_images_are_as_promised", r"its labels are \[0\]"),
    ({"size": 9}, "test_its_images_are_as_promised", "`size` it should be"),
    ({"channels": 3}, "test_its_images_are_as_promised", "`channels` and"),
    ({"seed": None}, "test_it_loads_the_same_each_time", "the second time"),
    ({"counts": {"ant": 1, "bee": 39}}, "test_its_counts_are_those_of_its_images", "there are"),
    (
        {"test": np.ones(40, bool)},
        "test_its_official_split_leaves_something_to_train_with",
        "20 of",
    ),
    (
        {"test": np.ones(3, bool)},
        "test_its_official_split_leaves_something_to_train_with",
        "with 40",
    ),
    ({"classes": ("ant",)}, "test_a_study_can_name_it", "two classes or more"),
    ({"classes": ["ant", "bee"]}, "test_a_study_can_name_it", "a tuple of names"),
    ({"size": 8.0}, "test_a_study_can_name_it", "number of pixels or None"),
    ({"content": dict}, "test_a_study_can_name_it", "must have a text"),
]


def test_a_sound_one_with_groups_passes(monkeypatch, tmp_path):
    named(monkeypatch, pictures=lambda: Pictures(order=drawn))
    suite = type("Suite", (DatasetConformance,), {"domain": "ours:pictures"})()
    suite.test_its_order_of_groups_follows_from_the_seed(tmp_path)


def test_a_sound_one_passes(monkeypatch, tmp_path):
    named(monkeypatch, pictures=Pictures)
    suite = type("Suite", (DatasetConformance,), {"domain": "ours:pictures"})()
    suite.test_a_study_can_name_it()
    for name in dir(suite):
        if name.startswith("test_") and "split" not in name and "content" not in name:
            check = getattr(suite, name)
            check(tmp_path / name) if check.__code__.co_argcount == 2 else check()


@pytest.mark.parametrize(("fault", "check", "said"), BROKEN)
def test_a_broken_one_fails(monkeypatch, tmp_path, fault, check, said):
    named(monkeypatch, pictures=lambda: Pictures(**fault))
    suite = type("Suite", (DatasetConformance,), {"domain": "ours:pictures"})()
    run = getattr(suite, check)
    with pytest.raises((AssertionError, ValueError), match=said):
        run(tmp_path) if run.__code__.co_argcount == 2 else run()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("fingerprint = lambda self: hash('a') and f'{hash(\"a\"):016x}'[:16]", "by hashlib"),
        ("fingerprint = lambda self: __import__('pandas') and 'a' * 16", "inside `load`"),
    ],
)
def test_a_content_that_is_not_content_fails(monkeypatch, tmp_path, line, said):
    (tmp_path / "hashed.py").write_text(
        "from tasks.data import Domain\n"
        "class Hashed(Domain):\n"
        "    classes, channels, size = ('a', 'b'), 1, 8\n"
        f"    {line}\n"
        "    def load(self, cache, image_size): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    suite = type("Suite", (DatasetConformance,), {"domain": "hashed:Hashed"})()
    try:
        with pytest.raises(AssertionError, match=said):
            suite.test_it_is_known_by_its_content()
    finally:
        del sys.modules["hashed"]


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("ours:pictures", "is one domain, and a dataset has two: write SOURCE-ours:pictures"),
        ("uci-ours:nothing", "the domain 'ours:nothing' cannot be loaded: AttributeError"),
        ("uci-nowhere:pictures", "cannot be loaded: ModuleNotFoundError"),
        ("uci-ours:text", r"the str that it returns has no classes, channels, size, fingerprint"),
        ("uci-ours:pictures", "'uci' has images of 16 pixels a side and 'ours:pictures' of 8"),
        ("ours:pictures-ours:other", "the source pictures lacks 1 of the classes of other: cow"),
        ("ours:pictures-ours:copy", "would hold the images that its source is trained on"),
        ("ours:pictures-ours:pictures@blur", "would hold the images that its source"),
        ("ours:pictures-ours:turned@blurr", "did you mean @blur"),
        ("mnist-ours", "no dataset 'mnist-ours'"),
    ],
)
def test_a_wrong_dataset_of_a_user_is_named_with_its_remedy(monkeypatch, dataset, said):
    other = {"content": lambda: "fedcba9876543210"}
    named(
        monkeypatch,
        pictures=Pictures,
        copy=Pictures,
        turned=lambda: Pictures(classes=("bee", "ant"), **other),
        other=lambda: Pictures(classes=("ant", "cow"), **other),
        text=lambda: "text",
    )
    wrong = data.problems(dataset)
    assert wrong
    with pytest.raises(ValueError, match=said):
        raise ValueError(" ".join(wrong))


def test_a_users_domain_is_a_domain_like_any_other(monkeypatch, tmp_path):
    named(
        monkeypatch,
        pictures=Pictures,
        more=lambda: Pictures(content=lambda: "fedcba9876543210", seed=1),
    )
    assert data.domains("ours:pictures-ours:more@blur") == ("ours:pictures", "ours:more@blur3")
    assert data.canonical("ours:pictures-ours:more@blur") == "ours:pictures-ours:more@blur3"
    assert data.problems("ours:pictures-ours:more@blur") == []
    assert not data.resized("ours:pictures-ours:more")
    assert data.fingerprint("ours:pictures") == "0123456789abcdef"
    plain, blurred = (data.load(f"ours:more{at}", tmp_path, 0) for at in ("", "@blur"))
    assert np.abs(plain.pixels - blurred.pixels).mean() > 0.01


def test_the_official_split_is_part_of_the_content(monkeypatch):
    marks = [np.arange(40) < 10, np.arange(40) < 20]
    named(
        monkeypatch,
        plain=Pictures,
        few=lambda: Pictures(test=marks[0]),
        many=lambda: Pictures(test=marks[1]),
    )
    names = ("plain", "few", "many", "few@blur", "plain@blur")
    assert len({data.fingerprint(f"ours:{name}") for name in names}) == len(names)
