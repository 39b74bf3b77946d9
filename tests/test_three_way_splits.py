"""Splits in three parts: nothing is lost, nothing stands twice, groups stay whole."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.three_way_splits import three_way_splits


@given(st.lists(st.integers(0, 12), min_size=20, max_size=60), st.integers(0, 2**31))
def test_parts_share_no_group_and_leave_no_row_out(groups: list[int], seed: int) -> None:
    of = torch.tensor([*groups, 20, 21, 22])
    for split in three_way_splits("pairs", of, 2, seed):
        parts = (split.train, split.validate, split.test)
        assert torch.equal(torch.cat(parts).sort().values, torch.arange(len(of)))
        held = [set(of[part].tolist()) for part in parts]
        assert all(held) and sum(map(len, held)) == len(set(of.tolist()))


def test_rows_fall_8_to_1_to_1_and_each_split_has_its_own_seed() -> None:
    first, second = three_way_splits("rows", torch.arange(1069), 2, seed=3)
    assert [len(part) for part in (first.train, first.validate, first.test)] == [855, 107, 107]
    assert (first.seed, second.seed, first.name) == (3, 4, "rows")
    assert not torch.equal(first.test, second.test)
    (again,) = three_way_splits("rows", torch.arange(1069), 1, seed=4)
    assert torch.equal(again.test, second.test)


def test_two_groups_are_too_few() -> None:
    with pytest.raises(ValueError, match=r"^2 groups cannot be split in three parts$"):
        three_way_splits("pairs", torch.tensor([0, 0, 1]), 1)
