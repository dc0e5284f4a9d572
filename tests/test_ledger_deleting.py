"""Many objects are removed: one after another from a folder, several at once from elsewhere."""

import threading
from pathlib import Path

import pytest

from htsweep.errors import LedgerError
from htsweep.ledger import Store
from htsweep.ledger.deleting import AT_ONCE, delete_each


class Elsewhere:
    """A store in which a removal ends only when three others have begun."""

    folder = None

    def __init__(self, refused: str = "") -> None:
        self.gone: list[str] = []
        self._refused = refused
        self._met = threading.Barrier(4)

    def delete(self, name: str) -> None:
        if name == self._refused:
            raise LedgerError(f"{name} is another's")
        if name.endswith(".first"):
            self._met.wait(30)
        self.gone.append(name)


def test_from_a_bucket_several_go_at_once_and_a_group_in_its_order() -> None:
    store = Elsewhere()
    groups = [(f"{number}.first", f"{number}.then") for number in range(4)]
    assert len(list(delete_each(store, groups))) == 4  # type: ignore[arg-type]
    assert sorted(store.gone) == sorted(name for group in groups for name in group)
    for first, then in groups:
        assert store.gone.index(first) < store.gone.index(then)


def test_what_is_refused_ends_it_and_what_had_not_begun_stays() -> None:
    store = Elsewhere("0")
    groups = [(str(number),) for number in range(100 * AT_ONCE)]
    with pytest.raises(LedgerError, match="0 is another's"):
        list(delete_each(store, groups))  # type: ignore[arg-type]
    assert len(store.gone) < len(groups) - 1


def test_from_a_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name in ("a/1", "a/2", "b/1"):
        store.write(name, b"x")
    assert len(list(delete_each(store, [("a/1", "b/1"), ("a/3",)]))) == 2
    assert [entry.name for entry in [*store.list("a"), *store.list("b")]] == ["a/2"]
