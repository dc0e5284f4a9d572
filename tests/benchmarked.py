"""Small fake benchmarks in the true formats that their authors distribute."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.data import contents


def image(path: Path, label: int, seed: int, size: int = 8) -> Path:
    """An image whose mean brightness tells its class, so that a small network can learn it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng((label, seed))
    level = 30 + 50 * (label % 5)
    noise = rng.integers(-20, 20, (size, size, 3))
    tint = np.array([0, 10 * (label // 5), 0])
    pixels = np.clip(level + noise + tint, 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    return path


def listed(
    root: Path,
    domains: Iterable[str] = ("art", "photo"),
    classes: Iterable[str] = ("mug", "cup", "bed"),
    train: int = 4,
    test: int = 2,
) -> Path:
    """Domains with lists of training and test files; classes are not in alphabetical order."""
    (root / "image_list").mkdir(parents=True, exist_ok=True)
    for number, domain in enumerate(domains):
        lines: dict[str, list[str]] = {"training": [], "testing": []}
        for index, name in enumerate(classes):
            for place in range(train + test):
                file = f"{domain}/{name}/{place:05}.jpg"
                image(root / file, index, 100 * number + place)
                lines["testing" if place < test else "training"].append(f"{file} {index}")
        for part, of in lines.items():
            (root / "image_list" / f"{domain}_{part}.txt").write_text("\n".join(of) + "\n")
    contents.forget()
    return root


def office_home(root: Path, domains: Iterable[str] = ("Art", "Clipart")) -> Path:
    """Every file of some domains of Office-Home, named as in the authors' archive."""
    from tasks.data.benchmarks.office_home import facts

    known = facts()
    for domain in domains:
        for index, name in enumerate(known["classes"]):
            for number in range(1, known["images"][domain][name] + 1):
                image(root / domain / name / f"{number:05}.jpg", index, number, 4)
    contents.forget()
    return root


def femnist(root: Path, writers: int = 8, letters: int = 6, parts: bool = False) -> Path:
    """LEAF's JSON files: writers of a few of the first letters, each without one of them."""
    users = [f"f{number:04}_{number % 7:02}" for number in range(writers)]
    by_part: dict[str, dict[str, dict[str, list]]] = {"train": {}, "test": {}}
    for number, user in enumerate(users):
        rng = np.random.default_rng(number)
        written = [10 + letter for letter in range(letters) if letter != number % letters]
        for part, count in (("train", 7), ("test", 3)):
            labels = [label for label in written for _ in range(count)]
            images = [glyph(label, rng) for label in labels]
            by_part[part][user] = {"x": images, "y": labels}
    if not parts:
        whole = {
            user: {key: by_part["train"][user][key] + by_part["test"][user][key] for key in "xy"}
            for user in users
        }
        leaf(root / "all_data" / "all_data_0.json", {u: whole[u] for u in users[::2]})
        leaf(root / "all_data" / "all_data_1.json", {u: whole[u] for u in users[1::2]})
    else:
        for part, data in by_part.items():
            leaf(root / part / f"all_data_0_niid_1_keep_0_{part}_9.json", data)
    contents.forget()
    return root


def glyph(label: int, rng: np.random.Generator) -> list[float]:
    """784 numbers from 0 to 1: a dark bar whose place is the class, on paper."""
    paper = rng.uniform(0.8, 1.0, (28, 28))
    start = 2 + 4 * (label - 10)
    paper[4:24, start : start + 3] = rng.uniform(0.0, 0.2, (20, 3))
    return np.round(paper, 3).ravel().tolist()


def leaf(file: Path, data: dict[str, dict[str, list]]) -> None:
    """One of LEAF's files."""
    file.parent.mkdir(parents=True, exist_ok=True)
    counts = [len(of["y"]) for of in data.values()]
    file.write_text(json.dumps({"users": list(data), "num_samples": counts, "user_data": data}))


def iwildcam(root: Path, locations: int = 3) -> Path:
    """WILDS' folder: a pool of two locations, and new ones where the rarest species comes last."""
    species = ["empty", "ocelot", "tapir", "puma"]
    root.mkdir(parents=True, exist_ok=True)
    (root / "categories.csv").write_text(
        "category_id,name,y\n" + "".join(f"{10 * y},{name},{y}\n" for y, name in enumerate(species))
    )
    lines = ["split,location_remapped,location,sequence_remapped,datetime,y,category_id,filename"]
    for place in range(2 + locations):
        for number in range(40):
            if place < 2:
                split, y = ("train", "id_val", "id_test")[min(number // 30, 1) + number // 36], 0
                y = number % 4
            else:
                split, y = ("val", "test")[place % 2], (3 if number >= 38 else number % 3)
            file = f"{place}-{number}.jpg"
            image(root / "train" / file, y, 100 * place + number)
            when = f"2013-06-{1 + number // 2:02} 08:{number:02}:00.000"
            lines.append(f"{split},{place},{500 + place},{number},{when},{y},{10 * y},{file}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    contents.forget()
    return root


def in_folders(root: Path, domains: Iterable[str], classes: int = 3, each: int = 6) -> Path:
    """ROOT/DOMAIN/CLASS/IMAGE, as DomainBed's users have it."""
    for number, domain in enumerate(domains):
        for index in range(classes):
            for place in range(each):
                name = f"kind{index}"
                image(root / domain / name / f"{place}.jpg", index, 100 * number + place)
    contents.forget()
    return root


BIRDS = ["002.Laysan_Albatross", "001.Black_footed_Albatross"]


def cub(root: Path) -> Path:
    """CUB_200_2011's four lists, of two birds."""
    lines: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": []}
    number = 0
    for index, bird in enumerate(sorted(BIRDS), 1):
        for place in range(8):
            number += 1
            file = f"{bird}/{bird}_{place:04}.jpg"
            image(root / "images" / file, index, place)
            lines["images"].append(f"{number} {file}")
            lines["image_class_labels"].append(f"{number} {index}")
            lines["train_test_split"].append(f"{number} {int(place < 5)}")
    lines["classes"] = [f"{index} {bird}" for index, bird in enumerate(sorted(BIRDS), 1)]
    for name, of in lines.items():
        (root / f"{name}.txt").write_text("\n".join(of) + "\n")
    contents.forget()
    return root


def of_library(root: Path) -> Path:
    """The Transfer Learning Library's lists of two birds: shares of 15 to 100 %, and the test."""
    (root / "image_list").mkdir(parents=True)
    for share, count in ((15, 2), (30, 3), (50, 5), (100, 10)):
        lines = []
        for index, bird in enumerate(sorted(BIRDS)):
            for place in range(count):
                image(root / "train" / bird / f"{place}.jpg", index, place)
                lines.append(f"train/{bird}/{place}.jpg {index}")
        (root / "image_list" / f"train_{share}.txt").write_text("\n".join(lines) + "\n")
    lines = []
    for index, bird in enumerate(sorted(BIRDS)):
        for place in range(4):
            image(root / "test" / bird / f"{place}.jpg", index, 50 + place)
            lines.append(f"test/{bird}/{place}.jpg {index}")
    (root / "image_list" / "test.txt").write_text("\n".join(lines) + "\n")
    contents.forget()
    return root


def aircraft(root: Path) -> Path:
    """FGVC-Aircraft's lists of three variants; names have spaces and slashes."""
    for number, word in enumerate(("train", "val", "test")):
        lines = []
        for index, name in enumerate(("707-320", "A330-200", "F/A-18")):
            for place in range(4):
                one = f"{1000 * number + 100 * index + place:07}"
                image(root / "data" / "images" / f"{one}.jpg", index, 10 * number + place)
                lines.append(f"{one} {name}")
        (root / "data" / f"images_variant_{word}.txt").write_text("\n".join(lines) + "\n")
    contents.forget()
    return root


def dogs(root: Path) -> Path:
    """Stanford Dogs' two lists, of MATLAB."""
    from scipy.io import savemat

    breeds = ["n02085620-Chihuahua", "n02085782-Japanese_spaniel"]
    for number, name in enumerate(("train", "test")):
        files, labels = [], []
        for label, breed in enumerate(breeds, 1):
            for place in range(5 - 2 * number):
                file = f"{breed}/{breed[:9]}_{number}{place}.jpg"
                image(root / "Images" / file, label, 10 * number + place)
                files.append(file)
                labels.append(label)
        held = {"file_list": np.array(files, object)[:, None], "labels": np.array(labels)[:, None]}
        savemat(root / f"{name}_list.mat", held)
    contents.forget()
    return root


def cars(root: Path) -> Path:
    """Stanford Cars' development kit, of MATLAB."""
    from scipy.io import savemat

    (root / "devkit").mkdir(parents=True)
    names = ["AM General Hummer SUV 2000", "Acura RL Sedan 2012"]
    held = {"class_names": np.array(names, object)[None, :]}
    savemat(root / "devkit" / "cars_meta.mat", held)
    for folder, file, count in (
        ("cars_train", root / "devkit" / "cars_train_annos.mat", 5),
        ("cars_test", root / "cars_test_annos_withlabels.mat", 3),
    ):
        kind = [("class", "O"), ("fname", "O")]
        rows = np.zeros((1, 2 * count), kind)
        for place in range(2 * count):
            label, name = 1 + place % 2, f"{place + 1:05}.jpg"
            image(root / folder / name, label, place)
            rows[0, place] = (label, name)
        savemat(file, {"annotations": rows})
    contents.forget()
    return root


def inaturalist(root: Path, more: int = 0) -> Path:
    """iNaturalist's two lists, of two fungi and a plant, and more fungi."""
    kinds = [
        (7, "Amanita muscaria", "Fungi"),
        (3, "Boletus edulis", "Fungi"),
        (9, "Rosa", "Plants"),
        *((20 + number, f"Russula {number}", "Fungi") for number in range(more)),
    ]
    categories = [{"id": i, "name": name, "supercategory": kind} for i, name, kind in kinds]
    for number, (name, folder, count) in enumerate(
        (("train_mini.json", "train_mini", 5), ("val.json", "val", 2))
    ):
        images, annotations = [], []
        for kind, _, _ in kinds:
            for place in range(count):
                key = 1000 * number + 10 * kind + place
                file = f"{folder}/{kind:05}_kind/{key}.jpg"
                image(root / file, kind, key)
                images.append({"id": key, "file_name": file})
                annotations.append({"id": key, "image_id": key, "category_id": kind})
        text = json.dumps({"images": images, "annotations": annotations, "categories": categories})
        (root / name).write_text(text)
    contents.forget()
    return root


def office_home_in_lists(root: Path) -> Path:
    """The four domains of Office-Home with lists of six images of each class."""
    from tasks.data.benchmarks.office_home import facts

    known = facts()
    return listed(root, known["images"], known["classes"])


def by_wordnet(root: Path, classes: int) -> Path:
    """Folders by WordNet id, as ImageNet-R's and ImageNet-Sketch's are."""
    from tasks.given import synsets

    # Of these, some are missing by the paper, and some are seen.
    for index, name in enumerate(synsets()[place] for place in (1, 2, 8, 4, 9, 6)[:classes]):
        for place in range(8):
            image(root / name / f"art_{place}.jpg", index, place)
    contents.forget()
    return root


FONTS = {"sans": ["Exo 2", "Arimo"], "hand": ["Caveat", "Kalam", "Indie Flower"]}
"""Style -> families; the last has one face, and is no writer."""
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def writers(root: Path) -> Path:
    """A folder like that of `htsweep data get glyphs`, of 36 characters."""
    lines = ["file,class,domain,group"]
    for style, families in FONTS.items():
        for number, family in enumerate(families):
            for bold, face in enumerate(("400Regular", "700Bold")):
                if bold and family == "Indie Flower":
                    continue
                for index, letter in enumerate(LETTERS):
                    file = f"{style}/{letter}/{family.replace(' ', '')}_{face}.png"
                    image(root / file, index, 10 * number + bold, 4)
                    lines.append(f"{file},{letter},{style},{family}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    contents.forget()
    return root
