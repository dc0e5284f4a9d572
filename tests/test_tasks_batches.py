"""Which positions are in a batch: whole passes in an order of the seed's own, and classes among them."""

import torch

from tasks.batches import Batches

LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2])
ROWS = torch.tensor([0, 1, 3, 4, 6, 7, 9])  # four of class 0, three of class 1


def batches(size, seed=0):
    return Batches(LABELS, ROWS, size, lambda *names: hash((seed, names[1])) % 2**31)


def order(seed, which):
    """The rows of a pass, as torch's generator permutes them."""
    generator = torch.Generator().manual_seed(hash((seed, which)) % 2**31)
    return ROWS[torch.randperm(len(ROWS), generator=generator)].tolist()


def test_a_pass_is_cut_into_batches_and_its_remainder_dropped():
    """Seven rows hold three batches of two; the fourth batch begins the next pass."""
    found = [batches(2).batch(number).tolist() for number in range(6)]
    first, second = order(0, 0), order(0, 1)
    assert found == [first[:2], first[2:4], first[4:6], second[:2], second[2:4], second[4:6]]


def test_fewer_rows_than_a_batch_holds_are_one_batch():
    assert batches(100).batch(0).tolist() == order(0, 0)
    assert batches(100).batch(3).tolist() == order(0, 3)


def test_a_number_alone_decides_a_batch():
    one = batches(3)
    late = one.batch(5).tolist()
    assert one.batch(0).tolist() == batches(3).batch(0).tolist()
    assert one.batch(5).tolist() == late == batches(3).batch(5).tolist()
    assert late != batches(3, seed=1).batch(5).tolist()


def test_batches_of_some_classes_are_passes_through_these():
    """Three rows are of class 1: one batch of two per pass, from that pass's order."""
    for number in range(4):
        own = [row for row in order(0, number) if LABELS[row] == 1]
        assert batches(2).batch(number, [1]).tolist() == own[:2]
    both = [row for row in order(0, 1) if LABELS[row] in (0, 1)]
    assert batches(2).batch(4, [0, 1]).tolist() == both[2:4]
