"""A declared initial state costs no more than the values that are there."""

from __future__ import annotations

from dataclasses import replace

from checkers.elle.registers.values import values
from checkers.elle.transactions import transactions
from harness.history.columns import columns
from tests.checkers.elle.registers.drawing import drawn


class Unbounded:
    """The numbers below ``size``, of which nobody may ask for too many."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, at: slice) -> range:
        assert at.stop - (at.start or 0) < 1000
        return range(at.start or 0, at.stop)


def test_values_of_a_large_file_are_not_all_that_there_might_be() -> None:
    """Columns of a large file have every plain number as a value, some 2 ** 30 of them."""
    found = transactions(columns(drawn("p: [wx1] [rx1] [rx0]")), frozenset("w"), of_lists=False)
    many = replace(found, values=Unbounded(1 << 30))
    held = values(many, 1)  # what r1 reads last has the number 1 here
    assert len(held.names) < 100
    assert held.of.tolist() == [0, 0, -1]
