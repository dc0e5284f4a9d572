"""Arrays kept on disk: made once, and again where the file is damaged."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tasks.data import cached


def test_a_damaged_cache_is_made_again(tmp_path):
    path = tmp_path / "kept.npz"
    make = lambda: {"a": np.arange(1000)}  # noqa: E731
    cached.arrays(path, make)
    whole = path.read_bytes()
    for damaged in (whole[:500], whole[:700] + b"\x07" + whole[701:], b""):
        path.write_bytes(damaged)
        assert (cached.arrays(path, make)["a"] == np.arange(1000)).all()
        assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]


def test_a_cache_is_used_and_many_may_ask_at_once(tmp_path):
    path = tmp_path / "kept.npz"
    made = []

    def make():
        made.append(1)
        time.sleep(0.02)
        return {"a": np.ones(5)}

    with ThreadPoolExecutor(8) as pool:
        assert all(
            (found["a"] == 1).all()
            for found in pool.map(lambda _: cached.arrays(path, make), range(8))
        )
    before = len(made)
    cached.arrays(path, make)
    assert len(made) == before
    assert list(tmp_path.iterdir()) == [path]
