"""Disjoint parts: each image tests in one repetition alone, and no more repetitions are planned than there are parts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from workspace import Workspace

from htsweep.analysis.significance import Paired, judge
from htsweep.errors import StudyError
from htsweep.planning.reading import read
from tasks import data
from tasks.data import parts
from tasks.data.parts import DISJOINT, Way
from tasks.holistic_transfer import evidence, resolve
from tasks.loading import target_of


@given(
    counts=st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any),
    count=st.integers(2, 12),
)
def test_over_all_repetitions_each_image_tests_once(counts: list[int], count: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    way = Way(DISJOINT, 1 / count)
    assert way.repetitions == count
    tested = np.array([parts.disjoint(labels, way, number).test for number in range(count)])
    several = np.array(counts)[labels] > 1
    assert tested.sum(axis=0).tolist() == several.astype(int).tolist()
    for index, images in enumerate(counts):
        sizes = tested[:, labels == index].sum(axis=1)
        assert images < 2 or (sizes.max() - sizes.min() <= 1 and sizes.sum() == images)
    with pytest.raises(ValueError, match=f"makes {count} disjoint parts"):
        parts.disjoint(labels, way, count)


def test_on_digits_repetitions_share_no_test_image_and_train_on_none_of_their_own(tmp_path) -> None:
    config = resolve({"dataset": "mnist-uci", "split": "disjoint", "test_share": 0.2})
    labels = data.load("uci", tmp_path, 16).labels
    tested: set[int] = set()
    for repetition in range(5):
        workspace = Workspace(tmp_path / str(repetition), repetition)
        missing, split = target_of(config, "uci", labels, workspace)
        assert len(missing) == 5
        own = set(split.test.tolist())
        assert not own & tested
        assert not own & {*split.train.tolist(), *split.validation.tolist()}
        assert len(split.validation) > 0
        tested |= own
    assert tested == set(range(len(labels)))


def test_evidence_says_that_images_are_independent_and_for_how_many_repetitions() -> None:
    usual = evidence(resolve({"dataset": "mnist-uci"}))
    assert usual.repetitions is None
    assert usual.tested == pytest.approx(0.3, abs=0.01)
    own = evidence(resolve({"dataset": "mnist-uci", "split": "disjoint", "test_share": 0.1}))
    assert (own.tested, own.repetitions) == (None, 10)


def test_more_repetitions_than_parts_are_refused_when_planning(study_file) -> None:
    text = (
        "task: holistic_transfer\ngrid: {method: [plain, l2sp]}\n"
        "fixed: {split: disjoint, test_share: 0.2}\nrepetitions: 5\n"
    )
    assert read(study_file(text)).repetitions == 5
    with pytest.raises(StudyError) as caught:
        read(study_file(text.replace("repetitions: 5", "repetitions: 6")))
    [problem] = caught.value.problems
    assert (problem.line, problem.key) == (4, "repetitions")
    assert "got 6, but there are test images of their own for 5 repetitions" in problem.message


def test_a_verdict_on_disjoint_parts_of_one_pool_holds_its_level() -> None:
    """Two fixed models of equal accuracy in the population, ten disjoint parts of one pool of it."""
    random = np.random.default_rng(3)
    called, draws = 0, 400
    for _ in range(draws):
        pool = random.choice([-1.0, 0.0, 1.0], 600, p=[0.1, 0.8, 0.1])
        [[row]] = judge([[Paired(random.permutation(pool).reshape(10, 60).mean(axis=1))]])
        called += row["verdict"] in ("better", "worse")
    # Three standard deviations above the level that is meant.
    assert called / draws < 0.05 + 3 * (0.05 * 0.95 / draws) ** 0.5
