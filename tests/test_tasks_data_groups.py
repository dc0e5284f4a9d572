"""Images of one name are on one side of a split, in the source as in the target."""

import json

import numpy as np
import pytest
from PIL import Image
from workspace import Workspace

from tasks import data, holistic_transfer
from tasks.data import contents, folder, groups, splits

STEMS = [f"idea{number}" for number in range(20)]


@pytest.fixture
def root(tmp_path):
    """Two domains of two classes; of the target's first class five images are not there."""
    rng = np.random.default_rng(0)
    for domain, first in (("art", 0), ("photo", 5)):
        for name in ("cat", "dog"):
            place = tmp_path / "set" / domain / name
            place.mkdir(parents=True)
            for stem in STEMS[first:] if name == "cat" else STEMS:
                pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{stem}.png")
    (tmp_path / "set" / groups.FILE).write_text(json.dumps({"cat": STEMS, "dog": STEMS}))
    return tmp_path / "set"


def stems(root, domain, rows):
    files = folder.listed(f"folder:{root}:{domain}").files
    return {(files[row][0], files[row][1].stem) for row in rows}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("pair", [("art", "photo"), ("photo", "art")])
def test_no_name_trains_in_one_domain_and_is_tested_or_validated_in_another(root, pair, seed):
    source, target = (f"folder:{root}:{name}" for name in pair)
    labels = [
        np.array([data.classes(name).index(kind) for kind, _ in folder.listed(name).files])
        for name in (source, target)
    ]
    trained, held = splits.source_split(labels[0], 0.1, seed, order=data.order(source, seed))
    found = splits.split(labels[1], [], seed, marks=splits.Marks.by(data.order(target, seed)))
    sides = [stems(root, pair[0], trained), stems(root, pair[0], held)]
    theirs = [stems(root, pair[1], rows) for rows in (found.train, found.validation, found.test)]
    assert not sides[0] & (theirs[1] | theirs[2])
    assert not sides[1] & (theirs[0] | theirs[2])
    # Of each class that is whole, 12 of the 20 names train, 2 validate and 6 test.
    dogs = [[name for name, _ in side].count("dog") for side in (*sides, *theirs)]
    assert dogs == [12, 2, 12, 2, 6]
    rows = np.concatenate([found.train, found.validation, found.test])
    assert sorted(rows) == list(range(len(labels[1])))


def test_each_seed_draws_other_names(root):
    domain = f"folder:{root}:art"
    tests = {tuple(data.order(domain, seed).test) for seed in range(6)}
    assert len(tests) == 6


def test_the_order_of_names_does_not_depend_on_those_that_are_added():
    listed = [[stem] for stem in STEMS]
    few = groups._shuffled("cat", listed[:8], 3)
    more = groups._shuffled("cat", listed, 3)
    assert [group for group in more if group in few] == few


def test_the_names_of_one_group_stand_together(root):
    pairs = [STEMS[first : first + 2] for first in range(0, 20, 2)]
    (root / groups.FILE).write_text(json.dumps({"cat": pairs, "dog": STEMS}))
    domain = f"folder:{root}:art"
    files = folder.listed(domain).files
    for seed in range(5):
        order = data.order(domain, seed)
        places = {
            file.stem: place
            for (kind, file), place in zip(files, order.place, strict=True)
            if kind == "cat"
        }
        assert all(places[one] == places[other] for one, other in pairs)
        assert sorted(set(places.values())) == list(range(10))
        # 3 of the 10 groups test: 6 images.
        cats = np.array([kind == "cat" for kind, _ in files])
        assert order.test[cats].sum() == 6


def test_shares_above_and_below_that_of_validation_never_train_on_what_the_target_validates():
    order = splits.Order(np.arange(20), np.full(20, 20))
    labels = np.zeros(20, int)
    for share, held_out in ((0.0, []), (0.05, [6]), (0.3, list(range(6, 12)))):
        trained, held = splits.source_split(labels, share, 0, order=order)
        assert held.tolist() == held_out
        assert trained.tolist() == list(range(max(8, 6 + len(held_out)), 20))


def test_a_class_of_which_nothing_is_left_to_train_with_is_named():
    order = splits.Order(np.array([0, 1]), np.array([20, 20]))
    with pytest.raises(ValueError, match="all 2 images of class 0 are of groups that test"):
        splits.split(np.zeros(2, int), [], 0, marks=splits.Marks.by(order))


def test_groups_are_part_of_the_content_but_not_of_the_pixels(root, tmp_path):
    domain = f"folder:{root}:art"
    grouped = data.fingerprint(domain)
    data.load(domain, tmp_path / "cache", 8)
    (root / groups.FILE).unlink()
    contents.forget()
    assert data.fingerprint(domain) != grouped
    assert data.order(domain, 0) is None
    data.load(domain, tmp_path / "cache", 8)
    assert len(list((tmp_path / "cache" / "folders").iterdir())) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is no JSON"),
        ("[]", "is no mapping of classes"),
        ('{"cat": ["a", "a"]}', "class cat is wrong"),
        ('{"cat": 3}', "class cat is wrong"),
        ('{"cat": ["a", []]}', "class cat is wrong"),
        ('{"cat": [["a", "b"], "b"]}', "class cat is wrong"),
        ('{"cat": ["a", ["b", 1]]}', "class cat is wrong"),
        ('{"cat": [""]}', "class cat is wrong"),
        (json.dumps({"cat": STEMS}), "but not 20 of 40 images: art/dog/idea0.png"),
    ],
)
def test_groups_that_cannot_be_used_are_a_problem_of_the_dataset(root, text, said):
    (root / groups.FILE).write_text(text)
    contents.forget()
    wrong = data.problems(f"folder:{root}:art-photo")
    assert any(said in one and groups.FILE in one for one in wrong), wrong


def test_a_source_model_does_not_see_what_its_target_tests(root, tmp_path, monkeypatch):
    """Through the task itself: the rows that source training is given."""
    from tasks import adaptation

    given = {}
    monkeypatch.setattr(
        adaptation, "Run", lambda model, transfer, *_: given.update(rows=transfer.train) or 1 / 0
    )
    config = {"domain": f"folder:{root}:art", "image_size": 16, "source_epochs": 1}
    workspace = Workspace(tmp_path)
    with pytest.raises(ZeroDivisionError):
        list(holistic_transfer.source(config, workspace))
    order = data.order(f"folder:{root}:art", workspace.seed("split"))
    assert given["rows"].tolist() == np.flatnonzero(order.place >= 8).tolist()


def test_a_corrupted_domain_and_a_note_have_the_groups_too(root):
    domain = f"folder:{root}:art"
    assert (data.order(f"{domain}@blur3", 4).place == data.order(domain, 4).place).all()
    assert any(groups.NOTE in note for note in data.notes(f"folder:{root}:art-photo"))


def test_copies_are_noted_where_they_may_be_on_two_sides(root):
    art = root / "art" / "cat"
    (art / "idea3.png").write_bytes((art / "idea2.png").read_bytes())
    noted = lambda: [n for n in data.notes(f"folder:{root}:art-photo") if "copies" in n]  # noqa: E731
    assert len(noted()) == 1
    assert "1 of 40 (cat/idea3.png)" in noted()[0]
    together = [STEMS[2:4], *STEMS[:2], *STEMS[4:]]
    (root / groups.FILE).write_text(json.dumps({"cat": together, "dog": STEMS}))
    contents.forget()
    assert noted() == []
