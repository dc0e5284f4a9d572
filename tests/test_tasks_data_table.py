"""Lists and tables of files: their formats, their splits, and what is wrong with them."""

import numpy as np
import pytest
from benchmarked import image, listed
from workspace import Workspace, stage

from tasks import data
from tasks.data import contents
from tasks.fine_tuning import fine_tuning
from tasks.holistic_transfer import holistic_transfer, source
from tasks.loading import target_of

SMALL = {
    "image_size": 8,
    "epochs": 1,
    "steps_per_epoch": 2,
    "source_epochs": 1,
    "source_steps_per_epoch": 2,
}


def table(root, rows, header="file,class,domain,split,location,datetime"):
    """A metadata.csv, and an image for each of its rows that does not say `-`."""
    root.mkdir(parents=True, exist_ok=True)
    for number, row in enumerate(rows):
        file, label, *_ = row.split(",")
        if not file.startswith("-"):
            image(root / file, len(label), number)
    (root / "metadata.csv").write_text("\n".join([header, *rows]) + "\n")
    contents.forget()
    return root


def split_of(config, domain, workspace=None):
    labels = data.rows(domain).labels
    return target_of(config, domain, labels, workspace or Workspace(config["at"]))


def test_lists_say_what_tests_and_how_classes_are_ordered(tmp_path):
    root = listed(tmp_path)
    dataset = f"lists:{root}:art-photo"
    assert data.problems(dataset) == []
    source_domain, target = data.domains(dataset)
    assert data.classes(target) == ("mug", "cup", "bed")
    assert data.counts(target) == {"mug": 6, "cup": 6, "bed": 6}
    images = data.load(target, tmp_path / "cache", 8)
    files = sorted(str(file.relative_to(root)) for file in (root / "photo").rglob("*.jpg"))
    assert images.labels.tolist() == [
        data.classes(target).index(file.split("/")[1]) for file in files
    ]
    for repetition in range(3):
        _, split = target_of(
            {"missing_ratio": 0.3}, target, images.labels, Workspace(tmp_path / "w", repetition)
        )
        assert {files[row].rpartition("/")[2] for row in split.test} == {"00000.jpg", "00001.jpg"}
        assert not set(split.test) & {*split.train, *split.validation, *split.reference}
    assert data.fingerprint(source_domain) != data.fingerprint(target)


def test_a_split_is_part_of_what_a_trial_means(tmp_path):
    root = listed(tmp_path)
    config = holistic_transfer.resolve({**SMALL, "dataset": f"lists:{root}:art-photo"})
    before = holistic_transfer.meaning(config)
    assert str(tmp_path) not in repr(before)
    lists = root / "image_list"
    train, test = ((lists / f"photo_{part}.txt") for part in ("training", "testing"))
    moved = train.read_text().splitlines()
    test.write_text(test.read_text() + moved[0] + "\n")
    train.write_text("\n".join(moved[1:]) + "\n")
    contents.forget()
    assert holistic_transfer.meaning(config) != before
    drawn = holistic_transfer.resolve({**config, "split": "random"})
    assert drawn["split"] == "random"
    assert holistic_transfer.meaning(drawn) != holistic_transfer.meaning(config)


def test_the_order_of_lines_means_nothing(tmp_path):
    root = listed(tmp_path)
    before = data.fingerprint(f"lists:{root}:photo")
    for file in (root / "image_list").iterdir():
        file.write_text("\n".join(reversed(file.read_text().splitlines())) + "\n")
    contents.forget()
    assert data.fingerprint(f"lists:{root}:photo") == before


def test_classes_may_be_named_beside_the_lists(tmp_path):
    root = listed(tmp_path)
    (root / "image_list" / "classes.txt").write_text("Becher\nTasse\nBett\n")
    contents.forget()
    assert data.classes(f"lists:{root}:photo") == ("Becher", "Tasse", "Bett")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("photo/mug/99999.jpg 0", "1 of the 19 images of 'photo' are listed and not there"),
        ("photo/mug/00000.jpg 0", "1 images are listed twice"),
        ("photo/cup/00003.jpg 0", "the class index 0 stands for several folders: mug"),
        ("photo/oak/00003.jpg 1", "the class index 1 stands for several folders: cup"),
        ("/etc/mug/x.jpg 0", "must be a path from"),
        ("../mug/x.jpg 0", "must be a path from"),
        ("x.jpg", "names no class"),
    ],
)
def test_lines_that_cannot_be_used_are_told_by_file_and_line(tmp_path, line, said):
    root = listed(tmp_path)
    with (root / "image_list" / "photo_training.txt").open("a") as file:
        file.write(line + "\n")
    contents.forget()
    found = data.problems(f"lists:{root}:art-photo")
    text = next(text for text in found if said in text)
    assert "photo_training.txt, line 13" in text


def test_an_image_in_two_lists_is_told(tmp_path):
    root = listed(tmp_path)
    lines = (root / "image_list" / "photo_testing.txt").read_text().splitlines()
    with (root / "image_list" / "photo_training.txt").open("a") as file:
        file.write(lines[0] + "\n")
    contents.forget()
    (wrong,) = data.problems(f"lists:{root}:art-photo")
    assert "listed twice, so that one may be trained on and tested" in wrong
    assert "photo_testing.txt, line 1 and photo_training.txt, line 13" in wrong


def test_an_image_of_no_use_is_told_with_the_list(tmp_path):
    root = listed(tmp_path)
    (root / "photo" / "mug" / "00003.jpg").write_bytes(b"")
    contents.forget()
    (wrong,) = data.problems(f"lists:{root}:art-photo")
    assert "1 of the 18 images of 'photo'" in wrong
    assert "photo/mug/00003.jpg" in wrong


@pytest.mark.parametrize(
    ("dataset", "said"),
    [
        ("lists:ROOT:art-potho", "has no domain 'potho'; its domains are art, photo"),
        ("lists:ROOT:art", "must be lists:ROOT:SOURCE-TARGET"),
        ("lists:ROOT:art-art", "would hold the images that its source"),
        ("lists:ROOT:art-photo@blurr", "did you mean @blur"),
        ("lists:ROOT/none:art-photo", "there is no folder"),
        ("lists:ROOT/art:art-photo", "has no lists; it should hold"),
        ("table:ROOT:art-photo", "metadata.csv cannot be read: No such file"),
    ],
)
def test_a_wrong_dataset_is_named_with_its_remedy(tmp_path, dataset, said):
    (wrong,) = data.problems(dataset.replace("ROOT", str(listed(tmp_path))))
    assert said in wrong


def test_a_table_has_domains_groups_and_times(tmp_path):
    rows = [
        f"{place}/{name}{number}.png,{name},{place},,{place}{number // 2},2024-01-{day:02} 10:00:00"
        for place in ("near", "far")
        for name in ("ant", "bee")
        for number, day in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
    ]
    root = table(tmp_path, rows)
    assert data.problems(f"table:{root}:near-far") == []
    known = data.rows(f"table:{root}:far")
    assert known.split is None
    assert set(known.group) == {f"far{number}" for number in range(5)}
    target = f"table:{root}:far"
    # Two classes of ten days each: the newest three days of both test.
    _, split = split_of({"missing_ratio": 0.0, "split": "time", "at": tmp_path / "w"}, target)
    days = np.rint((known.time - known.time.min()) / 86400).astype(int) + 1
    assert set(days[split.test]) == {8, 9, 10}
    assert set(days[split.validation]) == {7}
    assert set(days[split.train]) == {1, 2, 3, 4, 5, 6}


def test_whole_groups_are_on_one_side_and_repetitions_draw_others(tmp_path):
    rows = [
        f"far/{name}{number}.png,{name},far,,spot{number % 10},{number}"
        for name in ("ant", "bee")
        for number in range(30)
    ]
    target = f"table:{table(tmp_path, rows)}:far"
    group = data.rows(target).group
    drawn = []
    for repetition in range(4):
        config = {"missing_ratio": 0.0, "split": "group"}
        _, split = split_of(config, target, Workspace(tmp_path / "w", repetition))
        sides = [set(group[part]) for part in (split.train, split.validation, split.test)]
        assert [len(side) for side in sides] == [6, 1, 3]
        assert len(set.union(*sides)) == 10
        drawn.append(frozenset(sides[2]))
    assert len(set(drawn)) > 1


def test_equal_times_are_on_one_side(tmp_path):
    rows = [
        f"far/{name}{n}.png,{name},far,,,{n // 2}" for name in ("ant", "bee") for n in range(12)
    ]
    target = f"table:{table(tmp_path, rows)}:far"
    time = data.rows(target).time
    _, split = split_of({"missing_ratio": 0.0, "split": "time", "at": tmp_path / "w"}, target)
    parts = [set(time[part]) for part in (split.train, split.validation, split.test)]
    assert parts == [{0, 1, 2}, {3}, {4, 5}]


def test_a_class_that_only_the_newest_images_show_is_missing(tmp_path):
    rows = [f"a/{name}{n}.png,{name},a,,,{n}" for name in ("ant", "bee", "wasp") for n in range(10)]
    rows += [f"b/{name}{n}.png,{name},b,,,{n}" for name in ("ant", "bee") for n in range(10)]
    rows += [f"b/wasp{n}.png,wasp,b,,,{n}" for n in (9, 10)]
    root = table(tmp_path / "data", rows)
    config = holistic_transfer.resolve(
        {**SMALL, "dataset": f"table:{root}:a-b", "missing": "natural", "split": "time"}
    )
    assert holistic_transfer.problems(config) == []
    assert "wasp" in dict(holistic_transfer.notes(config))["dataset"]
    # The order of the classes is the source's, and a class that is tested alone is measured.
    given = holistic_transfer.stages(config)["source"][1]
    workspace = Workspace(tmp_path / "run")
    workspace.stages = {"source": stage(source, given, tmp_path / "source")}
    rows = list(holistic_transfer(config, workspace))
    assert workspace.kept[2]["test"].missing == (2,)
    assert "test/missing_accuracy" in rows[-1]
    assert not set(holistic_transfer.unmeasured(config)) & set(rows[-1])


@pytest.mark.parametrize(
    ("rows", "header", "said"),
    [
        (["x.png,ant"], "file,size", "has no column for the label of an image; it has file, size"),
        (
            ["y.png,bee", "-x.png,ant"],
            "file,class",
            "are listed and not there: -x.png (metadata.csv, line 3)",
        ),
        (["-x.png,ant"], "file,class", "none of the 1 images of 'all' is there"),
        (["x.png,"], "file,class", "metadata.csv, line 2: an image needs a path"),
        (["x.png,ant,soon"], "file,class,time", "metadata.csv, line 2: 'soon' is no time"),
        (["x.png,ant,tset"], "file,class,split", "a part that is none: 'tset' at metadata.csv"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_by_line(tmp_path, rows, header, said):
    root = table(tmp_path, rows, header)
    found = data.fine_tuning_problems(f"pretrained-table:{root}:all")
    assert any(said in text for text in found), found


@pytest.mark.parametrize("split", ["group", "time"])
def test_a_split_that_nothing_is_known_of_is_told(tmp_path, split):
    config = holistic_transfer.resolve(
        {**SMALL, "dataset": f"lists:{listed(tmp_path)}:art-photo", "split": split}
    )
    ((key, said),) = holistic_transfer.problems(config)
    assert (key, f"takes the {split} of each image" in said) == ("split", True)


def test_a_class_that_is_only_tested_is_an_error_where_none_may_be_missing(tmp_path):
    root = listed(tmp_path)
    lists = root / "image_list"
    train = (lists / "photo_training.txt").read_text().splitlines()
    (lists / "photo_training.txt").write_text("\n".join(train[4:]) + "\n")
    contents.forget()
    config = fine_tuning.resolve({**SMALL, "dataset": f"lists:{root}:art-photo"})
    ((key, said),) = fine_tuning.problems(config)
    assert (key, "no image of mug is left to train with" in said) == ("split", True)
    config = holistic_transfer.resolve({**SMALL, "dataset": f"lists:{root}:art-photo"})
    assert holistic_transfer.problems(config) == []


def test_shares_are_settings(tmp_path):
    root = listed(tmp_path, train=8, test=2)
    config = holistic_transfer.resolve(
        {**SMALL, "dataset": f"lists:{root}:art-photo", "split": "random", "test_share": 0.5}
    )
    assert (config["split"], config["test_share"]) == ("random", 0.5)
    assert "validation_share" not in config
    labels = data.rows(f"lists:{root}:photo").labels
    _, split = target_of(config, f"lists:{root}:photo", labels, Workspace(tmp_path / "w"))
    assert len(split.test) == 15
    kept = holistic_transfer.keeps(config)
    assert kept.images["test"] == 15
    wrong = holistic_transfer.resolve({**config, "test_share": 0.9, "validation_share": 0.2})
    assert [key for key, _ in holistic_transfer.problems(wrong)] == ["test_share"]


def test_images_of_one_group_cannot_be_split_by_group(tmp_path):
    rows = [
        f"{at}/{name}{n}.png,{name},{at},,spot,5"
        for at in "ab"
        for name in ("ant", "bee")
        for n in range(4)
    ]
    root = table(tmp_path, rows)
    for split in ("group", "time"):
        config = holistic_transfer.resolve(
            {**SMALL, "dataset": f"table:{root}:a-b", "split": split}
        )
        ((key, said),) = holistic_transfer.problems(config)
        assert (key, f"needs images of several {split}s" in said) == ("split", True)
