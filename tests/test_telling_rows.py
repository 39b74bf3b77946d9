"""Rows that tell most: against trying each row, and what the choice must keep to."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from surrogates.laboratories import REPEATABILITY, Compared, covariance, default_laboratories, scatter
from surrogates.telling_rows import telling_rows
from tests.synthetic_laboratories import rows

EXPECTED = default_laboratories()


def _left(of: Compared, chosen: list[int], weight: Tensor) -> float:
    """Return the weighted sum of the variances once some rows are measured, by plain algebra."""
    numbers = EXPECTED.priors["residual"].numbers()
    whole = covariance(numbers, of, of).numpy()
    noise = np.diag((scatter(numbers, of.std) + REPEATABILITY**2).numpy()[chosen])
    cross = whole[:, chosen]
    left = whole - cross @ np.linalg.inv(whole[np.ix_(chosen, chosen)] + noise) @ cross.T
    return float(weight.numpy() @ left.diagonal())


@given(st.integers(2, 12), st.integers(0, 1000))
def test_the_first_row_leaves_least_of_all_rows(n: int, seed: int) -> None:
    of = rows(n, seed)
    weight = torch.tensor(np.random.default_rng(seed).uniform(0.1, 3, n))
    left = [_left(of, [row], weight) for row in range(n)]
    assert telling_rows(of, EXPECTED, 1, weight).tolist() == [int(np.argmin(left))]


def test_each_further_row_leaves_least_beside_those_before() -> None:
    of, weight = rows(15, seed=3), torch.linspace(0.5, 2, 15).double()
    chosen = telling_rows(of, EXPECTED, 6, weight).tolist()
    for count in range(6):
        before = chosen[:count]
        rest = [row for row in range(15) if row not in before]
        assert chosen[count] == min(rest, key=lambda row: _left(of, [*before, row], weight))


def test_all_rows_are_chosen_once_if_all_are_asked_for() -> None:
    of = rows(4)[torch.tensor([0, 0, 0, 1, 2, 3])]
    assert sorted(telling_rows(of, EXPECTED, 6, torch.ones(6)).tolist()) == list(range(6))


def test_a_row_that_stands_twice_is_not_measured_twice() -> None:
    of = rows(6)[torch.arange(6).repeat(2)]
    chosen = telling_rows(of, EXPECTED, 4, torch.ones(12)) % 6
    assert len(chosen.unique()) == 4


def test_what_weighs_more_is_measured_first() -> None:
    of = rows(9, seed=5)
    for row in (2, 7):
        weight = torch.full((9,), 1e-6)
        weight[row] = 1.0
        assert telling_rows(of, EXPECTED, 1, weight).tolist() == [row]
