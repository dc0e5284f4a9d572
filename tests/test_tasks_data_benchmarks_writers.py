"""Fonts as writers: what trains, what tests, and whom a source may teach."""

import pytest
from benchmarked import LETTERS
from benchmarked import writers as writers_of

from tasks import data
from tasks.data import parts
from tasks.data.benchmarks import writers


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return writers_of(tmp_path_factory.mktemp("writers") / "data" / "glyphs")


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
