"""Mixtures as a network takes them: order and repetition are lost, nothing else."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.blends import BlendBatch

ROOM = torch.tensor([298.15])


def test_a_worked_batch() -> None:
    molecules = torch.tensor([[3, 1], [1, 3], [2, 2], [0, 3]])
    x = torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5], [0.125, 0.875]])
    batch = BlendBatch.of(molecules, x, ROOM.expand(4))
    assert batch.molecules.tolist() == [[1, 3], [1, 3], [2, 2], [0, 3]]
    assert batch.x.tolist() == [[0.75, 0.25], [1.0, 0.0], [1.0, 0.0], [0.125, 0.875]]
    assert batch.pairs.tolist() == [[0, 1], [3, 3]]
    # pair 0 is 0 with 3, pair 1 is 1 with 3; the same the other way round are 2 and 3; 4 is no pair.
    assert batch.meeting.tolist() == [[[4, 1], [3, 4]], [[4, 1], [3, 4]], [[4, 4], [4, 4]], [[4, 0], [2, 4]]]


def test_one_molecule_alone_has_no_pairs() -> None:
    batch = BlendBatch.of(torch.tensor([[2]]), torch.ones(1, 1), ROOM)
    assert batch.pairs.shape == (2, 0) and batch.meeting.tolist() == [[[0]]]


def test_some_rows_keep_the_numbers_of_the_pairs() -> None:
    molecules = torch.tensor([[0, 1], [1, 2]])
    batch = BlendBatch.of(molecules, torch.full((2, 2), 0.5), ROOM.expand(2))
    some = batch[torch.tensor([1])]
    assert len(some) == 1 and torch.equal(some.pairs, batch.pairs)
    assert torch.equal(some.meeting, batch.meeting[1:])


@given(st.lists(st.integers(0, 3), min_size=2, max_size=5), st.integers(0, 2**31))
def test_amounts_are_those_of_the_molecules_in_any_order(held: list[int], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(len(held), dtype=torch.float64, generator=generator)
    x = x / x.sum()
    order = torch.randperm(len(held), generator=generator)
    molecules = torch.tensor(held)
    for seen in (torch.arange(len(held)), order):
        batch = BlendBatch.of(molecules[seen][None], x[seen][None], ROOM)
        amounts = torch.zeros(4, dtype=torch.float64).index_add(0, batch.molecules[0], batch.x[0])
        asked = torch.zeros(4, dtype=torch.float64).index_add(0, molecules, x)
        torch.testing.assert_close(amounts, asked)
        there = batch.molecules[0][batch.x[0] > 0].tolist()
        assert there == sorted(set(held)), "each molecule has one slot"


@given(st.integers(0, 2**31), st.integers(2, 4), st.integers(1, 5))
def test_meetings_name_the_pair_and_its_order(seed: int, k: int, n: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    molecules = torch.randint(4, (n, k), generator=generator)
    batch = BlendBatch.of(molecules, torch.full((n, k), 1 / k), ROOM.expand(n))
    p = batch.pairs.shape[1]
    for row in range(n):
        for i in range(k):
            for j in range(k):
                a, b = int(batch.molecules[row, i]), int(batch.molecules[row, j])
                place = int(batch.meeting[row, i, j])
                if a == b:
                    assert place == 2 * p
                else:
                    assert sorted((a, b)) == batch.pairs[:, place % p].tolist()
                    assert (place < p) == (a < b)


def test_gradients_reach_fractions_of_a_molecule_that_stands_twice() -> None:
    x = torch.tensor([[0.2, 0.3, 0.5]], requires_grad=True)
    batch = BlendBatch.of(torch.tensor([[1, 0, 1]]), x, ROOM)
    (batch.x * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[10.0, 1.0, 10.0]]
