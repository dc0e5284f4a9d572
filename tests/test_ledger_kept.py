"""What is kept comes back bit for bit, in one object that is named by what it holds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from htsweep.errors import LedgerError
from htsweep.ledger import Store, kept
from tasks.outputs import Outputs


def outputs(split, images, classes, seed, step, width=None):
    labels = np.random.default_rng([seed, images]).integers(0, classes, images)
    logits = np.random.default_rng([seed, step]).normal(0, 50, (images, classes))
    features = None if width is None else logits[:, :1] * np.linspace(-2, 2, width)
    return Outputs(logits, labels, (0, classes - 1), split, "", features)


@st.composite
def steps(draw):
    seed = draw(st.integers(0, 99))
    splits = draw(
        st.dictionaries(
            st.sampled_from(["test", "validation", "a/b é"]),
            st.tuples(st.integers(0, 9), st.integers(2, 400), st.sampled_from([None, None, 1, 7])),
            min_size=1,
        )
    )
    held = {}
    for step in draw(st.lists(st.integers(0, 2**62), unique=True, min_size=1, max_size=3)):
        some = draw(st.sets(st.sampled_from(sorted(splits)), min_size=1))
        held[step] = {
            name: outputs(name, images, classes, seed, step, width)
            for name, (images, classes, width) in splits.items()
            if name in some
        }
    return held


def told(held):
    return {
        step: {
            name: (
                o.logits.tobytes(),
                o.logits.shape,
                o.labels.tolist(),
                o.missing,
                o.split,
                None if o.features is None else (o.features.tobytes(), o.features.shape),
            )
            for name, o in own.items()
        }
        for step, own in held.items()
    }


@settings(max_examples=30)
@given(steps())
def test_what_is_packed_is_what_is_unpacked(held):
    data = kept.packed(held)
    assert told(kept.unpacked(data)) == told(held)
    assert kept.packed(dict(reversed(held.items()))) == kept.packed(held) or len(held) > 1


def test_features_are_left_out_where_a_step_lacks_them_and_refused_at_another_width():
    with_, without = outputs("test", 5, 4, 0, 1, 3), outputs("test", 5, 4, 0, 2)
    read = kept.unpacked(kept.packed({1: {"test": with_}, 2: {"test": without}}))
    assert [read[step]["test"].features for step in (1, 2)] == [None, None]
    assert kept.problem({"test": with_}, {"test": without}) == ""
    assert "features on split 'test' are [5, 7], but [5, 3]" in kept.problem(
        {"test": with_}, {"test": outputs("test", 5, 4, 0, 1, 7)}
    )


def test_it_can_be_read_with_numpy_alone(tmp_path):
    held = {3: {"test": outputs("test", 5, 4, 0, 3)}, 6: {"test": outputs("test", 5, 4, 0, 6)}}
    (tmp_path / "kept.npz").write_bytes(kept.packed(held))
    with np.load(tmp_path / "kept.npz") as arrays:
        assert arrays["logits0"].dtype == np.float16
        assert np.array_equal(arrays["logits0"][1].astype(np.float32), held[6]["test"].logits)
        assert arrays["labels"].tolist() == held[3]["test"].labels.tolist()


def test_a_damaged_object_is_an_error_that_names_it(tmp_path):
    store = Store(tmp_path)
    held = {0: {"test": outputs("test", 5, 4, 0, 0)}}
    name = kept.write(store, "t1", held)
    assert name == kept.write(store, "t1", held)
    assert told(kept.read(store, name)) == told(held)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LedgerError, match="does not hold what its name says"):
        kept.read(store, name)
    path.unlink()
    assert kept.read(store, name) is None


@pytest.mark.parametrize(
    "data", [b"", b"no zip", kept.packed({0: {"t": outputs("t", 2, 2, 0, 0)}})[:99]]
)
def test_what_is_no_such_object_is_refused(data):
    with pytest.raises(ValueError, match="holds no logits"):
        kept.unpacked(data)


def test_images_of_a_split_stay_the_same():
    one = {"test": outputs("test", 5, 4, 0, 0)}
    assert kept.problem(one, {"test": outputs("test", 5, 4, 0, 1)}) == ""
    assert kept.problem(one, {"other": outputs("other", 6, 4, 0, 1)}) == ""
    assert "split 'test'" in kept.problem(one, {"test": outputs("test", 6, 4, 0, 1)})
    other = one["test"]
    assert kept.problem(one, {"test": Outputs(other.logits, other.labels, (1,), "test")})
    assert kept.problem(
        one, {"test": Outputs(other.logits, (other.labels + 1) % 4, (0, 3), "test")}
    )
