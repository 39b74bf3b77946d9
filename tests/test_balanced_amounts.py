"""The numbering of balanced amounts against trying them all."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from activelearn.balanced_amounts import BalancedAmounts

ranges = st.integers(1, 6).flatmap(lambda low: st.tuples(st.just(low), st.integers(low, 6)))
metal_sets = st.lists(st.lists(ranges, min_size=1, max_size=4), min_size=1, max_size=4)


def tried(metals: Sequence[tuple[int, int]], sites: int, charge: int) -> list[tuple[int, ...]]:
    """All amounts that fill the sites and can balance, by trying, in lexicographic order."""
    return [
        amounts
        for amounts in itertools.product(range(1, sites + 1), repeat=len(metals))
        if sum(amounts) == sites
        and sum(low * a for (low, _), a in zip(metals, amounts, strict=True)) <= charge
        and sum(high * a for (_, high), a in zip(metals, amounts, strict=True)) >= charge
    ]


def numbering(sets: list[list[tuple[int, int]]], sites: int, charge: int) -> BalancedAmounts:
    slots = max(map(len, sets))
    ends = np.array([metals + [(0, 0)] * (slots - len(metals)) for metals in sets])
    return BalancedAmounts.of(ends[..., 0], ends[..., 1], sites, charge)


@given(metal_sets, st.integers(1, 8), st.integers(0, 40))
@example([[(6, 6)], [(1, 2), (6, 6)]], 3, 3)  # a metal of more charge than is asked
def test_amounts_are_those_found_by_trying_in_their_order(
    sets: list[list[tuple[int, int]]], sites: int, charge: int
) -> None:
    balanced = numbering(sets, sites, charge)
    for smaller_sites, smaller_charge in ((sites, charge), (max(sites - 2, 1), max(charge - 3, 0))):
        expected = [tried(metals, smaller_sites, smaller_charge) for metals in sets]
        every = torch.arange(len(sets))
        asked = torch.full_like(every, smaller_sites), torch.full_like(every, smaller_charge)
        assert balanced.count(every, *asked).tolist() == [len(amounts) for amounts in expected]

        slots = balanced.low.shape[1]
        rows = [(row, rank) for row, amounts in enumerate(expected) for rank in range(len(amounts))]
        of_sets, ranks = torch.tensor(rows, dtype=torch.int64).reshape(-1, 2).unbind(-1)
        asked = torch.full_like(ranks, smaller_sites), torch.full_like(ranks, smaller_charge)
        padded = [[*amounts, *[0] * (slots - len(amounts))] for of_set in expected for amounts in of_set]
        assert balanced.decode(of_sets, ranks, *asked).tolist() == padded


def test_tables_too_large_to_keep_are_refused() -> None:
    with pytest.raises(ValueError) as error:
        numbering([[(2, 3), (4, 4)]], 4000, 6000)
    assert str(error.value) == (
        "the step is too fine for so many charges: 96056008 numbers would be kept, at most 33554432 can be; "
        "take a coarser step or metals of fewer charges"
    )
