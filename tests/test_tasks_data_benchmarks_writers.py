"""Fonts as writers: what trains, what tests, whom a source may teach, and the study of them."""

from pathlib import Path

import pytest
from benchmarked import image

import htsweep
from htsweep import launching
from tasks import data
from tasks.data import contents, parts
from tasks.data.benchmarks import writers

STUDY = Path(__file__).parent.parent / "studies" / "glyphs.yaml"
FAMILIES = {"sans": ["Exo 2", "Arimo"], "hand": ["Caveat", "Kalam", "Indie Flower"]}
"""The last has one face, and is no writer."""
LETTERS = [f"{letter}" for letter in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder like that of `htsweep data get glyphs`, of 36 characters."""
    place = tmp_path_factory.mktemp("writers") / "data" / "glyphs"
    lines = ["file,class,domain,group"]
    for style, families in FAMILIES.items():
        for number, family in enumerate(families):
            for bold, face in enumerate(
                ["400Regular", "700Bold"][: 1 if " Flower" in family else 2]
            ):
                for index, letter in enumerate(LETTERS):
                    file = f"{style}/{letter}/{family.replace(' ', '')}_{face}.png"
                    image(place / file, index, 10 * number + bold, 4)
                    lines.append(f"{file},{letter},{style},{family}")
    (place / "metadata.csv").write_text("\n".join(lines) + "\n")
    contents.forget()
    return place


def test_a_writer_trains_on_a_part_of_the_characters_and_tests_all(root):
    rows = data.rows(f"writers:{root}:caveat")
    assert (rows.split == parts.TEST).sum() == len(LETTERS)
    trained = (rows.split == parts.TRAIN).sum()
    assert writers.LEAST <= trained / len(LETTERS) <= writers.MOST
    # One image each: whatever trains is of another class.
    assert len(set(rows.labels[rows.split == parts.TRAIN].tolist())) == trained
    absent = parts.absent(f"writers:{root}:caveat", parts.USUAL, LETTERS)
    assert len(absent) == len(LETTERS) - trained


def test_what_a_writer_lacks_depends_on_the_name_alone(root):
    kept = {
        name: writers._kept(name, writers.metadata.read(root).rows) for name in ("Caveat", "Kalam")
    }
    assert kept["Caveat"] != kept["Kalam"]
    own = [row for row in writers.metadata.read(root).rows if row.group == "Caveat"]
    assert writers._kept("Caveat", own) == kept["Caveat"]


def test_a_source_teaches_writers_of_other_styles(root):
    assert data.each(f"writers:{root}:sans-*") == [
        f"writers:{root}:sans-caveat",
        f"writers:{root}:sans-kalam",
    ]
    (wrong,) = data.problems(f"writers:{root}:sans-exo_2")
    assert "would hold the images that its source is trained on" in wrong
    assert data.rows(f"writers:{root}:sans").split is None


def test_a_table_without_families_is_told(tmp_path):
    (tmp_path / "metadata.csv").write_text("file,class\na.png,a\n")
    with pytest.raises(ValueError, match="htsweep data get glyphs"):
        writers.open_(tmp_path)


def test_the_study_runs(root, tmp_path, monkeypatch):
    monkeypatch.chdir(root.parent.parent)
    monkeypatch.setattr(launching.Report, "make", lambda *_: None)
    small = ["repetitions=1", "fixed.image_size=8", "fixed.epochs=1", "fixed.source_epochs=1"]
    study = htsweep.read(
        STUDY, [*small, "fixed.source_steps_per_epoch=2", "grid.method=[source, plain]"]
    )
    htsweep.launch(study, results=str(tmp_path), on="inline", mirror=None)
    trials = htsweep.trials(study, results=str(tmp_path))
    assert sorted(trials["status"]) == 4 * ["done"]
