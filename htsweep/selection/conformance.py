"""One suite of checks for every protocol, built in or a user's: a test class to subclass.

    from htsweep.selection.conformance import ProtocolConformance

    class TestSettled(ProtocolConformance):
        protocol = "my_protocol:SETTLED"

pytest collects the subclass. The checks use made-up tables: two sweeps of a few points with three
repetitions and four steps, whose numbers are drawn with fixed seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from htsweep.errors import HtsweepError
from htsweep.selection.choose import choice, find, handed, numbered
from htsweep.selection.protocols import (
    CHOICE,
    PROTOCOLS,
    TEST,
    TEST_MISSING,
    TEST_OVERALL,
    TEST_SEEN,
    Protocol,
)

_SEEDS = range(4)
_ALWAYS = (TEST_OVERALL, TEST_SEEN, TEST_MISSING, "train/loss")
"""Columns that the tables have whatever a protocol reads."""


class ProtocolConformance:
    """The checks that every protocol must pass: a subclass names the protocol for pytest to run."""

    protocol: str = "last"
    """A name as in a study's `select`: `last`, or `my_protocol:VALUE`."""
    metrics: Sequence[str] = ()
    """Columns that the made-up tables have besides those that the built-in protocols and this one
    read, each with numbers in [0, 1].
    """

    def test_it_is_a_protocol_with_a_line_about_it(self) -> None:
        """The name leads to a `Protocol` whose `line` says in one line what it picks."""
        protocol_found = self._found
        assert isinstance(protocol_found, Protocol)
        assert protocol_found.line.strip(), f"{self.protocol} needs a line that says what it picks"
        assert "\n" not in protocol_found.line, f"the line about {self.protocol} must be one line"

    def test_it_picks_at_most_one_point_of_each_sweep(self) -> None:
        """`pick` returns `sweep`, `point`, `step`: one row per sweep, of points it was given."""
        for table in self._tables():
            picked = choice(table, self.protocol)  # raises unless the result is valid
            assert list(picked.columns) == CHOICE
            assert picked["sweep"].is_unique
            assert len(picked), f"{self.protocol} picked nothing, though every metric is there"

    def test_test_columns_change_no_choice_unless_it_declares_that_it_reads_them(self) -> None:
        """A protocol that looks at test data names a test column in `reads`."""
        if self._found.reads_test:
            return
        for seed, table in enumerate(self._tables()):
            order = np.random.default_rng(seed).permutation(len(table))
            shuffled = table.assign(
                **{
                    name: table[name].to_numpy()[order]
                    for name in table.columns
                    if name.startswith(TEST)
                }
            )
            self._same(table, shuffled, "test columns were shuffled")

    def test_the_order_of_rows_changes_no_choice(self) -> None:
        """Ties are broken by values (`point_index`, `step`, `point`), not by the order of rows."""
        for seed, table in enumerate(self._tables()):
            order = np.random.default_rng(seed).permutation(len(table))
            indexed = numbered(table)
            self._same(indexed, indexed.iloc[order], "rows were put into another order")

    def test_other_sweeps_change_no_choice(self) -> None:
        """Each sweep's choice depends on that sweep only."""
        for table in self._tables():
            both = self._picks(table)
            for sweep, inside in table.groupby("sweep", sort=False):
                own = [pick for pick in both if pick[0] == sweep]
                assert self._picks(inside) == own, (
                    f"{self.protocol} picks otherwise in {sweep} where other sweeps are there"
                )

    def test_what_it_declares_to_read_is_all_that_it_looks_at(self) -> None:
        """Only the metrics in `reads` are loaded from the ledger, so they must be enough."""
        reads = self._found.reads
        if reads is None:
            return
        for table in self._tables():
            kept = [name for name in table.columns if "/" not in name or name in reads]
            self._same(table, table[kept], "columns that it does not declare were taken away")

    def test_what_it_declares_to_need_is_enough(self) -> None:
        """With all columns of one alternative in `needs` there is an answer."""
        for needed in self._found.needs:
            for table in self._tables():
                kept = [name for name in table.columns if "/" not in name or name in needed]
                assert len(self._picks(table[kept])), (
                    f"{self.protocol} picked nothing, though {', '.join(needed)} is there"
                )

    def test_without_what_it_needs_it_says_so(self) -> None:
        """Without its columns the error names one of them."""
        needs = self._found.needs
        if any(not needed for needed in needs):
            return
        for table in self._tables():
            kept = [name for name in table.columns if "/" not in name]
            said = None
            try:
                choice(table[kept], self.protocol)
            except HtsweepError as error:
                said = str(error)
            assert said is not None, f"{self.protocol} picked without any column that it needs"
            assert any(name in said for needed in needs for name in needed), (
                f"{self.protocol} must name the column that it lacks, but said: {said}"
            )

    def test_a_point_that_is_not_whole_is_never_picked(self) -> None:
        """A point with a failed trial takes no part."""
        for table in self._tables():
            failed = table["trial"] == table["trial"].iloc[-1]
            partial = table.assign(status=table["status"].mask(failed, "failed"))
            gone = set(table["point"][failed])
            assert not {pick[1] for pick in self._picks(partial)} & gone

    def test_it_leaves_the_table_that_it_is_handed_as_it_was(self) -> None:
        """`pick` returns a new table, and does not write into the one that it is given."""
        for table in self._tables():
            given = handed(table, None, self._found)
            before = given.copy(deep=True)
            self._found.pick(given)
            pd.testing.assert_frame_equal(given, before)

    @property
    def _found(self) -> Protocol:
        return find(self.protocol)

    def _tables(self) -> Iterator[pd.DataFrame]:
        """Measurements like a study's, with few distinct values, so that there are ties."""
        names = dict.fromkeys(
            [
                *(name for known in PROTOCOLS.values() for name in known.reads or ()),
                *(self._found.reads or ()),
                *self.metrics,
                *_ALWAYS,
            ]
        )
        for seed in _SEEDS:
            random = np.random.default_rng(seed)
            rows = [
                {
                    "trial": f"{sweep}{point}r{repetition}",
                    "sweep": sweep,
                    "point": f"{sweep}{point}",
                    "point_index": point,
                    "repetition": repetition,
                    "status": "done",
                    "step": step,
                    **{name: int(random.integers(0, 9)) / 8 for name in names},
                }
                for sweep, count in (("a", 3), ("b", 2))
                for point in range(count)
                for repetition in range(3)
                for step in range(4)
            ]
            yield pd.DataFrame(rows)

    def _picks(self, table: pd.DataFrame) -> list[tuple[str, str, int]]:
        picked = choice(table, self.protocol).sort_values("sweep")
        return [
            (str(sweep), str(point), int(step))
            for sweep, point, step in picked.itertuples(index=False)
        ]

    def _same(self, table: pd.DataFrame, other: pd.DataFrame, what: str) -> None:
        before, after = self._picks(table), self._picks(other)
        assert before == after, f"{self.protocol} picked {before}, and {after} after {what}"
