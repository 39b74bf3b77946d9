"""How measurements repeat: by hand, drawn towards what is expected, whatever the order."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogates.laboratories import REPEATABILITY
from surrogates.repeatability import is_log10_conductivity, repeatability, within_groups


def test_by_hand() -> None:
    values, group = torch.tensor([1.0, 3.0, 5.0, 6.0, 9.0]).double(), torch.tensor([0, 0, 1, 1, 2])
    assert within_groups(values, group) == (2.5, 2)
    found = repeatability(values, group, expected=2.0)
    assert (found.std, found.freedom) == (pytest.approx(math.sqrt((4 * 4 + 2.5) / 6)), 2)


def test_without_replicates_it_is_what_is_expected() -> None:
    found = repeatability(torch.tensor([1.0, 3.0]).double(), torch.tensor([0, 1]))
    assert (found.std, found.freedom) == (pytest.approx(REPEATABILITY), 0)
    nothing = repeatability(torch.zeros(0).double(), torch.zeros(0, dtype=torch.int64))
    assert (nothing.std, nothing.freedom) == (pytest.approx(REPEATABILITY), 0)


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 4)), min_size=1, max_size=30))
def test_the_order_does_not_matter_and_it_lies_between_both(rows: list[tuple[float, int]]) -> None:
    values = torch.tensor([value for value, _ in rows], dtype=torch.float64)
    group = torch.tensor([number for _, number in rows])
    found = repeatability(values, group)
    backwards = repeatability(values.flip(0), group.flip(0))
    assert found.std == pytest.approx(backwards.std)
    assert found.freedom == len(rows) - len({number for _, number in rows})
    squares, freedom = within_groups(values, group)
    pooled = math.sqrt(squares / freedom) if freedom else REPEATABILITY
    assert min(pooled, REPEATABILITY) - 1e-12 <= found.std <= max(pooled, REPEATABILITY) + 1e-12


def test_targets_of_which_it_is_known() -> None:
    assert is_log10_conductivity("log10_conductivity_S_cm")
    assert not is_log10_conductivity("conductivity_mS_cm")
